//! Builds the parts and joins them: start, reload, stop. The only place that knows everyone.

mod alerts;
pub mod attend;
pub mod banner;
mod change;
mod commands;
pub mod explain;
pub mod guest;
mod guests;
pub mod handover;
mod issuing;
pub mod kept;
mod listeners;
mod luggage;
pub mod prepare;
mod probing;
mod public;
mod reload;
mod saved;
pub mod source;
mod start;
mod status;
mod stop;
mod trails;
mod watch;

use std::collections::VecDeque;
use std::io;
use std::os::unix::net::UnixListener;
use std::process::ExitStatus;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::process::Child;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::sync::watch::Sender;
use tokio::time::Instant;

use crate::certs::resolver::Resolver;
use crate::config::Loaded;
use crate::config::doorway::Doorway;
use crate::control::claim::Claim;
use crate::control::command::{Command, Extent};
use crate::control::health::Health;
use crate::control::server::Serving;
use crate::door::accept::Capacity;
use crate::door::{Current, Handle};
use crate::observe::access::AccessLog;
use crate::observe::taps::Taps;
use crate::shutdown::Shutdown;
use crate::storage::files::Storage;
use commands::Next;
use guests::Guests;
use handover::{Successor, successor_ends};
pub use issuing::held;
use listeners::Listeners;
use public::Keeping;
use source::Source;
pub use start::{Beginning, LogProblem, Setup, StartError, wall_clock};
use watch::FileWatch;

/// A running onedoor.
#[derive(Debug)]
pub struct App {
    source: Source,
    /// Of a door before ours, whose sockets are our defaults.
    doorway: Option<Doorway>,
    /// Read from the source.
    own: Arc<Loaded>,
    guests: Guests,
    /// The lease of each site in service; empty: all are our own.
    origin: Vec<u32>,
    /// For each site whom it displaces; empty: nobody.
    overrides: Vec<Option<u32>>,
    /// What is in service: the own sites and those of all leases.
    loaded: Arc<Loaded>,
    storage: Storage,
    resolver: Resolver,
    keeping: Keeping,
    current: Arc<Current>,
    listeners: Listeners,
    workers: Arc<[Handle]>,
    threads: Vec<JoinHandle<()>>,
    capacity: Arc<Capacity>,
    /// Connections that the descriptor limit allows.
    connections_max: usize,
    access: Option<Arc<AccessLog>>,
    taps: Arc<Taps>,
    health: Sender<Health>,
    files: FileWatch,
    signals: Signals,
    shutdown: Shutdown,
    claim: Claim,
    /// The control socket, kept for an heir.
    control: UnixListener,
    answering: Serving,
    commands: mpsc::Receiver<Command>,
    /// Commands that came during a hand-over that failed.
    postponed: VecDeque<Command>,
    successor: Option<Successor>,
    /// A process of ours that has the door now.
    attended: Option<Child>,
    /// Why the own configuration was last refused, if it was.
    last_refusal: Option<String>,
    /// Addresses at which another process takes our connections.
    shadowed: Vec<String>,
}

/// How a door ended for this process.
#[derive(Debug)]
pub enum Ending {
    Stopped,
    /// A process that we started has the door, and somebody may wait for us.
    PassedOn(Child),
}

/// The signals that are heard. Until they are, each of them ends the process.
#[derive(Debug)]
struct Signals {
    reload: Signal,
    reopen: Signal,
    restart: Signal,
    farewell: Farewell,
}

/// The signals that say we should go.
#[derive(Debug)]
struct Farewell {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            reload: signal(SignalKind::hangup())?,
            reopen: signal(SignalKind::user_defined1())?,
            restart: signal(SignalKind::user_defined2())?,
            farewell: Farewell {
                terminate: signal(SignalKind::terminate())?,
                interrupt: signal(SignalKind::interrupt())?,
            },
        })
    }
}

impl Farewell {
    async fn said(&mut self) {
        tokio::select! {
            _some = self.terminate.recv() => {}
            _some = self.interrupt.recv() => {}
        }
    }
}

