//! One interface for what must not be lost: objects under keys, written whole and on conditions, and leases.
//! Correctness rests on [`When`] and on fences; a lease alone only saves work that others do.

mod copied;
mod error;
mod folder;
mod following;
mod generations;
mod key;
mod leases;
mod listing;
mod lock;
#[cfg(test)]
pub mod memory;
pub mod redis;
pub mod s3;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use tokio::time::Instant;

pub use copied::Merging;
pub use error::StoreError;
pub use following::Mark;
pub use key::{BadKey, KEY_BYTES_MAX, Key, SEGMENT_BYTES_MAX};

use crate::clock::Clock;
use crate::storage::files::FILE_BYTES_MAX;

/// A lease of which more than one of so many parts has passed when it is got is renewed at once.
const FRESH_PART: u32 = 4;

/// What an object was like when it was read. The same content may have the same version again later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version(Box<str>);

/// What is kept under a key. Its `Debug` is blind: it may hold a private key.
#[derive(Clone, PartialEq, Eq)]
pub struct Object {
    pub bytes: Vec<u8>,
    pub version: Version,
}

/// What must hold for a write to take effect, compared and written as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    Always,
    /// There is no such object.
    Absent,
    /// The object is the one that was read.
    Is(Version),
}

/// Objects and leases. A clone is a handle to the same.
#[derive(Debug, Clone)]
pub struct Store(Arc<dyn Backend>);

impl Store {
    /// A folder of files, which several processes and hosts may share. Nothing is created before the first write.
    #[must_use]
    pub fn files(folder: PathBuf, clock: Clock) -> Self {
        Self::on(folder::Folder::at(folder, clock))
    }

    /// `shared`, with what this host sees of it in `folder`, which belongs to this host and this store alone and whose files only
    /// their owner may read. See [`Store::or_copy`] and [`Store::at_hand`].
    #[must_use]
    pub fn copied(shared: Self, folder: PathBuf, clock: Clock, merging: Merging) -> Self {
        Self::on(copied::Copied::new(
            shared,
            Self::files(folder, clock),
            merging,
            copied::FOUNDING,
        ))
    }

    /// The same with a copy in any store.
    #[cfg(test)]
    pub(crate) fn copied_to(shared: Self, copy: Self, merging: Merging) -> Self {
        Self::on(copied::Copied::new(shared, copy, merging, copied::FOUNDING))
    }

    /// The same, which waits for nobody who may know an empty store.
    #[cfg(test)]
    pub(crate) fn copied_at_once(shared: Self, copy: Self, merging: Merging) -> Self {
        Self::on(copied::Copied::new(shared, copy, merging, Duration::ZERO))
    }

    /// A store kept by `backend`.
    pub fn on(backend: impl Backend + 'static) -> Self {
        Self(Arc::new(backend))
    }

    /// The object under `key`; none if there is none.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if something is there that cannot be read; others concern the store as a whole.
    pub async fn get(&self, key: &Key) -> Result<Option<Object>, StoreError> {
        self.0.get(key).await
    }

