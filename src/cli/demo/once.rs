//! `onedoor demo --once`: makes the three requests itself and says what it saw.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use anyhow::{Result, ensure};
use bytes::Bytes;
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout};

use super::client::{Client, Head};
use super::events::{EVENTS, PAUSE};
use super::websocket::{self, End, Purpose};
use super::{ECHO, HELLO, TICKS};
use crate::cli::{Exit, say};
use crate::shutdown::Shutdown;

/// How long one of the three may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(15);
/// Octets of a body that are read.
const BODY_MAX: usize = 64 << 10;
const MESSAGE: &[u8] = b"a frame there and back";

/// Tries all three, also when one fails.
pub(super) async fn all(door: SocketAddr, ca: &Path, shutdown: &Shutdown) -> Exit {
    let client = match Client::new(door, ca, shutdown) {
        Ok(client) => client,
        Err(error) => {
            say::error("demo", &*error);
            return Exit::Failed;
        }
    };
    say::out(&format!(
        "onedoor on {door}, each request verified by the local CA\n\n"
    ));
    let outcomes = [
        told(HELLO, timeout(PATIENCE, hello(&client)).await),
        told(ECHO, timeout(PATIENCE, echo(&client)).await),
        told(TICKS, timeout(PATIENCE, ticks(&client)).await),
    ];
    if outcomes.contains(&Exit::Failed) {
        return Exit::Failed;
    }
    say::out("\nall three went well\n");
    Exit::Fine
}

fn told(host: &str, outcome: Result<Result<String>, tokio::time::error::Elapsed>) -> Exit {
    match outcome {
        Ok(Ok(seen)) => {
            say::out(&format!("{host:17} {seen}\n"));
            Exit::Fine
        }
        Ok(Err(error)) => {
            say::error(host, &*error);
            Exit::Failed
        }
        Err(elapsed) => {
            say::error(host, &elapsed);
            Exit::Failed
        }
    }
}

async fn hello(client: &Client) -> Result<String> {
    let (head, body) = client.get(HELLO).await?;
    let Arrived { text, .. } = read(body).await?;
    ensure!(head.status.is_success(), "answered {}", head.status);
    let first = text.lines().next().unwrap_or_default();
    ensure!(!first.is_empty(), "the answer has no text");
    Ok(in_words(&head, &format!("says `{first}`")))
}

async fn echo(client: &Client) -> Result<String> {
    let (head, mut stream) = client.websocket(ECHO).await?;
    websocket::write(&mut stream, End::Client, Purpose::Text, MESSAGE).await?;
    let message = websocket::read(&mut stream).await?;
    ensure!(
        message.purpose == Purpose::Text && message.content == MESSAGE,
        "the WebSocket answered something else than was sent"
    );
    websocket::write(&mut stream, End::Client, Purpose::Close, b"").await?;
    let text = String::from_utf8_lossy(&message.content);
    Ok(in_words(&head, &format!("echoes `{text}`")))
}

async fn ticks(client: &Client) -> Result<String> {
    let asked = Instant::now();
    let (head, body) = client.get(TICKS).await?;
    let Arrived { text, first, last } = read(body).await?;
    ensure!(head.status.is_success(), "answered {}", head.status);
    let events = text.matches("data: ").count();
    ensure!(events == EVENTS, "{events} events came of {EVENTS}");
    let spread = last.duration_since(first);
    ensure!(
        spread * 2 > PAUSE * (EVENTS as u32 - 1),
        "the events came together, within {spread:?}"
    );
    let millis = |at: Instant| at.duration_since(asked).as_millis();
    let (first, last) = (millis(first), millis(last));
    Ok(in_words(
        &head,
        &format!("streams {events} events, the first after {first} ms, the last after {last} ms"),
    ))
}

fn in_words(head: &Head, what: &str) -> String {
    let Head {
        status,
        version,
        issuer,
    } = head;
    format!(
        "{} {version:?}  {what}\n{:17} certificate by {issuer}",
        status.as_u16(),
        ""
    )
}

/// A body and when its first and last piece came.
struct Arrived {
    text: String,
    first: Instant,
    last: Instant,
}

async fn read(mut body: Incoming) -> Result<Arrived> {
    let mut bytes = Vec::new();
    let mut first = None;
    let mut last = Instant::now();
    while let Some(piece) = next(&mut body).await? {
        last = Instant::now();
        first.get_or_insert(last);
        bytes.extend_from_slice(&piece);
        ensure!(bytes.len() <= BODY_MAX, "the answer does not end");
    }
    Ok(Arrived {
        text: String::from_utf8_lossy(&bytes).into_owned(),
        first: first.unwrap_or(last),
        last,
    })
}

/// The next piece with content; trailers are passed over.
async fn next(body: &mut Incoming) -> Result<Option<Bytes>> {
    loop {
        let frame = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await;
        match frame.transpose()?.map(hyper::body::Frame::into_data) {
            None => return Ok(None),
            Some(Ok(data)) => return Ok(Some(data)),
            Some(Err(_trailers)) => {}
        }
    }
}
