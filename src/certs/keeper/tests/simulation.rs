//! Processes on one store that come and go, on a clock that tests turn, in front of CAs that count. Several may live at once.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use tokio::time::sleep;

use super::zone::Zone;
use crate::certs::acme::fake::FakeCa;
use crate::certs::acme::options::{CaOptions, KeyKind};
use crate::certs::acme::request::ChallengeKind;
use crate::certs::acme::transport::Transport;
use crate::certs::alerts::event::Event;
use crate::certs::bundle::Ready;
use crate::certs::challenges::{Challenges, HTTP_PATH};
use crate::certs::keeper::listener::Listener;
use crate::certs::keeper::{Keeper, Options, Role, Works};
use crate::certs::shelf::Shelf;
use crate::certs::vault::{CertId, Vault};
use crate::clock::Clock;
use crate::hostname::HostPattern;
use crate::shutdown::Shutdown;
use crate::storage::store::memory::{Faults, Memory};
use crate::storage::store::{Key, Store, When};

pub(super) const HOUR: Duration = Duration::from_secs(60 * 60);
pub(super) const DAY: Duration = HOUR.saturating_mul(24);
/// More than an undisturbed order takes.
pub(super) const ORDER: Duration = Duration::from_secs(30);
/// The ledger goes by this: the fake has the same limits.
pub(super) const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";
pub(super) const FALLBACK: &str = "https://acme.zerossl.com/directory";
const START: Duration = Duration::from_secs(1_800_000_000);

/// What outlives the processes.
pub(super) struct Simulation {
    /// Let's Encrypt.
    pub(super) ca: FakeCa,
    pub(super) fallback: FakeCa,
    /// A way to the memory that never fails.
    pub(super) store: Store,
    clock: Clock,
    memory: Faults,
    answering: Arc<Mutex<BTreeMap<usize, Challenges>>>,
    /// Names that are never proven.
    unproven: Arc<Mutex<BTreeSet<String>>>,
    pub(super) zone: Zone,
    started: Mutex<usize>,
}

/// One process. Dropped, it is killed.
pub(super) struct Process {
    pub(super) keeper: Keeper,
    pub(super) works: Arc<Works>,
    pub(super) faults: Faults,
    shelf: Shelf,
    events: Arc<Mutex<Vec<Event>>>,
    shutdown: Shutdown,
    zone: Zone,
    number: usize,
    answering: Arc<Mutex<BTreeMap<usize, Challenges>>>,
}

impl Simulation {
    pub(super) fn new() -> Self {
        let clock = Clock::virtual_from(SystemTime::UNIX_EPOCH + START);
        let (store, memory) = Memory::new();
        let simulation = Self {
            ca: FakeCa::new(clock.clone()),
            fallback: FakeCa::new(clock.clone()),
            store,
            clock,
            memory,
            answering: Arc::default(),
            unproven: Arc::default(),
            zone: Zone::default(),
            started: Mutex::new(0),
        };
        for ca in [&simulation.ca, &simulation.fallback] {
            let answering = simulation.answering.clone();
            let (unproven, zone) = (simulation.unproven.clone(), simulation.zone.clone());
            ca.validate(move |probe| {
                let path = format!("{HTTP_PATH}{}", probe.token);
                let living = answering.lock().unwrap();
                let mut answers = living.values().filter_map(|living| living.http(&path));
                let is_shown = match probe.kind {
                    ChallengeKind::Http01 => answers.any(|it| *it == *probe.key_authorization),
                    ChallengeKind::Dns01 => zone.shows(probe),
                    ChallengeKind::TlsAlpn01 => false,
                };
                if is_shown && !unproven.lock().unwrap().contains(&probe.name) {
                    return Ok(());
                }
                Err(("unauthorized", format!("nothing at {}", probe.name)))
            });
        }
        simulation
    }

    /// A process that keeps these names, from Let's Encrypt alone.
    pub(super) async fn start(&self, names: &[&str]) -> Process {
        self.start_at(names, self.clock.clone()).await
    }

    pub(super) async fn start_at(&self, names: &[&str], clock: Clock) -> Process {
        let process = self.boot(clock);
        process.keep(names, options(&[LETS_ENCRYPT])).await;
        process
    }

