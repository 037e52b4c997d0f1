//! Leases in a bucket: an object each, changed on the condition that it is what was read, and judged by the store's own clock.
//!
//! A bucket knows no transaction over two objects, so a write cannot be made to depend on the lease. Instead a holder notes a key in
//! the lease's object before it writes there, reads the key's object before it confirms the lease, and writes on the condition that the
//! object has not changed since. Who takes the lease over rewrites the objects of all noted keys before it has the lease, a tombstone
//! where there is none. So a write of a former holder that is still on its way meets another object and fails, however late it comes.
//! A lease that has ended and that nobody took since still admits its holder: what was paid for is kept, and nobody is overtaken.

use std::collections::HashMap;
use std::fmt;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;

use super::bucket::{Bucket, Found, Swap, Tag};
use super::envelope::{Content, Nonce};
use super::error::{Lie, S3Error};
use super::record::{Change, Changed, Record};
use super::{ATTEMPTS, S3, damaged, pause, probe, too_large};
use crate::storage::store::key::RESERVED;
use crate::storage::store::{Claim, Hold, Key, Pending, StoreError};

/// Leases whose fences are remembered; more only weaken the protection against a store that was emptied.
const FENCES_MAX: usize = 1 << 16;

/// What this process knows of leases.
#[derive(Default)]
pub(super) struct Leases {
    /// What came of the probe; a store that lied once is not believed again.
    judged: OnceCell<Option<Lie>>,
    /// The greatest fence of each lease that this process was given.
    fences: Mutex<HashMap<Key, u64>>,
    /// Leases that are being given back.
    endings: Mutex<Vec<JoinHandle<()>>>,
    /// By the nonce of a lease: where a write is under way, or has ended without an answer.
    busy: Mutex<HashMap<Box<str>, Vec<Key>>>,
}

impl S3 {
    pub(super) async fn take(
        &self,
        name: &Key,
        lasts: Duration,
    ) -> Result<Option<Held>, StoreError> {
        self.be_probed().await?;
        self.leases().wait_for_endings().await;
        let found = self.record(name).await?;
        let now = self.bucket().now()?;
        let (former, tag) = match found {
            Some((record, tag)) => (record, Some(tag)),
            None => (None, None),
        };
        if former.as_ref().is_some_and(|record| !record.is_free(now)) {
            return Ok(None);
        }
        let (fence, noted) = former.map_or((0, Vec::new()), |record| (record.fence, record.keys));
        let keys: Result<Vec<Key>, _> = noted.iter().map(|noted| Key::new(noted)).collect();
        let keys = keys.map_err(|_bad| damaged(self.bucket(), name, &path(name)))?;
        let claim = Claim {
            name: name.clone(),
            fence: fence.max(self.leases().known_fence(name)) + 1,
            nonce: Nonce::fresh().to_string().into(),
        };
        let record = Record::new(&claim, now, lasts, noted);
        if self.write_record(name, &record, tag.as_ref()).await? == Swap::Conflict {
            return Ok(None);
        }
        self.leases().remember_fence(name, claim.fence);
        let held = Held {
            claim,
            lasts,
            store: self.clone(),
        };
        // From here on it is given back if anything fails.
        self.shut_all(&held.claim, &keys).await?;
        Ok(Some(held))
    }

    /// Well if the lease is ours, and whoever takes it over will shut `key`.
    pub(super) async fn admit(&self, claim: &Claim, key: &Key) -> Result<(), StoreError> {
        let busy = self.leases().busy_under(claim);
        self.change(claim, &Change::Admit { key, busy: &busy })
            .await
    }

    async fn change(&self, claim: &Claim, change: &Change<'_>) -> Result<(), StoreError> {
        for attempt in 0..ATTEMPTS {
            let Some((Some(mut record), tag)) = self.record(&claim.name).await? else {
                return Err(StoreError::Fenced);
            };
            if !record.belongs_to(claim) {
                return Err(StoreError::Fenced);
            }
            // Of the answer that has just come: our own clock stands still while the machine sleeps.
            match record.change(change, self.bucket().now()?) {
                Changed::Nothing => return Ok(()),
                Changed::Full => return Err(StoreError::Conflict),
                Changed::ToBeWritten => {}
            }
            match self.write_record(&claim.name, &record, Some(&tag)).await? {
                Swap::Done => return Ok(()),
                Swap::Conflict => pause(attempt).await,
            }
        }
        Err(StoreError::Conflict)
    }

    /// What is not shut counts as being under way, so that whoever has the lease next shuts it.
    async fn shut_all(&self, claim: &Claim, keys: &[Key]) -> Result<(), StoreError> {
        for key in keys {
            self.leases().begins(claim, key);
        }
        for key in keys {
            self.shut(key.as_str()).await?;
            self.leases().has_ended(claim, key);
        }
        Ok(())
    }

