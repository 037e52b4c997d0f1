//! The HTTP of checks: requests, and connections that one after another may use.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{ACCEPT, HOST, USER_AGENT};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full};
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

/// A GET for `path`; without `host`, of the target's own authority.
pub(super) fn get(
    protocol: Protocol,
    target: &Target,
    path: &PathAndQuery,
    host: Option<&HeaderValue>,
) -> Result<Request<Full<Bytes>>, Finding> {
    let host = match host {
        Some(host) => host.clone(),
        None => HeaderValue::try_from(target.authority()).map_err(unfit)?,
    };
    let request = Request::get(path.as_str())
        .header(USER_AGENT, AGENT)
        .header(ACCEPT, HeaderValue::from_static("*/*"));
    let request = match protocol {
        Protocol::Http1 => request.header(HOST, host),
        Protocol::Http2 => request.uri(absolute(target, &host, path)?),
    };
    request.body(Full::default()).map_err(Finding::Unfit)
}

/// An answer. Its body is read as far as [`BODY_BYTES_MAX`], so that a target sees its answer taken.
pub(super) struct Answer {
    pub(super) head: http::response::Parts,
    /// As much of it as was taken.
    pub(super) body: Vec<u8>,
    pub(super) trailers: HeaderMap,
    pub(super) extent: Extent,
}

/// How much of a body was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    Whole,
    /// More than [`BODY_BYTES_MAX`] come: the connection is good for nothing else.
    Part,
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

/// An open connection. It is driven while an answer is awaited, and at no other time.
pub(super) struct Connection {
    sender: Sender,
    /// None: it has ended.
    driving: Option<Driving>,
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

type Driving = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>;

impl Connection {
    /// On a stream on which nothing was said so far.
    pub(super) async fn open(stream: Stream, protocol: Protocol) -> Result<Self, Finding> {
        let stream = TokioIo::new(stream);
        let (sender, driving): (Sender, Driving) = match protocol {
            Protocol::Http1 => {
                let mut builder = http1::Builder::new();
                builder.max_buf_size(HEAD_BYTES_MAX);
                let opened = builder.handshake(stream).await;
                let (sender, connection) = opened.map_err(Finding::NoAnswer)?;
                (Sender::Http1(sender), Box::pin(connection))
            }
            Protocol::Http2 => {
                let mut builder = http2::Builder::new(Tasks::default());
                builder.max_header_list_size(HEAD_BYTES_MAX as u32);
                let opened = builder.handshake(stream).await;
                let (sender, connection) = opened.map_err(Finding::NoAnswer)?;
                (Sender::Http2(sender), Box::pin(connection))
            }
        };
        Ok(Self {
            sender,
            driving: Some(driving),
        })
    }

    pub(super) fn protocol(&self) -> Protocol {
        match self.sender {
            Sender::Http1(_) => Protocol::Http1,
            Sender::Http2(_) => Protocol::Http2,
        }
    }

    /// Whether the other side has left it open.
    pub(super) async fn is_open(&mut self) -> bool {
        poll_fn(|cx| {
            self.driving = self.driving.take().and_then(|driving| go_on(driving, cx));
            Poll::Ready(self.driving.is_some())
        })
        .await
    }

    /// One request and its answer.
    pub(super) async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Answer, Finding> {
        let Self { sender, driving } = self;
        let mut exchange = pin!(async {
            let answer = match sender {
                Sender::Http1(sender) => {
                    sender.ready().await.map_err(Finding::NoAnswer)?;
                    sender.send_request(request).await
                }
                Sender::Http2(sender) => {
                    sender.ready().await.map_err(Finding::NoAnswer)?;
                    sender.send_request(request).await
                }
            };
            take(answer.map_err(Finding::NoAnswer)?).await
        });
        poll_fn(|cx| {
            // How it ends, the exchange is told.
            *driving = driving.take().and_then(|driving| go_on(driving, cx));
            exchange.as_mut().poll(cx)
        })
        .await
    }
}

/// The connection after it did what it can do now; none if it has ended.
fn go_on(mut driving: Driving, cx: &mut Context<'_>) -> Option<Driving> {
    driving.as_mut().poll(cx).is_pending().then_some(driving)
}

async fn take(answer: Response<Incoming>) -> Result<Answer, Finding> {
    let (head, mut incoming) = answer.into_parts();
    let mut extent = Extent::Whole;
    let mut body = Vec::new();
    let mut trailers = HeaderMap::new();
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(Finding::NoAnswer)?;
        match frame.into_data() {
            Ok(piece) => body.extend_from_slice(&piece),
            Err(last) => trailers = last.into_trailers().unwrap_or_default(),
        }
        if body.len() >= BODY_BYTES_MAX {
            extent = Extent::Part;
            break;
        }
    }
    Ok(Answer {
        head,
        body,
        trailers,
        extent,
    })
}

fn unfit(error: impl Into<http::Error>) -> Finding {
    Finding::Unfit(error.into())
}

/// The tasks of one HTTP/2 connection, which end with it, whatever the target does.
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
