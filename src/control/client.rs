//! The other side of the control socket: asking the holder how it is.

use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::time::Duration;

use http::{Method, Request, StatusCode};
use http_body::Body;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::time::{self, Instant};

use crate::control::health::{Health, Status};
use crate::control::place::{Place, Untrusted};
use crate::control::renewal::{self, Renewal};
use crate::control::server::{HEALTH_PATH, may_talk};
use crate::hostname::HostPattern;

/// A longer answer is none of ours.
pub const REPLY_BYTES_MAX: usize = 1 << 20;
/// How often a holder that is starting is asked again.
const ASK_INTERVAL: Duration = Duration::from_millis(50);

/// Why there is no healthy holder to tell of.
#[derive(Debug)]
pub enum Unhealthy {
    /// No onedoor serves here.
    NobodyThere,
    /// A onedoor is there, and starting or draining.
    NotReady(Health),
    /// Somebody is there who is not ours to believe.
    NotOurs(Stranger),
    TimedOut,
    Failed(io::Error),
}

/// Why whoever is there is not believed.
#[derive(Debug)]
pub enum Stranger {
    Folder(Untrusted),
    /// The process belongs to another user.
    User(u32),
    /// It does not speak our protocol.
    Protocol,
}

/// Asks the holder in this folder; the answer is there within the deadline.
///
/// # Errors
/// Tells apart nobody, somebody who is not ready, and somebody who is not ours.
pub async fn health(place: &Place, deadline: Duration) -> Result<Health, Unhealthy> {
    let asked = time::timeout(deadline, ask(place)).await;
    let health = asked.unwrap_or(Err(Unhealthy::TimedOut))?;
    match health.status {
        Status::Ready => Ok(health),
        Status::Starting | Status::Draining => Err(Unhealthy::NotReady(health)),
    }
}

/// Has the holder in this folder renew a certificate now, and waits for what comes of it.
///
/// # Errors
/// As [`health`]; [`Unhealthy::TimedOut`] says nothing of the renewal, which goes on.
pub async fn renew(
    place: &Place,
    name: &HostPattern,
    deadline: Duration,
) -> Result<Renewal, Unhealthy> {
    let target = renewal::target(name);
    let asking = async {
        let stream = connect(place).await?;
        fetch(stream, Method::POST, &target).await.ok_or(PROTOCOL)
    };
    let asked = time::timeout(deadline, asking).await;
    match asked.unwrap_or(Err(Unhealthy::TimedOut))? {
        (StatusCode::OK, reply) => serde_json::from_slice(&reply).map_err(|_unreadable| PROTOCOL),
        // As many as may wait do.
        (StatusCode::SERVICE_UNAVAILABLE, _reply) => Ok(Renewal::Busy),
        _ => Err(PROTOCOL),
    }
}

/// The process that holds the lock, which may only just be opening its socket; none if it does not say in time.
pub(super) async fn holder(place: &Place, wait: Duration) -> Option<u32> {
    let end = Instant::now() + wait;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        match health(place, left).await {
            Ok(health) | Err(Unhealthy::NotReady(health)) => return Some(health.pid),
            Err(Unhealthy::NobodyThere) if left > ASK_INTERVAL => time::sleep(ASK_INTERVAL).await,
            Err(
                Unhealthy::NobodyThere
                | Unhealthy::NotOurs(_)
                | Unhealthy::TimedOut
                | Unhealthy::Failed(_),
            ) => return None,
        }
    }
}

async fn ask(place: &Place) -> Result<Health, Unhealthy> {
    let stream = connect(place).await?;
    let asked = fetch(stream, Method::GET, HEALTH_PATH).await;
    let (status, reply) = asked.ok_or(PROTOCOL)?;
    match status {
        StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE => {
            serde_json::from_slice(&reply).map_err(|_unreadable| PROTOCOL)
        }
        _ => Err(PROTOCOL),
    }
}

async fn connect(place: &Place) -> Result<UnixStream, Unhealthy> {
    let own = rustix::process::geteuid();
    // Root may ask about anyone's; there is nothing it could be tricked into.
    if !own.is_root() {
        trust(place)?;
    }
    let stream = UnixStream::connect(place.socket())
        .await
        .map_err(unreachable)?;
    let peer = stream.peer_cred().map_err(Unhealthy::Failed)?.uid();
    if !own.is_root() && !may_talk(peer, own.as_raw()) {
        return Err(Unhealthy::NotOurs(Stranger::User(peer)));
    }
    Ok(stream)
}

const PROTOCOL: Unhealthy = Unhealthy::NotOurs(Stranger::Protocol);

fn trust(place: &Place) -> Result<(), Unhealthy> {
    match place.verify() {
        Ok(()) => Ok(()),
        Err(Untrusted::Failed { source, .. }) => Err(unreachable(source)),
        Err(
            untrusted @ (Untrusted::NoFolder { .. }
            | Untrusted::Owner { .. }
            | Untrusted::Open { .. }),
        ) => Err(Unhealthy::NotOurs(Stranger::Folder(untrusted))),
    }
}

fn unreachable(error: io::Error) -> Unhealthy {
    let nobody = [ErrorKind::NotFound, ErrorKind::ConnectionRefused];
    if nobody.contains(&error.kind()) {
        return Unhealthy::NobodyThere;
    }
    Unhealthy::Failed(error)
}

/// None: no whole answer in our protocol.
async fn fetch(stream: UnixStream, method: Method, target: &str) -> Option<(StatusCode, Vec<u8>)> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    let request = Request::builder()
        .method(method)
        .uri(target)
        .header(http::header::HOST, "onedoor")
        .body(String::new())
        .ok()?;
    let exchange = async {
        let reply = sender.send_request(request).await.ok()?;
        let status = reply.status();
        Some((status, whole(reply.into_body()).await?))
    };
    tokio::pin!(exchange);
    tokio::select! {
        biased;
        reply = &mut exchange => reply,
        // The connection may end before its answer has been looked at.
        _ended = connection => exchange.await,
    }
}