    /// A process that keeps nothing yet.
    pub(super) fn boot(&self, clock: Clock) -> Process {
        let (store, faults) = self.memory.process();
        let (shelf, challenges) = (Shelf::default(), Challenges::default());
        let events = Arc::<Mutex<Vec<Event>>>::default();
        let heard = events.clone();
        let listener = Listener::new(move |event| {
            let is_usual = matches!(
                event,
                Event::StorageReachable { .. } | Event::StorageKept { .. }
            );
            if !is_usual {
                heard.lock().unwrap().push(event);
            }
        });
        let (ca, fallback) = (self.ca.clone(), self.fallback.clone());
        let connect = move |options: &CaOptions| match options.directory.as_str() {
            LETS_ENCRYPT => Ok(Arc::new(ca.clone()) as Arc<dyn Transport>),
            FALLBACK => Ok(Arc::new(fallback.clone()) as Arc<dyn Transport>),
            other => Err(format!("no way to {other}")),
        };
        let number = {
            let mut started = self.started.lock().unwrap();
            *started += 1;
            *started
        };
        let mut answering = self.answering.lock().unwrap();
        answering.insert(number, challenges.clone());
        let works = Arc::new(Works::new(
            store,
            clock,
            shelf.clone(),
            challenges,
            listener,
            "memory".to_owned(),
            Arc::new(connect),
        ));
        let shutdown = Shutdown::new();
        Process {
            keeper: Keeper::start(works.clone(), &shutdown),
            works,
            faults,
            shelf,
            events,
            shutdown,
            zone: self.zone.clone(),
            number,
            answering: self.answering.clone(),
        }
    }

    pub(super) fn clock(&self) -> Clock {
        self.clock.clone()
    }

    pub(super) fn now(&self) -> SystemTime {
        self.clock.now()
    }

    /// A clock that goes as it should, but is wrong.
    pub(super) fn clock_at(&self, now: SystemTime) -> Clock {
        Clock::virtual_from(now)
    }

    /// From now on the CAs find nothing at this name; or they look again.
    pub(super) fn unprove(&self, name: &str) {
        self.unproven.lock().unwrap().insert(name.to_owned());
    }

    pub(super) fn prove(&self, name: &str) {
        self.unproven.lock().unwrap().remove(name);
    }

    /// What Let's Encrypt issued, and how often it said 429.
    pub(super) fn bill(&self) -> (u64, u64) {
        let counters = self.ca.counters();
        (counters.issued, counters.limited)
    }

    pub(super) fn vault(&self) -> Vault {
        Vault::new(self.store.clone())
    }

    /// What the store has to serve a name with.
    pub(super) async fn stored(&self, name: &str) -> Option<Ready> {
        let found = self.vault().bundle(&CertId::of(&pattern(name))).await;
        found.unwrap().ready
    }

    pub(super) async fn read(&self, at: &str) -> Option<Vec<u8>> {
        let object = self.store.get(&key(at)).await.unwrap();
        object.map(|object| object.bytes)
    }

    pub(super) async fn write(&self, at: &str, bytes: &[u8]) {
        let at = key(at);
        let put = self.store.put(&at, bytes, &When::Always, None);
        put.await.unwrap();
    }

    /// All that is stored.
    pub(super) async fn copy(&self) -> BTreeMap<Key, Vec<u8>> {
        let mut copy = BTreeMap::new();
        for key in self.store.list("").await.unwrap() {
            let object = self.store.get(&key).await.unwrap().unwrap();
            copy.insert(key, object.bytes);
        }
        copy
    }

    /// Nothing but this is stored from now on.
    pub(super) async fn restore(&self, copy: &BTreeMap<Key, Vec<u8>>) {
        for key in self.store.list("").await.unwrap() {
            let delete = self.store.delete(&key, &When::Always, None);
            delete.await.unwrap();
        }
        for (key, bytes) in copy {
            let put = self.store.put(key, bytes, &When::Always, None);
            put.await.unwrap();
        }
    }
}

impl Process {
    pub(super) async fn keep(&self, names: &[&str], mut options: Options) {
        options.dns = Some(Arc::new(self.zone.clone()));
        let names: Vec<HostPattern> = names.iter().copied().map(pattern).collect();
        self.works.load(&names).await;
        self.keeper.keep(names, Arc::new(options)).await;
    }

    /// What a handshake gets now.
    pub(super) fn serves(&self, name: &str) -> Option<Arc<Ready>> {
        self.shelf.place(&pattern(name)).ready()
    }

    /// What was told so far that is not as usual.
    pub(super) fn events(&self) -> impl Deref<Target = Vec<Event>> {
        self.events.lock().unwrap()
    }

    /// In the middle of whatever it does.
    pub(super) async fn kill(self) {
        drop(self);
        // Its tasks end when they are next looked at.
        sleep(Duration::from_millis(1)).await;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.shutdown.cut_off();
        self.faults.crash();
        self.answering.lock().unwrap().remove(&self.number);
    }
}

pub(super) fn options(directories: &[&str]) -> Options {
    let ca = |directory: &&str| CaOptions {
        directory: (*directory).to_owned(),
        email: None,
        eab: None,
        profile: None,
        roots: None,
        key: KeyKind::P256,
    };
    Options {
        cas: directories.iter().map(ca).collect(),
        challenges: vec![ChallengeKind::Http01],
        dns: None,
        on_demand: None,
        role: Role::Issue,
        held: None,
    }
}

pub(super) fn pattern(name: &str) -> HostPattern {
    HostPattern::parse(name).unwrap()
}

pub(super) fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}
