//! What is kept of one name: its bundles, its order's journal, and how the last tries went. Each an object of the store.

mod error;
mod state;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::certs::acme::journal::Journal;
use crate::certs::bundle::{Bundle, GENERATION_MAX, Ready, Unservable};
pub use crate::certs::cert_id::CertId;
use crate::storage::store::{Key, Lease, Store, StoreError, When};
pub use error::VaultError;
pub use state::{Advice, State};

/// Bundles of one name that are kept, the one in service among them.
const GENERATIONS_KEPT: u64 = 3;
/// How often a change is tried that others keep getting in the way of.
const TRIES_MAX: u32 = 16;
/// Digits of a generation in its key, so that keys sort as generations do.
const GENERATION_DIGITS: usize = 8;
const _: () = assert!(GENERATION_MAX < 10_u64.pow(GENERATION_DIGITS as u32));

/// The store as the keeper sees it.
#[derive(Debug, Clone)]
pub struct Vault {
    store: Store,
}

/// Which bundle is in service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pointer {
    pub(super) generation: u64,
}

/// The generation that a stored pointer names; none if it is damaged, or names one that there cannot be.
pub(super) fn pointed_at(bytes: &[u8]) -> Option<u64> {
    let pointer = serde_json::from_slice::<Pointer>(bytes).ok()?;
    Some(pointer.generation).filter(|generation| *generation <= GENERATION_MAX)
}

/// Whether a bundle of this generation is removed once the pointer is what it is.
pub(super) fn is_retired(generation: u64, pointer: &[u8]) -> bool {
    let pointed = pointed_at(pointer);
    pointed.is_some_and(|pointed| generation.saturating_add(GENERATIONS_KEPT) <= pointed)
}

/// What was found of a name's bundles.
#[derive(Debug, Default)]
pub struct Found {
    pub ready: Option<Ready>,
    /// Objects that should have been good and are not, in words.
    pub faults: Vec<String>,
}

impl Vault {
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The bundle in service; if that is damaged, the newest that is not.
    ///
    /// # Errors
    /// When the store as a whole cannot be read.
    pub async fn bundle(&self, id: &CertId) -> Result<Found, VaultError> {
        let mut found = Found::default();
        let current = key(id, "current")?;
        match self.read::<Pointer>(&current).await {
            Ok(None) => {}
            Ok(Some(pointer)) => {
                found.ready = self
                    .generation(id, pointer.generation, &mut found.faults)
                    .await?;
            }
            Err(error) => found.faults.push(error.blame()?),
        }
        if found.ready.is_none() {
            found.ready = self.newest(id, &mut found.faults).await?;
        }
        Ok(found)
    }

    /// Puts a bundle into service: written, read again and judged before the pointer moves.
    ///
    /// # Errors
    /// Then what was in service before still is.
    pub async fn keep(&self, id: &CertId, ready: &Ready, lease: &Lease) -> Result<(), VaultError> {
        let generation = ready.bundle.generation;
        let place = generation_key(id, generation)?;
        let bytes = serde_json::to_vec(&*ready.bundle).map_err(VaultError::Unwritable)?;
        self.store
            .put(&place, &bytes, &When::Always, Some(lease))
            .await?;
        let written = self.store.get(&place).await?;
        let written = written.ok_or(VaultError::Unservable(Unservable::NoCertificate))?;
        Bundle::read(&written.bytes).map_err(VaultError::Unservable)?;
        self.write(&key(id, "current")?, &Pointer { generation }, lease)
            .await?;
        self.forget_old(id, generation, lease).await
    }

    /// Every bundle that is kept and good, the newest first.
    ///
    /// # Errors
    /// When the store as a whole cannot be read.
    pub async fn generations(&self, id: &CertId) -> Result<Vec<Ready>, VaultError> {
        let mut ready = Vec::new();
        for key in self.store.list(&format!("certs/{}/v", id.as_str())).await? {
            ready.extend(self.judged(id, &key, &mut Vec::new()).await?);
        }
        ready.reverse();
        Ok(ready)
    }

