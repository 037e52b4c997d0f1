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

/// Connections at once of other users, who must not fill all places.
pub const STRANGERS_MAX: usize = 16;

/// What becomes of other users, who can reach the socket of a door that is opened to a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strangers {
    TurnedAway,
    /// They ask for its health, and join as far as `app` lets them.
    MayJoin,
}

/// Where answers come from.
#[derive(Debug, Clone)]
pub struct Sources {
    pub strangers: Strangers,
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
            strangers: Strangers::TurnedAway,
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
}

impl Serving {
    /// Leaves new connections to whoever else has the socket. Conversations and sessions go on.
    pub fn stop_accepting(&self) {
        self.accepting.cancel();
    }

    /// Waits until every answer is written, but no longer than this: whoever asked for the end shall hear of it.
    pub async fn settled(&self, within: Duration) {
        let all = u32::try_from(CONNECTIONS_MAX).unwrap_or(u32::MAX);
        // What never ends, as watching the logs, is cut with everything else.
        let _late = time::timeout(within, self.conversations.acquire_many(all)).await;
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
    })
}

async fn accept(listener: UnixListener, desk: Arc<Desk>, permits: Arc<Semaphore>) {
    let strangers = Arc::new(Semaphore::new(STRANGERS_MAX));
    while let Ok(permit) = Arc::clone(&permits).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _address)) => {
                let Some(peer) = Peer::of(&stream, desk.sources.strangers) else {
                    continue;
                };
                let place = match peer.rights {
                    Rights::All => None,
                    Rights::Stranger => match Arc::clone(&strangers).try_acquire_owned() {
                        Ok(place) => Some(place),
                        Err(_full) => continue,
                    },
                };
                let connection = converse(stream, peer, Arc::clone(&desk), (permit, place));
                drop(desk.shutdown.spawn_attendant(connection));
            }
            Err(error) => {
                tracing::warn!(%error, "control socket: cannot accept");
                time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Who is at the other end. The user is the authority; process numbers are used again.
#[derive(Debug, Clone, Copy)]
struct Peer {
    uid: u32,
    rights: Rights,
}

/// What somebody may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rights {
    All,
    /// Another user's.
    Stranger,
}

impl Peer {
    /// None: whoever it is must go.
    fn of(stream: &UnixStream, strangers: Strangers) -> Option<Self> {
        let peer = stream.peer_cred().map(|peer| peer.uid());
        let own = rustix::process::geteuid().as_raw();
        match (&peer, strangers) {
            (Ok(uid), _) if may_talk(*uid, own) => Some(Self {
                uid: *uid,
                rights: Rights::All,
            }),
            (Ok(uid), Strangers::MayJoin) => Some(Self {
                uid: *uid,
                rights: Rights::Stranger,
            }),
            (Ok(_) | Err(_), _) => {
                tracing::debug!(?peer, "control socket: closed a stranger's connection");
                None
            }
        }
    }
}

/// The same user, or root.
pub(super) fn may_talk(peer: u32, own: u32) -> bool {
    peer == own || peer == 0
}

async fn converse(
    stream: UnixStream,
    peer: Peer,
    desk: Arc<Desk>,
    _places: (OwnedSemaphorePermit, Option<OwnedSemaphorePermit>),
) {
    let patience = Patience::new(CONNECTION_TIMEOUT);
    let service = service_fn(|request| answer::answer(request, &desk, peer, &patience));
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
