//! What a test needs around a CA: keepers that survive a crash, and a solver that the CA can look at.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use crate::certs::acme::ca::Ca;
use crate::certs::acme::fake::{FakeCa, Probe};
use crate::certs::acme::fault::OrderError;
use crate::certs::acme::journal::Journal;
use crate::certs::acme::name::CertName;
use crate::certs::acme::options::{CaOptions, KeyKind};
use crate::certs::acme::request::{ChallengeKind, Issued, OrderRequest};
use crate::certs::acme::seams::{AccountKeeper, BoxFuture, JournalKeeper, KeepError};
use crate::certs::acme::solver::{Challenge, SolveError, Solver};
use crate::clock::Clock;

pub(super) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What outlives the processes of a test, the CA among it.
pub(super) struct Bench {
    pub(super) ca: FakeCa,
    pub(super) clock: Clock,
    pub(super) disk: Disk,
    pub(super) solver: Recorder,
    pub(super) options: CaOptions,
}

/// A store of one account and one journal that can stop answering.
#[derive(Clone, Default)]
pub(super) struct Disk(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    account: Option<Vec<u8>>,
    journal: Journal,
    states: Vec<&'static str>,
    writes: u64,
    hang: Option<(u64, Hang)>,
    fail: bool,
}

/// Where the process dies at a write.
#[derive(Debug, Clone, Copy)]
pub(super) enum Hang {
    BeforeIt,
    AfterIt,
}

/// The answers by kind and name.
#[derive(Default)]
struct Shown(BTreeMap<(ChallengeKind, String), Vec<String>>);

/// Answers challenges where the fake CA looks, and keeps a record.
#[derive(Clone)]
pub(super) struct Recorder {
    able: Vec<ChallengeKind>,
    shown: Arc<Mutex<Shown>>,
    pub(super) log: Arc<Mutex<Vec<String>>>,
    pub(super) broken: Arc<Mutex<bool>>,
}

impl Bench {
    pub(super) fn new() -> Self {
        let clock =
            Clock::virtual_from(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000));
        let ca = FakeCa::new(clock.clone());
        let solver = Recorder::default();
        let looked = solver.clone();
        ca.validate(move |probe| looked.look(probe));
        let options = CaOptions {
            directory: ca.directory(),
            email: Some("me@a.test".to_owned()),
            eab: None,
            profile: None,
            roots: None,
            key: KeyKind::P256,
        };
        Self {
            ca,
            clock,
            disk: Disk::default(),
            solver,
            options,
        }
    }

    pub(super) async fn open(&self) -> Result<Ca, OrderError> {
        let transport = Arc::new(self.ca.clone());
        Ca::open(&self.options, &self.disk, self.clock.clone(), transport).await
    }

    /// Whether the process hangs for ever, and so is killed.
    pub(super) async fn dies<T>(&self, process: impl Future<Output = T>) -> bool {
        const AGE: Duration = Duration::from_secs(60 * 60);
        tokio::time::timeout(AGE, Box::pin(process)).await.is_err()
    }

    /// A process: goes on with what the disk has, or begins.
    pub(super) async fn run(&self, request: &OrderRequest) -> Result<Issued, OrderError> {
        let ca = self.open().await?;
        let mut keeper = self.disk.clone();
        match self.disk.journal() {
            Journal::Idle => ca.order(request, &self.solver, &mut keeper).await,
            journal @ (Journal::Planned(_)
            | Journal::Ordered(_)
            | Journal::Challenged(_)
            | Journal::Finalizing(_)
            | Journal::Downloaded(_)) => ca.resume(journal, &self.solver, &mut keeper).await,
        }
    }
}

pub(super) fn request(names: &[&str]) -> OrderRequest {
    OrderRequest {
        names: names
            .iter()
            .map(|it| CertName::parse(it).unwrap())
            .collect(),
        replaces: None,
        profile: None,
        challenges: vec![ChallengeKind::Http01, ChallengeKind::Dns01],
    }
}

impl Disk {
    pub(super) fn journal(&self) -> Journal {
        self.0.lock().unwrap().journal.clone()
    }

    pub(super) fn set_journal(&self, journal: Journal) {
        self.0.lock().unwrap().journal = journal;
    }

    pub(super) fn account(&self) -> Option<Vec<u8>> {
        self.0.lock().unwrap().account.clone()
    }

    pub(super) fn lose_account(&self) {
        self.0.lock().unwrap().account = None;
    }

    pub(super) fn set_account(&self, account: &[u8]) {
        self.0.lock().unwrap().account = Some(account.to_vec());
    }

    pub(super) fn writes(&self) -> u64 {
        self.0.lock().unwrap().writes
    }

