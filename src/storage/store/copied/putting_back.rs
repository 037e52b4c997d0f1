//! Puts what this host has into a store that lacks it, but nothing that was retired since. What is found there stays, or is
//! merged where it must not go back.

use std::collections::BTreeSet;

use rustix::io::Errno;
use tokio::task::JoinSet;

use super::identity::IDENTITY;
use super::{Copied, is_copied};
use crate::storage::files::Error;
use crate::storage::store::{Key, StoreError, When};

/// How often one object is tried that others keep changing.
const TRIES_MAX: usize = 8;
/// Objects that are put back at a time.
const AT_ONCE: usize = 16;

impl Copied {
    /// Can be broken off and done again, also by several hosts at once.
    pub(super) async fn put_back(&self) -> Result<(), StoreError> {
        let copied = self.0.copies.folder().list("").await?;
        let found: BTreeSet<Key> = self.0.list("").await?.into_iter().collect();
        let mut count = 0_usize;
        let mut working = JoinSet::new();
        // From behind: what points to others comes before them in the order of keys.
        for key in copied.into_iter().rev() {
            let is_meant = !found.contains(&key) || (self.0.merging.concerns)(&key);
            if key.as_str() == IDENTITY || !is_copied(&key) || !is_meant {
                continue;
            }
            if working.len() >= AT_ONCE
                && let Some(done) = working.join_next().await
            {
                count += done.unwrap_or(Ok(0))?;
            }
            let copied = self.clone();
            working.spawn(async move { copied.put_back_or_tell(&key).await });
        }
        while let Some(done) = working.join_next().await {
            count += done.unwrap_or(Ok(0))?;
        }
        tracing::info!(objects = count, "put back into the storage");
        Ok(())
    }

    /// What can never be put back holds up nothing.
    async fn put_back_or_tell(&self, key: &Key) -> Result<usize, StoreError> {
        match self.put_back_one(key).await {
            Ok(Put::Written) => Ok(1),
            Ok(Put::Needless) => Ok(0),
            Err(error) if self.may_go_well_later(key, &error).await => Err(error),
            Err(error) => {
                tracing::warn!(%key, %error, "not put back into the storage");
                Ok(0)
            }
        }
    }

    /// Then all is tried again before anybody works on the store. What only saves work is not waited for while the store answers.
    async fn may_go_well_later(&self, key: &Key, error: &StoreError) -> bool {
        match error {
            StoreError::Damaged { source, .. } => is_passing(source),
            StoreError::TooLarge(_)
            | StoreError::Unusable(Error::NotAFolder(_) | Error::NotAFile(_)) => false,
            StoreError::Conflict
            | StoreError::Fenced
            | StoreError::Busy(_)
            | StoreError::TooMany(_)
            | StoreError::Unusable(_)
            | StoreError::Redis(_)
            | StoreError::S3(_) => {
                (self.0.merging.concerns)(key)
                    || error.concerns_all() && self.0.list(IDENTITY).await.is_err()
            }
        }
    }

    async fn put_back_one(&self, key: &Key) -> Result<Put, StoreError> {
        let Some(ours) = self.0.copies.folder().get(key).await? else {
            return Ok(Put::Needless);
        };
        if self.is_retired(key).await? {
            self.0.copies.forget(key).await;
            return Ok(Put::Needless);
        }
        let (shared, merging) = (&self.0.shared.0, &self.0.merging);
        for _try in 0..TRIES_MAX {
            let (bytes, when) = match shared.get(key).await? {
                None => (ours.bytes.clone(), When::Absent),
                Some(found) if (merging.concerns)(key) => {
                    let merged = (merging.merge)(key, &ours.bytes, &found.bytes);
                    if merged == found.bytes {
                        return Ok(Put::Needless);
                    }
                    (merged, When::Is(found.version))
                }
                Some(_) => return Ok(Put::Needless),
            };
            match shared.put(key, &bytes, &when, None).await {
                Ok(_version) => return Ok(Put::Written),
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Conflict)
    }
}

/// The copy could not be read for lack of what others may give back: rights, open files, memory.
pub(super) fn is_passing(error: &Error) -> bool {
    if matches!(error, Error::Denied(_)) {
        return true;
    }
    let Error::Failed { source, .. } = error else {
        return false;
    };
    let code = Errno::from_io_error(source);
    [Errno::MFILE, Errno::NFILE, Errno::NOMEM]
        .map(Some)
        .contains(&code)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Put {
    Written,
    Needless,
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::Duration;

    use super::*;
    use crate::storage::store::Merging;
    use crate::storage::store::memory::Memory;

    #[tokio::test]
    async fn a_copy_that_lacks_open_files_is_read_again_and_one_that_is_broken_is_not() {
        let [shared, copy] = [(); 2].map(|()| Memory::new().0);
        let copied = Copied::new(shared, copy, Merging::NOTHING, Duration::ZERO);
        let key = Key::new("certs/a/current").unwrap();
        for (code, expected) in [
            (Errno::MFILE, true),
            (Errno::NFILE, true),
            (Errno::IO, false),
        ] {
            let source = Error::Failed {
                path: "copy".into(),
                source: io::Error::from(code),
            };
            let error = StoreError::Damaged {
                key: key.clone(),
                source,
            };
            let answer = copied.may_go_well_later(&key, &error).await;
            assert_eq!(answer, expected, "{code}");
        }
    }
}
