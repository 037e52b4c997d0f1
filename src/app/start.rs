//! Starting: everything is read and bound before anything is promised.

use std::collections::VecDeque;
use std::fmt;
use std::num::NonZeroUsize;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::SystemTime;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};

use super::banner::counted;
use super::guests::Guests;
use super::handover::Heritage;
use super::listeners::Listeners;
use super::prepare::{Prepared, prepare, sorted};
use super::public::Keeping;
use super::source::Source;
use super::watch::FileWatch;
use super::{App, Signals, luggage, probing, saved};
use crate::certs::dns::error::DnsError;
use crate::certs::resolver::Resolver;
use crate::config::doorway::Doorway;
use crate::config::{AccessLog as Destination, Config, LogFormat};
use crate::config::{Loaded, Refused};
use crate::control::claim::{Claim, ClaimProblem};
use crate::control::command::COMMANDS_MAX;
use crate::control::health::{Health, Kind as Spoken, Listening, Status};
use crate::control::leases::Insistence;
use crate::control::owner::Owner;
use crate::control::readiness;
use crate::control::server::{self, Sources};
use crate::door::accept::Capacity;
use crate::door::{Current, Handle, Options, Policies, start as start_worker};
use crate::observe::access::{self, AccessLog};
use crate::observe::record::Format;
use crate::observe::taps::Taps;
use crate::ports::descriptors::raise_descriptor_limit;
use crate::ports::passed::Passed;
use crate::ports::problem::PortProblem;
use crate::proxy::context::{Answers, Table};
use crate::routing::{Kind, Loopback, Routes, sockets_of};
use crate::shutdown::Shutdown;
use crate::storage::files::Storage;

/// Descriptors that are not for connections: files, logs, the control socket, runtimes.
const DESCRIPTORS_KEPT: u64 = 64;
/// A connection has one descriptor of its client's and mostly one of an upstream's.
const DESCRIPTORS_EACH: u64 = 2;

/// Fewer than this deserve a word.
const CONNECTIONS_FEW: usize = 1000;

/// What is needed to start.
#[derive(Debug)]
pub struct Setup {
    pub source: Source,
    /// Of a door before ours, whose sockets are our defaults.
    pub doorway: Option<Doorway>,
    /// Read from the source, at that doorway.
    pub loaded: Loaded,
    pub storage: Storage,
    /// Who we are, for those who are told.
    pub owner: Owner,
    /// What the own sites do where a guest of an earlier holder has a name.
    pub insistence: Insistence,
    pub origin: Beginning,
}

/// With what a door begins.
#[derive(Debug)]
pub enum Beginning {
    /// The lock, and sockets from a service manager.
    Fresh { claim: Claim, passed: Passed },
    /// What another process hands over.
    Inherited(Box<Heritage>),
}

/// Why onedoor does not start.
#[derive(Debug)]
pub enum StartError {
    Config(Refused),
    Ports(PortProblem),
    Control(ClaimProblem),
    /// The access log cannot be opened.
    Log(LogProblem),
    /// The publisher of DNS records cannot be used.
    Dns(DnsError),
    /// The crypto library has no randomness.
    Tls(rustls::Error),
    /// The system gives no thread, socket or signal.
    System(std::io::Error),
}

/// An access log that cannot be opened.
#[derive(Debug)]
pub struct LogProblem {
    destination: access::Destination,
    source: std::io::Error,
}

impl fmt::Display for LogProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.destination {
            access::Destination::File(path) => {
                write!(f, "cannot open the access log {}", path.display())
            }
            access::Destination::Stdout => f.write_str("cannot log to standard output"),
            access::Destination::Stderr => f.write_str("cannot log to standard error"),
        }
    }
}

