//! What this host saw last, object by object. A copy that cannot be written is told of and hinders nobody.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Merging, is_copied};
use crate::storage::store::{Key, Object, Store, StoreError, Version, When};

/// Objects whose version is remembered, so that what is read again is not written again.
const KNOWN_MAX: usize = 1 << 17;

#[derive(Debug)]
pub(super) struct Copies {
    folder: Store,
    merging: Merging,
    /// By the store's own versions.
    known: Mutex<HashMap<Key, Version>>,
    /// One fault is told once.
    is_told: AtomicBool,
}

impl Copies {
    pub(super) fn new(folder: Store, merging: Merging) -> Self {
        Self {
            folder,
            merging,
            known: Mutex::default(),
            is_told: AtomicBool::new(false),
        }
    }

    pub(super) fn folder(&self) -> &Store {
        &self.folder
    }

    /// Keeps what was read or written. What must not go back is merged with what was kept before.
    pub(super) async fn keep(&self, key: &Key, object: &Object) {
        if !is_copied(key) || self.known().get(key) == Some(&object.version) {
            return;
        }
        match self.write(key, &object.bytes).await {
            Ok(()) => {
                self.is_told.store(false, Ordering::Relaxed);
                let mut known = self.known();
                if known.len() >= KNOWN_MAX {
                    known.clear();
                }
                known.insert(key.clone(), object.version.clone());
            }
            Err(error) => self.tell(&error),
        }
    }

    /// Keeps what has no version.
    pub(super) async fn keep_plainly(&self, key: &Key, bytes: &[u8]) {
        if let Err(error) = self.write(key, bytes).await {
            self.tell(&error);
        }
    }

    async fn write(&self, key: &Key, bytes: &[u8]) -> Result<(), StoreError> {
        let before = match self.folder.get(key).await {
            Ok(before) => before,
            // It is replaced.
            Err(StoreError::Damaged { .. }) => None,
            Err(error) => return Err(error),
        };
        let merged = match &before {
            Some(before) if before.bytes == bytes => return Ok(()),
            Some(before) if (self.merging.concerns)(key) => {
                (self.merging.merge)(key, &before.bytes, bytes)
            }
            Some(_) | None => bytes.to_vec(),
        };
        let put = self.folder.put(key, &merged, &When::Always, None);
        put.await.map(drop)
    }

    /// Forgets what was removed.
    pub(super) async fn forget(&self, key: &Key) {
        self.known().remove(key);
        if let Err(error) = self.folder.delete(key, &When::Always, None).await {
            self.tell(&error);
        }
    }

    fn tell(&self, error: &StoreError) {
        if !self.is_told.swap(true, Ordering::Relaxed) {
            tracing::warn!(%error, "the local copy of the storage cannot be written: while the storage is down, a start would find old certificates or none");
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Key, Version>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
