//! Leases of a folder. On a local disk a lock of the kernel tells whether the holder lives. On network file systems, where
//! such locks vary, the holder's file must be seen to change, by our own monotonic clock: clocks of hosts are not compared.

use std::collections::HashMap;
use std::fs::File;
use std::mem;
use std::path::Path;
use std::process;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::folder::Root;
use super::generations::{Generations, LASTS_MAX, Record, State, Succession};
use super::{Claim, Hold, Key, Pending, StoreError, Version, lock};
use crate::storage::filesystem::{self, FileSystem};

/// How many leases of others are watched; the one watched longest is forgotten, which only delays its taking.
const WATCHED_MAX: usize = 1 << 16;

/// How processes that share the folder can tell that another lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sharing {
    /// By locks of the kernel, which end with their process.
    Local,
    /// By files that change.
    Network,
}

/// Decided by the file system that holds `folder`.
pub(super) fn sharing_of(folder: &Path) -> Sharing {
    filesystem::under(folder).map_or(Sharing::Local, |found| sharing(&found))
}

/// Names are those of macOS, where whoever wrote the file system chose one: what is not known to be a disk counts as a network.
fn sharing(found: &FileSystem) -> Sharing {
    const AFS: u32 = 0x5346_414f;
    const CEPH: u32 = 0x00c3_6400;
    const CIFS: u32 = 0xff53_4d42;
    const FUSE: u32 = 0x6573_5546;
    const LUSTRE: u32 = 0x0bd0_0bd0;
    const NFS: u32 = 0x6969;
    const PLAN_9: u32 = 0x0102_1997;
    const SMB: u32 = 0x517b;
    const SMB_2: u32 = 0xfe53_4d42;
    const DISKS: [&str; 6] = ["apfs", "exfat", "hfs", "msdos", "tmpfs", "ufs"];
    match found {
        FileSystem::Numbered(AFS | CEPH | CIFS | FUSE | LUSTRE | NFS | PLAN_9 | SMB | SMB_2) => {
            Sharing::Network
        }
        FileSystem::Named(name) if !DISKS.contains(&name.as_str()) => Sharing::Network,
        FileSystem::Numbered(_) | FileSystem::Named(_) => Sharing::Local,
    }
}

#[derive(Debug)]
pub(super) struct Leases {
    root: Arc<Root>,
    sharing: fn(&Path) -> Sharing,
    watched: Arc<Mutex<HashMap<Key, Watched>>>,
    endings: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

/// A generation of somebody else, and since when it has not changed.
#[derive(Debug)]
struct Watched {
    generation: u64,
    version: Version,
    since: Instant,
}

impl Leases {
    pub(super) fn new(root: Arc<Root>, sharing: fn(&Path) -> Sharing) -> Self {
        Self {
            root,
            sharing,
            watched: Arc::default(),
            endings: Arc::default(),
        }
    }

    pub(super) async fn take(
        &self,
        name: Key,
        lasts: Duration,
    ) -> Result<Option<Box<dyn Hold>>, StoreError> {
        let endings = mem::take(&mut *self.endings.lock().unwrap_or_else(PoisonError::into_inner));
        for ending in endings {
            // A lease that could not be given back ends by itself.
            let _ = ending.await;
        }
        let sharing = self.sharing;
        let (watched, endings) = (Arc::clone(&self.watched), Arc::clone(&self.endings));
        let take = move |root: &Arc<Root>| match sharing(&root.path) {
            Sharing::Local => take_locked(root, &name, lasts),
            Sharing::Network => take_unchanged(root, &name, lasts, &watched, endings),
        };
        self.root.apart(take).await
    }
}

fn take_locked(
    root: &Arc<Root>,
    name: &Key,
    lasts: Duration,
) -> Result<Option<Box<dyn Hold>>, StoreError> {
    let generations = root.generations(name);
    generations.create_folder()?;
    let Some(file) = lock::attempt(&generations.lock())? else {
        return Ok(None);
    };
    let _lock = root.lock()?;
    let newest = generations.newest()?;
    let taken = succeed(root, name, &generations, newest, lasts)?;
    Ok(taken.map(|(claim, _record)| -> Box<dyn Hold> {
        Box::new(Locked {
            claim,
            root: Arc::clone(root),
            file,
        })
    }))
}

fn take_unchanged(
    root: &Arc<Root>,
    name: &Key,
    lasts: Duration,
    watched: &Mutex<HashMap<Key, Watched>>,
    endings: Arc<Mutex<Vec<JoinHandle<()>>>>,
) -> Result<Option<Box<dyn Hold>>, StoreError> {
    let generations = root.generations(name);
    generations.create_folder()?;
    let _lock = root.lock()?;
    let newest = generations.newest()?;
    let now = Instant::now();
    if let Some(generation) = newest {
        let record = generations.record(generation);
        let given_back = record
            .as_ref()
            .is_some_and(|record| record.state == State::GivenBack);
        let lasts = record.map_or(lasts, |record| record.lasts);
        let version = generations.version(generation);
        if !given_back && now < unchanged_since(watched, name, generation, version) + lasts {
            return Ok(None);
        }
    }
    watched
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .remove(name);
    let taken = succeed(root, name, &generations, newest, lasts)?;
    Ok(taken.map(|(claim, record)| -> Box<dyn Hold> {
        Box::new(Refreshed {
            claim,
            record,
            root: Arc::clone(root),
            endings,
        })
    }))
}

/// Since when this generation is known to be as it is: never before it was first seen so.
fn unchanged_since(
    watched: &Mutex<HashMap<Key, Watched>>,
    name: &Key,
    generation: u64,
    version: Version,
) -> Instant {
    let mut watched = watched.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(seen) = watched.get(name)
        && seen.generation == generation
        && seen.version == version
    {
        return seen.since;
    }
    if watched.len() >= WATCHED_MAX {
        let longest = watched.iter().min_by_key(|(_name, seen)| seen.since);
        if let Some(longest) = longest.map(|(name, _seen)| name.clone()) {
            watched.remove(&longest);
        }
    }
    let since = Instant::now();
    watched.insert(
        name.clone(),
        Watched {
            generation,
            version,
            since,
        },
    );
    since
}

fn succeed(
    root: &Root,
    name: &Key,
    generations: &Generations,
    newest: Option<u64>,
    lasts: Duration,
) -> Result<Option<(Claim, Record)>, StoreError> {
    let claim = Claim {
        name: name.clone(),
        fence: newest.map_or(1, |newest| newest + 1),
        nonce: format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..)).into(),
    };
    let host = rustix::system::uname();
    let taken = root.clock.now().duration_since(UNIX_EPOCH);
    let record = Record {
        nonce: claim.nonce.clone(),
        holder: format!("{}@{}", process::id(), host.nodename().to_string_lossy()),
        taken: taken.unwrap_or_default().as_secs(),
        lasts: lasts.min(LASTS_MAX),
        beat: 0,
        state: State::Held,
    };
    Ok(match generations.succeed(claim.fence, &record)? {
        Succession::Ours => Some((claim, record)),
        Succession::SomebodyElse => None,
    })
}