async fn whole(mut body: Incoming) -> Option<Vec<u8>> {
    let mut octets = Vec::new();
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let Ok(piece) = frame.ok()?.into_data() else {
            continue;
        };
        if octets.len() + piece.len() > REPLY_BYTES_MAX {
            return None;
        }
        octets.extend_from_slice(&piece);
    }
    Some(octets)
}

impl fmt::Display for Unhealthy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NobodyThere => f.write_str("no onedoor is running here"),
            Self::NotReady(health) => {
                let status = match health.status {
                    Status::Starting => "starting",
                    Status::Ready => "ready",
                    Status::Draining => "draining",
                };
                write!(f, "onedoor (pid {}) is {status}", health.pid)
            }
            Self::NotOurs(_) => f.write_str("whoever answers here is not a onedoor of yours"),
            Self::TimedOut => f.write_str("onedoor did not answer in time"),
            Self::Failed(_) => f.write_str("cannot talk to onedoor"),
        }
    }
}

impl Error for Unhealthy {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NotOurs(stranger) => Some(stranger),
            Self::Failed(error) => Some(error),
            Self::NobodyThere | Self::NotReady(_) | Self::TimedOut => None,
        }
    }
}

impl fmt::Display for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(_) => f.write_str("the folder is not to be trusted"),
            Self::User(uid) => write!(f, "the process belongs to user number {uid}"),
            Self::Protocol => f.write_str("the answer is not in our protocol"),
        }
    }
}

impl Error for Stranger {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Folder(untrusted) => Some(untrusted),
            Self::User(_) | Self::Protocol => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::path::Path;

    use tokio::io::AsyncWriteExt;
    use tokio::sync::watch;

    use super::*;
    use crate::control::claim::Claim;
    use crate::control::place::Wishes;
    use crate::control::renewal::Renewer;
    use crate::control::server;
    use crate::shutdown::Shutdown;

    const DEADLINE: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn a_holder_is_not_ready_and_then_ready() {
        let root = tempfile::tempdir().unwrap();
        let place = place(root.path());
        let claim = Claim::take(&place).await.unwrap();
        let since = "2026-01-31T12:00:00Z".parse().unwrap();
        let (state, told) = watch::channel(Health::starting(since));
        let shutdown = Shutdown::new();
        let renewer = Renewer::new(|_name| Box::pin(async { Renewal::Unknown }));
        server::start(claim.listen().unwrap(), told, renewer, &shutdown).unwrap();
        let refused = health(&place, DEADLINE).await.unwrap_err();
        assert!(matches!(refused, Unhealthy::NotReady(_)), "{refused}");
        state.send_modify(|health| health.status = Status::Ready);
        assert_eq!(health(&place, DEADLINE).await.unwrap(), *state.borrow());
        shutdown.cut_off();
    }

    #[tokio::test]
    async fn nobody_is_there_without_a_folder_or_behind_a_stale_socket() {
        let root = tempfile::tempdir().unwrap();
        let place = place(root.path());
        let refused = health(&place, DEADLINE).await;
        assert!(matches!(refused, Err(Unhealthy::NobodyThere)));
        place.prepare().unwrap();
        drop(UnixListener::bind(place.socket()).unwrap());
        let refused = health(&place, DEADLINE).await;
        assert!(matches!(refused, Err(Unhealthy::NobodyThere)));
    }

    #[tokio::test]
    async fn a_foreign_tongue_is_not_ours() {
        for reply in [
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
            "220 mail\r\n",
            "",
        ] {
            let root = tempfile::tempdir().unwrap();
            let place = place(root.path());
            let speaker = speaker(&place, reply);
            let refused = health(&place, DEADLINE).await.unwrap_err();
            assert!(
                matches!(refused, Unhealthy::NotOurs(Stranger::Protocol)),
                "{refused:?}"
            );
            speaker.cut_off();
        }
    }

    #[tokio::test]
    async fn an_answer_without_end_is_cut() {
        let root = tempfile::tempdir().unwrap();
        let place = place(root.path());
        let reply = format!("HTTP/1.0 200 OK\r\n\r\n{}", " ".repeat(REPLY_BYTES_MAX + 1));
        let speaker = speaker(&place, &reply);
        let refused = health(&place, DEADLINE).await.unwrap_err();
        assert!(
            matches!(refused, Unhealthy::NotOurs(Stranger::Protocol)),
            "{refused:?}"
        );
        speaker.cut_off();
    }

    #[tokio::test]
    async fn silence_ends_at_the_deadline() {
        let root = tempfile::tempdir().unwrap();
        let place = place(root.path());
        place.prepare().unwrap();
        let _silent = UnixListener::bind(place.socket()).unwrap();
        let refused = health(&place, ASK_INTERVAL).await;
        assert!(matches!(refused, Err(Unhealthy::TimedOut)));
    }

    /// Says the same to everyone, whatever they ask.
    fn speaker(place: &Place, reply: &str) -> Shutdown {
        place.prepare().unwrap();
        let listener = tokio::net::UnixListener::bind(place.socket()).unwrap();
        let reply = reply.to_owned();
        let shutdown = Shutdown::new();
        let _task = shutdown.spawn(async move {
            while let Ok((mut stream, _address)) = listener.accept().await {
                // The client may have heard enough.
                let _written = stream.write_all(reply.as_bytes()).await;
            }
        });
        shutdown
    }

    fn place(root: &Path) -> Place {
        Place::choose(Wishes {
            explicit: None,
            runtime: None,
            state: root,
        })
    }
}
