//! The holder's side of the control socket. It answers until the cut, so that a draining holder can still say so.

use std::convert::Infallible;
use std::io;
use std::os::unix::net::UnixListener as StdUnixListener;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time;

use crate::control::health::{Health, Status};
use crate::control::renewal::{RENEW_PATH, RENEWAL_TIMEOUT, Renewer};
use crate::shutdown::Shutdown;

/// Connections at once; more wait in the socket's queue.
pub const CONNECTIONS_MAX: usize = 32;
/// Octets of a request head.
pub const HEAD_BYTES_MAX: usize = 16 << 10;
/// From accept to the last octet of the request head.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(2);
/// From accept to the end of the connection, unless a renewal is waited for.
pub const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
/// How long nothing is accepted after the system refused, for want of descriptors for example.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where the health is told.
pub const HEALTH_PATH: &str = "/v1/health";

/// Serves the socket on the current runtime until the cut; nobody waits for it at a stop.
///
/// # Errors
/// When the runtime cannot watch the socket.
pub fn start(
    listener: StdUnixListener,
    health: watch::Receiver<Health>,
    renewer: Renewer,
    shutdown: &Shutdown,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = UnixListener::from_std(listener)?;
    // Detached on purpose: an attendant ends with the cut.
    let sources = Sources { health, renewer };
    drop(shutdown.spawn_attendant(accept(listener, sources, shutdown.clone())));
    Ok(())
}

/// Where answers come from.
#[derive(Debug, Clone)]
struct Sources {
    health: watch::Receiver<Health>,
    renewer: Renewer,
}

async fn accept(listener: UnixListener, sources: Sources, shutdown: Shutdown) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let own = rustix::process::geteuid().as_raw();
    while let Ok(permit) = Arc::clone(&permits).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _address)) if trusted(&stream, own) => {
                let connection = converse(stream, sources.clone(), permit);
                drop(shutdown.spawn_attendant(connection));
            }
            Ok((_stranger, _address)) => {}
            Err(error) => {
                tracing::warn!(%error, "control socket: cannot accept");
                time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// The user is the authority; process numbers are used again.
fn trusted(stream: &UnixStream, own: u32) -> bool {
    let peer = stream.peer_cred().map(|peer| peer.uid());
    let trusted = peer.as_ref().is_ok_and(|uid| may_talk(*uid, own));
    if !trusted {
        tracing::debug!(?peer, "control socket: closed a stranger's connection");
    }
    trusted
}

/// The same user, or root.
pub(super) fn may_talk(peer: u32, own: u32) -> bool {
    peer == own || peer == 0
}

async fn converse(stream: UnixStream, sources: Sources, _permit: OwnedSemaphorePermit) {
    let renewing = AtomicBool::new(false);
    let service = service_fn(|request| {
        if request.uri().path() == RENEW_PATH {
            renewing.store(true, Ordering::Relaxed);
        }
        answer(request, &sources)
    });
    let mut http = http1::Builder::new();
    http.keep_alive(false)
        .max_buf_size(HEAD_BYTES_MAX)
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT);
    let connection = http.serve_connection(TokioIo::new(stream), service);
    let overdue = async {
        time::sleep(CONNECTION_TIMEOUT).await;
        if renewing.load(Ordering::Relaxed) {
            time::sleep(RENEWAL_TIMEOUT).await;
        }
    };
    tokio::select! {
        ended = connection => if let Err(error) = ended {
            tracing::debug!(%error, "control socket: broken conversation");
        },
        () = overdue => tracing::debug!("control socket: conversation took too long"),
    }
}