impl std::error::Error for LogProblem {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// How `localhost:` is bound on this system.
pub(super) const LOOPBACK: Loopback = if cfg!(target_os = "macos") {
    Loopback::Guarded
} else {
    Loopback::Direct
};

impl App {
    /// Reads, binds and starts everything; on return every listener is bound and every certificate loaded.
    ///
    /// # Errors
    /// Nothing is left behind then.
    pub async fn start(setup: Setup) -> Result<Self, StartError> {
        let Setup {
            source,
            doorway,
            loaded,
            storage,
            owner,
            insistence,
            origin,
        } = setup;
        let descriptors = raise_descriptor_limit().map_err(StartError::System)?;
        let connections_max = connections_max(descriptors.soft);
        let folder = storage.path("");
        let resolver = Resolver::new(storage.clone());
        let shutdown = Shutdown::new();
        let keeping = Keeping::start(folder, &resolver, &shutdown);
        let own = sorted(loaded);
        let mut guests = Guests::new(owner, insistence);
        let begun = Begun::of(origin, &mut guests, &storage, &own);
        saved::restore(keeping.store(), &storage, &own, &mut guests).await;
        let composed = guests.compose(&own);
        let prepared =
            prepare(composed.loaded, &resolver, wall_clock()).map_err(StartError::Config)?;
        tell_remarks(&prepared.remarks);
        let config = &prepared.loaded.config;
        let Begun {
            claim,
            control,
            mut listeners,
            passed,
            revision,
        } = begun;
        let wanted = sockets_of(config, LOOPBACK);
        let (fresh, notes) = listeners
            .bind(&wanted, config, passed)
            .map_err(StartError::Ports)?;
        notes.iter().for_each(|note| tracing::info!("{note}"));
        listeners.take_in(fresh);
        listeners.retain(&wanted);
        let access = access_log(&prepared.loaded.config).map_err(StartError::Log)?;
        let port_of = |port| listeners.port_of(&Listeners::default(), port);
        let (loaded, current) = assemble(prepared, &resolver, revision, &port_of);
        warn_of_few(connections_max, &loaded.config);
        keeping.load(&current.plan, &loaded.config).await;
        let capacity = Capacity::new(loaded.config.limits.connections.min(connections_max));
        let policies = Arc::new(Policies::new().map_err(StartError::Tls)?);
        let taps = Arc::new(Taps::default());
        let options = Options {
            current: current.clone(),
            policies,
            access: access.clone(),
            taps: taps.clone(),
        };
        let (workers, threads) = workers(&loaded.config, &options).map_err(StartError::System)?;
        let (health, seen) = watch::channel(Health::starting(timestamp()));
        let signals = Signals::new().map_err(StartError::System)?;
        let socket = match control {
            Some(inherited) => inherited,
            None => claim.listen().map_err(StartError::Control)?,
        };
        let (asked, commands) = mpsc::channel(COMMANDS_MAX);
        let sources = Sources {
            health: seen,
            renewer: keeping.renewer(),
            commands: asked,
            probe: probing::probe(),
        };
        let control = socket.try_clone().map_err(StartError::System)?;
        let answering =
            server::start(socket, sources, &shutdown).map_err(StartError::System)?;
        let mut files = FileWatch::new();
        files.follow(&own);
        let mut app = Self {
            source,
            doorway,
            own,
            guests,
            origin: composed.origin,
            overrides: composed.overrides,
            loaded,
            storage,
            resolver,
            keeping,
            current,
            listeners,
            workers,
            threads,
            capacity,
            connections_max,
            access,
            taps,
            health,
            files,
            signals,
            shutdown,
            claim,
            control,
            answering,
            commands,
            postponed: VecDeque::new(),
            successor: None,
            attended: None,
            last_refusal: None,
            shadowed: Vec::new(),
        };
        app.listeners
            .accept(&app.workers, &app.capacity)
            .map_err(StartError::System)?;
        app.announce();
        // A CA asks through the door, so the door is open first.
        app.keep().await.map_err(StartError::Dns)?;
        Ok(app)
    }

