//! Puts what this host has into a store that lacks it. What is found there stays, or is merged where it must not go back.

use super::identity::IDENTITY;
use super::{Inner, is_copied};
use crate::storage::store::{Key, StoreError, When};

/// How often one object is tried that others keep changing.
const TRIES_MAX: usize = 8;

impl Inner {
    /// Can be broken off and done again, also by several hosts at once.
    pub(super) async fn put_back(&self) -> Result<(), StoreError> {
        let copied = self.copies.folder().list("").await?;
        let found = self.list("").await?;
        let mut count = 0_usize;
        // From behind: what points to others comes before them in the order of keys.
        for key in copied.into_iter().rev() {
            let is_there = found.binary_search(&key).is_ok();
            let is_meant = !is_there || (self.merging.concerns)(&key);
            if key.as_str() == IDENTITY || !is_copied(&key) || !is_meant {
                continue;
            }
            match self.put_back_one(&key).await {
                Ok(put) => count += usize::from(put == Put::Written),
                Err(error) if error.concerns_all() => return Err(error),
                Err(error) => tracing::warn!(%key, %error, "not put back into the storage"),
            }
        }
        tracing::info!(objects = count, "put back into the storage");
        Ok(())
    }

    async fn put_back_one(&self, key: &Key) -> Result<Put, StoreError> {
        let Some(ours) = self.copies.folder().get(key).await? else {
            return Ok(Put::Needless);
        };
        for _try in 0..TRIES_MAX {
            let found = self.shared.0.get(key).await?;
            let (bytes, when) = match found {
                None => (ours.bytes.clone(), When::Absent),
                Some(found) if (self.merging.concerns)(key) => {
                    let merged = (self.merging.merge)(key, &ours.bytes, &found.bytes);
                    if merged == found.bytes {
                        return Ok(Put::Needless);
                    }
                    (merged, When::Is(found.version))
                }
                Some(_) => return Ok(Put::Needless),
            };
            match self.shared.0.put(key, &bytes, &when, None).await {
                Ok(_version) => return Ok(Put::Written),
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Conflict)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Put {
    Written,
    Needless,
}