    /// The states of the journal in the order they were kept.
    pub(super) fn states(&self) -> Vec<&'static str> {
        self.0.lock().unwrap().states.clone()
    }

    /// The write with this number, the first being 0, is where the process dies.
    pub(super) fn hang_at(&self, hang: Option<(u64, Hang)>) {
        self.0.lock().unwrap().hang = hang;
    }

    pub(super) fn fail(&self, fail: bool) {
        self.0.lock().unwrap().fail = fail;
    }

    async fn write(&self, write: impl FnOnce(&mut Kept) + Send) -> Result<(), KeepError> {
        let dies = {
            let mut kept = self.0.lock().unwrap();
            if kept.fail {
                return Err(KeepError("the disk is full".into()));
            }
            let number = kept.writes;
            kept.writes += 1;
            let hang = kept.hang.filter(|(at, _)| *at == number);
            if !matches!(hang, Some((_, Hang::BeforeIt))) {
                write(&mut kept);
            }
            hang.is_some()
        };
        if dies {
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

impl JournalKeeper for Disk {
    fn save<'a>(&'a mut self, journal: &'a Journal) -> BoxFuture<'a, Result<(), KeepError>> {
        Box::pin(self.write(move |kept| {
            // As a store would: through bytes.
            let bytes = serde_json::to_vec(journal).unwrap();
            kept.journal = serde_json::from_slice(&bytes).unwrap();
            kept.states.push(word(journal));
        }))
    }
}

impl AccountKeeper for Disk {
    fn place(&self) -> String {
        "the disk's".to_owned()
    }

    fn load(&self) -> BoxFuture<'_, Result<Option<Vec<u8>>, KeepError>> {
        Box::pin(std::future::ready(Ok(self.account())))
    }

    fn save<'a>(&'a self, bytes: &'a [u8]) -> BoxFuture<'a, Result<(), KeepError>> {
        Box::pin(self.write(|kept| kept.account = Some(bytes.to_vec())))
    }
}

fn word(journal: &Journal) -> &'static str {
    match journal {
        Journal::Idle => "idle",
        Journal::Planned(_) => "planned",
        Journal::Ordered(_) => "ordered",
        Journal::Challenged(_) => "challenged",
        Journal::Finalizing(_) => "finalizing",
        Journal::Downloaded(_) => "downloaded",
    }
}

impl Default for Recorder {
    fn default() -> Self {
        Self::able(&[
            ChallengeKind::Http01,
            ChallengeKind::TlsAlpn01,
            ChallengeKind::Dns01,
        ])
    }
}

impl Recorder {
    pub(super) fn able(kinds: &[ChallengeKind]) -> Self {
        Self {
            able: kinds.to_vec(),
            shown: Arc::default(),
            log: Arc::default(),
            broken: Arc::default(),
        }
    }

    pub(super) fn able_only(mut self, kinds: &[ChallengeKind]) -> Self {
        self.able = kinds.to_vec();
        self
    }

    /// How many answers are shown now.
    pub(super) fn shown(&self) -> usize {
        self.shown.lock().unwrap().0.values().map(Vec::len).sum()
    }

    pub(super) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    fn look(&self, probe: &Probe) -> Result<(), (&'static str, String)> {
        let shown = self.shown.lock().unwrap();
        let found = shown.0.get(&(probe.kind, probe.name.clone()));
        let wanted = Challenge {
            kind: probe.kind,
            name: probe.name.clone(),
            token: probe.token.clone(),
            key_authorization: probe.key_authorization.clone(),
        };
        if found.is_some_and(|found| found.contains(&answer(&wanted))) {
            return Ok(());
        }
        Err(("unauthorized", format!("nothing at {}", probe.name)))
    }
}

/// What is to be seen from outside.
fn answer(challenge: &Challenge) -> String {
    match challenge.kind {
        ChallengeKind::Http01 => format!("{}={}", challenge.token, challenge.key_authorization),
        ChallengeKind::TlsAlpn01 => format!("{:?}", challenge.digest()),
        ChallengeKind::Dns01 => format!("{} TXT {}", challenge.dns_name(), challenge.dns_value()),
    }
}

impl Solver for Recorder {
    fn can(&self, kind: ChallengeKind, _name: &str) -> bool {
        self.able.contains(&kind)
    }

    fn present<'a>(&'a self, challenge: &'a Challenge) -> BoxFuture<'a, Result<(), SolveError>> {
        if *self.broken.lock().unwrap() {
            let broken = SolveError("the name server is away".into());
            return Box::pin(std::future::ready(Err(broken)));
        }
        let line = format!("present {} {}", challenge.kind, challenge.name);
        self.log.lock().unwrap().push(line);
        let key = (challenge.kind, challenge.name.clone());
        let mut shown = self.shown.lock().unwrap();
        let answers = shown.0.entry(key).or_default();
        if !answers.contains(&answer(challenge)) {
            answers.push(answer(challenge));
        }
        Box::pin(std::future::ready(Ok(())))
    }

    fn clean<'a>(&'a self, challenge: &'a Challenge) -> BoxFuture<'a, ()> {
        let line = format!("clean {} {}", challenge.kind, challenge.name);
        self.log.lock().unwrap().push(line);
        let key = (challenge.kind, challenge.name.clone());
        if let Some(answers) = self.shown.lock().unwrap().0.get_mut(&key) {
            answers.retain(|it| *it != answer(challenge));
        }
        Box::pin(std::future::ready(()))
    }
}