    /// Puts `bytes` under `key`, in place of what was there; once it returns, they survive a loss of power.
    /// Whoever reads meanwhile has the old or the new, whole. With a lease, only while that is ours.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] and [`StoreError::Fenced`] tell that nothing was written.
    pub async fn put(
        &self,
        key: &Key,
        bytes: &[u8],
        when: &When,
        under: Option<&Lease>,
    ) -> Result<Version, StoreError> {
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(StoreError::TooLarge(key.clone()));
        }
        self.0.put(key, bytes, when, under.map(Lease::claim)).await
    }

    /// Removes the object under `key`; well if there is none, unless `when` demands one.
    ///
    /// # Errors
    /// As for [`Store::put`].
    pub async fn delete(
        &self,
        key: &Key,
        when: &When,
        under: Option<&Lease>,
    ) -> Result<(), StoreError> {
        self.0.delete(key, when, under.map(Lease::claim)).await
    }

    /// The keys that begin with `prefix`, in order. What is not ours is stepped over.
    ///
    /// # Errors
    /// When the store as a whole cannot be read.
    pub async fn list(&self, prefix: &str) -> Result<Vec<Key>, StoreError> {
        self.0.list(prefix).await
    }

    /// The keys below `prefix` whose objects were written or removed since `since`, at least: others may be among them. From a new
    /// [`Mark`] on, all that are there. The mark that is returned belongs to the same prefix of the same store.
    ///
    /// # Errors
    /// When the store as a whole cannot be read; then `since` is still good.
    pub async fn changed(
        &self,
        prefix: &str,
        since: &Mark,
    ) -> Result<(Vec<Key>, Mark), StoreError> {
        self.0.changed(prefix, since).await
    }

    /// Ends when the store says that something has changed, possibly by ourselves; never where a store does not tell. Hints may be
    /// lost: [`Store::changed`] is the truth.
    pub async fn hint(&self) {
        self.0.hint().await;
    }

    /// Whether it is meant for several hosts, so that what is for all of them belongs there: answers to a CA, keys of tickets.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.0.is_shared()
    }

    /// The same for those who serve: while the store is down, or silent for a few seconds, reads give what this host saw last. Writes
    /// and leases need the store itself. Without a copy: the same.
    #[must_use]
    pub fn or_copy(&self) -> Self {
        self.0.or_copy().unwrap_or_else(|| self.clone())
    }

    /// Whether this host keeps a copy of what it reads.
    #[must_use]
    pub fn is_copied(&self) -> bool {
        self.0.at_hand().is_some()
    }

    /// What this host has without asking anybody: the copy of a shared store, else the store itself.
    #[must_use]
    pub fn at_hand(&self) -> Self {
        self.0.at_hand().unwrap_or_else(|| self.clone())
    }

    /// The object under `key`, or what this host saw last of it: [`Store::or_copy`].
    ///
    /// # Errors
    /// When neither can be read.
    pub async fn last_good(&self, key: &Key) -> Result<Option<Object>, StoreError> {
        self.or_copy().get(key).await
    }

    /// Puts what this host saw and the store lacks into the store, as after it was restored from an old backup. Whatever has become
    /// newer there stays. Without a copy nothing is done.
    ///
    /// # Errors
    /// When the store or the copy as a whole cannot be used; some of it may have been put back.
    pub async fn put_back(&self) -> Result<(), StoreError> {
        self.0.put_back().await
    }

    /// Finds out whether leases can rest on this store, by writing to it, as its first lease does anyhow: it is done once for a
    /// store, however many ask.
    ///
    /// # Errors
    /// [`StoreError::is_unfit`] tells what was seen, which is final; others leave it open.
    pub async fn try_out(&self) -> Result<(), StoreError> {
        self.0.try_out().await
    }

    /// From now on leases of this process are for work that asks nothing of a CA, as restoring a backup: on an empty store they wait for
    /// nobody.
    pub fn orders_nothing(&self) {
        self.0.orders_nothing();
    }

    /// The right to do the work called `name`, which ends unless it is renewed within `time`, or goes on until it is
    /// dropped where a store can tell that its holder lives. None: somebody else has it.
    ///
    /// Of a shared store that is empty and that this host does not know, it is waited for half a minute that hosts that do know it fill it.
    ///
    /// # Errors
    /// When the store as a whole cannot be used.
    pub async fn lease(&self, name: &Key, time: Duration) -> Result<Option<Lease>, StoreError> {
        let since = Instant::now();
        let Some(hold) = self.0.lease(name, time).await? else {
            return Ok(None);
        };
        let mut lease = Lease { hold, time, since };
        // It may have been waited for longer than it lasts.
        if since.elapsed() > time / FRESH_PART {
            match lease.renew().await {
                Ok(()) => {}
                Err(StoreError::Fenced) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(Some(lease))
    }
}

/// The right to do some work alone, as far as that can be had. Dropping it gives it back.
#[derive(Debug)]
pub struct Lease {
    hold: Box<dyn Hold>,
    time: Duration,
    /// When its time began at the earliest.
    since: Instant,
}

impl Lease {
    /// Greater than that of everyone who had this lease before.
    #[must_use]
    pub fn fence(&self) -> u64 {
        self.claim().fence
    }

    /// Makes it last for its time again, from now on. To be called at a third of the time.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] if it is no longer ours.
    pub async fn renew(&mut self) -> Result<(), StoreError> {
        let now = Instant::now();
        self.hold.renew().await?;
        self.since = now;
        Ok(())
    }

    /// When it may be somebody else's, by our own clock that only goes forward: work under it must be over by then.
    #[must_use]
    pub fn ends(&self) -> Instant {
        self.since + self.time
    }

    fn claim(&self) -> &Claim {
        self.hold.claim()
    }
}

/// What a lease proves with every write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub name: Key,
    pub fence: u64,
    /// Differs between any two takings, even if somebody has wiped the store in between.
    pub nonce: Box<str>,
}