async fn answer(
    request: Request<Incoming>,
    sources: &Sources,
) -> Result<Response<Whole>, Infallible> {
    let (path, method) = (request.uri().path(), request.method());
    Ok(match path {
        HEALTH_PATH if method == Method::GET || method == Method::HEAD => {
            tell(&sources.health.borrow())
        }
        HEALTH_PATH => only("GET, HEAD"),
        RENEW_PATH if method == Method::POST => {
            let (status, body) = sources.renewer.answer(request.uri().query()).await;
            json(status, body)
        }
        RENEW_PATH => only("POST"),
        _ => json(StatusCode::NOT_FOUND, br#"{"error":"not-found"}"#.to_vec()),
    })
}

fn tell(health: &Health) -> Response<Whole> {
    let status = match health.status {
        Status::Ready => StatusCode::OK,
        Status::Starting | Status::Draining => StatusCode::SERVICE_UNAVAILABLE,
    };
    match serde_json::to_vec(health) {
        Ok(body) => json(status, body),
        Err(_unwritable) => json(StatusCode::INTERNAL_SERVER_ERROR, Vec::new()),
    }
}

fn only(methods: &'static str) -> Response<Whole> {
    let body = br#"{"error":"method-not-allowed"}"#.to_vec();
    let mut reply = json(StatusCode::METHOD_NOT_ALLOWED, body);
    let allowed = HeaderValue::from_static(methods);
    reply.headers_mut().insert(ALLOW, allowed);
    reply
}

fn json(status: StatusCode, body: Vec<u8>) -> Response<Whole> {
    let mut reply = Response::new(Whole(Some(body.into())));
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    reply
}

/// A body that is there at once.
struct Whole(Option<Bytes>);

impl Body for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|whole| Ok(Frame::data(whole))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |whole| whole.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::process::{Command, Stdio};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::task;

    use super::*;
    use crate::control::renewal::Renewal;

    #[tokio::test]
    async fn health_is_503_until_it_is_ready_and_again_while_draining() {
        let door = Door::open();
        assert!(
            door.ask("GET /v1/health")
                .await
                .starts_with("HTTP/1.1 503 ")
        );
        door.health
            .send_modify(|health| health.status = Status::Ready);
        let reply = door.ask("GET /v1/health").await;
        assert!(reply.starts_with("HTTP/1.1 200 "), "{reply}");
        assert!(reply.contains("content-type: application/json"), "{reply}");
        assert!(reply.contains(r#""status":"ready""#), "{reply}");
        door.health
            .send_modify(|health| health.status = Status::Draining);
        let reply = door.ask("GET /v1/health").await;
        assert!(reply.starts_with("HTTP/1.1 503 "), "{reply}");
        assert!(reply.contains(r#""status":"draining""#), "{reply}");
    }

    #[tokio::test]
    async fn what_is_not_there_is_404_and_what_is_not_done_is_405() {
        let door = Door::open();
        let reply = door.ask("GET /v2/health").await;
        assert!(reply.starts_with("HTTP/1.1 404 "), "{reply}");
        assert!(reply.ends_with(r#"{"error":"not-found"}"#), "{reply}");
        let reply = door.ask("DELETE /v1/health").await;
        assert!(reply.starts_with("HTTP/1.1 405 "), "{reply}");
        assert!(reply.contains("allow: GET, HEAD"), "{reply}");
        let reply = door.ask("GET /v1/renew?name=a.test").await;
        assert!(reply.contains("allow: POST"), "{reply}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewal_is_waited_for_longer_than_anything_else() {
        let door = Door::open();
        let reply = door.ask("POST /v1/renew?name=slow.test").await;
        assert!(reply.starts_with("HTTP/1.1 200 "), "{reply}");
        assert!(reply.ends_with(r#"{"outcome":"unknown"}"#), "{reply}");
        let reply = door.ask("POST /v1/renew?name=a/b").await;
        assert!(reply.starts_with("HTTP/1.1 400 "), "{reply}");
    }

    #[tokio::test]
    async fn a_head_without_end_is_refused() {
        let door = Door::open();
        let long = format!("GET /{}", "x".repeat(2 * HEAD_BYTES_MAX));
        let reply = door.ask(&long).await;
        assert!(reply.starts_with("HTTP/1.1 4"), "{reply}");
    }

    #[tokio::test]
    async fn the_connections_beyond_the_limit_wait_and_the_silent_ones_end() {
        let door = Door::open();
        let mut silent = Vec::new();
        for _connection in 0..CONNECTIONS_MAX {
            silent.push(UnixStream::connect(door.socket()).await.unwrap());
        }
        let reply = door.ask("GET /v1/health").await;
        assert!(reply.starts_with("HTTP/1.1 503 "), "{reply}");
    }

    #[tokio::test]
    async fn the_cut_closes_the_socket() {
        let door = Door::open();
        let mut open = UnixStream::connect(door.socket()).await.unwrap();
        door.ask("GET /v1/health").await;
        door.shutdown.cut_off();
        let mut rest = Vec::new();
        open.read_to_end(&mut rest).await.unwrap();
        assert!(UnixStream::connect(door.socket()).await.is_err());
    }

    #[tokio::test]
    async fn curl_can_ask() {
        let door = Door::open();
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--max-time", "5", "--unix-socket"])
            .arg(door.socket())
            .arg("http://onedoor/v1/health")
            .stdin(Stdio::null());
        let Ok(output) = task::spawn_blocking(move || curl.output()).await.unwrap() else {
            return;
        };
        let health: Health = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(health, *door.health.borrow());
    }

    #[test]
    fn only_the_same_user_and_root_may_talk() {
        assert!(may_talk(1000, 1000));
        assert!(may_talk(0, 1000));
        assert!(!may_talk(1001, 1000));
        assert!(!may_talk(1000, 0));
    }

    struct Door {
        root: tempfile::TempDir,
        health: watch::Sender<Health>,
        shutdown: Shutdown,
    }

    impl Door {
        fn open() -> Self {
            let root = tempfile::tempdir().unwrap();
            let since = "2026-01-31T12:00:00Z".parse().unwrap();
            let (health, told) = watch::channel(Health::starting(since));
            let shutdown = Shutdown::new();
            let listener = StdUnixListener::bind(socket(root.path())).unwrap();
            let renewer = Renewer::new(|_name| {
                Box::pin(async {
                    time::sleep(2 * CONNECTION_TIMEOUT).await;
                    Renewal::Unknown
                })
            });
            start(listener, told, renewer, &shutdown).unwrap();
            Self {
                root,
                health,
                shutdown,
            }
        }

        fn socket(&self) -> PathBuf {
            socket(self.root.path())
        }

        async fn ask(&self, line: &str) -> String {
            let mut stream = UnixStream::connect(self.socket()).await.unwrap();
            let head = format!("{line} HTTP/1.1\r\nHost: onedoor\r\n\r\n");
            // The holder may refuse before it has read everything.
            let _written = stream.write_all(head.as_bytes()).await;
            let mut reply = Vec::new();
            let _read = stream.read_to_end(&mut reply).await;
            String::from_utf8(reply).unwrap()
        }
    }

    impl Drop for Door {
        fn drop(&mut self) {
            self.shutdown.cut_off();
        }
    }

    fn socket(root: &Path) -> PathBuf {
        root.join("control.sock")
    }
}
