//! Many replicas on one store of any kind, in front of a CA that counts and asks another replica than the one that ordered.

mod answers;
mod backups;
mod outages;
mod redis;
mod silence;
mod starts;
mod years;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::Request;
use instant_acme::{BodyWrapper, BytesResponse, Error};
use tempfile::TempDir;
use tokio::time::sleep;

use super::simulation::{LETS_ENCRYPT, options, pattern};
use crate::certs::acme::fake::FakeCa;
use crate::certs::acme::options::CaOptions;
use crate::certs::acme::seams::BoxFuture;
use crate::certs::acme::transport::Transport;
use crate::certs::bundle::Ready;
use crate::certs::challenges::{Challenges, HTTP_PATH};
use crate::certs::keeper::listener::Listener;
use crate::certs::keeper::merging::MERGING;
use crate::certs::keeper::{Keeper, Options, Works};
use crate::certs::shelf::Shelf;
use crate::clock::Clock;
use crate::hostname::HostPattern;
use crate::shutdown::Shutdown;
use crate::storage::store::memory::{Faults, Memory};
use crate::storage::store::{Key, Store, When};

const START: Duration = Duration::from_secs(1_800_000_000);
const PATIENCE: Duration = Duration::from_secs(120);
const STEP: Duration = Duration::from_millis(100);

/// What they share.
pub(super) enum Ground {
    Memory(Store, Faults),
    Folder(TempDir),
    /// A server, and what connects to it anew.
    Served(Box<dyn Fn() -> Store>),
}

pub(super) struct Fleet {
    pub(super) ca: FakeCa,
    pub(super) clock: Clock,
    pub(super) ground: Ground,
    living: Living,
    answered: Answered,
    started: Mutex<usize>,
}

type Living = Arc<Mutex<BTreeMap<usize, Challenges>>>;
/// By token, whether another replica than the one that ordered gave the answer.
type Answered = Arc<Mutex<BTreeMap<String, bool>>>;

/// What outlives a replica on its host: the copy.
#[derive(Clone)]
pub(super) struct Host(Store);

impl Host {
    pub(super) fn new() -> Self {
        Self(Memory::new().0)
    }

    /// With the strings of its copy.
    fn in_memory() -> (Self, Faults) {
        let (copy, faults) = Memory::new();
        (Self(copy), faults)
    }
}

/// One replica. Dropped, it is killed.
pub(super) struct Replica {
    pub(super) keeper: Keeper,
    pub(super) works: Arc<Works>,
    pub(super) store: Store,
    faults: Option<Faults>,
    shelf: Shelf,
    shutdown: Shutdown,
    number: usize,
    living: Living,
}

/// How a replica differs from others.
pub(super) struct Trim {
    pub(super) clock: Clock,
    pub(super) options: Options,
    pub(super) is_watching: bool,
}

impl Fleet {
    pub(super) fn in_memory() -> Self {
        let (store, memory) = Memory::new();
        memory.share();
        Self::on(Ground::Memory(store, memory))
    }

    pub(super) fn on(ground: Ground) -> Self {
        let clock = Clock::virtual_from(SystemTime::UNIX_EPOCH + START);
        let fleet = Self {
            ca: FakeCa::new(clock.clone()),
            clock,
            ground,
            living: Arc::default(),
            answered: Arc::default(),
            started: Mutex::default(),
        };
        let (living, answered) = (fleet.living.clone(), fleet.answered.clone());
        fleet.ca.validate(move |probe| {
            let path = format!("{HTTP_PATH}{}", probe.token);
            let living = living.lock().unwrap();
            let mut known = living.values().filter_map(|living| living.http(&path));
            let is_answered = answered.lock().unwrap().contains_key(&probe.token);
            if is_answered || known.any(|text| *text == *probe.key_authorization) {
                return Ok(());
            }
            Err(("unauthorized", format!("nothing at {}", probe.name)))
        });
        fleet
    }

    pub(super) fn usual(&self) -> Trim {
        Trim {
            clock: self.clock.clone(),
            options: options(&[LETS_ENCRYPT]),
            is_watching: true,
        }
    }

    pub(super) async fn start(&self, host: &Host, name: &str) -> Replica {
        self.start_as(host, name, self.usual()).await
    }

    pub(super) async fn start_as(&self, host: &Host, name: &str, trim: Trim) -> Replica {
        let replica = self.boot(host, trim.clock, trim.is_watching);
        replica.keep(name, trim.options).await;
        replica
    }

    /// A replica that keeps nothing yet.
    pub(super) fn boot(&self, host: &Host, clock: Clock, is_watching: bool) -> Replica {
        let copied = |shared| Store::copied_to(shared, host.0.clone(), MERGING);
        let (store, faults) = match &self.ground {
            Ground::Memory(_, memory) => {
                let (shared, faults) = memory.process();
                (copied(shared), Some(faults))
            }
            Ground::Folder(folder) => {
                let path = folder.path().to_owned();
                (Store::files(path, clock.clone()), None)
            }
            Ground::Served(connect) => {
                let store = Store::copied_at_once(connect(), host.0.clone(), MERGING);
                (store, None)
            }
        };
        let number = {
            let mut started = self.started.lock().unwrap();
            *started += 1;
            *started
        };
        let (shelf, challenges) = (Shelf::default(), Challenges::default());
        let shutdown = Shutdown::new();
        challenges.look_into(store.clone(), clock.clone(), &shutdown);
        self.living
            .lock()
            .unwrap()
            .insert(number, challenges.clone());
        let way = Way {
            ca: self.ca.clone(),
            living: self.living.clone(),
            answered: self.answered.clone(),
            own: number,
            is_shared: store.is_shared(),
        };
        let works = Arc::new(Works::new(
            store.clone(),
            clock,
            shelf.clone(),
            challenges,
            Listener::new(|_event| {}),
            "the fleet's".to_owned(),
            Arc::new(move |_: &CaOptions| Ok(Arc::new(way.clone()) as Arc<dyn Transport>)),
        ));
        let keeper = Keeper::start(works.clone(), &shutdown);
        if is_watching {
            keeper.watch(&shutdown);
        }
        Replica {
            keeper,
            works,
            store,
            faults,
            shelf,
            shutdown,
            number,
            living: self.living.clone(),
        }
    }