/// A future of a [`Backend`].
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// What keeps the objects of a [`Store`], whose methods say what these promise.
/// An operation that is dropped before its end may still take effect.
pub trait Backend: Send + Sync + fmt::Debug {
    fn get<'a>(&'a self, key: &'a Key) -> Pending<'a, Option<Object>>;

    fn put<'a>(
        &'a self,
        key: &'a Key,
        bytes: &'a [u8],
        when: &'a When,
        claim: Option<&'a Claim>,
    ) -> Pending<'a, Version>;

    fn delete<'a>(
        &'a self,
        key: &'a Key,
        when: &'a When,
        claim: Option<&'a Claim>,
    ) -> Pending<'a, ()>;

    fn list<'a>(&'a self, prefix: &'a str) -> Pending<'a, Vec<Key>>;

    fn lease<'a>(&'a self, name: &'a Key, time: Duration) -> Pending<'a, Option<Box<dyn Hold>>>;

    /// For [`Store::try_out`]. Here: they can.
    fn try_out(&self) -> Pending<'_, ()> {
        Box::pin(future::ready(Ok(())))
    }

    /// Each key below `prefix` with something that changes whenever its object is written. Here: its version, which is read with it.
    fn shown<'a>(&'a self, prefix: &'a str) -> Pending<'a, BTreeMap<Key, Box<str>>> {
        Box::pin(following::versions(self, prefix))
    }

    /// Here: what [`Backend::shown`] shows otherwise than before.
    fn changed<'a>(&'a self, prefix: &'a str, since: &'a Mark) -> Pending<'a, (Vec<Key>, Mark)> {
        Box::pin(async move { Ok(since.compared(self.shown(prefix).await?)) })
    }

    /// Here: never.
    fn hint(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(future::pending())
    }

    fn is_shared(&self) -> bool {
        true
    }

    /// For [`Store::or_copy`], if there is a copy.
    fn or_copy(&self) -> Option<Store> {
        None
    }

    /// For [`Store::at_hand`], if there is a copy.
    fn at_hand(&self) -> Option<Store> {
        None
    }

    /// Here: it makes no difference.
    fn orders_nothing(&self) {}

    /// Here: nothing.
    fn put_back(&self) -> Pending<'_, ()> {
        Box::pin(future::ready(Ok(())))
    }
}

/// A lease as its backend holds it. Its drop gives it back and does not wait.
pub trait Hold: Send + Sync + fmt::Debug {
    fn claim(&self) -> &Claim;

    fn renew(&mut self) -> Pending<'_, ()>;
}

impl Version {
    fn of(content: &[u8]) -> Self {
        let digest = digest(&SHA256, content);
        let hex = digest.as_ref().iter().map(|octet| format!("{octet:02x}"));
        Self(hex.collect::<String>().into())
    }
}

impl Object {
    fn new(bytes: Vec<u8>) -> Self {
        let version = Version::of(&bytes);
        Self { bytes, version }
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Object")
            .field("octets", &self.bytes.len())
            .field("version", &self.version)
            .finish()
    }
}