    /// How far the name's order is. With a damaged journal nothing can be gone on with: it is idle.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn journal(&self, id: &CertId) -> Result<Journal, VaultError> {
        self.read_or_default(&key(id, "journal")?).await
    }

    /// # Errors
    /// Then the journal is as before.
    pub async fn save_journal(
        &self,
        id: &CertId,
        journal: &Journal,
        lease: &Lease,
    ) -> Result<(), VaultError> {
        self.write(&key(id, "journal")?, journal, lease).await
    }

    /// What is remembered; nothing if that is damaged, for it only saves work.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn state(&self, id: &CertId) -> Result<State, VaultError> {
        self.read_or_default(&key(id, "state")?).await
    }

    /// By whoever works on the name under its lease.
    ///
    /// # Errors
    /// Then the state is as before.
    pub async fn save_state(
        &self,
        id: &CertId,
        state: &State,
        lease: &Lease,
    ) -> Result<(), VaultError> {
        self.write(&key(id, "state")?, state, lease).await
    }

    /// Changes what is remembered, without a lease and without undoing what others changed meanwhile. `change` says whether it did
    /// change it, and may be called several times. What was made of it, and whether it was changed by us.
    ///
    /// # Errors
    /// When the store fails, or others keep changing it.
    pub async fn change_state(
        &self,
        id: &CertId,
        mut change: impl FnMut(&mut State) -> bool + Send,
    ) -> Result<(State, bool), VaultError> {
        let key = key(id, "state")?;
        let mut tries = 0;
        loop {
            tries += 1;
            let (mut state, when) = match self.store.get(&key).await {
                Ok(None) => (State::default(), When::Absent),
                Ok(Some(object)) => {
                    let read = serde_json::from_slice(&object.bytes);
                    (read.unwrap_or_default(), When::Is(object.version))
                }
                Err(StoreError::Damaged { .. }) => (State::default(), When::Always),
                Err(error) => return Err(error.into()),
            };
            if !change(&mut state) {
                return Ok((state, false));
            }
            let bytes = serde_json::to_vec(&state).map_err(VaultError::Unwritable)?;
            match self.store.put(&key, &bytes, &when, None).await {
                Ok(_version) => return Ok((state, true)),
                Err(StoreError::Conflict) if tries < TRIES_MAX => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The ids of everything that is kept.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn ids(&self) -> Result<Vec<CertId>, VaultError> {
        let keys = self.store.list("certs/").await?;
        let mut ids: Vec<CertId> = keys
            .iter()
            .filter_map(|key| key.as_str().split('/').nth(1))
            .map(CertId::of_key)
            .collect();
        ids.dedup();
        Ok(ids)
    }

    /// Removes everything that is kept of an id.
    ///
    /// # Errors
    /// When the store fails; what was removed is gone.
    pub async fn remove(&self, id: &CertId) -> Result<(), VaultError> {
        for key in self.store.list(&format!("certs/{}/", id.as_str())).await? {
            self.store.delete(&key, &When::Always, None).await?;
        }
        Ok(())
    }

    async fn generation(
        &self,
        id: &CertId,
        generation: u64,
        faults: &mut Vec<String>,
    ) -> Result<Option<Ready>, VaultError> {
        let key = generation_key(id, generation)?;
        self.judged(id, &key, faults).await
    }

    async fn judged(
        &self,
        id: &CertId,
        key: &Key,
        faults: &mut Vec<String>,
    ) -> Result<Option<Ready>, VaultError> {
        let object = match self.store.get(key).await {
            Ok(Some(object)) => object,
            Ok(None) => {
                faults.push(format!("{key} is not there"));
                return Ok(None);
            }
            Err(error) => {
                faults.push(VaultError::from(error).blame()?);
                return Ok(None);
            }
        };
        match Bundle::read(&object.bytes) {
            Ok(ready) if id.is_of(&ready) => Ok(Some(ready)),
            Ok(_foreign) => {
                faults.push(format!("{key}: its certificate is for another name"));
                Ok(None)
            }
            Err(unservable) => {
                faults.push(format!("{key}: {unservable}"));
                Ok(None)
            }
        }
    }

    async fn newest(
        &self,
        id: &CertId,
        faults: &mut Vec<String>,
    ) -> Result<Option<Ready>, VaultError> {
        let mut keys = self.store.list(&format!("certs/{}/v", id.as_str())).await?;
        keys.reverse();
        for key in keys {
            if let Some(ready) = self.judged(id, &key, faults).await? {
                return Ok(Some(ready));
            }
        }
        Ok(None)
    }

    async fn forget_old(&self, id: &CertId, newest: u64, lease: &Lease) -> Result<(), VaultError> {
        let oldest = generation_key(id, (newest + 1).saturating_sub(GENERATIONS_KEPT))?;
        for key in self.store.list(&format!("certs/{}/v", id.as_str())).await? {
            if key.as_str() < oldest.as_str() {
                self.store.delete(&key, &When::Always, Some(lease)).await?;
            }
        }
        Ok(())
    }

    /// What is damaged is told of and stepped over.
    async fn read_or_default<T: DeserializeOwned + Default>(
        &self,
        key: &Key,
    ) -> Result<T, VaultError> {
        match self.read(key).await {
            Ok(value) => Ok(value.unwrap_or_default()),
            Err(error) => {
                let fault = error.blame()?;
                tracing::warn!("what was written of a certificate's order is lost: {fault}");
                Ok(T::default())
            }
        }
    }

    async fn read<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>, VaultError> {
        let Some(object) = self.store.get(key).await? else {
            return Ok(None);
        };
        serde_json::from_slice(&object.bytes)
            .map(Some)
            .map_err(|error| VaultError::Damaged(key.clone(), error))
    }

    async fn write(
        &self,
        key: &Key,
        value: &impl Serialize,
        lease: &Lease,
    ) -> Result<(), VaultError> {
        let bytes = serde_json::to_vec(value).map_err(VaultError::Unwritable)?;
        self.store
            .put(key, &bytes, &When::Always, Some(lease))
            .await?;
        Ok(())
    }
}

pub(super) fn key(id: &CertId, part: &str) -> Result<Key, VaultError> {
    Key::new(&format!("certs/{}/{part}", id.as_str())).map_err(VaultError::Key)
}

pub(super) fn generation_key(id: &CertId, generation: u64) -> Result<Key, VaultError> {
    key(id, &format!("v{generation:0GENERATION_DIGITS$}"))
}
