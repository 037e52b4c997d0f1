//! The holder's side of the control socket: who may talk, how many at once and how long. It answers until the cut, so that a
//! draining holder can still say so.

mod answer;
mod desk;
mod leases;
mod logs;
mod patience;
mod precondition;
mod query;
mod reply;
mod route;
mod sessions;
mod upload;

use std::io;
use std::os::unix::net::UnixListener as StdUnixListener;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time;
use tokio_util::sync::CancellationToken;

pub use leases::{PROBE_INTERVAL, WAIT_SECONDS_MAX};
pub use sessions::SESSIONS_MAX;

pub(super) use route::{
    EXPLAIN_PATH, LEASES_PATH, LOGS_PATH, RELOAD_PATH, RESTART_PATH, STATUS_PATH, STOP_PATH,
};

use crate::control::command::Command;
use crate::control::health::Health;
use crate::control::probe::Probe;
use crate::control::renewal::Renewer;
use crate::shutdown::Shutdown;
use desk::Desk;
use patience::Patience;

/// Connections at once, sessions left out; more wait in the socket's queue.
pub const CONNECTIONS_MAX: usize = 64;
/// Octets of a request head.
pub const HEAD_BYTES_MAX: usize = 16 << 10;
/// From accept to the last octet of the request head.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(2);
/// From accept to the end of the connection, unless its request has a patience of its own.
pub const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
/// How long nothing is accepted after the system refused, for want of descriptors for example.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where answers come from.
#[derive(Debug, Clone)]
pub struct Sources {
    pub health: watch::Receiver<Health>,
    pub renewer: Renewer,
    pub commands: mpsc::Sender<Command>,
    pub probe: Probe,
}

impl Sources {
    /// With nobody behind them but this health: what is asked of `app` is answered with `busy`, at once.
    #[cfg(test)]
    pub(super) fn of(health: watch::Receiver<Health>) -> Self {
        use crate::control::renewal::Renewal;
        Self {
            health,
            renewer: Renewer::new(|_name| Box::pin(async { Renewal::Unknown })),
            commands: mpsc::channel(1).0,
            probe: Probe::new(|_probed| Box::pin(async { Ok(()) })),
        }
    }
}

/// A socket that is served until the cut; dropping this changes nothing.
#[derive(Debug)]
pub struct Serving {
    accepting: CancellationToken,
    conversations: Arc<Semaphore>,
    sessions: Arc<Semaphore>,
}

impl Serving {
    /// Leaves new connections to whoever else has the socket. Conversations and sessions go on.
    pub fn stop_accepting(&self) {
        self.accepting.cancel();
    }

    /// Waits until every answer is written and every guest has hung up, but no longer than this: whoever asked for the end shall hear of
    /// it, and whoever is told where the door is now must not take it for a crash.
    pub async fn settled(&self, within: Duration) {
        let all = |most: usize| u32::try_from(most).unwrap_or(u32::MAX);
        let over = async {
            let _answered = self.conversations.acquire_many(all(CONNECTIONS_MAX)).await;
            let _gone = self.sessions.acquire_many(all(SESSIONS_MAX)).await;
        };
        // What never ends, as watching the logs, is cut with everything else.
        let _late = time::timeout(within, over).await;
    }
}

/// Serves the socket on the current runtime until the cut; nobody waits for it at a stop.
///
/// # Errors
/// When the runtime cannot watch the socket.
pub fn start(
    listener: StdUnixListener,
    sources: Sources,
    shutdown: &Shutdown,
) -> io::Result<Serving> {
    listener.set_nonblocking(true)?;
    let listener = UnixListener::from_std(listener)?;
    let accepting = CancellationToken::new();
    let desk = Arc::new(Desk::new(sources, shutdown.clone()));
    let sessions = Arc::clone(&desk.sessions);
    let token = accepting.clone();
    let conversations = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let permits = Arc::clone(&conversations);
    // Detached on purpose: an attendant ends with the cut.
    drop(shutdown.spawn_attendant(async move {
        // None: it is told to stop.
        let _ended: Option<()> = token
            .run_until_cancelled(accept(listener, desk, permits))
            .await;
    }));
    Ok(Serving {
        accepting,
        conversations,
        sessions,
    })
}

async fn accept(listener: UnixListener, desk: Arc<Desk>, permits: Arc<Semaphore>) {
    let own = rustix::process::geteuid().as_raw();
    while let Ok(permit) = Arc::clone(&permits).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _address)) => {
                if let Some(uid) = trusted(&stream, own) {
                    let connection = converse(stream, uid, Arc::clone(&desk), permit);
                    drop(desk.shutdown.spawn_attendant(connection));
                }
            }
            Err(error) => {
                tracing::warn!(%error, "control socket: cannot accept");
                time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// The user is the authority; process numbers are used again.
fn trusted(stream: &UnixStream, own: u32) -> Option<u32> {
    let peer = stream.peer_cred().map(|peer| peer.uid());
    let trusted = peer.as_ref().ok().filter(|uid| may_talk(**uid, own));
    if trusted.is_none() {
        tracing::debug!(?peer, "control socket: closed a stranger's connection");
    }
    trusted.copied()
}

/// The same user, or root.
pub(super) fn may_talk(peer: u32, own: u32) -> bool {
    peer == own || peer == 0
}

async fn converse(stream: UnixStream, uid: u32, desk: Arc<Desk>, _permit: OwnedSemaphorePermit) {
    let patience = Patience::new(CONNECTION_TIMEOUT);
    let service = service_fn(|request| answer::answer(request, &desk, uid, &patience));
    let mut http = http1::Builder::new();
    http.keep_alive(false)
        .max_buf_size(HEAD_BYTES_MAX)
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT);
    let connection = http.serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        ended = connection.with_upgrades() => if let Err(error) = ended {
            tracing::debug!(%error, "control socket: broken conversation");
        },
        () = patience.over() => tracing::debug!("control socket: conversation took too long"),
    }
}

#[cfg(test)]
mod tests;
