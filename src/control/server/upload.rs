//! Request bodies, whole and bounded.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use http_body::Body;
use hyper::body::Incoming;
use serde::de::DeserializeOwned;
use tokio::time;

use crate::control::session::message::Refusal;

/// How long a body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) async fn whole(body: Incoming, max: usize) -> Result<Vec<u8>, Refusal> {
    let declared = body.size_hint().lower();
    if usize::try_from(declared).map_or(true, |octets| octets > max) {
        return Err(too_large(max));
    }
    let read = time::timeout(BODY_TIMEOUT, collect(body, max)).await;
    read.unwrap_or_else(|_late| {
        Err(Refusal::new(
            "timed-out",
            "the request body did not come in time",
        ))
    })
}

/// What a body says as JSON; unknown fields are ignored.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| {
        let text = format!("the request body is not what is expected: {error}");
        Refusal::new("bad-request", text)
    })
}

async fn collect(mut body: Incoming, max: usize) -> Result<Vec<u8>, Refusal> {
    let mut octets = Vec::new();
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let broken = |_error| Refusal::new("bad-request", "the request body broke off");
        let Ok(piece) = frame.map_err(broken)?.into_data() else {
            continue;
        };
        if octets.len() + piece.len() > max {
            return Err(too_large(max));
        }
        octets.extend_from_slice(&piece);
    }
    Ok(octets)
}

fn too_large(max: usize) -> Refusal {
    let text = format!("the request body is longer than {max} octets");
    Refusal::new("too-large", text)
}
