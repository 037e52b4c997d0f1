//! Objects and leases in a bucket of S3 or a store that speaks as it does, for a fleet. Every write is a comparison with what was read;
//! what rests on that is told in `lease.rs`, and is asked of the store at the start, at the latest before the first lease.

mod bucket;
mod envelope;
mod error;
mod http;
mod lease;
mod place;
mod probe;
mod record;
mod signing;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use error::S3Error;
pub use place::{BadPlace, Place};

use self::bucket::{Bucket, Found, Listed, Swap};
use self::envelope::{Content, TOMBSTONE_BYTES};
use self::lease::Leases;
use super::{Backend, Claim, Hold, Key, Object, Pending, StoreError, Version, When};
use crate::storage::files::{Error, FILE_BYTES_MAX};

/// How often a write is prepared again that somebody else came before.
const ATTEMPTS: u32 = 8;
/// Before the next attempt, at most, times its number.
const PAUSE_MILLIS_MAX: u64 = 60;
/// A tombstone of this age hides nothing that could still come.
const TOMBSTONE_AGE: Duration = Duration::from_secs(7 * 24 * 3600);
/// Tombstones that are removed at a time.
const SWEPT_MAX: usize = 8;

/// A store in a bucket. Connects when it is used.
#[derive(Clone)]
pub struct S3(Arc<Shared>);

struct Shared {
    bucket: Bucket,
    leases: Leases,
}

impl S3 {
    /// A store at `place`. Nothing is asked yet.
    ///
    /// # Errors
    /// When the place cannot be asked, or its roots are none.
    pub fn at(place: Place) -> Result<Self, S3Error> {
        Ok(Self(Arc::new(Shared {
            bucket: Bucket::at(place)?,
            leases: Leases::default(),
        })))
    }

    fn bucket(&self) -> &Bucket {
        &self.0.bucket
    }

    fn leases(&self) -> &Leases {
        &self.0.leases
    }

    /// Writes `content`, or with none a tombstone, once `when` holds.
    async fn write(
        &self,
        key: &Key,
        content: Option<&[u8]>,
        when: &When,
        claim: Option<&Claim>,
    ) -> Result<(), StoreError> {
        for attempt in 0..ATTEMPTS {
            // The order matters: what is compared with is read before the lease is confirmed.
            let found = self.bucket().read(key.as_str()).await?;
            let lives = found.as_ref().is_some_and(Found::lives);
            if content.is_some() && !lives && self.is_below_an_object(key).await? {
                return Err(Error::NotAFolder(key.as_str().into()).into());
            }
            if let Some(claim) = claim {
                self.admit(claim, key).await?;
            }
            let folder = !lives && self.bucket().is_folder(key.as_str()).await?;
            self.compare(key, when, found.as_ref(), folder)?;
            match content {
                Some(_) if folder => return Err(Error::NotAFile(key.as_str().into()).into()),
                None if folder => return Err(damaged(self.bucket(), key, key.as_str())),
                None if !lives => return Ok(()),
                Some(_) | None => {}
            }
            // Shutting does not change what is not ours, so that it would let a late write through: first a tombstone takes its place.
            let makes_way = claim.is_some() && found.as_ref().is_some_and(Found::is_foreign);
            let written = content.filter(|_bytes| !makes_way);
            let was = found.as_ref().map(|found| &found.tag);
            match self.bucket().swap(key.as_str(), written, was).await? {
                Swap::Done if written.is_none() && content.is_some() => {}
                Swap::Done => return Ok(()),
                Swap::Conflict => pause(attempt).await,
            }
        }
        Err(StoreError::Conflict)
    }

    fn compare(
        &self,
        key: &Key,
        when: &When,
        found: Option<&Found>,
        folder: bool,
    ) -> Result<(), StoreError> {
        let lives = found.is_some_and(Found::lives);
        let holds = match when {
            When::Always => true,
            When::Absent => !lives && !folder,
            When::Is(_) if folder => return Err(damaged(self.bucket(), key, key.as_str())),
            When::Is(version) => match found.map(|found| &found.content) {
                Some(Content::Here(bytes)) => Version::of(bytes) == *version,
                Some(Content::Foreign) => return Err(damaged(self.bucket(), key, key.as_str())),
                Some(Content::TooLarge(size)) => {
                    return Err(too_large(self.bucket(), key, key.as_str(), *size));
                }
                Some(Content::Gone) | None => false,
            },
        };
        if holds {
            Ok(())
        } else {
            Err(StoreError::Conflict)
        }
    }

