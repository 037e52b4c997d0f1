//! What becomes of each object of a backup in a store that may have another: it is put where it is missing or where it is the newer
//! one, and never in place of what is good. Decided as a whole before anything is written; decided again afterwards, nothing is left
//! to do.

mod kept;
mod name;
mod shared;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::SystemTime;

use super::Contents;
use super::part::Part;
use crate::certs::bundle::GENERATION_MAX;
use crate::storage::store::Key;

/// The highest number of a bundle that a backup is believed: whoever takes it has as many left to go on with.
const BACKED_UP_GENERATION_MAX: u64 = GENERATION_MAX / 2;

/// What a store has of what backups hold.
#[derive(Default)]
pub struct Present {
    pub objects: BTreeMap<Key, Vec<u8>>,
    /// There is something, and it cannot be read.
    pub unreadable: BTreeSet<Key>,
}

/// One object, what becomes of it, and why, in words.
#[derive(Debug)]
pub struct Decision {
    /// Where it is in the store.
    pub key: Key,
    pub deed: Deed,
    pub why: String,
}

/// Its `Debug` is blind.
#[derive(Clone, PartialEq, Eq)]
pub enum Deed {
    /// This is put there.
    Write(Vec<u8>),
    /// This, which is what both know, is put there.
    Join(Vec<u8>),
    /// It is there already.
    Same,
    /// What is there stays.
    Keep,
    /// What is in the backup is not used.
    Drop,
}

impl Deed {
    /// What is to be written; none if nothing is.
    #[must_use]
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Write(bytes) | Self::Join(bytes) => Some(bytes),
            Self::Same | Self::Keep | Self::Drop => None,
        }
    }
}

/// The decisions in the order in which they are to be carried out: the ledgers, so that nobody orders without them, the accounts,
/// of every name the bundles before the pointer to them, then the rest.
#[must_use]
pub fn judge(backup: &Contents, present: &Present, now: SystemTime) -> Vec<Decision> {
    let mut decisions = Vec::new();
    let mut names: BTreeSet<&str> = BTreeSet::new();
    let mut later = Vec::new();
    for (key, bytes) in &backup.objects {
        match Part::of(key) {
            Some(Part::Ledger) => decisions.insert(0, shared::ledger(key, bytes, present)),
            Some(Part::Account) => decisions.push(shared::account(key, bytes, present)),
            Some(Part::LocalCa) => {}
            Some(Part::Other) => later.push(shared::other(key, bytes, present)),
            Some(part) => {
                names.extend(part.id());
            }
            None => later.push(Decision::new(
                key,
                Deed::Drop,
                "this onedoor does not know what it is".to_owned(),
            )),
        }
    }
    let all_read = BTreeSet::new();
    let mine = kept::by_name(&backup.objects, &all_read, BACKED_UP_GENERATION_MAX);
    let theirs = kept::by_name(&present.objects, &present.unreadable, GENERATION_MAX);
    let nothing = kept::Kept::default();
    for id in names {
        let (Some(mine), theirs) = (mine.get(id), theirs.get(id).unwrap_or(&nothing)) else {
            continue;
        };
        let times = name::Times {
            made_at: backup.made_at.into(),
            now,
        };
        decisions.extend(name::judge(id, mine, theirs, times));
    }
    decisions.extend(shared::local_ca(backup, present));
    decisions.extend(later);
    decisions
}

impl Decision {
    fn new(key: &Key, deed: Deed, why: String) -> Self {
        let key = key.clone();
        Self { key, deed, why }
    }
}

impl Present {
    fn is_taken(&self, key: &Key) -> bool {
        self.objects.contains_key(key) || self.unreadable.contains(key)
    }
}

impl fmt::Debug for Present {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Present")
            .field("objects", &self.objects.keys())
            .field("unreadable", &self.unreadable)
            .finish()
    }
}

impl fmt::Debug for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Write(_) => "Write",
            Self::Join(_) => "Join",
            Self::Same => "Same",
            Self::Keep => "Keep",
            Self::Drop => "Drop",
        })
    }
}

#[cfg(test)]
mod numbers;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