    /// What was issued, and how often the CA said 429.
    pub(super) fn bill(&self) -> (u64, u64) {
        let counters = self.ca.counters();
        (counters.issued, counters.limited)
    }

    /// Whether the CA was ever answered by another replica than the one that ordered.
    pub(super) fn was_answered_elsewhere(&self) -> bool {
        let answered = self.answered.lock().unwrap();
        answered.values().any(|elsewhere| *elsewhere)
    }

    fn memory(&self) -> (&Store, &Faults) {
        match &self.ground {
            Ground::Memory(store, memory) => (store, memory),
            Ground::Folder(_) | Ground::Served(_) => panic!("not in memory"),
        }
    }

    pub(super) fn empty(&self) {
        self.memory().1.empty();
    }

    /// All that is stored.
    pub(super) async fn backup(&self) -> BTreeMap<Key, Vec<u8>> {
        let (store, mut copy) = (self.memory().0, BTreeMap::new());
        for key in store.list("").await.unwrap() {
            let object = store.get(&key).await.unwrap().unwrap();
            copy.insert(key, object.bytes);
        }
        copy
    }

    /// Nothing but this is stored from now on.
    pub(super) async fn restore(&self, copy: &BTreeMap<Key, Vec<u8>>) {
        let (store, memory) = self.memory();
        memory.empty();
        for (key, bytes) in copy {
            let put = store.put(key, bytes, &When::Always, None);
            put.await.unwrap();
        }
    }
}

impl Replica {
    pub(super) async fn keep(&self, name: &str, options: Options) {
        let names: Vec<HostPattern> = vec![pattern(name)];
        self.works.load(&names).await;
        self.keeper.keep(names, Arc::new(options)).await;
    }

    /// What the copy has is served before the keeper is told.
    pub(super) async fn load(&self, names: &[String]) -> Vec<HostPattern> {
        let names: Vec<HostPattern> = names.iter().map(|name| pattern(name)).collect();
        self.works.load(&names).await;
        names
    }

    pub(super) fn faults(&self) -> &Faults {
        self.faults.as_ref().expect("not in memory")
    }

    /// What a handshake gets now.
    pub(super) fn serves(&self, name: &str) -> Option<Arc<Ready>> {
        self.shelf.place(&pattern(name)).ready()
    }

    pub(super) fn generation(&self, name: &str) -> Option<u64> {
        self.serves(name).map(|ready| ready.bundle.generation)
    }

    /// Waits until it serves this generation; how long that took.
    pub(super) async fn until_it_serves(&self, name: &str, generation: u64) -> Duration {
        let begun = tokio::time::Instant::now();
        while self.generation(name) != Some(generation) {
            assert!(begun.elapsed() < PATIENCE, "replica {}", self.number);
            sleep(STEP).await;
        }
        begun.elapsed()
    }

    pub(super) async fn kill(self) {
        drop(self);
        sleep(Duration::from_millis(1)).await;
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.shutdown.cut_off();
        if let Some(faults) = &self.faults {
            faults.crash();
        }
        self.living.lock().unwrap().remove(&self.number);
    }
}

/// To the CA, which asks another replica as soon as it is told to look.
#[derive(Clone)]
struct Way {
    ca: FakeCa,
    living: Living,
    answered: Answered,
    own: usize,
    is_shared: bool,
}

impl Way {
    async fn look(&self) {
        for probe in self.ca.probes() {
            if self.answered.lock().unwrap().contains_key(&probe.token) {
                continue;
            }
            let (number, asked) = {
                let living = self.living.lock().unwrap();
                let other = living.iter().find(|(number, _)| **number != self.own);
                let own = || living.get_key_value(&self.own);
                let asked = other.filter(|_| self.is_shared).or_else(own);
                let Some((number, challenges)) = asked else {
                    return;
                };
                (*number, challenges.clone())
            };
            let path = format!("{HTTP_PATH}{}", probe.token);
            let text = match asked.http(&path) {
                Some(text) => Some(text),
                None => match asked.seek_http(&path) {
                    Some(sought) => sought.await,
                    None => None,
                },
            };
            if text.as_deref() == Some(probe.key_authorization.as_str()) {
                let elsewhere = number != self.own;
                let mut answered = self.answered.lock().unwrap();
                answered.insert(probe.token, elsewhere);
            }
        }
    }
}

impl Transport for Way {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> BoxFuture<'static, Result<BytesResponse, Error>> {
        let (way, answer) = (self.clone(), self.ca.request(request));
        Box::pin(async move {
            let answer = answer.await;
            way.look().await;
            answer
        })
    }
}