    /// Tells whoever asks or waits that this is served now.
    pub(super) fn announce(&self) {
        let listeners = self.listeners.addresses();
        self.health.send_modify(|health| {
            health.status = Status::Ready;
            health.sites = self.loaded.config.sites.len();
            health.revision = self.current.table.routes.revision;
            health.listeners = listeners
                .iter()
                .map(|(address, kind)| Listening {
                    address: *address,
                    kind: spoken(*kind),
                })
                .collect();
        });
        let summary = format!(
            "serving {}",
            counted(self.loaded.config.sites.len(), "site")
        );
        if let Err(error) = readiness::ready(&summary) {
            tracing::warn!(%error, "the service manager was not told");
        }
    }
}

/// What a door begins with, by whichever way.
struct Begun {
    claim: Claim,
    control: Option<UnixListener>,
    listeners: Listeners,
    passed: Passed,
    revision: u64,
}

impl Begun {
    fn of(
        origin: Beginning,
        guests: &mut Guests,
        storage: &Storage,
        own: &Arc<Loaded>,
    ) -> Self {
        match origin {
            Beginning::Fresh { claim, passed } => {
                luggage::discard_all(storage);
                Self {
                    claim,
                    control: None,
                    listeners: Listeners::default(),
                    passed,
                    revision: 1,
                }
            }
            Beginning::Inherited(heritage) => {
                let Heritage {
                    estate,
                    claim,
                    control,
                    sockets,
                } = *heritage;
                guests.take_over(&estate, storage, own);
                Self {
                    claim,
                    control: Some(control),
                    listeners: Listeners::inherit(sockets),
                    passed: Passed::none(),
                    revision: estate.revision + 1,
                }
            }
        }
    }
}

/// Makes the generation that workers serve by.
pub(super) fn assemble(
    prepared: Prepared,
    resolver: &Resolver,
    revision: u64,
    port_of: &dyn Fn(u16) -> u16,
) -> (Arc<Loaded>, Arc<Current>) {
    let Prepared {
        loaded,
        plan,
        clients,
        remarks: _,
    } = prepared;
    let config = &loaded.config;
    let slots: usize = config.sites.iter().map(|site| site.names.len()).sum();
    let table = Table {
        routes: Routes::compile(config, revision, LOOPBACK, port_of),
        clients,
        limits: config.limits,
        answers: Answers::new({
            let challenges = resolver.challenges().clone();
            move |path| challenges.http(path)
        }),
        drain: config.drain,
        identities: (0..slots).map(|slot| plan.identity(slot)).collect(),
    };
    let current = Current {
        table: Arc::new(table),
        plan,
        resolver: resolver.clone(),
    };
    (loaded, Arc::new(current))
}

pub(super) fn tell_remarks(remarks: &[String]) {
    for remark in remarks {
        tracing::warn!("{remark}");
    }
}

pub(super) fn spoken(kind: Kind) -> Spoken {
    match kind {
        Kind::Tls => Spoken::Tls,
        Kind::Plain => Spoken::Plain,
    }
}

/// The wall clock, read here for everything that takes it as an argument.
#[expect(
    clippy::disallowed_methods,
    reason = "`app` is where wall time is read"
)]
pub fn wall_clock() -> SystemTime {
    SystemTime::now()
}

pub(super) fn timestamp() -> Timestamp {
    Timestamp::try_from(wall_clock()).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn warn_of_few(connections: usize, config: &Config) {
    if connections < CONNECTIONS_FEW.min(config.limits.connections) {
        tracing::warn!(
            connections,
            "the limit on open files (`ulimit -n`) allows few connections"
        );
    }
}

fn connections_max(descriptors: Option<u64>) -> usize {
    let Some(descriptors) = descriptors else {
        return usize::MAX;
    };
    let each = descriptors.saturating_sub(DESCRIPTORS_KEPT) / DESCRIPTORS_EACH;
    usize::try_from(each).unwrap_or(usize::MAX).max(1)
}

fn access_log(config: &Config) -> Result<Option<Arc<AccessLog>>, LogProblem> {
    let destination = match &config.log.access {
        Destination::Off => return Ok(None),
        Destination::Stdout => access::Destination::Stdout,
        Destination::Stderr => access::Destination::Stderr,
        Destination::File(path) => access::Destination::File(path.clone()),
    };
    let format = match config.log.format {
        LogFormat::Text => Format::Text,
        LogFormat::Json => Format::Json,
        LogFormat::Combined => Format::Combined,
    };
    match AccessLog::open(destination.clone(), format) {
        Ok(log) => Ok(Some(Arc::new(log))),
        Err(source) => Err(LogProblem {
            destination,
            source,
        }),
    }
}

type Workers = (Arc<[Handle]>, Vec<std::thread::JoinHandle<()>>);

fn workers(config: &Config, options: &Options) -> std::io::Result<Workers> {
    // The standard library looks at cgroups and affinity.
    let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let count = config.workers.map_or_else(cores, NonZeroUsize::get);
    let mut handles = Vec::with_capacity(count);
    let mut threads = Vec::with_capacity(count);
    for number in 0..count {
        let (handle, thread) = start_worker(number, options.clone())?;
        handles.push(handle);
        threads.push(thread);
    }
    Ok((handles.into(), threads))
}