    async fn is_below_an_object(&self, key: &Key) -> Result<bool, StoreError> {
        let text = key.as_str();
        for (at, _slash) in text.match_indices('/') {
            let above = self.bucket().read(&text[..at]).await?;
            if above.as_ref().is_some_and(Found::lives) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A write, and what it leaves to whoever has the lease next.
    async fn write_under(
        &self,
        key: &Key,
        content: Option<&[u8]>,
        when: &When,
        claim: Option<&Claim>,
    ) -> Result<(), StoreError> {
        let Some(claim) = claim else {
            return self.write(key, content, when, None).await;
        };
        self.leases().begins(claim, key);
        let written = self.write(key, content, when, Some(claim)).await;
        // Otherwise it may still come.
        if !matches!(written, Err(StoreError::S3(_))) {
            self.leases().has_ended(claim, key);
        }
        written
    }

    /// Removes old tombstones beside `key`, as far as that can be done.
    async fn sweep(&self, key: &Key) -> Result<(), S3Error> {
        let Some((folder, _name)) = key.as_str().rsplit_once('/') else {
            return Ok(());
        };
        let listed = self.bucket().list(&format!("{folder}/")).await?;
        let now = self.bucket().now()?;
        let is_old = |found: &Listed| {
            let age = now.duration_since(found.written).unwrap_or_default();
            found.size == TOMBSTONE_BYTES as u64 && age > TOMBSTONE_AGE
        };
        for tombstone in listed.iter().filter(|found| is_old(found)).take(SWEPT_MAX) {
            // Something of others may be as long.
            let found = self.bucket().read(&tombstone.path).await?;
            if let Some(found) = found.filter(|found| !found.lives()) {
                let tag = Some(&found.tag);
                self.bucket().remove(&tombstone.path, tag).await?;
            }
        }
        Ok(())
    }
}

impl Backend for S3 {
    fn get<'a>(&'a self, key: &'a Key) -> Pending<'a, Option<Object>> {
        Box::pin(async move {
            match self.bucket().read(key.as_str()).await? {
                None => Ok(None),
                Some(found) => match found.content {
                    Content::Here(bytes) => Ok(Some(Object::new(bytes))),
                    Content::Gone => Ok(None),
                    Content::Foreign => Err(damaged(self.bucket(), key, key.as_str())),
                    Content::TooLarge(size) => {
                        Err(too_large(self.bucket(), key, key.as_str(), size))
                    }
                },
            }
        })
    }

    fn put<'a>(
        &'a self,
        key: &'a Key,
        bytes: &'a [u8],
        when: &'a When,
        claim: Option<&'a Claim>,
    ) -> Pending<'a, Version> {
        Box::pin(async move {
            self.write_under(key, Some(bytes), when, claim).await?;
            Ok(Version::of(bytes))
        })
    }

    fn delete<'a>(
        &'a self,
        key: &'a Key,
        when: &'a When,
        claim: Option<&'a Claim>,
    ) -> Pending<'a, ()> {
        Box::pin(async move {
            self.write_under(key, None, when, claim).await?;
            if let Err(error) = self.sweep(key).await {
                tracing::debug!(%error, "old tombstones were not removed");
            }
            Ok(())
        })
    }

    fn list<'a>(&'a self, prefix: &'a str) -> Pending<'a, Vec<Key>> {
        Box::pin(async move {
            let listed = self.bucket().list(prefix).await?;
            let mut keys: Vec<_> = listed.iter().filter_map(Listed::key).collect();
            keys.sort_unstable();
            Ok(keys)
        })
    }

    /// By the tags of a listing, so that following costs a request for a page of objects.
    fn shown<'a>(&'a self, prefix: &'a str) -> Pending<'a, BTreeMap<Key, Box<str>>> {
        Box::pin(async move {
            let listed = self.bucket().list(prefix).await?;
            let shown = listed.iter().filter_map(|found| {
                let tag = found.tag.as_ref().map_or("", |tag| &*tag.0);
                Some((found.key()?, tag.into()))
            });
            Ok(shown.collect())
        })
    }

    fn lease<'a>(&'a self, name: &'a Key, time: Duration) -> Pending<'a, Option<Box<dyn Hold>>> {
        Box::pin(async move {
            let held = self.take(name, time).await?;
            Ok(held.map(|held| -> Box<dyn Hold> { Box::new(held) }))
        })
    }

    fn try_out(&self) -> Pending<'_, ()> {
        Box::pin(async move { Ok(self.be_probed().await?) })
    }
}

impl Listed {
    /// None: it was deleted, or is not ours.
    fn key(&self) -> Option<Key> {
        let lives = self.size != TOMBSTONE_BYTES as u64;
        lives.then(|| Key::new(&self.path).ok()).flatten()
    }
}

impl Found {
    fn lives(&self) -> bool {
        self.content != Content::Gone
    }

    fn is_foreign(&self) -> bool {
        matches!(self.content, Content::Foreign | Content::TooLarge(_))
    }
}

/// Something lies there that nobody wrote, or not like this.
fn damaged(bucket: &Bucket, key: &Key, path: &str) -> StoreError {
    const WHY: &str =
        "it was not written by onedoor, or altered since: restore it, or remove it from the bucket";
    unreadable(bucket, key, path, WHY)
}

fn too_large(bucket: &Bucket, key: &Key, path: &str, size: u64) -> StoreError {
    let why = format!(
        "it has {size} octets and onedoor writes at most {FILE_BYTES_MAX}, so somebody else wrote it: restore it, or remove it from the bucket"
    );
    unreadable(bucket, key, path, &why)
}

fn unreadable(bucket: &Bucket, key: &Key, path: &str, why: &str) -> StoreError {
    StoreError::Damaged {
        key: key.clone(),
        source: Error::Failed {
            path: PathBuf::from(format!("`{path}` of {}", bucket.place())),
            source: io::Error::new(io::ErrorKind::InvalidData, why),
        },
    }
}

/// Lets the others be faster for once.
async fn pause(attempt: u32) {
    let millis = fastrand::u64(1..=PAUSE_MILLIS_MAX) * u64::from(attempt + 1);
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

impl fmt::Debug for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("S3").field(self.bucket().place()).finish()
    }
}
