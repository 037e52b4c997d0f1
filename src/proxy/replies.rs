//! The replies we give ourselves, by name: their statuses, stable codes and words. And the last words to clients that hyper cannot serve.

use std::io;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version};

use super::context::{Held, Table};
use super::local_network;
use super::reply::{Audience, Reply, Words};
use super::visit::Visit;
use crate::config::target::{Address, Target};
use crate::system::System;
use crate::upstream::{BodyError, UpstreamError};

/// When to ask again where every seat is taken: one will be free as soon as any exchange ends.
const BUSY_SECONDS: u32 = 1;
/// Site names that a lost local client is told.
const NAMES_TOLD_MAX: usize = 8;

/// To an HTTP request in the clear on a TLS socket. Written before anything else is known of the client.
pub const PLAIN_HTTP_ON_TLS: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 89\r\nConnection: close\r\n\r\n\
    400 Bad Request: plain-http-on-tls\nthis port speaks TLS: use https:// instead of http://\n";

/// Nobody serves the host.
#[must_use]
pub fn unknown_host(table: &Held<Table>) -> Reply {
    let words = Words::Of(table.clone(), names_told);
    Reply::new(StatusCode::NOT_FOUND, "unknown-host", words)
}

fn names_told(table: &Table) -> String {
    let sites = table.routes.sites();
    let mut words = String::from("no site has this name; there are: ");
    for (index, site) in sites.iter().take(NAMES_TOLD_MAX).enumerate() {
        words.push_str(if index == 0 { "" } else { ", " });
        words.push_str(&site.name);
    }
    if sites.len() > NAMES_TOLD_MAX {
        words.push_str(", …");
    }
    words
}

/// The host is not one that this connection's certificate was shown for (RFC 9110 section 15.5.20).
#[must_use]
pub fn misdirected() -> Reply {
    let words = "the request names another host than the TLS connection was opened for, or one that is gone";
    Reply::new(StatusCode::MISDIRECTED_REQUEST, "misdirected", words).closing()
}

/// The site has only `paths`, and none of them matches.
#[must_use]
pub fn no_route() -> Reply {
    Reply::new(
        StatusCode::NOT_FOUND,
        "no-route",
        "the site has no rule for this path",
    )
}

/// A redirect whose target makes no field value.
#[must_use]
pub fn no_location() -> Reply {
    Reply::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "no-location",
        "the redirect's target is no valid URL",
    )
}

/// There is no target that could be tried.
#[must_use]
pub fn no_target() -> Reply {
    Reply::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "no-target",
        "the site has no target that could be tried",
    )
}

/// The client is not among those whom the rule lets in.
#[must_use]
pub fn forbidden() -> Reply {
    let words = "the rule's `allow` and `deny` do not let this address in";
    Reply::new(StatusCode::FORBIDDEN, "forbidden", words)
}

/// The client asks more often than the rule's `rate`.
#[must_use]
pub fn too_many_requests(seconds: u32) -> Reply {
    let words = "more requests came than the rule's `rate` lets through";
    Reply::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", words).retried_after(seconds)
}

/// Whoever asks has to say who it is; `challenge` says how.
#[must_use]
pub fn unauthorized(challenge: HeaderValue) -> Reply {
    let words = "the rule's `auth` wants a user and a password";
    Reply {
        challenge: Some(Box::new(challenge)),
        ..Reply::new(StatusCode::UNAUTHORIZED, "unauthorized", words)
    }
}

/// Too many passwords are being checked.
#[must_use]
pub fn auth_busy() -> Reply {
    let words = "too many passwords are being checked at once";
    Reply::new(StatusCode::SERVICE_UNAVAILABLE, "auth-busy", words).retried_after(BUSY_SECONDS)
}

/// Beyond `max_body`.
#[must_use]
pub fn body_too_large() -> Reply {
    let words = "the request's body is larger than the site's `max_body`";
    Reply::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", words).closing()
}

/// The upstream changed protocols in a way that nobody asked for.
#[must_use]
pub fn bad_switch() -> Reply {
    Reply::new(
        StatusCode::BAD_GATEWAY,
        "upstream-bad-switch",
        "the upstream's change of protocols is not valid",
    )
}

/// The client's body cannot be passed on.
fn client_body(fault: BodyError) -> Reply {
    let (status, code) = match fault {
        BodyError::TooLarge => return body_too_large(),
        BodyError::Broken => (StatusCode::BAD_REQUEST, "body-broken"),
        BodyError::TooSlow => (StatusCode::REQUEST_TIMEOUT, "slow-body"),
    };
    Reply::new(status, code, fault.to_string()).closing()
}

