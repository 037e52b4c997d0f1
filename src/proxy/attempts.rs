//! The attempts of one exchange: at one target after another, as long as that is safe.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Response;
use http::header::{EXPECT, SET_COOKIE};
use http::request::Parts;
use http_body::Body as _;

use super::client::facts_of;
use super::exchange::{Asked, Fault};
use super::forward::shape;
use super::headers::{self, Refusal, Scheme};
use super::record::Record;
use super::reply::Reply;
use super::retry::{Body, Course, Nature, Outcome, Verdict};
use super::{replies, switch};
use crate::config::site::Rule;
use crate::config::target::Target;
use crate::upstream::balance::sticky::Transport;
use crate::upstream::group::{Aim, Asking, Group, Wish};
use crate::upstream::seating::{Busy, Seating};
use crate::upstream::tls::Offer;
use crate::upstream::{Incoming, Job, Keep, Outgoing, Progress, Unfit, Upload, UpstreamError};

/// How long a body is held back for a 100 that may never come: RFC 9110 section 10.1.1 lets a client wait no longer than it likes.
const CONTINUE_PATIENCE: Duration = Duration::from_secs(1);
/// Octets that are read of an answer nobody will get, if they are there already: then its connection can be used again.
const DRAINED_OCTETS_MAX: usize = 16 << 10;

/// Tries one target after another, as [`super::retry`] says. Whoever answered stays in the record until the exchange is over.
pub(super) async fn send(
    asked: &mut Asked,
    rule: &Rule,
    aim: Aim,
    progress: &Rc<Progress>,
    record: &mut Record,
) -> Result<Response<Incoming>, Fault> {
    let Aim { group, wish } = aim;
    let backends = group.backends();
    let is_switch = asked.received.upgrade.is_some();
    let nature = Nature::of(&asked.received.method, is_switch);
    let connect = rule.timeouts.connect;
    let mut body = Some(outgoing(asked, rule, progress, kept(nature))?);
    let visit = asked.visit.clone();
    let context = &visit.context;
    let groups = &context.groups;
    let mut seating = Seating::new(groups, &context.upstreams, group.clone(), wish);
    let mut course = Course::begin(&backends.retry, nature, groups.now());
    let mut fault = None;
    let mut next = None;
    loop {
        let asking = match next.take() {
            Some(asking) => asking,
            None => match seating.in_time(&progress.deadline, connect).await {
                Some(Ok(asking)) => asking,
                Some(Err(Busy(asking))) => return Err(busy(record, &asking)),
                None => break,
            },
        };
        record.target = Some(asking.target().clone());
        let attempt = attempt(asked, rule, &asking, nature, progress, &mut body);
        let answered = attempt.await;
        let outcome = Outcome::of(&answered);
        let verdict = course.after(outcome, state(&body, progress), groups.now());
        match answered {
            Ok(mut answer) => {
                if verdict == Verdict::Elsewhere {
                    next = seating.at_once();
                }
                if next.is_none() {
                    let facts = facts_of(&visit, &asked.received, record);
                    bind(&mut answer, &asking, wish, facts.scheme);
                    record.asking = Some(asking);
                    return Ok(answer);
                }
                asking.succeeded(groups.now());
                discard(answer).await;
            }
            Err(error) => {
                asking.failed(&error, groups.now());
                fault = Some(failed(record, &asking, &error));
                if verdict == Verdict::Stop {
                    break;
                }
            }
        }
        if body.is_none() {
            body = progress.again();
        }
    }
    Err(fault.unwrap_or_else(|| nobody(&group)))
}

async fn attempt(
    asked: &mut Asked,
    rule: &Rule,
    asking: &Asking,
    nature: Nature,
    progress: &Rc<Progress>,
    body: &mut Option<Outgoing>,
) -> Result<Response<Incoming>, UpstreamError> {
    let Asked {
        visit,
        table,
        received,
        head,
        client,
        ..
    } = asked;
    let target = asking.target();
    let context = &visit.context;
    let shape = |protocol, parts: &mut Parts| shape(protocol, parts, received, rule, target);
    let detour = Cell::new(false);
    let job = Job {
        endpoint: asking.endpoint(),
        clients: &table.clients,
        offer: if received.upgrade.is_some() && !switch::is_native(target) {
            Offer::Http1Only
        } else {
            Offer::Any
        },
        progress,
        connect: rule.timeouts.connect,
        resend: nature.resend(),
        detour: &detour,
        shape: &shape,
    };
    let own = visit
        .prelude(asking.backends(), client.ip)
        .map(|prelude| visit.upstreams_of(prelude));
    let upstreams = own.as_deref().unwrap_or(&context.upstreams);
    let sent = upstreams.send(job, head, body).await;
    if detour.get() {
        asking.failed(&UpstreamError::ConnectTimedOut, context.groups.now());
    }
    sent
}

/// What of the body is written down, in case that it must be sent again: to the same target, where a rule has no say, or to another one.
fn kept(nature: Nature) -> Keep {
    match nature {
        Nature::Safe | Nature::Idempotent => Keep::Throughout,
        Nature::Once => Keep::UntilWritten,
        Nature::Switch => Keep::Nothing,
    }
}

fn state(body: &Option<Outgoing>, progress: &Progress) -> Body {
    if body.is_some() || progress.is_replayable() {
        Body::Whole
    } else {
        Body::Lost
    }
}

/// Reads an answer that nobody gets, as far as it is here. Whatever is still to come ends with its connection.
pub(super) async fn discard(answer: Response<Incoming>) {
    let mut body = answer.into_body();
    let mut octets = 0;
    poll_fn(|cx: &mut Context<'_>| {
        while octets <= DRAINED_OCTETS_MAX && !body.is_end_stream() {
            match Pin::new(&mut body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    octets += frame.data_ref().map_or(0, bytes::Bytes::len);
                }
                Poll::Ready(Some(Err(_)) | None) | Poll::Pending => break,
            }
        }
        Poll::Ready(())
    })
    .await;
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

/// The body for the upstream, held back if the client waits for a 100.
fn outgoing(
    asked: &mut Asked,
    rule: &Rule,
    progress: &Rc<Progress>,
    keep: Keep,
) -> Result<Outgoing, Fault> {
    let body = asked.body.take();
    if progress.uploaded.get() {
        return Ok(Outgoing::Empty);
    }
    let Some(body) = body else {
        return Err(Fault::Reply(replies::no_target()));
    };
    let waits = asked.head.headers.contains_key(EXPECT);
    let patience = waits.then(|| asked.visit.context.wheel.deadline_in(CONTINUE_PATIENCE));
    let limit = rule.max_body;
    let upload = Upload::new(body, limit, progress, headers::trailers, patience, keep);
    Ok(Outgoing::Streamed(Box::new(upload)))
}

fn busy(record: &mut Record, asking: &Asking) -> Fault {
    record.target = Some(asking.target().clone());
    failed(record, asking, &UpstreamError::Busy)
}

fn failed(record: &Record, asking: &Asking, error: &UpstreamError) -> Fault {
    let target = asking.target();
    tell(record, target, error);
    fault_of(error, target)
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
