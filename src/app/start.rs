//! Starting: everything is read and bound before anything is promised.

use std::collections::VecDeque;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::SystemTime;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};

use super::banner::counted;
use super::checks::Checks;
use super::crew::{Crew, LogProblem};
use super::ground::Ground;
use super::heritage::Heritage;
use super::listeners::Listeners;
use super::prepare::Prepared;
use super::public::Keeping;
use super::selfprobe::SelfProbe;
use super::source::Source;
use super::storing::{Depot, StoringError};
use super::watch::FileWatch;
use super::{App, Heed, Signals, luggage, probing};
use crate::certs::dns::error::DnsError;
use crate::certs::resolver::Resolver;
use crate::config::doorway::Doorway;
use crate::config::{Config, Loaded, Refused};
use crate::control::claim::{Claim, ClaimProblem};
use crate::control::command::{COMMANDS_MAX, Command};
use crate::control::health::{Health, Kind as Spoken, Listening, Status};
use crate::control::leases::Insistence;
use crate::control::owner::Owner;
use crate::control::probe::Probe;
use crate::control::readiness;
use crate::control::renewal::Renewer;
use crate::control::server::{self, Serving, Sources, Strangers};
use crate::door::Current;
use crate::door::accept::Capacity;
use crate::ports::descriptors::raise_descriptor_limit;
use crate::ports::passed::Passed;
use crate::ports::problem::PortProblem;
use crate::proxy::context::{Answers, Common, Table};
use crate::routing::{Kind, Loopback, Routes};
use crate::shutdown::Shutdown;
use crate::system::System;

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
    /// Whose the signals are.
    pub heed: Heed,
    /// Of a door before ours, whose sockets are our defaults.
    pub doorway: Option<Doorway>,
    /// Read from the source, at that doorway.
    pub loaded: Loaded,
    pub storage: Depot,
    /// Who we are, for those who are told.
    pub owner: Owner,
    /// What the own sites do where a guest of an earlier holder has a name.
    pub insistence: Insistence,
    pub origin: Beginning,
    /// Those that are heard already; else they are from now on.
    pub signals: Option<Signals>,
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
    /// The storage cannot even be tried.
    Storage(StoringError),
    /// The crypto library has no randomness.
    Tls(rustls::Error),
    /// The system gives no thread, socket or signal.
    System(std::io::Error),
}

/// How `localhost:` is bound on this system.
pub const LOOPBACK: Loopback = Loopback::on(System::HERE);

impl App {
    /// Reads, binds and starts everything; on return every listener is bound and every certificate loaded.
    ///
    /// # Errors
    /// Nothing is left behind then.
    pub async fn start(mut setup: Setup) -> Result<Self, StartError> {
        let descriptors = raise_descriptor_limit().map_err(StartError::System)?.soft;
        let connections_max = connections_max(descriptors);
        let (source, heed, doorway) = (setup.source.clone(), setup.heed, setup.doorway.clone());
        let signals = heard(setup.signals.take())?;
        let Ground {
            storage,
            resolver,
            local,
            shutdown,
            keeping,
            own,
            guests,
            origin,
            overrides,
            prepared,
            mut claim,
            control,
            listeners,
            revision,
        } = Ground::lay(setup).await?;
        let port_of = |port| listeners.port_of(&Listeners::default(), port);
        let common = common_of_all(&shutdown);
        let (loaded, current) = assemble(prepared, &resolver, revision, &port_of, &common);
        warn_of_few(connections_max, &loaded.config);
        keeping.load(&current.plan, &loaded.config).await;
        let crew = Crew::muster(&loaded.config, &current, keeping.tickets(&shutdown).await?)?;
        let experts = Experts::of(&keeping, &common);
        let desk = Desk::open(control, &mut claim, &own.config, experts, &shutdown)?;
        let app = Self {
            checks: Checks::new(&current.table.common, keeping.post()),
            source,
            heed,
            doorway,
            files: FileWatch::of(&own),
            own,
            guests,
            origin,
            overrides,
            capacity: Capacity::new(loaded.config.limits.connections.min(connections_max)),
            loaded,
            luggage: luggage::of_door(&storage, claim.place()),
            storage,
            resolver,
            local,
            keeping,
            current,
            listeners,
            workers: crew.workers,
            threads: crew.threads,
            connections_max,
            access: crew.access,
            lost_lines: 0,
            taps: crew.taps,
            health: desk.health,
            signals,
            shutdown,
            claim,
            control: desk.socket,
            answering: desk.answering,
            commands: desk.commands,
            postponed: VecDeque::new(),
            successor: None,
            attended: None,
            last_refusal: None,
            probe: Arc::new(SelfProbe::new(crew.awaited)),
            attending_ca: None,
        };
        app.let_in().await
    }

