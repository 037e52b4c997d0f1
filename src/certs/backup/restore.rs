//! Putting a backup back: all of it is judged before the first write, and each write takes effect only if the store is still as it
//! was judged. What was interrupted is completed by doing it again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use super::judge::{Decision, Present, judge};
use super::part::{PREFIXES, Part};
use super::{Contents, Stores};
use crate::storage::store::{Key, Lease, Store, StoreError, Version, When};

/// How long a name may be held against those who order.
const LEASE_TIME: Duration = Duration::from_secs(60);
/// How often it is judged again because somebody else has written meanwhile.
pub const TRIES_MAX: usize = 8;

/// What is to be done, and what the store was like.
#[derive(Debug)]
pub struct Judged {
    pub decisions: Vec<Decision>,
    versions: BTreeMap<Key, Version>,
}

/// How far it went.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// Nothing was put there of these names: somebody was just ordering their certificates.
    Busy(BTreeSet<String>),
    /// Somebody else wrote this meanwhile. What came before it is done; it is to be judged again.
    Changed(Key),
}

/// Decides, and writes nothing.
///
/// # Errors
/// When the store as a whole cannot be read.
pub async fn look(
    stores: Stores<'_>,
    backup: &Contents,
    now: SystemTime,
) -> Result<Judged, StoreError> {
    let mut present = Present::default();
    let mut versions = BTreeMap::new();
    for prefix in PREFIXES {
        let store = stores.of(prefix);
        for key in store.list(prefix).await? {
            match store.get(&key).await {
                Ok(Some(object)) => {
                    versions.insert(key.clone(), object.version);
                    present.objects.insert(key, object.bytes);
                }
                // Removed meanwhile.
                Ok(None) => {}
                Err(StoreError::Damaged { .. }) => {
                    present.unreadable.insert(key);
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(Judged {
        decisions: judge(backup, &present, now),
        versions,
    })
}

/// Writes what was decided.
///
/// # Errors
/// When the store fails; what was written until then is good.
pub async fn carry_out(stores: Stores<'_>, judged: &Judged) -> Result<Outcome, StoreError> {
    stores.shared.orders_nothing();
    let mut busy = BTreeSet::new();
    let mut held: Option<(&str, Lease)> = None;
    for decision in &judged.decisions {
        let Some(bytes) = decision.deed.bytes() else {
            continue;
        };
        let key = &decision.key;
        let id = Part::of(key).and_then(Part::id);
        held = held.filter(|(name, _lease)| Some(*name) == id);
        if let (Some(id), None) = (id, &held) {
            if busy.contains(id) {
                continue;
            }
            match lease(stores.shared, id).await? {
                Some(lease) => held = Some((id, lease)),
                None => {
                    busy.insert(id.to_owned());
                    continue;
                }
            }
        }
        let version = judged.versions.get(key).cloned();
        let when = version.map_or(When::Absent, When::Is);
        let under = held.as_ref().map(|(_name, lease)| lease);
        match stores.of(key.as_str()).put(key, bytes, &when, under).await {
            Ok(_version) => {}
            Err(StoreError::Conflict | StoreError::Fenced) => {
                return Ok(Outcome::Changed(key.clone()));
            }
            Err(error) => return Err(error),
        }
    }
    if busy.is_empty() {
        return Ok(Outcome::Done);
    }
    Ok(Outcome::Busy(busy))
}

/// Nobody orders for the name while it is held.
async fn lease(store: &Store, id: &str) -> Result<Option<Lease>, StoreError> {
    match Key::new(&format!("cert-{id}")) {
        Ok(key) => store.lease(&key, LEASE_TIME).await,
        // Then nobody can order for it either.
        Err(_too_long) => Ok(None),
    }
}
