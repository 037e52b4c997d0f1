//! One GET for the sake of its status, on a connection of its own.

use std::convert::Infallible;
use std::future::pending;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::header::{ACCEPT, CONNECTION, HOST, USER_AGENT};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::rt::Executor;
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;

use super::Finding;
use crate::config::target::{Scheme, Target};
use crate::upstream::dial::{Protocol, Stream};

/// By what a check is known in a target's log.
pub(super) const AGENT: HeaderValue = HeaderValue::from_static("onedoor-health");
/// Octets of an answer's head.
const HEAD_BYTES_MAX: usize = 32 << 10;
/// Octets of an answer's body that are taken before the connection is closed.
const BODY_BYTES_MAX: usize = 64 << 10;

/// The answer's status and fields. Its body is read as far as [`BODY_BYTES_MAX`], so that a target sees its answer taken.
pub(super) async fn get(
    stream: Stream,
    protocol: Protocol,
    target: &Target,
    path: &PathAndQuery,
    host: Option<&HeaderValue>,
) -> Result<(StatusCode, HeaderMap), Finding> {
    let host = match host {
        Some(host) => host.clone(),
        None => HeaderValue::try_from(target.authority()).map_err(unfit)?,
    };
    let request = Request::get(path.as_str())
        .header(USER_AGENT, AGENT)
        .header(ACCEPT, HeaderValue::from_static("*/*"));
    let answer = match protocol {
        Protocol::Http1 => {
            let request = request
                .header(HOST, host)
                .header(CONNECTION, HeaderValue::from_static("close"))
                .body(Empty::new())
                .map_err(Finding::Unfit)?;
            over_http1(stream, request).await?
        }
        Protocol::Http2 => {
            let request = request
                .uri(absolute(target, &host, path)?)
                .body(Full::default())
                .map_err(Finding::Unfit)?;
            over_http2(stream, request).await?
        }
    };
    Ok((answer.head.status, answer.head.headers))
}

/// A whole answer.
pub(super) struct Answer {
    pub(super) head: http::response::Parts,
    /// As much of it as was taken.
    pub(super) body: Vec<u8>,
    pub(super) trailers: HeaderMap,
}

/// The address of a request over HTTP/2.
pub(super) fn absolute(
    target: &Target,
    host: &HeaderValue,
    path: &PathAndQuery,
) -> Result<Uri, Finding> {
    let scheme = match target.scheme {
        Scheme::Https(_) => "https",
        Scheme::Http | Scheme::H2c => "http",
    };
    Uri::builder()
        .scheme(scheme)
        .authority(host.as_bytes())
        .path_and_query(path.as_str())
        .build()
        .map_err(Finding::Unfit)
}

async fn over_http1(stream: Stream, request: Request<Empty<Bytes>>) -> Result<Answer, Finding> {
    let mut builder = http1::Builder::new();
    builder.max_buf_size(HEAD_BYTES_MAX);
    let (mut sender, connection) = builder
        .handshake(TokioIo::new(stream))
        .await
        .map_err(Finding::NoAnswer)?;
    beside(connection, async {
        let answer = sender.send_request(request).await;
        take(answer.map_err(Finding::NoAnswer)?).await
    })
    .await
}

/// Sends one request on a fresh connection, which ends with the answer.
pub(super) async fn over_http2(
    stream: Stream,
    request: Request<Full<Bytes>>,
) -> Result<Answer, Finding> {
    let tasks = Tasks::default();
    let mut builder = http2::Builder::new(tasks.clone());
    builder.max_header_list_size(HEAD_BYTES_MAX as u32);
    let (mut sender, connection) = builder
        .handshake(TokioIo::new(stream))
        .await
        .map_err(Finding::NoAnswer)?;
    beside(connection, async {
        let answer = sender.send_request(request).await;
        take(answer.map_err(Finding::NoAnswer)?).await
    })
    .await
}

/// The exchange, while its connection is driven. How the connection ends, the exchange is told.
async fn beside<T>(
    connection: impl Future<Output = hyper::Result<()>>,
    exchange: impl Future<Output = T>,
) -> T {
    let driven = async {
        // Its error is the exchange's.
        let _ended = connection.await;
        pending::<Infallible>().await
    };
    tokio::select! {
        biased;
        answer = exchange => answer,
        never = driven => match never {},
    }
}

async fn take(answer: Response<Incoming>) -> Result<Answer, Finding> {
    let (head, mut incoming) = answer.into_parts();
    let mut body = Vec::new();
    let mut trailers = HeaderMap::new();
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(Finding::NoAnswer)?;
        match frame.into_data() {
            Ok(piece) => body.extend_from_slice(&piece),
            Err(last) => trailers = last.into_trailers().unwrap_or_default(),
        }
        if body.len() >= BODY_BYTES_MAX {
            break;
        }
    }
    Ok(Answer {
        head,
        body,
        trailers,
    })
}

fn unfit(error: impl Into<http::Error>) -> Finding {
    Finding::Unfit(error.into())
}

/// The tasks of one HTTP/2 connection: none is left behind when the check is over, whatever the target does.
#[derive(Debug, Clone, Default)]
struct Tasks(Arc<Mutex<JoinSet<()>>>);

impl<F> Executor<F> for Tasks
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, task: F) {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // It is held as long as the set, which is what drops it.
        let _held = tasks.spawn(task);
    }
}
