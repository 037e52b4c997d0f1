//! A shared store with what this host saw of it in a folder. The shared store is the truth, and leases and writes need it; the
//! folder serves while it is down, and fills it again after it was emptied.

mod folder;
mod forgetting;
mod identity;
mod last_good;
mod putting_back;
mod reach;

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use folder::Copies;
pub(super) use identity::FOUNDING;
use identity::{Identity, Same};
use last_good::LastGood;
use reach::Reach;

use super::{Backend, Claim, Hold, Key, Mark, Object, Pending, Store, StoreError, Version, When};

/// How what this host has is joined with what it finds. The store does not know what its objects mean.
#[derive(Debug, Clone, Copy)]
pub struct Merging {
    /// Objects that must not go back to an older state: they are merged.
    pub concerns: fn(&Key) -> bool,
    /// What shall be, of what we have and what was found. Merging twice, or in another order, makes no difference.
    pub merge: fn(key: &Key, ours: &[u8], found: &[u8]) -> Vec<u8>,
    /// Objects that a copy forgets once they were removed from the store.
    pub passes: fn(&Key) -> bool,
    /// Objects that show whether the store is an old one.
    pub dates: fn(&Key) -> bool,
    /// Whether what was found of such an object is from before what we have.
    pub is_older: fn(ours: &[u8], found: &[u8]) -> bool,
    /// The key of what tells whether this one is retired, if anything does.
    pub ruler: fn(&Key) -> Option<Key>,
    /// Whether what is told there retires the key for good.
    pub retires: fn(told: &[u8], key: &Key) -> bool,
}

impl Merging {
    /// What is found is never changed, and nothing is forgotten.
    pub const NOTHING: Self = Self {
        concerns: |_key| false,
        merge: |_key, _ours, found| found.to_vec(),
        passes: |_key| false,
        dates: |_key| false,
        is_older: |_ours, _found| false,
        ruler: |_key| None,
        retires: |_told, _key| false,
    };
}

/// First segments of keys that are not copied: what ends within minutes, and what must not outlive its rotation on a disk.
const NEVER_COPIED: [&str; 2] = ["challenges", "tickets"];

#[derive(Debug, Clone)]
pub(super) struct Copied(Arc<Inner>);

struct Inner {
    shared: Store,
    copies: Copies,
    identity: Identity,
    merging: Merging,
    reach: Reach,
}

impl Copied {
    /// `folder` belongs to this host and this store alone.
    pub(super) fn new(shared: Store, folder: Store, merging: Merging, founding: Duration) -> Self {
        Self(Arc::new(Inner {
            shared,
            copies: Copies::new(folder, merging),
            identity: Identity::new(founding),
            merging,
            reach: Reach::default(),
        }))
    }
}

impl Inner {
    /// Notes whether the store answered, and hands the answer on.
    fn noted<T>(&self, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        match &answer {
            Err(error) if error.concerns_all() => {
                self.reach.failed();
                self.identity.is_out_of_reach();
            }
            Ok(_) | Err(_) => self.reach.answered(),
        }
        answer
    }

    async fn read(&self, key: &Key) -> Result<Option<Object>, StoreError> {
        let found = self.noted(self.shared.0.get(key).await)?;
        if let Some(object) = &found {
            self.copies.keep(key, object).await;
        }
        Ok(found)
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Key>, StoreError> {
        self.noted(self.shared.0.list(prefix).await)
    }
}

fn is_copied(key: &Key) -> bool {
    let first = key.as_str().split('/').next();
    !NEVER_COPIED.iter().any(|never| first == Some(never))
}

impl Backend for Copied {
    fn get<'a>(&'a self, key: &'a Key) -> Pending<'a, Option<Object>> {
        Box::pin(self.0.read(key))
    }

    fn put<'a>(
        &'a self,
        key: &'a Key,
        bytes: &'a [u8],
        when: &'a When,
        claim: Option<&'a Claim>,
    ) -> Pending<'a, Version> {
        Box::pin(async move {
            let put = self.0.shared.0.put(key, bytes, when, claim).await;
            let version = self.0.noted(put)?;
            let object = Object {
                bytes: bytes.to_vec(),
                version: version.clone(),
            };
            self.0.copies.keep(key, &object).await;
            Ok(version)
        })
    }

    fn delete<'a>(
        &'a self,
        key: &'a Key,
        when: &'a When,
        claim: Option<&'a Claim>,
    ) -> Pending<'a, ()> {
        Box::pin(async move {
            let deleted = self.0.shared.0.delete(key, when, claim).await;
            self.0.noted(deleted)?;
            self.0.copies.forget(key).await;
            Ok(())
        })
    }

    fn list<'a>(&'a self, prefix: &'a str) -> Pending<'a, Vec<Key>> {
        Box::pin(self.0.list(prefix))
    }

    /// Only once it is certain that the store is the one that we know, or holds again what we know.
    fn lease<'a>(&'a self, name: &'a Key, time: Duration) -> Pending<'a, Option<Box<dyn Hold>>> {
        Box::pin(async move {
            let taken = self.0.shared.0.lease(name, time).await;
            let Some(mut hold) = self.0.noted(taken)? else {
                return Ok(None);
            };
            // Afterwards: a store that is emptied from now on forgets the lease as well.
            match Box::pin(self.recognise()).await? {
                Same::Yes => Ok(Some(hold)),
                Same::Again => match hold.renew().await {
                    Ok(()) => Ok(Some(hold)),
                    Err(StoreError::Fenced) => Ok(None),
                    Err(error) => Err(error),
                },
                Same::NotYet => Ok(None),
                Same::Nobodys if self.0.identity.does_order() => {
                    drop(hold);
                    self.wait_for_those_who_know().await?;
                    self.lease(name, time).await
                }
                Same::Nobodys => Ok(Some(hold)),
            }
        })
    }

    fn try_out(&self) -> Pending<'_, ()> {
        Box::pin(async move { self.0.noted(self.0.shared.0.try_out().await) })
    }

    fn shown<'a>(&'a self, prefix: &'a str) -> Pending<'a, BTreeMap<Key, Box<str>>> {
        self.0.shared.0.shown(prefix)
    }

    fn changed<'a>(&'a self, prefix: &'a str, since: &'a Mark) -> Pending<'a, (Vec<Key>, Mark)> {
        Box::pin(async move {
            // Before: whoever follows sees what is put back.
            if let Err(error) = self.recognise().await {
                tracing::debug!(%error, "it is not known whether the storage is the same");
            }
            let changed = self.0.shared.0.changed(prefix, since).await;
            let (keys, mark) = self.0.noted(changed)?;
            let passes = self.0.merging.passes;
            // By whoever follows everything.
            if prefix.is_empty()
                && (keys.iter().any(passes) || *since == Mark::default())
                && let Err(error) = self.forget_removed().await
            {
                tracing::debug!(%error, "what was removed from the storage stays in the local copy for now");
            }
            Ok((keys, mark))
        })
    }

    fn hint(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.0.shared.0.hint()
    }

    fn is_shared(&self) -> bool {
        self.0.shared.is_shared()
    }

    fn or_copy(&self) -> Option<Store> {
        Some(Store::on(LastGood::of(self.clone())))
    }

    fn at_hand(&self) -> Option<Store> {
        Some(self.0.copies.folder().clone())
    }

    fn put_back(&self) -> Pending<'_, ()> {
        Box::pin(self.put_back())
    }

    fn orders_nothing(&self) {
        self.0.identity.orders_nothing();
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a copy of {:?}", self.shared)
    }
}
