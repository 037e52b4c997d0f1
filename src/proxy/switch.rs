//! Exchanges that leave HTTP: WebSocket and other upgrades (RFC 9110 section 7.8), over HTTP/2 by extended CONNECT (RFC 8441).

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::{SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use super::body::Body;
use super::exchange::{Asked, Fault, own_reply};
use super::headers::{Received, Upgrade};
use super::record::Record;
use super::replies;
use super::visit::{Leave, Step, Tunnel};
use crate::config::backends::Backends;
use crate::config::site::Rule;
use crate::config::target::{Scheme, Target};
use crate::relay::relay;
use crate::upstream::{Incoming, upgraded};

/// RFC 6455 section 1.3.
const ACCEPT_SALT: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The key that we sent in place of an HTTP/2 client, which has none.
#[derive(Debug, Clone)]
pub(super) struct OwnKey(HeaderValue);

/// Whether a target takes an extended CONNECT as it is: HTTP/2 with prior knowledge.
pub(super) fn is_native(target: &Target) -> bool {
    matches!(target.scheme, Scheme::H2c)
}

/// Makes an HTTP/2 client's WebSocket request one of HTTP/1.1, with a key of our own, unless the targets speak HTTP/2 themselves.
pub(super) fn translate(
    received: &mut Received,
    parts: &mut Parts,
    backends: &Backends,
) -> Option<OwnKey> {
    let Some(Upgrade::Connect(protocol)) = &received.upgrade else {
        return None;
    };
    if backends.targets().any(|target| is_native(target))
        || !protocol.as_ref().eq_ignore_ascii_case(b"websocket")
    {
        return None;
    }
    let mut nonce = [0; 16];
    fastrand::fill(&mut nonce);
    let key = HeaderValue::try_from(BASE64_STANDARD.encode(nonce)).ok()?;
    parts.method = Method::GET;
    parts.extensions.remove::<hyper::ext::Protocol>();
    parts.headers.insert(SEC_WEBSOCKET_KEY, key.clone());
    parts
        .headers
        .entry(SEC_WEBSOCKET_VERSION)
        .or_insert(HeaderValue::from_static("13"));
    received.upgrade = Some(Upgrade::Field(HeaderValue::from_static("websocket")));
    Some(OwnKey(key))
}

/// Whether an answer ends HTTP on this exchange.
pub(super) fn is_switch(received: &Received, status: StatusCode) -> bool {
    match &received.upgrade {
        Some(Upgrade::Field(_)) => status == StatusCode::SWITCHING_PROTOCOLS,
        Some(Upgrade::Connect(_)) => status.is_success(),
        None => false,
    }
}

/// Joins the client's stream and the upstream's.
pub(super) async fn switch(
    asked: Asked,
    mut response: Response<Incoming>,
    rule: &Rule,
    key: Option<OwnKey>,
    mut record: Box<Record>,
) -> Response<Body> {
    if key.is_some_and(|key| !accepts(&key, response.headers())) {
        return own_reply(record, Fault::Reply(replies::bad_switch()));
    }
    let deadline = asked.visit.context.wheel.deadline_in(rule.timeouts.connect);
    let Ok(Some(upstream)) = deadline.within(upgraded(&mut response)).await else {
        return own_reply(record, Fault::Reply(replies::bad_switch()));
    };
    let idle = rule.timeouts.tunnel_idle;
    match asked.switch {
        None => {
            record.status = StatusCode::SWITCHING_PROTOCOLS;
            let (head, _no_body): (_, Incoming) = response.into_parts();
            let visit = asked.visit;
            let ended = Record::silent(&visit);
            visit.upgrade(Tunnel {
                upstream,
                idle,
                record,
            });
            Response::from_parts(head, Body::empty(ended))
        }
        Some(client) => {
            record.status = StatusCode::OK;
            let (mut head, _no_body): (_, Incoming) = response.into_parts();
            to_http2_answer(&mut head);
            let ended = Record::silent(&asked.visit);
            tokio::task::spawn_local(carry(
                client,
                Tunnel {
                    upstream,
                    idle,
                    record,
                },
            ));
            Response::from_parts(head, Body::empty(ended))
        }
    }
}

/// Carries a WebSocket that runs inside an HTTP/2 stream.
async fn carry(client: OnUpgrade, tunnel: Tunnel) {
    let Ok(client) = client.await else {
        return;
    };
    let Tunnel {
        upstream,
        idle,
        record,
    } = tunnel;
    let visit = record.visit.clone();
    let deadline = visit.context.wheel.deadline();
    let mut leave = Leave::of(&visit);
    let stop = |cx: &mut std::task::Context<'_>| leave.poll(cx, &visit) == Step::End;
    let (carried, ending) = relay(
        &visit.context.scratch,
        &deadline,
        idle,
        stop,
        TokioIo::new(client),
        upstream,
    )
    .await;
    record.tunnelled(carried, ending);
}

/// 200 instead of 101, without the fields of the HTTP/1.1 handshake (RFC 8441 section 5).
fn to_http2_answer(head: &mut http::response::Parts) {
    head.status = StatusCode::OK;
    for name in [
        http::header::CONNECTION,
        http::header::UPGRADE,
        SEC_WEBSOCKET_ACCEPT,
    ] {
        head.headers.remove(name);
    }
}

fn accepts(key: &OwnKey, headers: &HeaderMap) -> bool {
    let salted = [key.0.as_bytes(), ACCEPT_SALT].concat();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, &salted);
    let expected = BASE64_STANDARD.encode(digest);
    headers
        .get(SEC_WEBSOCKET_ACCEPT)
        .is_some_and(|accept| accept.as_bytes() == expected.as_bytes())
}