    /// Makes every write fail that was prepared before.
    async fn shut(&self, path: &str) -> Result<(), StoreError> {
        for attempt in 0..ATTEMPTS {
            let found = self.bucket().read(path).await?;
            let (content, tag) = match &found {
                None => (None, None),
                Some(Found { content, tag, .. }) => match content {
                    Content::Here(bytes) => (Some(bytes.as_slice()), Some(tag)),
                    Content::Gone => (None, Some(tag)),
                    // No more than a tombstone can come in its place: see `write`.
                    Content::Foreign | Content::TooLarge(_) => return Ok(()),
                },
            };
            if self.bucket().swap(path, content, tag).await? == Swap::Done {
                return Ok(());
            }
            pause(attempt).await;
        }
        Err(StoreError::Conflict)
    }

    /// The lease's object, whose record is none where it was removed by hand.
    async fn record(&self, name: &Key) -> Result<Option<(Option<Record>, Tag)>, StoreError> {
        let path = path(name);
        let Some(found) = self.bucket().read(&path).await? else {
            return Ok(None);
        };
        let record = match found.content {
            Content::Gone => None,
            Content::Here(bytes) => match serde_json::from_slice(&bytes) {
                Ok(record) => Some(record),
                Err(_unreadable) => return Err(damaged(self.bucket(), name, &path)),
            },
            Content::Foreign => return Err(damaged(self.bucket(), name, &path)),
            Content::TooLarge(size) => return Err(too_large(self.bucket(), name, &path, size)),
        };
        Ok(Some((record, found.tag)))
    }

    async fn write_record(
        &self,
        name: &Key,
        record: &Record,
        was: Option<&Tag>,
    ) -> Result<Swap, StoreError> {
        let json = serde_json::to_vec(record).expect("a record is texts and numbers");
        Ok(self.bucket().swap(&path(name), Some(&json), was).await?)
    }

    /// Once; whoever comes meanwhile waits for the same.
    pub(super) async fn be_probed(&self) -> Result<(), S3Error> {
        let probing = || probed(self.bucket());
        match self.leases().judged.get_or_try_init(probing).await? {
            None => Ok(()),
            Some(lie) => Err(self.bucket().lies(*lie)),
        }
    }
}

async fn probed(bucket: &Bucket) -> Result<Option<Lie>, S3Error> {
    match probe::probe(bucket).await {
        Ok(()) => Ok(None),
        Err(error) => error.lie().map(Some).ok_or(error),
    }
}

fn path(name: &Key) -> String {
    format!("{RESERVED}/{name}")
}

impl Leases {
    /// A write under `claim` begins.
    pub(super) fn begins(&self, claim: &Claim, key: &Key) {
        let mut busy = lock(&self.busy);
        busy.entry(claim.nonce.clone())
            .or_default()
            .push(key.clone());
    }

    /// It has ended, one way or the other. If this is never told, it counts as being under way.
    pub(super) fn has_ended(&self, claim: &Claim, key: &Key) {
        let mut busy = lock(&self.busy);
        let Some(keys) = busy.get_mut(&claim.nonce) else {
            return;
        };
        if let Some(at) = keys.iter().position(|known| known == key) {
            keys.swap_remove(at);
        }
    }

    fn busy_under(&self, claim: &Claim) -> Vec<Key> {
        let busy = lock(&self.busy);
        busy.get(&claim.nonce).cloned().unwrap_or_default()
    }

    fn known_fence(&self, name: &Key) -> u64 {
        lock(&self.fences).get(name).copied().unwrap_or_default()
    }

    fn remember_fence(&self, name: &Key, fence: u64) {
        let mut fences = lock(&self.fences);
        if fences.len() >= FENCES_MAX {
            fences.clear();
        }
        fences.insert(name.clone(), fence);
    }

    /// So that whoever gave a lease back may have it at once.
    async fn wait_for_endings(&self) {
        let endings = mem::take(&mut *lock(&self.endings));
        for ending in endings {
            // A lease that could not be given back ends by itself.
            let _ended = ending.await;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) struct Held {
    claim: Claim,
    lasts: Duration,
    store: S3,
}

impl Hold for Held {
    fn claim(&self) -> &Claim {
        &self.claim
    }

    fn renew(&mut self) -> Pending<'_, ()> {
        let lasts = self.lasts;
        Box::pin(async move {
            let renew = Change::Renew { lasts };
            self.store.change(&self.claim, &renew).await
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let busy = lock(&self.store.leases().busy).remove(&self.claim.nonce);
        // Without a runtime nobody is left to give it back, and it ends by itself.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let (store, claim) = (self.store.clone(), self.claim.clone());
        let giving = runtime.spawn(async move {
            let busy = busy.unwrap_or_default();
            if let Err(error) = store
                .change(&claim, &Change::GiveBack { busy: &busy })
                .await
            {
                tracing::debug!(%error, "a lease was not given back, and ends by itself");
            }
        });
        let mut endings = lock(&self.store.leases().endings);
        endings.retain(|ending| !ending.is_finished());
        endings.push(giving);
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Held").field(&self.claim).finish()
    }
}
