//! Builds the parts and joins them: start, reload, stop. The only place that knows everyone.

mod alerts;
pub mod banner;
pub mod kept;
mod listeners;
pub mod prepare;
mod public;
mod reload;
pub mod source;
mod start;
mod stop;
mod trails;
mod watch;

use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch::Sender;

use crate::certs::resolver::Resolver;
use crate::config::Loaded;
use crate::control::claim::Claim;
use crate::control::health::Health;
use crate::door::accept::Capacity;
use crate::door::{Current, Handle};
use crate::observe::access::AccessLog;
use crate::shutdown::Shutdown;
use listeners::Listeners;
use public::Keeping;
pub use public::held;
use source::Source;
pub use start::{LogProblem, Setup, StartError, wall_clock};
use watch::FileWatch;

/// A running onedoor.
#[derive(Debug)]
pub struct App {
    source: Source,
    loaded: Loaded,
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
    health: Sender<Health>,
    files: FileWatch,
    signals: Signals,
    shutdown: Shutdown,
    claim: Claim,
}

/// The signals that are heard. Until they are, each of them ends the process.
#[derive(Debug)]
struct Signals {
    reload: Signal,
    reopen: Signal,
    farewell: Farewell,
}

/// The signals that say we should go.
#[derive(Debug)]
struct Farewell {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            reload: signal(SignalKind::hangup())?,
            reopen: signal(SignalKind::user_defined1())?,
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

/// How often counters are looked at that nobody waits for.
const ROUND: std::time::Duration = std::time::Duration::from_secs(60);

/// What wakes a running onedoor.
enum Wake {
    Reload,
    Look,
    Reopen,
    /// It is time to look at what nobody tells.
    Round,
    Stop,
}

impl App {
    /// Serves until it is told to stop by a signal or `until` ends; then drains.
    pub async fn run(mut self, until: impl Future<Output = ()>) {
        let mut until = std::pin::pin!(until);
        let mut rounds = tokio::time::interval(ROUND);
        let mut lost = 0;
        loop {
            let Signals {
                reload,
                reopen,
                farewell,
            } = &mut self.signals;
            let wake = tokio::select! {
                _some = reload.recv() => Wake::Reload,
                _some = reopen.recv() => Wake::Reopen,
                () = self.files.changed() => Wake::Look,
                () = farewell.said() => Wake::Stop,
                () = &mut until => Wake::Stop,
                _now = rounds.tick() => Wake::Round,
            };
            match wake {
                Wake::Reload => self.reload(reload::Why::Asked).await,
                Wake::Look => self.reload(reload::Why::FilesChanged).await,
                Wake::Reopen => self.reopen_log(),
                Wake::Round => lost = self.tell_lost_lines(lost),
                Wake::Stop => break,
            }
        }
        self.stop().await;
    }

    /// What is served, in words, for the person at the terminal.
    #[must_use]
    pub fn banner(&self) -> String {
        banner::banner(&self.loaded.config, &self.current.plan, &self.listeners)
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
