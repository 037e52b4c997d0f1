//! Following what changes in a store, by what it shows of its objects or by a place in its own record of changes.

use std::collections::BTreeMap;

use super::{Backend, Key, StoreError};

/// How far somebody has followed what changes below one prefix of one store. A new one has followed nothing yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mark(How);

#[derive(Debug, Clone, PartialEq, Eq)]
enum How {
    /// What every object looked like.
    Shown(BTreeMap<Key, Box<str>>),
    /// A place in the store's own record, with what that store needs to know of what was there.
    Place(Box<str>),
}

impl Default for How {
    fn default() -> Self {
        Self::Shown(BTreeMap::new())
    }
}

impl Mark {
    /// For stores that number their changes; they alone know what it means.
    #[must_use]
    pub fn at(place: &str) -> Self {
        Self(How::Place(place.into()))
    }

    /// What was given to [`Mark::at`].
    #[must_use]
    pub fn place(&self) -> Option<&str> {
        match &self.0 {
            How::Place(place) => Some(place),
            How::Shown(_) => None,
        }
    }

    /// What is otherwise `now` than it was, in order, and the mark of now.
    #[must_use]
    pub fn compared(&self, now: BTreeMap<Key, Box<str>>) -> (Vec<Key>, Self) {
        let nothing = BTreeMap::new();
        let before = match &self.0 {
            How::Shown(before) => before,
            How::Place(_) => &nothing,
        };
        let written = now
            .iter()
            .filter(|(key, looks)| before.get(key) != Some(looks));
        let removed = before.iter().filter(|(key, _looks)| !now.contains_key(key));
        let mut keys: Vec<Key> = written
            .chain(removed)
            .map(|(key, _looks)| key.clone())
            .collect();
        keys.sort_unstable();
        (keys, Self(How::Shown(now)))
    }
}

/// The version of everything below `prefix`. What cannot be read looks the same as long as it cannot.
pub(super) async fn versions<B: Backend + ?Sized>(
    store: &B,
    prefix: &str,
) -> Result<BTreeMap<Key, Box<str>>, StoreError> {
    let mut shown = BTreeMap::new();
    for key in store.list(prefix).await? {
        match store.get(&key).await {
            Ok(Some(object)) => drop(shown.insert(key, object.version.0)),
            // Removed since.
            Ok(None) => {}
            Err(StoreError::Damaged { .. }) => drop(shown.insert(key, "".into())),
            Err(error) => return Err(error),
        }
    }
    Ok(shown)
}
