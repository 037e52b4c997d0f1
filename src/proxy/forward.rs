//! Sending a judged request to an upstream, and its answer back.

use std::rc::Rc;
use std::sync::Arc;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, response};

use super::body::Body;
use super::client::facts_of;
use super::compress;
use super::exchange::{Asked, Fault, own_reply};
use super::headers::{self, Received, Refusal, inbound, outbound, to_http1, to_http2};
use super::record::Record;
use super::{attempts, replies, switch};
use crate::config::backends::Backends;
use crate::config::site::{HostField, Rule};
use crate::config::target::{Scheme, Target};
use crate::framing::Framing;
use crate::upstream::dial::Protocol;
use crate::upstream::{Incoming, Progress, Unfit};

/// Forwards a request by a rule that forwards, and returns the answer that the client gets.
pub(super) async fn forward(
    mut asked: Box<Asked>,
    rule: Arc<Rule>,
    backends: Arc<Backends>,
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
        client,
        granted,
        ..
    } = &mut *asked;
    // By what the client sent, whatever rules make of it.
    let aim = visit.context.groups.aim(&backends, Some(head), client.ip);
    let facts = facts_of(visit, received, &record);
    if let Err(refusal) = outbound(head, received, rule, &facts) {
        return own_reply(record, Fault::Refused(refusal));
    }
    if let Some(granted) = granted.take() {
        granted.apply(&mut head.headers);
    }
    let key = switch::translate(received, head, &backends);
    let progress = progress_of(&asked, rule);
    record.progress = Some(progress.clone());
    let answered = attempts::send(&mut asked, rule, aim, &progress, &mut record).await;
    let (mut head, incoming) = match answered {
        Ok(answer) => answer.into_parts(),
        Err(fault) => return own_reply(record, fault.said_to(&asked.head)),
    };
    progress.answered();
    let facts = facts_of(&asked.visit, &asked.received, &record);
    let date = asked.visit.context.date();
    let judged = inbound(&mut head, &asked.received, rule, &facts, &date);
    record.tell_member(judged.as_ref().err());
    if let Err(broken) = judged {
        tracing::warn!(site = record.site_name(), %broken, "upstream's answer refused");
        return own_reply(record, Fault::Reply(broken.into()));
    }
    if switch::is_switch(&asked.received, head.status) {
        let answer = Response::from_parts(head, incoming);
        return Box::pin(switch::switch(*asked, answer, rule, key, record)).await;
    }
    if is_stream(&head.headers) {
        progress.set_idle(rule.timeouts.tunnel_idle);
    }
    record.status = head.status;
    let length = length(&head, &incoming, &record);
    let lease = compress::take_on(&mut head, length, &record);
    let body = Body::forwarded(incoming, progress, record);
    Response::from_parts(head, body.through(lease))
}

/// Octets of an answer's content, if that is known; for HEAD what the answer to GET would have.
fn length(head: &response::Parts, incoming: &Incoming, record: &Record) -> Option<u64> {
    let declared = head.headers.get(CONTENT_LENGTH).map(HeaderValue::to_str);
    match declared {
        Some(length) => length.ok()?.parse().ok(),
        None if record.is_head() => None,
        None => http_body::Body::is_end_stream(incoming).then_some(0),
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
