//! What was removed from the store leaves the copy too, private keys above all; but not what a store that was emptied, replaced or
//! came back old merely lacks.

use std::collections::BTreeSet;

use super::identity::identity_key;
use super::{Copied, is_copied};
use crate::storage::store::{Key, StoreError};

impl Copied {
    /// Forgets what passes and is no longer there.
    pub(super) async fn forget_removed(&self) -> Result<(), StoreError> {
        let inner = &self.0;
        let Some(known) = inner.identity.known() else {
            return Ok(());
        };
        // In this order: what is kept from now on is not taken for removed.
        let kept = inner.copies.folder().list("").await?;
        let found: BTreeSet<Key> = inner.list("").await?.into_iter().collect();
        let removed: Vec<&Key> = kept
            .iter()
            .filter(|key| (inner.merging.passes)(key) && is_copied(key) && !found.contains(key))
            .collect();
        // Afterwards: a store that lacked these because it was emptied or came back shows it now.
        if removed.is_empty() || self.went_back(&kept).await? || !self.is_that(&known).await? {
            return Ok(());
        }
        for key in &removed {
            inner.copies.forget(key).await;
        }
        tracing::debug!(objects = removed.len(), "removed from the local copy too");
        Ok(())
    }

    /// Whether the store is one that came back as it was before.
    async fn went_back(&self, kept: &[Key]) -> Result<bool, StoreError> {
        let (inner, merging) = (&self.0, &self.0.merging);
        for key in kept.iter().filter(|key| (merging.dates)(key)) {
            let Some(ours) = inner.copies.folder().get(key).await? else {
                continue;
            };
            let Some(found) = inner.noted(inner.shared.0.get(key).await)? else {
                return Ok(true);
            };
            if (merging.is_older)(&ours.bytes, &found.bytes) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the store and the copy bear this mark.
    async fn is_that(&self, known: &[u8]) -> Result<bool, StoreError> {
        let (inner, key) = (&self.0, identity_key()?);
        let kept = inner.copies.folder().get(&key).await?;
        let found = inner.noted(inner.shared.0.get(&key).await)?;
        Ok([kept, found].iter().all(|mark| {
            mark.as_ref()
                .is_some_and(|mark| mark.bytes.as_slice() == known)
        }))
    }

    /// Whether what rules over it, here or in the store, has gone beyond it for good.
    pub(super) async fn is_retired(&self, key: &Key) -> Result<bool, StoreError> {
        let (inner, merging) = (&self.0, &self.0.merging);
        let Some(ruler) = (merging.ruler)(key) else {
            return Ok(false);
        };
        for store in [inner.copies.folder(), &inner.shared] {
            let retires = match store.get(&ruler).await {
                Ok(found) => found.is_some_and(|found| (merging.retires)(&found.bytes, key)),
                Err(StoreError::Damaged { .. }) => false,
                Err(error) => return Err(error),
            };
            if retires {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
