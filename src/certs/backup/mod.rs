//! Everything of a storage that must not be lost as one file, and back: gathered, packed, judged, put where it is missing.
//!
//! Left out is what is made anew, or would do harm when it is old: leases and their fences, challenges, ticket keys, and the
//! storage's own identity.

mod damage;
mod format;
pub mod gather;
pub mod judge;
mod part;
pub mod restore;
pub mod seal;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;

use crate::storage::store::{Key, Store};

use part::Part;

pub use damage::Unreadable;
pub use format::{BACKUP_BYTES_MAX, Unpackable, pack, unpack};

/// What a backup holds. Its `Debug` is blind: there are private keys in it.
#[derive(Clone, PartialEq, Eq)]
pub struct Contents {
    /// When the first object was read.
    pub made_at: Timestamp,
    pub objects: BTreeMap<Key, Vec<u8>>,
}

/// The two stores of a storage; the same one twice where it is not shared.
#[derive(Debug, Clone, Copy)]
pub struct Stores<'a> {
    /// That of everybody who shares it.
    pub shared: &'a Store,
    /// What is of this machine alone.
    pub own: &'a Store,
}

impl<'a> Stores<'a> {
    /// Where keys that begin so are.
    fn of(self, prefix: &str) -> &'a Store {
        if prefix.starts_with(part::SAVED_LEASES) {
            self.own
        } else {
            self.shared
        }
    }
}

/// How much of what there is in a backup.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Names with a certificate.
    pub names: usize,
    pub accounts: usize,
    pub ledgers: usize,
    pub local_cas: usize,
    pub others: usize,
}

impl Contents {
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        let mut names = BTreeSet::new();
        for part in self.objects.keys().filter_map(Part::of) {
            match part {
                Part::Bundle(id, _) => {
                    names.insert(id);
                }
                Part::Account => counts.accounts += 1,
                Part::Ledger => counts.ledgers += 1,
                Part::LocalCa => counts.local_cas = 1,
                Part::Other => counts.others += 1,
                Part::Pointer(_) | Part::Journal(_) | Part::State(_) => {}
            }
        }
        counts.names = names.len();
        counts
    }
}

impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contents")
            .field("made_at", &self.made_at)
            .field("objects", &self.objects.keys())
            .finish()
    }
}
