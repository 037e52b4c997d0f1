//! Builds the parts and joins them: start, reload, stop. The only place that knows everyone.

mod alerts;
pub mod attend;
pub mod banner;
mod change;
mod checks;
mod commands;
mod crew;
pub mod explain;
mod ground;
pub mod guest;
mod guests;
pub mod handover;
pub mod heritage;
mod issuing;
mod joining;
pub mod kept;
mod listeners;
pub mod local_ca;
mod luggage;
mod narrow;
pub mod prepare;
mod probing;
mod public;
mod reload;
mod saved;
mod selfprobe;
pub mod source;
mod start;
mod status;
mod stop;
pub mod storing;
mod strangers;
mod trails;
mod watch;

use std::collections::VecDeque;
use std::io;
use std::os::unix::net::UnixListener;
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
use crate::control::readiness;
use crate::control::server::Serving;
use crate::door::accept::Capacity;
use crate::door::{Current, Handle};
use crate::observe::access::AccessLog;
use crate::observe::taps::Taps;
use crate::shutdown::Shutdown;
use crate::storage::files::Storage;
use checks::Checks;
use commands::Next;
pub use crew::LogProblem;
use guests::Guests;
use handover::{Failed, Successor, successor_fails};
pub use issuing::{cas, held};
use listeners::Listeners;
use local_ca::Local;
use public::Keeping;
use selfprobe::SelfProbe;
use source::Source;
pub use start::{Beginning, LOOPBACK, Setup, StartError, connections_max, wall_clock};
use stop::Hurry;
use watch::FileWatch;

/// A running onedoor.
#[derive(Debug)]
pub struct App {
    source: Source,
    heed: Heed,
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
    /// The part of it where lies what guests brought.
    luggage: Storage,
    resolver: Resolver,
    local: Local,
    keeping: Keeping,
    current: Arc<Current>,
    listeners: Listeners,
    workers: Arc<[Handle]>,
    threads: Vec<JoinHandle<()>>,
    capacity: Arc<Capacity>,
    /// Connections that the descriptor limit allows.
    connections_max: usize,
    access: Option<Arc<AccessLog>>,
    /// Of the access log, as far as it was told.
    lost_lines: u64,
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
    probe: Arc<SelfProbe>,
    checks: Checks,
    attending_ca: Option<tokio::task::JoinHandle<()>>,
}

/// How a door ended for this process.
#[derive(Debug)]
pub enum Ending {
    Stopped,
    /// A process that we started had the door, and somebody waited for us: what it ended with.
    Attended(u8),
}

/// The signals that are heard. Until they are, each of them ends the process.
#[derive(Debug)]
pub struct Signals {
    reload: Signal,
    reopen: Signal,
    restart: Signal,
    /// A word of whoever attends us, or of whom we attend.
    attendance: Signal,
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
            attendance: signal(attend::ATTENDANCE)?,
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

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// How often counters are looked at that nobody waits for.
const ROUND: std::time::Duration = std::time::Duration::from_secs(60);

/// Whose signals they are while we serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heed {
    Ours,
    /// What ends a door is said by its `until` alone, until the drain.
    Callers,
}

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
    SuccessorFailed(Failed),
    /// It is time to look whether we are reached.
    Probe,
    Stop,
}

