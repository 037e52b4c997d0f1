//! The attempts of one exchange: at one target after another, as long as that is safe.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::Response;
use http::header::{EXPECT, SET_COOKIE};
use http::request::Parts;

use super::exchange::{Asked, Fault};
use super::forward::shape;
use super::headers::{self, Received, Refusal, Scheme};
use super::record::Record;
use super::reply::Reply;
use super::{replies, switch};
use crate::config::backends::Backends;
use crate::config::site::Rule;
use crate::config::target::Target;
use crate::framing::Framing;
use crate::upstream::balance::sticky::Transport;
use crate::upstream::group::{Asking, Group, Tried, Wish};
use crate::upstream::tls::Offer;
use crate::upstream::{Incoming, Job, Outgoing, Progress, Resend, Unfit, Upload, UpstreamError};

/// How long a body is held back for a 100 that may never come: RFC 9110 section 10.1.1 lets a client wait no longer than it likes.
const CONTINUE_PATIENCE: Duration = Duration::from_secs(1);

/// Tries one target after another, as long as nothing was sent. Whoever answered stays in the record until the exchange is over.
pub(super) async fn send(
    asked: &mut Asked,
    rule: &Rule,
    backends: &Arc<Backends>,
    progress: &Rc<Progress>,
    record: &mut Record,
) -> Result<Response<Incoming>, Fault> {
    let mut body = Some(outgoing(asked, rule, progress)?);
    let Asked {
        visit,
        table,
        received,
        head,
        client,
        ..
    } = asked;
    let context = &visit.context;
    let groups = &context.groups;
    let group = groups.of(backends);
    let wish = group.wish(&head.headers, client.ip);
    let mut tried = Tried::default();
    let mut fault = None;
    while let Some(asking) = group.choose(&mut tried, wish, groups.now()) {
        let target = asking.target();
        record.target = Some(target.clone());
        let shape = |protocol, parts: &mut Parts| shape(protocol, parts, received, rule, target);
        let job = Job {
            target,
            clients: &table.clients,
            offer: if received.upgrade.is_some() && !switch::is_native(target) {
                Offer::Http1Only
            } else {
                Offer::Any
            },
            progress,
            connect: rule.timeouts.connect,
            resend: resend(received),
            shape: &shape,
        };
        let error = match context.upstreams.send(job, head, &mut body).await {
            Ok(mut answer) => {
                bind(&mut answer, &asking, wish, visit.scheme());
                record.asking = Some(asking);
                return Ok(answer);
            }
            Err(error) => error,
        };
        asking.failed(&error, groups.now());
        tell(record, target, &error);
        let again = error.is_before_sending() && body.is_some();
        fault = Some(fault_of(&error, target));
        if !again {
            break;
        }
    }
    Err(fault.unwrap_or_else(|| nobody(&group)))
}

/// Gives the client a cookie that brings it to the same target again, if it needs one.
fn bind(answer: &mut Response<Incoming>, asking: &Asking, wish: Wish, scheme: Scheme) {
    let transport = match scheme {
        Scheme::Https => Transport::Secure,
        Scheme::Http => Transport::Clear,
    };
    if let Some(cookie) = asking.cookie(wish, transport) {
        answer.headers_mut().append(SET_COOKIE, cookie.clone());
    }
}

fn nobody(group: &Group) -> Fault {
    Fault::Reply(Reply {
        words: group.nobody().into(),
        ..replies::no_target()
    })
}

fn resend(received: &Received) -> Resend {
    // Nothing of a body could be sent a second time.
    let has_body = !matches!(received.framing, Framing::Empty | Framing::Length(0));
    if has_body || received.upgrade.is_some() {
        Resend::Forbidden
    } else if received.method.is_idempotent() {
        Resend::Allowed
    } else {
        Resend::IfRefused
    }
}

/// The body for the upstream, held back if the client waits for a 100.
fn outgoing(asked: &mut Asked, rule: &Rule, progress: &Rc<Progress>) -> Result<Outgoing, Fault> {
    let Some(body) = asked.body.take() else {
        return Err(Fault::Reply(replies::no_target()));
    };
    if progress.uploaded.get() {
        return Ok(Outgoing::Empty);
    }
    let waits = asked.head.headers.contains_key(EXPECT);
    let patience = waits.then(|| asked.visit.context.wheel.deadline_in(CONTINUE_PATIENCE));
    let upload = Upload::new(
        body,
        rule.max_body,
        progress.clone(),
        headers::trailers,
        patience,
    );
    Ok(Outgoing::Streamed(Box::new(upload)))
}

fn tell(record: &Record, target: &Target, error: &UpstreamError) {
    if matches!(error, UpstreamError::ClientBody(_)) {
        tracing::debug!(peer = %record.visit.peer, error = error as &dyn std::error::Error, "request body broke off");
        return;
    }
    let site = record.site_name();
    tracing::warn!(site, %target, error = error as &dyn std::error::Error, "no answer");
}

fn fault_of(error: &UpstreamError, target: &Target) -> Fault {
    let UpstreamError::Unfit(unfit) = error else {
        return Fault::Reply(replies::upstream(error, target));
    };
    Fault::Refused(match unfit {
        Unfit::Upgrade => Refusal::UpgradeNotCarried,
        Unfit::Head => Refusal::BadTarget,
    })
}
