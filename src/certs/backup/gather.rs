//! Reading everything that a backup holds out of a store that is in use.
//!
//! Each object is as it was at some instant of the reading. Of every name the bundle in service at one of these instants is among
//! them, with the pointer to it; its journal is not newer than its bundles, so no key is missing in both; the ledgers are not
//! older than anything else, so nothing is in it that they do not know to be spent.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::SystemTime;

use jiff::Timestamp;

use super::format::{BACKUP_BYTES_MAX, Unpackable};
use super::part::{self, CERTS, LEDGERS, LOCAL_CA, PREFIXES, Part};
use super::{Contents, Stores};
use crate::certs::vault::pointed_at;
use crate::storage::store::{Key, StoreError};

/// How often it is read again what somebody changes at the same time.
const READINGS_MAX: usize = 8;

/// What was found.
#[derive(Debug)]
pub struct Gathered {
    pub contents: Contents,
    /// Objects that are there and could not be read, in words.
    pub faults: Vec<String>,
}

/// Why there is nothing to pack.
#[derive(Debug)]
pub enum Ungathered {
    /// It cannot be read.
    Store(StoreError),
    /// It is more than a backup holds.
    Unpackable(Unpackable),
}

/// Reads a storage.
///
/// # Errors
/// When the store as a whole cannot be read, or holds too much.
pub async fn gather(stores: Stores<'_>, now: SystemTime) -> Result<Gathered, Ungathered> {
    let mut reading = Reading {
        stores,
        objects: BTreeMap::new(),
        faults: BTreeMap::new(),
        bytes: 0,
    };
    let ids: BTreeSet<String> = stores
        .shared
        .list(CERTS)
        .await?
        .iter()
        .filter_map(|key| Some(Part::of(key)?.id()?.to_owned()))
        .collect();
    for id in ids {
        reading.name(&id).await?;
    }
    for prefix in PREFIXES {
        match *prefix {
            CERTS | LEDGERS => {}
            LOCAL_CA => reading.local_ca().await?,
            _ => reading.all(prefix).await?,
        }
    }
    // What was spent for anything read so far.
    reading.all(LEDGERS).await?;
    Ok(Gathered {
        contents: Contents {
            made_at: Timestamp::try_from(now).unwrap_or_default(),
            objects: reading.objects,
        },
        faults: reading.faults.into_values().collect(),
    })
}

struct Reading<'a> {
    stores: Stores<'a>,
    objects: BTreeMap<Key, Vec<u8>>,
    faults: BTreeMap<Key, String>,
    bytes: usize,
}

impl Reading<'_> {
    async fn name(&mut self, id: &str) -> Result<(), Ungathered> {
        let prefix = format!("{CERTS}{id}/");
        for key in self.stores.shared.list(&prefix).await? {
            if let Some(Part::Journal(_)) = Part::of(&key) {
                self.read(&key).await?;
            }
        }
        for reading in 1..=READINGS_MAX {
            let keys = self.stores.shared.list(&prefix).await?;
            let pointer = keys
                .iter()
                .find(|key| matches!(Part::of(key), Some(Part::Pointer(_))));
            if let Some(pointer) = pointer {
                self.read(pointer).await?;
            }
            for key in &keys {
                if !matches!(Part::of(key), Some(Part::Pointer(_) | Part::Journal(_))) {
                    self.read(key).await?;
                }
            }
            if pointer.is_none_or(|pointer| self.has_what_is_named(id, pointer)) {
                return Ok(());
            }
            if reading == READINGS_MAX
                && let Some(pointer) = pointer
            {
                let fault = format!("`{pointer}` names a bundle that is not there");
                self.faults.insert(pointer.clone(), fault);
            }
        }
        Ok(())
    }

    /// A pointer that cannot be read names nothing, and what it names is there if it is damaged.
    fn has_what_is_named(&self, id: &str, pointer: &Key) -> bool {
        let bytes = self.objects.get(pointer);
        let named = bytes.and_then(|bytes| pointed_at(bytes));
        named.is_none_or(|named| {
            let is_it = |key: &Key| Part::of(key) == Some(Part::Bundle(id, named));
            self.objects.keys().chain(self.faults.keys()).any(is_it)
        })
    }

    /// Objects that belong together: read until two readings agree. Beside a whole CA, its root is only a copy for people.
    async fn local_ca(&mut self) -> Result<(), Ungathered> {
        let mut before = BTreeMap::new();
        for _reading in 0..READINGS_MAX {
            self.objects.retain(|key, _| !is_of_local_ca(key));
            self.all(LOCAL_CA).await?;
            let found = self.objects.iter().filter(|(key, _)| is_of_local_ca(key));
            let now: BTreeMap<Key, Vec<u8>> = found
                .map(|(key, bytes)| (key.clone(), bytes.clone()))
                .collect();
            if before == now {
                if now.keys().any(part::is_whole_ca) {
                    self.objects.retain(|key, _| !part::is_root(key));
                }
                return Ok(());
            }
            before = now;
        }
        for key in before.into_keys() {
            let fault = format!("`{key}` was changed again and again while it was read");
            self.faults.insert(key, fault);
        }
        Ok(())
    }

    async fn all(&mut self, prefix: &str) -> Result<(), Ungathered> {
        for key in self.stores.of(prefix).list(prefix).await? {
            if Part::of(&key).is_some() {
                self.read(&key).await?;
            }
        }
        Ok(())
    }

    /// In place of what was read before. What is gone was removed a moment ago.
    async fn read(&mut self, key: &Key) -> Result<(), Ungathered> {
        let object = match self.stores.of(key.as_str()).get(key).await {
            Ok(object) => object,
            Err(error @ StoreError::Damaged { .. }) => {
                self.faults.insert(key.clone(), error.to_string());
                None
            }
            Err(error) => return Err(error.into()),
        };
        let Some(object) = object else {
            self.objects.remove(key);
            return Ok(());
        };
        self.bytes = self.bytes.saturating_add(object.bytes.len());
        if self.bytes > BACKUP_BYTES_MAX {
            let bytes = self.bytes;
            return Err(Unpackable::TooLarge { bytes }.into());
        }
        self.objects.insert(key.clone(), object.bytes);
        Ok(())
    }
}

fn is_of_local_ca(key: &Key) -> bool {
    Part::of(key) == Some(Part::LocalCa)
}

impl From<StoreError> for Ungathered {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Unpackable> for Ungathered {
    fn from(error: Unpackable) -> Self {
        Self::Unpackable(error)
    }
}

impl fmt::Display for Ungathered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Unpackable(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Ungathered {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(error) => error.source(),
            Self::Unpackable(error) => error.source(),
        }
    }
}
