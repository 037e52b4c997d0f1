//! A store in memory for tests, shared by processes that are played: each has leases and faults of its own.
//! As strict as a folder of files, but that a lease which is not renewed ends with its time.

mod faults;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task;
use tokio::time::Instant;

use faults::{Fault, Script, Way};
pub use faults::{Faults, Moment};

use super::{Backend, Claim, Hold, Key, Object, Pending, Store, StoreError, Version, When};
use crate::storage::files::Error;

/// Between two looks at whether a silent memory is heard again.
const SILENCE: Duration = Duration::from_millis(100);

/// Makes stores that share one memory.
#[derive(Debug)]
pub struct Memory;

#[derive(Clone)]
struct Process {
    shared: Arc<Mutex<Shared>>,
    number: usize,
}

#[derive(Debug, Default)]
struct Shared {
    objects: BTreeMap<Key, Vec<u8>>,
    leases: BTreeMap<Key, Tenure>,
    processes: Vec<Script>,
    /// One for each process.
    hints: Vec<Arc<Notify>>,
    /// Leases taken so far, also those of a memory that was emptied since.
    taken: u64,
    is_shared: bool,
}

#[derive(Debug, Default)]
struct Tenure {
    fence: u64,
    holder: Option<Holder>,
}

#[derive(Debug)]
struct Holder {
    process: usize,
    nonce: Box<str>,
    until: Instant,
}

impl Memory {
    /// An empty memory, and the first process on it.
    #[must_use]
    #[expect(
        clippy::new_ret_no_self,
        reason = "a memory is used through its processes only"
    )]
    pub fn new() -> (Store, Faults) {
        Process::join(Arc::default())
    }
}

impl Process {
    fn join(shared: Arc<Mutex<Shared>>) -> (Store, Faults) {
        let number = {
            let mut joined = shared.lock().unwrap_or_else(PoisonError::into_inner);
            joined.processes.push(Script::default());
            joined.hints.push(Arc::default());
            joined.processes.len() - 1
        };
        let process = Self { shared, number };
        (Store::on(process.clone()), Faults(process))
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Others have their turn before every operation, as they would while a disk is waited for.
    async fn alive(&self) -> Result<MutexGuard<'_, Shared>, StoreError> {
        task::yield_now().await;
        while self.lock().processes[self.number].way == Way::Silent {
            tokio::time::sleep(SILENCE).await;
        }
        let shared = self.lock();
        let process = &shared.processes[self.number];
        if process.crashed || process.way == Way::Broken {
            return Err(out_of_reach());
        }
        Ok(shared)
    }

    async fn mutate<T>(
        &self,
        mutation: impl FnOnce(&mut Shared) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let fault = self.next_fault().await?;
        if let Some((Moment::Before, fault)) = fault {
            self.befall(fault)?;
        }
        let done = mutation(&mut *self.alive().await?)?;
        if let Some((Moment::After, fault)) = fault {
            self.befall(fault)?;
            drop(self.alive().await?);
        }
        Ok(done)
    }

    /// Counts a mutation.
    async fn next_fault(&self) -> Result<Option<(Moment, Fault)>, StoreError> {
        let mut shared = self.alive().await?;
        let script = &mut shared.processes[self.number];
        script.mutations += 1;
        let number = script.mutations;
        Ok(script.faults.remove(&number))
    }

    /// Well if whoever asked waits and learns of nothing.
    fn befall(&self, fault: Fault) -> Result<(), StoreError> {
        let mut shared = self.lock();
        match fault {
            Fault::Fail => {}
            Fault::Crash => shared.crash(self.number),
            Fault::CutOff => shared.processes[self.number].way = Way::Broken,
            Fault::Empty => shared.empty(),
            Fault::Silence => {
                shared.processes[self.number].way = Way::Silent;
                return Ok(());
            }
        }
        Err(out_of_reach())
    }
}

fn out_of_reach() -> StoreError {
    let source = io::Error::other("a fault of the test");
    let path = PathBuf::from("memory");
    Error::Failed { path, source }.into()
}

impl Shared {
    fn empty(&mut self) {
        self.objects.clear();
        self.leases.clear();
        self.tell();
    }

    fn crash(&mut self, process: usize) {
        let script = &mut self.processes[process];
        script.crashed = true;
        script.faults.clear();
        for tenure in self.leases.values_mut() {
            tenure.holder.take_if(|holder| holder.process == process);
        }
    }

    fn tell(&self) {
        for hint in &self.hints {
            hint.notify_one();
        }
    }

    fn read(&self, key: &Key) -> Result<Option<Object>, StoreError> {
        if self.is_folder(key) {
            return Err(StoreError::Damaged {
                key: key.clone(),
                source: Error::NotAFile(key.as_str().into()),
            });
        }
        Ok(self.objects.get(key).cloned().map(Object::new))
    }

    /// Whether objects lie below the key.
    fn is_folder(&self, key: &Key) -> bool {
        let below = format!("{key}/");
        let from_here = self.objects.range(key..).map(|(other, _bytes)| other);
        from_here
            .take_while(|other| other.as_str().starts_with(key.as_str()))
            .any(|other| other.as_str().starts_with(&below))
    }

    fn is_below_an_object(&self, key: &Key) -> bool {
        let text = key.as_str();
        let above = |(at, _): (usize, &str)| Key::new(&text[..at]).ok();
        text.match_indices('/')
            .filter_map(above)
            .any(|key| self.objects.contains_key(&key))
    }

