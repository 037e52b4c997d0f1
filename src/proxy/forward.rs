//! Sending a judged request to an upstream, and its answer back.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response};

use super::body::Body;
use super::exchange::{Asked, Fault, facts_of, own_reply};
use super::headers::{self, Received, Refusal, inbound, outbound, to_http1, to_http2};
use super::record::Record;
use super::{replies, switch};
use crate::config::site::{Action, HostField, Rule};
use crate::config::target::{Scheme, Target};
use crate::framing::Framing;
use crate::upstream::dial::Protocol;
use crate::upstream::tls::Offer;
use crate::upstream::{Incoming, Job, Outgoing, Progress, Resend, Unfit, Upload, UpstreamError};

/// How long a body is held back for a 100 that may never come: RFC 9110 section 10.1.1 lets a client wait no longer than it likes.
const CONTINUE_PATIENCE: Duration = Duration::from_secs(1);

/// Forwards a request by a rule that forwards, and returns the answer that the client gets.
pub(super) async fn forward(
    mut asked: Box<Asked>,
    rule: Arc<Rule>,
    mut record: Box<Record>,
) -> Response<Body> {
    let rule = &*rule;
    if let (Some(limit), Framing::Length(length)) = (rule.max_body, asked.received.framing)
        && length > limit
    {
        return own_reply(record, Fault::Reply(replies::body_too_large()));
    }
    let Asked {
        head,
        received,
        visit,
        ..
    } = &mut *asked;
    let facts = facts_of(visit, received, &record);
    if let Err(refusal) = outbound(head, received, rule, &facts) {
        return own_reply(record, Fault::Refused(refusal));
    }
    let key = switch::translate(received, head, targets(rule));
    let progress = progress_of(&asked, rule);
    record.progress = Some(progress.clone());
    let answered = send(&mut asked, rule, &progress, &mut record).await;
    let (mut head, incoming) = match answered {
        Ok(answer) => answer.into_parts(),
        Err(fault) => return own_reply(record, fault),
    };
    progress.answered();
    let facts = facts_of(&asked.visit, &asked.received, &record);
    let date = asked.visit.context.date();
    if let Err(broken) = inbound(&mut head, &asked.received, rule, &facts, &date) {
        tracing::warn!(site = record.site_name(), %broken, "upstream's answer refused");
        return own_reply(record, Fault::Reply(broken.into()));
    }
    let answer = Response::from_parts(head, incoming);
    if switch::is_switch(&asked.received, answer.status()) {
        return Box::pin(switch::switch(*asked, answer, rule, key, record)).await;
    }
    if is_stream(answer.headers()) {
        progress.set_idle(rule.timeouts.tunnel_idle);
    }
    record.status = answer.status();
    answer.map(|incoming| Body::forwarded(incoming, progress, record))
}

fn targets(rule: &Rule) -> &[Arc<Target>] {
    match &rule.action {
        Action::Forward(targets) => targets,
        Action::Redirect(_) | Action::Respond(_) => &[],
    }
}

fn progress_of(asked: &Asked, rule: &Rule) -> Rc<Progress> {
    let deadline = asked.visit.context.wheel.deadline();
    let idle = if is_grpc(&asked.head.headers) {
        rule.timeouts.tunnel_idle
    } else {
        rule.timeouts.idle
    };
    let progress = Progress::new(deadline, idle, rule.timeouts.response);
    progress.uploaded.set(
        asked
            .body
            .as_ref()
            .is_none_or(http_body::Body::is_end_stream),
    );
    Rc::new(progress)
}

/// Whether an answer may rightly be silent for long: events, and calls that stream.
fn is_stream(headers: &HeaderMap) -> bool {
    let has_length = headers.contains_key(CONTENT_LENGTH);
    let kind = headers
        .get(CONTENT_TYPE)
        .map_or(&b""[..], HeaderValue::as_bytes);
    !has_length && (kind.starts_with(b"text/event-stream") || is_grpc(headers))
}

fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// Tries the targets in turn, as long as nothing was sent.
async fn send(
    asked: &mut Asked,
    rule: &Rule,
    progress: &Rc<Progress>,
    record: &mut Record,
) -> Result<Response<Incoming>, Fault> {
    let mut body = Some(outgoing(asked, rule, progress)?);
    let Asked {
        visit,
        table,
        received,
        head,
        ..
    } = asked;
    let context = &visit.context;
    let mut fault = Fault::Reply(replies::no_target());
    for target in context.in_turn(targets(rule)) {
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
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        tell(record, target, &error);
        let again = error.is_before_sending() && body.is_some();
        fault = fault_of(&error, target);
        if !again {
            break;
        }
    }
    Err(fault)
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

/// The form of an edited head for one attempt.
///
/// # Errors
/// When the protocol cannot carry it.
pub fn shape(
    protocol: Protocol,
    parts: &mut Parts,
    received: &Received,
    rule: &Rule,
    target: &Target,
) -> Result<(), Unfit> {
    let own_name = match (&rule.host, &received.authority) {
        (HostField::Preserve, Some(_)) | (HostField::Literal(_), _) => HeaderValue::from_static(""),
        (HostField::Preserve, None) | (HostField::Upstream, _) => authority(target),
    };
    let scheme = match target.scheme {
        Scheme::Https(_) => headers::Scheme::Https,
        Scheme::Http | Scheme::H2c => headers::Scheme::Http,
    };
    let shaped = match protocol {
        Protocol::Http1 => to_http1(parts, received, &rule.host, &own_name),
        Protocol::Http2 => to_http2(parts, received, &rule.host, &own_name, scheme),
    };
    shaped.map_err(|refusal| {
        if refusal == Refusal::UpgradeNotCarried {
            Unfit::Upgrade
        } else {
            Unfit::Head
        }
    })
}

/// The target's own name, for `host = "upstream"`.
fn authority(target: &Target) -> HeaderValue {
    HeaderValue::try_from(target.authority())
        .unwrap_or_else(|_unprintable| HeaderValue::from_static("localhost"))
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