impl App {
    /// Serves until it is told to stop by a signal or a command, `until` ends, or another process takes over; then drains.
    pub async fn run(mut self, until: impl Future<Output = ()>) -> Ending {
        self.settle_in().await;
        let mut until = std::pin::pin!(until);
        let mut rounds = tokio::time::interval(ROUND);
        let mut probes = tokio::time::interval(selfprobe::EVERY);
        // After the bind itself `ports` has looked.
        probes.reset();
        loop {
            let wake = self.wake(until.as_mut(), &mut rounds, &mut probes).await;
            let next = Box::pin(self.react(wake)).await;
            match next {
                Next::GoOn => {}
                Next::PassedOn => return self.attend().await,
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
        if self.heed == Heed::Callers {
            // Those that came so far were not for us.
            self.signals = Signals::new().unwrap_or(self.signals);
        }
        self.stop(Hurry::AtTheNext).await;
        Ending::Stopped
    }

    /// Drains, and meanwhile attends the process that serves now, if somebody waits for us.
    async fn attend(mut self) -> Ending {
        let attended = self.attended.take();
        match (attended, Signals::new()) {
            // The service manager was told whom to wait for.
            (Some(child), Ok(fresh)) if !readiness::is_heard() => {
                // What came so far is for the new one.
                let signals = std::mem::replace(&mut self.signals, fresh);
                let attending = attend::attend(child, signals);
                let (code, ()) = tokio::join!(attending, Box::pin(self.stop(Hurry::AtTheSecond)));
                Ending::Attended(code)
            }
            (Some(_) | None, _signals) => {
                self.stop(Hurry::AtTheSecond).await;
                Ending::Stopped
            }
        }
    }

    /// Follows what the files say by now, if that may be served.
    pub async fn look(&mut self) {
        Box::pin(self.reload(reload::Why::FilesChanged)).await;
    }

    async fn react(&mut self, wake: Wake) -> Next {
        match wake {
            Wake::Reload => self.reload(reload::Why::Asked).await,
            Wake::Look => self.reload(reload::Why::FilesChanged).await,
            Wake::Reopen => self.reopen_log(),
            Wake::Restart => self.restart(None),
            Wake::Probe => self.look_for_shadows(),
            Wake::Asked(Some(command)) => return self.obey(command).await,
            Wake::Overdue => self.end_overdue().await,
            Wake::SuccessorFailed(failed) => self.give_up_successor(failed),
            Wake::Stop => return Next::Stop(Extent::Holder),
            Wake::Round => self.tell_lost_lines(),
            Wake::Asked(None) => {}
        }
        Next::GoOn
    }

    async fn wake(
        &mut self,
        until: std::pin::Pin<&mut impl Future<Output = ()>>,
        rounds: &mut tokio::time::Interval,
        probes: &mut tokio::time::Interval,
    ) -> Wake {
        if let Some(command) = self.postponed.pop_front() {
            return Wake::Asked(Some(command));
        }
        let Signals {
            reload,
            reopen,
            restart,
            attendance,
            farewell,
        } = &mut self.signals;
        let overdue = self.guests.next_end();
        let ours = self.heed == Heed::Ours;
        tokio::select! {
            _some = reload.recv(), if ours => Wake::Reload,
            _some = reopen.recv(), if ours => Wake::Reopen,
            _some = restart.recv(), if ours => Wake::Restart,
            () = self.files.changed() => Wake::Look,
            () = farewell.said(), if ours => Wake::Stop,
            () = until => Wake::Stop,
            asked = self.commands.recv() => Wake::Asked(asked),
            () = at(overdue) => Wake::Overdue,
            failed = successor_fails(self.successor.as_mut(), attendance) => Wake::SuccessorFailed(failed),
            _now = rounds.tick() => Wake::Round,
            _now = probes.tick() => Wake::Probe,
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

    /// The folder of this machine where lies what outlives this process.
    #[must_use]
    pub fn storage(&self) -> std::path::PathBuf {
        self.storage.path("")
    }

    /// The local CA's root certificate as a file, if a site needs it.
    #[must_use]
    pub fn local_ca_path(&self) -> Option<std::path::PathBuf> {
        let ca = self.resolver.local_ca()?;
        Some(ca.root().path.clone())
    }

    /// Says that the access log lost lines since it was last looked at.
    fn tell_lost_lines(&mut self) {
        let Some(access) = &self.access else {
            return;
        };
        let lost = access.dropped();
        let lines = lost - std::mem::replace(&mut self.lost_lines, lost);
        if lines > 0 {
            let error = access.take_error().map(tracing::field::display);
            tracing::warn!(lines, error, "the access log lost lines");
        }
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