/// Ours as long as the file is open.
#[derive(Debug)]
struct Locked {
    claim: Claim,
    root: Arc<Root>,
    file: File,
}

impl Drop for Locked {
    fn drop(&mut self) {
        // Closing the file would do, if no program that is just being started had it too, until it is executed.
        let _closed_then = self.file.unlock();
    }
}

impl Hold for Locked {
    fn claim(&self) -> &Claim {
        &self.claim
    }

    fn renew(&mut self) -> Pending<'_, ()> {
        let claim = self.claim.clone();
        let confirm = move |root: &Arc<Root>| root.generations(&claim.name).confirm(&claim);
        self.root.apart(confirm)
    }
}

/// Ours as long as the others see its file change.
#[derive(Debug)]
struct Refreshed {
    claim: Claim,
    record: Record,
    root: Arc<Root>,
    endings: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl Hold for Refreshed {
    fn claim(&self) -> &Claim {
        &self.claim
    }

    fn renew(&mut self) -> Pending<'_, ()> {
        self.record.beat += 1;
        let (claim, record) = (self.claim.clone(), self.record.clone());
        self.root.apart(move |root| rewrite(root, &claim, &record))
    }
}

impl Drop for Refreshed {
    fn drop(&mut self) {
        self.record.state = State::GivenBack;
        let (claim, record) = (self.claim.clone(), self.record.clone());
        let root = Arc::clone(&self.root);
        let give_back = move || {
            if let Err(error) = rewrite(&root, &claim, &record) {
                tracing::debug!(lease = %claim.name, %error, "a lease was not given back and ends by itself");
            }
        };
        let Ok(runtime) = Handle::try_current() else {
            return give_back();
        };
        let mut endings = self.endings.lock().unwrap_or_else(PoisonError::into_inner);
        endings.retain(|ending| !ending.is_finished());
        endings.push(runtime.spawn_blocking(give_back));
    }
}

fn rewrite(root: &Root, claim: &Claim, record: &Record) -> Result<(), StoreError> {
    let generations = root.generations(&claim.name);
    let _lock = root.lock()?;
    generations.confirm(claim)?;
    generations.replace(claim.fence, record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_of_the_network_are_told_by_their_number() {
        for (magic, expected) in [
            (0x6969, Sharing::Network),
            (0xff53_4d42, Sharing::Network),
            (0x6573_5546, Sharing::Network),
            (0xef53, Sharing::Local),
            (0x5846_5342, Sharing::Local),
            (0x794c_7630, Sharing::Local),
        ] {
            assert_eq!(sharing(&FileSystem::Numbered(magic)), expected, "{magic:x}");
        }
    }

    #[test]
    fn a_named_file_system_is_shared_unless_it_is_known_to_be_a_disk() {
        for (name, expected) in [
            ("apfs", Sharing::Local),
            ("hfs", Sharing::Local),
            ("nfs", Sharing::Network),
            ("smbfs", Sharing::Network),
            ("macfuse", Sharing::Network),
        ] {
            let found = FileSystem::Named(name.to_owned());
            assert_eq!(sharing(&found), expected, "{name}");
        }
    }

    #[test]
    fn of_too_many_watched_leases_the_oldest_is_forgotten() {
        let name = |number: usize| Key::new(&number.to_string()).unwrap();
        let watched = Mutex::default();
        let watch = |number| unchanged_since(&watched, &name(number), 1, Version::of(b""));
        let first = watch(0);
        assert_eq!(watch(0), first);
        for number in 1..=WATCHED_MAX {
            watch(number);
        }
        let watched = watched.lock().unwrap();
        assert_eq!(watched.len(), WATCHED_MAX);
        assert!(!watched.contains_key(&name(0)));
    }
}
