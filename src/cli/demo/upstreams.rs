//! The three upstreams: a body, a WebSocket and a stream, each on a free port of loopback.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HOST, HeaderMap, SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_KEY, UPGRADE,
};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body::{Body, Frame};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use super::events::Events;
use super::websocket;
use crate::shutdown::Shutdown;

/// Connections and other tasks of all upstreams at once.
const TASKS_MAX: usize = 256;

/// Where they listen.
#[derive(Debug)]
pub(super) struct Upstreams {
    pub(super) hello: SocketAddr,
    pub(super) echo: SocketAddr,
    pub(super) ticks: SocketAddr,
}

impl Upstreams {
    /// Serves them on the current runtime until the cut.
    pub(super) async fn start(shutdown: &Shutdown) -> io::Result<Self> {
        Ok(Self {
            hello: start(Part::Hello, shutdown).await?,
            echo: start(Part::Echo, shutdown).await?,
            ticks: start(Part::Ticks, shutdown).await?,
        })
    }
}

#[derive(Debug, Clone, Copy)]
enum Part {
    Hello,
    Echo,
    Ticks,
}

async fn start(part: Part, shutdown: &Shutdown) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    shutdown.spawn(accept(listener, part, shutdown.clone()));
    Ok(address)
}

async fn accept(listener: TcpListener, part: Part, shutdown: Shutdown) {
    loop {
        match listener.accept().await {
            Ok((stream, _peer)) if shutdown.remaining() < TASKS_MAX => {
                shutdown.spawn(converse(stream, part, shutdown.clone()));
            }
            Ok(_one_too_many) => {}
            Err(error) => {
                tracing::warn!(%error, "an upstream of the demo cannot accept");
                tokio::time::sleep(super::events::PAUSE).await;
            }
        }
    }
}

async fn converse(stream: TcpStream, part: Part, shutdown: Shutdown) {
    let service = service_fn(move |request| {
        let answer = answer(part, request, &shutdown);
        async move { Ok::<_, Infallible>(answer) }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // Whoever leaves early knows why.
    let _ended = connection.with_upgrades().await;
}

fn answer(part: Part, mut request: Request<Incoming>, shutdown: &Shutdown) -> Response<Answer> {
    match part {
        Part::Hello => text(StatusCode::OK, greeting(request.headers())),
        Part::Ticks => {
            let mut response = Response::new(Answer::Events(Events::new()));
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            response
        }
        Part::Echo => {
            let upgrade = hyper::upgrade::on(&mut request);
            let Some(key) = request.headers().get(SEC_WEBSOCKET_KEY) else {
                let advice = "this is a WebSocket: send `Upgrade: websocket`\n".to_owned();
                return text(StatusCode::UPGRADE_REQUIRED, advice);
            };
            let accept = websocket::accept(key);
            let greets = request.uri().path() == "/greeting";
            shutdown.spawn(echo(upgrade, greets));
            switching(accept)
        }
    }
}

/// Shows what reaches an upstream of the request that was made outside.
fn greeting(headers: &HeaderMap) -> String {
    let field = |name: HeaderName| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or("nobody").to_owned()
    };
    format!(
        "Hello from behind the door.\nYou asked {} for {}, from {}.\n",
        field(HeaderName::from_static("x-forwarded-proto")),
        field(HOST),
        field(HeaderName::from_static("x-forwarded-for")),
    )
}

fn text(status: StatusCode, body: String) -> Response<Answer> {
    let mut response = Response::new(Answer::Text(body));
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}

fn switching(accept: String) -> Response<Answer> {
    let mut response = Response::new(Answer::Text(String::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::try_from(accept) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    response
}

async fn echo(upgrade: OnUpgrade, greets: bool) {
    if let Ok(upgraded) = upgrade.await {
        let mut stream = TokioIo::new(upgraded);
        // Whoever leaves in the middle of a frame knows why.
        let _ended = if greets {
            websocket::greet(&mut stream).await
        } else {
            websocket::echo(&mut stream).await
        };
    }
}

/// What an upstream answers with.
#[derive(Debug)]
enum Answer {
    Text(String),
    Events(Events),
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Text(text) => Pin::new(text).poll_frame(cx),
            Self::Events(events) => Pin::new(events).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Text(text) => text.is_end_stream(),
            Self::Events(events) => events.is_end_stream(),
        }
    }

    fn size_hint(&self) -> http_body::SizeHint {
        match self {
            Self::Text(text) => text.size_hint(),
            Self::Events(events) => events.size_hint(),
        }
    }
}