    async fn let_in(mut self) -> Result<Self, StartError> {
        self.listeners
            .accept(&self.workers, &self.capacity)
            .map_err(StartError::System)?;
        self.check_targets();
        self.announce();
        // A CA asks through the door, so the door is open first.
        self.attend_local_ca();
        self.keep().await.map_err(StartError::Dns)?;
        Ok(self)
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

fn heard(already: Option<Signals>) -> Result<Signals, StartError> {
    let signals = already.map_or_else(Signals::new, Ok);
    signals.map_err(StartError::System)
}

/// What all generations and workers share, and what keeps it up to date.
fn common_of_all(shutdown: &Shutdown) -> Common {
    let common = Common::default();
    let _finding = shutdown.spawn_attendant(common.names.clone().serve());
    common
}

/// Who answers what is asked at the desk.
struct Experts {
    renewer: Renewer,
    probe: Probe,
}

impl Experts {
    fn of(keeping: &Keeping, common: &Common) -> Self {
        Self {
            renewer: keeping.renewer(),
            probe: probing::probe(&common.names),
        }
    }
}

/// Where others ask.
struct Desk {
    health: watch::Sender<Health>,
    socket: UnixListener,
    answering: Serving,
    commands: mpsc::Receiver<Command>,
}

impl Desk {
    fn open(
        inherited: Option<UnixListener>,
        claim: &mut Claim,
        own: &Config,
        experts: Experts,
        shutdown: &Shutdown,
    ) -> Result<Self, StartError> {
        let group = own.control.group.as_deref();
        let socket = match (inherited, group) {
            (Some(inherited), _) => inherited,
            (None, group) => {
                let opened = group.map_or(Ok(()), |group| claim.open_to(group));
                opened
                    .and_then(|()| claim.listen())
                    .map_err(StartError::Control)?
            }
        };
        let (health, seen) = watch::channel(Health::starting(timestamp()));
        let (asked, commands) = mpsc::channel(COMMANDS_MAX);
        let sources = Sources {
            strangers: match group {
                Some(_) => Strangers::MayJoin,
                None => Strangers::TurnedAway,
            },
            health: seen,
            renewer: experts.renewer,
            commands: asked,
            probe: experts.probe,
        };
        let listener = socket.try_clone().map_err(StartError::System)?;
        let answering = server::start(listener, sources, shutdown).map_err(StartError::System)?;
        Ok(Self {
            health,
            socket,
            answering,
            commands,
        })
    }
}

/// Makes the generation that workers serve by.
pub(super) fn assemble(
    prepared: Prepared,
    resolver: &Resolver,
    revision: u64,
    port_of: &dyn Fn(u16) -> u16,
    common: &Common,
) -> (Arc<Loaded>, Arc<Current>) {
    let Prepared {
        loaded,
        plan,
        local_ca,
        clients,
        remarks: _,
    } = prepared;
    if let Some(ca) = local_ca {
        resolver.serve_local_ca(ca);
    }
    let config = &loaded.config;
    common.names.ask_of(config.resolver);
    let slots: usize = config.sites.iter().map(|site| site.names.len()).sum();
    let table = Table {
        routes: Routes::compile(config, revision, LOOPBACK, port_of),
        clients,
        limits: config.limits,
        trust: config.trust.clone(),
        answers: Answers::new({
            let challenges = resolver.challenges().clone();
            move |path| challenges.http(path)
        })
        .seeking({
            let challenges = resolver.challenges().clone();
            move |path| challenges.seek_http(path)
        }),
        drain: config.drain,
        identities: (0..slots).map(|slot| plan.identity(slot)).collect(),
        common: common.clone(),
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
    let now = Timestamp::try_from(wall_clock()).unwrap_or(Timestamp::UNIX_EPOCH);
    // It is read by people, for whom seconds do.
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

fn warn_of_few(connections: usize, config: &Config) {
    if connections < CONNECTIONS_FEW.min(config.limits.connections) {
        tracing::warn!(
            connections,
            "the limit on open files (`ulimit -n`) allows few connections"
        );
    }
}

/// How many connections this many descriptors are enough for.
#[must_use]
pub fn connections_max(descriptors: Option<u64>) -> usize {
    let Some(descriptors) = descriptors else {
        return usize::MAX;
    };
    let each = descriptors.saturating_sub(DESCRIPTORS_KEPT) / DESCRIPTORS_EACH;
    usize::try_from(each).unwrap_or(usize::MAX).max(1)
}
