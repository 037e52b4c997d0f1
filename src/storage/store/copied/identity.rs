//! Whether a store is the one that we know. It bears a mark that is written once: one without it was emptied, one with another was
//! replaced, and both get back what this host has before anybody works on them.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use uuid::Uuid;

use super::{Copied, Inner};
use crate::storage::store::{Key, Object, StoreError, When};

/// How long putting back may take until somebody else may do it as well, which is harmless.
const PUTTING_BACK: Duration = Duration::from_secs(120);

/// The mark as this process knows it; none: not read from the copy yet.
#[derive(Debug, Default)]
pub(super) struct Identity {
    known: Mutex<Option<Vec<u8>>>,
    turn: tokio::sync::Mutex<()>,
}

/// What came of looking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Same {
    Yes,
    /// It was not, and holds now what we have.
    Again,
    /// Somebody else is putting back.
    NotYet,
}

/// What the copy says of the store that it is of.
enum Kept {
    Mark(Vec<u8>),
    /// It is of none: this host is new here.
    Nothing,
    /// There was a mark.
    Unreadable,
    /// Nothing can be read there.
    OutOfReach,
}

impl Kept {
    fn of(found: Result<Option<Object>, StoreError>) -> Self {
        match found {
            Ok(Some(mark)) => Self::Mark(mark.bytes),
            Ok(None) => Self::Nothing,
            Err(StoreError::Damaged { .. }) => Self::Unreadable,
            Err(error) => {
                tracing::debug!(%error, "the local copy of the storage cannot be read");
                Self::OutOfReach
            }
        }
    }

    fn mark(&self) -> Option<&Vec<u8>> {
        match self {
            Self::Mark(mark) => Some(mark),
            Self::Nothing | Self::Unreadable | Self::OutOfReach => None,
        }
    }
}

impl Identity {
    fn known(&self) -> Option<Vec<u8>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.clone()
    }

    fn know(&self, mark: &[u8]) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(mark.to_vec());
    }
}

impl Copied {
    /// Sees that the store is the one we know, or makes it so.
    pub(super) async fn recognise(&self) -> Result<Same, StoreError> {
        let inner = &self.0;
        let key = identity_key()?;
        let found = inner.noted(inner.shared.0.get(&key).await)?;
        if found.is_some() && found.map(|found| found.bytes) == inner.identity.known() {
            return Ok(Same::Yes);
        }
        // One of this process looks again, the others wait for what it finds.
        let _turn = inner.identity.turn.lock().await;
        let found = inner.shared.0.get(&key).await?.map(|found| found.bytes);
        let kept = Kept::of(inner.copies.folder().get(&key).await);
        let kept = match inner.identity.known() {
            Some(known) if !matches!(kept, Kept::Mark(_)) => Kept::Mark(known),
            Some(_) | None => kept,
        };
        let is_known = found.is_some() && found.as_ref() == kept.mark();
        // Whoever knew no store has nothing that this one could lack.
        let is_other = !is_known && matches!(kept, Kept::Mark(_) | Kept::Unreadable);
        if is_other {
            let lease = inner.shared.0.lease(&lease_name()?, PUTTING_BACK).await?;
            let Some(_lease) = lease else {
                return Ok(Same::NotYet);
            };
            tracing::warn!(
                "the storage was emptied or replaced: what the local copy has is put back before anything is ordered"
            );
            self.put_back().await?;
        }
        let mark = match found {
            Some(mark) => mark,
            None => inner.bear(&key).await?,
        };
        // A copy that is out of reach just now may know another store, and tell it to the next process.
        if !is_known && !matches!(kept, Kept::OutOfReach) {
            inner.copies.keep_plainly(&key, &mark).await;
        }
        inner.identity.know(&mark);
        Ok(if is_other { Same::Again } else { Same::Yes })
    }
}

impl Inner {
    /// The mark of a store that had none: ours, or that of whoever was faster.
    async fn bear(&self, key: &Key) -> Result<Vec<u8>, StoreError> {
        let mark = Uuid::new_v4().to_string().into_bytes();
        match self.shared.0.put(key, &mark, &When::Absent, None).await {
            Ok(_version) => Ok(mark),
            Err(StoreError::Conflict) => {
                let found = self.shared.0.get(key).await?;
                found.map(|found| found.bytes).ok_or(StoreError::Conflict)
            }
            Err(error) => Err(error),
        }
    }
}

fn identity_key() -> Result<Key, StoreError> {
    Key::new(IDENTITY).map_err(|_never| StoreError::Conflict)
}

fn lease_name() -> Result<Key, StoreError> {
    Key::new("putting-back").map_err(|_never| StoreError::Conflict)
}

/// The key of the mark.
pub(super) const IDENTITY: &str = "identity";
