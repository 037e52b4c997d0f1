//! Whether a store is the one that we know. It bears a mark that is written once: one without it was emptied, one with another was
//! replaced, and both get back what this host has before anybody works on them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::putting_back::is_passing;
use super::{Copied, Inner};
use crate::storage::store::{Key, Object, StoreError, When};

/// How long putting back may take until somebody else may do it as well, which is harmless.
const PUTTING_BACK: Duration = Duration::from_secs(120);

/// How long a host that knows nothing waits at an empty store for hosts that know it: they look at it more often than this.
pub(in crate::storage::store) const FOUNDING: Duration = Duration::from_secs(30);
/// Between two looks at whether they came.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The mark as this process knows it; none: not read from the copy yet.
#[derive(Debug)]
pub(super) struct Identity {
    known: Mutex<Option<Vec<u8>>>,
    turn: tokio::sync::Mutex<()>,
    /// [`FOUNDING`], where several hosts share the store.
    founding: Duration,
    /// Since when this host looks at an empty store that it does not know.
    empty_since: Mutex<Option<Instant>>,
    orders_nothing: AtomicBool,
}

/// What came of looking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Same {
    Yes,
    /// It was not, and holds now what we have.
    Again,
    /// Somebody else is putting back.
    NotYet,
    /// It is nobody's, and we know nothing: hosts that know it may still come.
    Nobodys,
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
            Err(StoreError::Damaged { source, .. }) if !is_passing(&source) => Self::Unreadable,
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
    pub(super) fn new(founding: Duration) -> Self {
        Self {
            known: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            founding,
            empty_since: Mutex::default(),
            orders_nothing: AtomicBool::new(false),
        }
    }

    pub(super) fn orders_nothing(&self) {
        self.orders_nothing.store(true, Ordering::Relaxed);
    }

    pub(super) fn does_order(&self) -> bool {
        !self.orders_nothing.load(Ordering::Relaxed)
    }

    /// Whether nobody came in all the time that there was.
    fn may_found(&self) -> bool {
        if self.founding.is_zero() {
            return true;
        }
        let mut since = self.lock_empty_since();
        let begun = since.get_or_insert_with(|| {
            tracing::info!(
                "the storage is empty and this host knows nothing of it: for {} s nothing is ordered, so that hosts that know it can fill it",
                self.founding.as_secs()
            );
            Instant::now()
        });
        begun.elapsed() >= self.founding
    }

    /// Nobody could come: the time begins anew.
    pub(super) fn is_out_of_reach(&self) {
        *self.lock_empty_since() = None;
    }

    fn lock_empty_since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.empty_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn known(&self) -> Option<Vec<u8>> {
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
        let founds = found.is_none() && !is_other;
        if founds && inner.shared.is_shared() && !inner.identity.may_found() {
            return Ok(Same::Nobodys);
        }
        let _lease = if is_other || founds {
            let lease = inner.shared.0.lease(&lease_name()?, PUTTING_BACK).await?;
            if lease.is_none() {
                return Ok(if founds { Same::Nobodys } else { Same::NotYet });
            }
            lease
        } else {
            None
        };
        if is_other {
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

    /// Until a store that is nobody's was filled by somebody, or was founded by us.
    pub(super) async fn wait_for_those_who_know(&self) -> Result<(), StoreError> {
        while self.recognise().await? == Same::Nobodys {
            sleep(LOOK_EVERY).await;
        }
        Ok(())
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

pub(super) fn identity_key() -> Result<Key, StoreError> {
    Key::new(IDENTITY).map_err(|_never| StoreError::Conflict)
}

fn lease_name() -> Result<Key, StoreError> {
    Key::new("putting-back").map_err(|_never| StoreError::Conflict)
}

/// The key of the mark.
pub(super) const IDENTITY: &str = "identity";
