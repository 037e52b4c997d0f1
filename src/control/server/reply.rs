//! Replies: JSON that is there at once, or log lines without end.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, UPGRADE};
use http::{HeaderValue, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use serde::Serialize;

use super::logs::Endless;
use crate::control::session;
use crate::control::session::message::Refusal;

/// A body.
#[derive(Debug)]
pub(super) enum Content {
    /// There at once.
    Whole(Option<Bytes>),
    Endless(Endless),
}

pub(super) fn json(status: StatusCode, body: Vec<u8>) -> Response<Content> {
    let mut reply = with(Content::Whole(Some(body.into())), "application/json");
    *reply.status_mut() = status;
    reply
}

pub(super) fn told(status: StatusCode, told: &impl Serialize) -> Response<Content> {
    match serde_json::to_vec(told) {
        Ok(body) => json(status, body),
        // A path that is no UTF-8.
        Err(unwritable) => {
            let text = format!("the answer cannot be written as JSON: {unwritable}");
            refused(&Refusal::new("unwritable", text))
        }
    }
}

pub(super) fn endless(body: Endless, media_type: &'static str) -> Response<Content> {
    with(Content::Endless(body), media_type)
}

pub(super) fn upgraded() -> Response<Content> {
    let mut reply = Response::new(Content::Whole(None));
    *reply.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    name_upgrade(&mut reply);
    reply
}

pub(super) fn only(methods: &'static str) -> Response<Content> {
    let body = br#"{"error":"method-not-allowed"}"#.to_vec();
    let mut reply = json(StatusCode::METHOD_NOT_ALLOWED, body);
    let allowed = HeaderValue::from_static(methods);
    reply.headers_mut().insert(ALLOW, allowed);
    reply
}

pub(super) fn not_found() -> Response<Content> {
    json(StatusCode::NOT_FOUND, br#"{"error":"not-found"}"#.to_vec())
}

pub(super) fn refused(refusal: &Refusal) -> Response<Content> {
    let status = status(&refusal.error);
    let mut reply = json(status, serde_json::to_vec(refusal).unwrap_or_default());
    if status == StatusCode::UPGRADE_REQUIRED {
        name_upgrade(&mut reply);
    }
    reply
}

/// The revision that a change must be based on.
pub(super) fn stale(refusal: &Refusal, revision: u64) -> Response<Content> {
    #[derive(Serialize)]
    struct Stale<'a> {
        #[serde(flatten)]
        refusal: &'a Refusal,
        revision: u64,
    }
    told(
        StatusCode::PRECONDITION_FAILED,
        &Stale { refusal, revision },
    )
}

/// The error that [`stale`] is for.
pub(super) const STALE: &str = "stale-revision";

fn status(error: &str) -> StatusCode {
    match error {
        "bad-request" | "bad-name" | "bad-url" => StatusCode::BAD_REQUEST,
        "not-allowed" => StatusCode::FORBIDDEN,
        "not-found" | "no-such-lease" => StatusCode::NOT_FOUND,
        "timed-out" => StatusCode::REQUEST_TIMEOUT,
        STALE => StatusCode::PRECONDITION_FAILED,
        "too-large" => StatusCode::PAYLOAD_TOO_LARGE,
        "unsupported-protocol" => StatusCode::UPGRADE_REQUIRED,
        "unconditional" => StatusCode::PRECONDITION_REQUIRED,
        "busy" | "too-many-leases" | "too-many-waits" => StatusCode::SERVICE_UNAVAILABLE,
        "not-healthy" => StatusCode::GATEWAY_TIMEOUT,
        "unwritable" => StatusCode::INTERNAL_SERVER_ERROR,
        // What `app` refuses is at odds with what is served: a name, a port, a configuration.
        _ => StatusCode::CONFLICT,
    }
}

/// RFC 9110 sections 7.8 and 15.5.22.
fn name_upgrade(reply: &mut Response<Content>) {
    let headers = reply.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static(session::UPGRADE));
}

fn with(content: Content, media_type: &'static str) -> Response<Content> {
    let mut reply = Response::new(content);
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    reply
}

impl Body for Content {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = match &mut *self {
            Self::Whole(whole) => whole.take(),
            Self::Endless(endless) => std::task::ready!(endless.poll_lines(context)),
        };
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(whole) => {
                SizeHint::with_exact(whole.as_ref().map_or(0, |whole| whole.len() as u64))
            }
            Self::Endless(_) => SizeHint::default(),
        }
    }
}