/// What became of the way to an upstream.
#[must_use]
pub fn upstream(error: &UpstreamError, target: &Target) -> Reply {
    let (status, code) = match error {
        UpstreamError::Unreachable(cause) if cause.kind() == io::ErrorKind::ConnectionRefused => {
            (StatusCode::BAD_GATEWAY, "upstream-refused")
        }
        UpstreamError::Unreachable(_) => (StatusCode::BAD_GATEWAY, "upstream-unreachable"),
        UpstreamError::Busy => (StatusCode::SERVICE_UNAVAILABLE, "upstream-busy"),
        UpstreamError::Unresolved(_) => (StatusCode::BAD_GATEWAY, "upstream-unknown-name"),
        UpstreamError::ConnectTimedOut => (StatusCode::GATEWAY_TIMEOUT, "upstream-connect-timeout"),
        UpstreamError::Tls(_) => (StatusCode::BAD_GATEWAY, "upstream-tls"),
        UpstreamError::Handshake(_) => (StatusCode::BAD_GATEWAY, "upstream-protocol"),
        UpstreamError::Unsent(_)
        | UpstreamError::Closed(_)
        | UpstreamError::Cut(_)
        | UpstreamError::Refused(_) => (StatusCode::BAD_GATEWAY, "upstream-closed"),
        UpstreamError::Malformed(_) => (StatusCode::BAD_GATEWAY, "upstream-malformed"),
        UpstreamError::ResponseTimedOut => (StatusCode::GATEWAY_TIMEOUT, "upstream-timeout"),
        UpstreamError::ClientBody(fault) => return client_body(*fault),
        UpstreamError::Unfit(_) => (StatusCode::BAD_GATEWAY, "upstream-unfit"),
    };
    let cause = std::error::Error::source(error)
        .map(|cause| format!(": {cause}"))
        .unwrap_or_default();
    let hint = local_network::hint(System::HERE, error, target);
    let reply = Reply {
        awaited: awaited(error, target),
        ..Reply::new(status, code, format!("{target}: {error}{cause}{hint}"))
    };
    if matches!(error, UpstreamError::Busy) {
        return reply.retried_after(BUSY_SECONDS);
    }
    reply
}

/// A target on this machine that nobody listens at.
fn awaited(error: &UpstreamError, target: &Target) -> Option<Box<str>> {
    let UpstreamError::Unreachable(cause) = error else {
        return None;
    };
    let is_missing = match &target.address {
        Address::Loopback { .. } => cause.kind() == io::ErrorKind::ConnectionRefused,
        Address::Ip(address) => {
            address.ip().is_loopback() && cause.kind() == io::ErrorKind::ConnectionRefused
        }
        Address::Unix(_) => matches!(
            cause.kind(),
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound
        ),
        Address::Name { .. } => false,
    };
    is_missing.then(|| target.address.to_string().into())
}

/// The head did not come in time.
#[must_use]
pub fn slow_head() -> Reply {
    Reply::new(
        StatusCode::REQUEST_TIMEOUT,
        "slow-head",
        "the request's head did not come in time",
    )
    .closing()
}

/// hyper could not read a message and would have answered with a bare `status`; `message` is what it could not read.
#[must_use]
pub fn unreadable(status: u16, message: &[u8]) -> Reply {
    if has_foreign_version(message) {
        let words = "HTTP/1.0, 1.1 and 2 are spoken here";
        return Reply::new(
            StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            "unknown-version",
            words,
        )
        .closing();
    }
    let is_target_too_long = status == 414 || (status == 431 && !message.contains(&b'\n'));
    let (status, code, words) = match status {
        _ if is_target_too_long => (
            StatusCode::URI_TOO_LONG,
            "target-too-long",
            "the request target is too long",
        ),
        431 => (
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "head-too-large",
            "the request head is too large or has too many fields",
        ),
        _ => (
            StatusCode::BAD_REQUEST,
            "bad-head",
            "the request's head is not valid HTTP",
        ),
    };
    Reply::new(status, code, words).closing()
}

/// Whether the first line is whole and ends in no version, or in one that is neither 1.0 nor 1.1.
fn has_foreign_version(message: &[u8]) -> bool {
    let message = message.trim_ascii_start();
    let Some(end) = message.iter().position(|byte| *byte == b'\n') else {
        return false;
    };
    let line = message[..end].trim_ascii_end();
    let Some(last) = line
        .rsplit(|byte| *byte == b' ')
        .next()
        .filter(|last| last.len() < line.len())
    else {
        return false;
    };
    let is_version = |text: &[u8]| text.len() >= 5 && text[..5].eq_ignore_ascii_case(b"HTTP/");
    let words = line.split(|byte| *byte == b' ').count();
    if is_version(last) {
        last != b"HTTP/1.1" && last != b"HTTP/1.0"
    } else {
        words == 2
    }
}

/// A reply as an HTTP/1.1 message, after which the connection closes.
#[derive(Debug)]
pub struct LastWords {
    pub bytes: Vec<u8>,
    /// Octets of its body.
    pub body: usize,
    pub id: HeaderValue,
}

/// A reply to a client whose message could not be read, so nothing is known of what it would like.
#[must_use]
pub fn last_words(reply: &Reply, visit: &Visit) -> LastWords {
    let audience = Audience::of(visit);
    let id = visit.context.fresh_id();
    let response = reply
        .clone()
        .into_response(Version::HTTP_11, &HeaderMap::new(), &id, audience);
    let mut bytes = format!("HTTP/1.1 {}\r\n", response.status()).into_bytes();
    let length = HeaderValue::from(response.body().len());
    let ours = [
        (HeaderName::from_static("content-length"), length),
        (http::header::DATE, visit.context.date()),
    ];
    for (name, value) in response
        .headers()
        .iter()
        .chain(ours.iter().map(|(name, value)| (name, value)))
    {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(response.body());
    let body = response.body().len();
    LastWords { bytes, body, id }
}