impl From<()> for Next {
    fn from((): ()) -> Self {
        Self::GoOn
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// How often counters are looked at that nobody waits for.
const ROUND: std::time::Duration = std::time::Duration::from_secs(60);

/// What wakes a running onedoor.
enum Wake {
    Reload,
    Look,
    Reopen,
    Restart,
    /// It is time to look at what nobody tells.
    Round,
    Asked(Option<Command>),
    /// A guest did not come back.
    Overdue,
    SuccessorEnded(Option<io::Result<ExitStatus>>),
    Stop,
}

impl App {
    /// Serves until it is told to stop by a signal or a command, `until` ends, or another process takes over; then drains.
    pub async fn run(mut self, until: impl Future<Output = ()>) -> Ending {
        let mut until = std::pin::pin!(until);
        let mut rounds = tokio::time::interval(ROUND);
        let mut lost = 0;
        loop {
            let next = match self.wake(until.as_mut(), &mut rounds).await {
                Wake::Reload => self.reload(reload::Why::Asked).await.into(),
                Wake::Look => self.reload(reload::Why::FilesChanged).await.into(),
                Wake::Reopen => self.reopen_log().into(),
                Wake::Restart => self.restart(None).into(),
                Wake::Round => {
                    lost = self.tell_lost_lines(lost);
                    Next::GoOn
                }
                Wake::Asked(Some(command)) => Box::pin(self.obey(command)).await,
                Wake::Asked(None) => Next::GoOn,
                Wake::Overdue => Box::pin(self.end_overdue()).await.into(),
                Wake::SuccessorEnded(ended) => self.give_up_successor(ended).into(),
                Wake::Stop => Next::Stop(Extent::Holder),
            };
            match next {
                Next::GoOn => {}
                Next::PassedOn => break,
                Next::Stop(Extent::Holder) => {
                    if !Box::pin(self.leave_to_guest()).await {
                        self.end_guests("the door was stopped");
                    }
                    break;
                }
                Next::Stop(Extent::Door) => {
                    self.end_guests("the door was stopped, with all its guests");
                    break;
                }
            }
        }
        let attended = self.attended.take();
        self.stop().await;
        attended.map_or(Ending::Stopped, Ending::PassedOn)
    }

    async fn wake(
        &mut self,
        until: std::pin::Pin<&mut impl Future<Output = ()>>,
        rounds: &mut tokio::time::Interval,
    ) -> Wake {
        if let Some(command) = self.postponed.pop_front() {
            return Wake::Asked(Some(command));
        }
        let Signals {
            reload,
            reopen,
            restart,
            farewell,
        } = &mut self.signals;
        let overdue = self.guests.next_end();
        tokio::select! {
            _some = reload.recv() => Wake::Reload,
            _some = reopen.recv() => Wake::Reopen,
            _some = restart.recv() => Wake::Restart,
            () = self.files.changed() => Wake::Look,
            () = farewell.said() => Wake::Stop,
            () = until => Wake::Stop,
            asked = self.commands.recv() => Wake::Asked(asked),
            () = at(overdue) => Wake::Overdue,
            ended = successor_ends(self.successor.as_mut()) => Wake::SuccessorEnded(ended),
            _now = rounds.tick() => Wake::Round,
        }
    }

    /// What is served, in words, for the person at the terminal.
    #[must_use]
    pub fn banner(&self) -> String {
        banner::banner(
            &self.loaded.config,
            &self.current.plan,
            &self.listeners,
            &|_every| true,
        )
    }

    /// Where clients reach us.
    #[must_use]
    pub fn addresses(&self) -> Vec<(std::net::SocketAddr, crate::routing::Kind)> {
        self.listeners.addresses()
    }

    /// The local CA's root certificate as a file, if a site needs it.
    #[must_use]
    pub fn local_ca_path(&self) -> Option<&std::path::Path> {
        self.resolver.local_ca_path()
    }

    /// Says that the access log lost lines since it was last looked at; returns how many it has lost in all.
    fn tell_lost_lines(&self, known: u64) -> u64 {
        let Some(access) = &self.access else {
            return known;
        };
        let lost = access.dropped();
        if lost > known {
            let error = access.take_error().map(tracing::field::display);
            tracing::warn!(lines = lost - known, error, "the access log lost lines");
        }
        lost
    }

    fn reopen_log(&self) {
        let Some(access) = &self.access else {
            return;
        };
        match access.reopen() {
            Ok(()) => tracing::info!("access log reopened"),
            Err(error) => tracing::error!(%error, "access log not reopened, the old file goes on"),
        }
    }
}