    fn admit(&self, process: usize, claim: Option<&Claim>) -> Result<(), StoreError> {
        let Some(claim) = claim else { return Ok(()) };
        let tenure = self.leases.get(&claim.name);
        let holder = tenure.and_then(|tenure| Some((tenure.fence, tenure.holder.as_ref()?)));
        match holder {
            Some((fence, holder))
                if fence == claim.fence
                    && holder.process == process
                    && holder.nonce == claim.nonce =>
            {
                Ok(())
            }
            Some(_) | None => Err(StoreError::Fenced),
        }
    }

    fn compare(&self, key: &Key, when: &When) -> Result<(), StoreError> {
        let holds = match when {
            When::Always => true,
            When::Absent => !self.objects.contains_key(key) && !self.is_folder(key),
            When::Is(version) => self
                .read(key)?
                .is_some_and(|object| object.version == *version),
        };
        if holds {
            Ok(())
        } else {
            Err(StoreError::Conflict)
        }
    }
}

impl Backend for Process {
    fn get<'a>(&'a self, key: &'a Key) -> Pending<'a, Option<Object>> {
        Box::pin(async move { self.alive().await?.read(key) })
    }

    fn put<'a>(
        &'a self,
        key: &'a Key,
        bytes: &'a [u8],
        when: &'a When,
        claim: Option<&'a Claim>,
    ) -> Pending<'a, Version> {
        Box::pin(self.mutate(move |shared| {
            if shared.is_below_an_object(key) {
                return Err(Error::NotAFolder(key.as_str().into()).into());
            }
            shared.admit(self.number, claim)?;
            shared.compare(key, when)?;
            if shared.is_folder(key) {
                return Err(Error::NotAFile(key.as_str().into()).into());
            }
            shared.objects.insert(key.clone(), bytes.to_vec());
            shared.tell();
            Ok(Version::of(bytes))
        }))
    }

    fn delete<'a>(
        &'a self,
        key: &'a Key,
        when: &'a When,
        claim: Option<&'a Claim>,
    ) -> Pending<'a, ()> {
        Box::pin(self.mutate(move |shared| {
            shared.admit(self.number, claim)?;
            shared.compare(key, when)?;
            shared.read(key)?;
            shared.objects.remove(key);
            shared.tell();
            Ok(())
        }))
    }

    fn list<'a>(&'a self, prefix: &'a str) -> Pending<'a, Vec<Key>> {
        Box::pin(async move {
            let shared = self.alive().await?;
            let keys = shared.objects.keys();
            Ok(keys
                .filter(|key| key.as_str().starts_with(prefix))
                .cloned()
                .collect())
        })
    }

    fn lease<'a>(&'a self, name: &'a Key, time: Duration) -> Pending<'a, Option<Box<dyn Hold>>> {
        Box::pin(async move {
            let mut shared = self.alive().await?;
            let now = Instant::now();
            let tenure = shared.leases.entry(name.clone()).or_default();
            if tenure
                .holder
                .as_ref()
                .is_some_and(|holder| now < holder.until)
            {
                return Ok(None);
            }
            tenure.fence += 1;
            let fence = tenure.fence;
            shared.taken += 1;
            let nonce: Box<str> = shared.taken.to_string().into();
            let tenure = shared.leases.entry(name.clone()).or_default();
            tenure.holder = Some(Holder {
                process: self.number,
                nonce: nonce.clone(),
                until: now + time,
            });
            let hold: Box<dyn Hold> = Box::new(Held {
                claim: Claim {
                    name: name.clone(),
                    fence,
                    nonce,
                },
                time,
                process: self.clone(),
            });
            Ok(Some(hold))
        })
    }

    fn shown<'a>(&'a self, prefix: &'a str) -> Pending<'a, BTreeMap<Key, Box<str>>> {
        Box::pin(async move {
            let shared = self.alive().await?;
            let objects = shared.objects.iter();
            Ok(objects
                .filter(|(key, _bytes)| key.as_str().starts_with(prefix))
                .map(|(key, bytes)| (key.clone(), Version::of(bytes).0))
                .collect())
        })
    }

    fn hint(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let hint = self.lock().hints[self.number].clone();
        Box::pin(async move { hint.notified().await })
    }

    fn is_shared(&self) -> bool {
        self.lock().is_shared
    }
}

#[derive(Debug)]
struct Held {
    claim: Claim,
    time: Duration,
    process: Process,
}

impl Hold for Held {
    fn claim(&self) -> &Claim {
        &self.claim
    }

    fn renew(&mut self) -> Pending<'_, ()> {
        Box::pin(async move {
            let mut shared = self.process.alive().await?;
            shared.admit(self.process.number, Some(&self.claim))?;
            let tenure = shared.leases.get_mut(&self.claim.name);
            if let Some(holder) = tenure.and_then(|tenure| tenure.holder.as_mut()) {
                holder.until = Instant::now() + self.time;
            }
            Ok(())
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut shared = self.process.lock();
        if shared.admit(self.process.number, Some(&self.claim)).is_ok()
            && let Some(tenure) = shared.leases.get_mut(&self.claim.name)
        {
            tenure.holder = None;
        }
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} of a memory", self.number)
    }
}
