//! What this host saw last, object by object. A copy that cannot be written is told of and hinders nobody.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Merging, is_copied};
use crate::storage::store::{Key, Object, Store, StoreError, Version, When};

/// Objects whose version is remembered, so that what is read again is not written again.
const KNOWN_MAX: usize = 1 << 17;
/// Objects that are written at a time.
const TURNS: usize = 16;
/// How often one object is merged anew because another process wrote it meanwhile.
const TRIES_MAX: usize = 32;

#[derive(Debug)]
pub(super) struct Copies {
    folder: Store,
    merging: Merging,
    /// By the store's own versions.
    known: Mutex<HashMap<Key, Version>>,
    /// One fault is told once.
    is_told: AtomicBool,
    /// For what is read, merged and written as one in this process; each for a part of the keys.
    turns: [tokio::sync::Mutex<()>; TURNS],
}

impl Copies {
    pub(super) fn new(folder: Store, merging: Merging) -> Self {
        Self {
            folder,
            merging,
            known: Mutex::default(),
            is_told: AtomicBool::new(false),
            turns: Default::default(),
        }
    }

    pub(super) fn folder(&self) -> &Store {
        &self.folder
    }

    /// Keeps what was read or written. What must not go back is merged with what was kept before.
    pub(super) async fn keep(&self, key: &Key, object: &Object) {
        if !is_copied(key) || self.knows(key, &object.version) {
            return;
        }
        let _turn = self.turn(key).await;
        if self.knows(key, &object.version) {
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
        let _turn = self.turn(key).await;
        if let Err(error) = self.write(key, bytes).await {
            self.tell(&error);
        }
    }

    /// In its turn.
    async fn write(&self, key: &Key, bytes: &[u8]) -> Result<(), StoreError> {
        let concerns = (self.merging.concerns)(key);
        for _try in 0..TRIES_MAX {
            let (merged, when) = match self.folder.get(key).await {
                Ok(Some(before)) if before.bytes == bytes => return Ok(()),
                Ok(Some(before)) if concerns => {
                    let merged = (self.merging.merge)(key, &before.bytes, bytes);
                    (merged, When::Is(before.version))
                }
                Ok(None) if concerns => (bytes.to_vec(), When::Absent),
                // What is damaged is replaced.
                Ok(_) | Err(StoreError::Damaged { .. }) => (bytes.to_vec(), When::Always),
                Err(error) => return Err(error),
            };
            match self.folder.put(key, &merged, &when, None).await {
                Err(StoreError::Conflict) => {}
                put => return put.map(drop),
            }
        }
        Err(StoreError::Conflict)
    }

    /// Forgets what was removed.
    pub(super) async fn forget(&self, key: &Key) {
        let _turn = self.turn(key).await;
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

    async fn turn(&self, key: &Key) -> tokio::sync::MutexGuard<'_, ()> {
        let sum: usize = key.as_str().bytes().map(usize::from).sum();
        self.turns[sum % TURNS].lock().await
    }

    fn knows(&self, key: &Key, version: &Version) -> bool {
        self.known().get(key) == Some(version)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Key, Version>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
