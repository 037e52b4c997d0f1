//! How it stands with the storage, as people are told: once when it fails, and once when that is over.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::causes::one_line;
use crate::certs::alerts::event::Event;
use crate::certs::keeper::works::Works;
use crate::certs::vault::VaultError;
use crate::storage::store::StoreError;

/// Looks in a row that fail before it is a trouble: one may be lost.
const LOOKS_FAILED_MAX: u32 = 2;
/// The longest that a store is tried out at a time.
const TRIAL: Duration = Duration::from_secs(60);
/// Between two trials that said nothing.
const TRY_AGAIN: Duration = Duration::from_secs(60);

/// What is known of it; nothing: it is well, or nobody has asked yet.
#[derive(Debug, Default)]
pub(super) struct Footing(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    looks_failed: u32,
    trouble: Option<Trouble>,
}

#[derive(Debug)]
struct Trouble {
    extent: Extent,
    problem: String,
}

/// What has to happen for it to be over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// Anything that goes well.
    Whole,
    /// That a name is tended well: some of what is stored cannot be used.
    Part,
    /// A restart: its leases are worth nothing.
    Unfit,
}

impl Works {
    /// What is wrong with the storage, in words. Nothing is ordered as long as it is so, and what is loaded is served on.
    #[must_use]
    pub fn storage_problem(&self) -> Option<String> {
        let state = self.footing.lock();
        state.trouble.as_ref().map(|known| known.problem.clone())
    }

    /// Finds out whether leases can rest on the storage, before one is needed, and tells if they cannot. Ends once that is known.
    pub async fn try_storage(self: Arc<Self>) {
        loop {
            match timeout(TRIAL, self.vault.store().try_out()).await {
                Ok(Ok(())) => return,
                Ok(Err(error)) if error.is_unfit() => return self.storage_fails(&error.into()),
                Ok(Err(error)) => {
                    tracing::debug!(%error, "it is not known whether leases can rest on the storage");
                }
                Err(_late) => {
                    tracing::debug!("the storage was tried out for too long");
                }
            }
            sleep(TRY_AGAIN).await;
        }
    }

    /// A look at all of it failed.
    pub(super) fn look_failed(&self, error: StoreError) {
        let mut state = self.footing.lock();
        state.looks_failed = state.looks_failed.saturating_add(1);
        let is_trouble = state.looks_failed >= LOOKS_FAILED_MAX;
        drop(state);
        if is_trouble {
            self.storage_fails(&error.into());
        }
    }

    /// A look at all of it went well.
    pub(super) fn look_went_well(&self) {
        if self.footing.lock().end(&[Extent::Whole]) {
            self.tell_end();
        }
    }

    /// A name was tended, and the storage did what was asked of it.
    pub(super) fn storage_serves(&self) {
        let mut state = self.footing.lock();
        let is_over = state.end(&[Extent::Whole, Extent::Part]);
        let is_unfit = state.trouble.is_some();
        drop(state);
        if is_over {
            self.tell_end();
        } else if !is_unfit {
            // Somebody before us may have told that it is not.
            self.hear_end();
        }
    }

    /// The storage did not do what was asked of it.
    pub(super) fn storage_fails(&self, error: &VaultError) {
        let (extent, problem) = (Extent::of(error), error.to_string());
        let mut state = self.footing.lock();
        let is_known = state
            .trouble
            .as_ref()
            .is_some_and(|known| known.extent == extent || known.extent == Extent::Unfit);
        if !is_known {
            let problem = problem.clone();
            state.trouble = Some(Trouble { extent, problem });
        }
        drop(state);
        let (storage, cause) = (&self.storage, one_line(error));
        match extent {
            Extent::Whole | Extent::Part | Extent::Unfit if is_known => {
                tracing::debug!(storage, error = cause, "the storage cannot be used");
            }
            Extent::Unfit => {
                tracing::error!(
                    storage,
                    error = cause,
                    "the storage cannot keep leases: nothing is ordered, what is loaded is served on"
                );
            }
            Extent::Whole | Extent::Part => {
                tracing::warn!(
                    storage,
                    error = cause,
                    "the storage cannot be used: nothing is ordered, what is loaded is served on"
                );
            }
        }
        self.listener.hear(Event::StorageUnreachable {
            storage: storage.clone(),
            problem,
        });
    }

    fn tell_end(&self) {
        tracing::warn!(storage = self.storage, "the storage can be used again");
        self.hear_end();
    }

    fn hear_end(&self) {
        let storage = self.storage.clone();
        self.listener.hear(Event::StorageReachable { storage });
    }
}

impl Footing {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// It went well; says whether that ended a trouble.
    fn end(&mut self, extents: &[Extent]) -> bool {
        self.looks_failed = 0;
        let is_over = (self.trouble.as_ref()).is_some_and(|known| extents.contains(&known.extent));
        if is_over {
            self.trouble = None;
        }
        is_over
    }
}

impl Extent {
    fn of(error: &VaultError) -> Self {
        match error {
            VaultError::Store(error) if error.is_unfit() => Self::Unfit,
            VaultError::Store(error) if error.concerns_all() => Self::Whole,
            VaultError::Store(_)
            | VaultError::Key(_)
            | VaultError::Unservable(_)
            | VaultError::Unwritable(_)
            | VaultError::Damaged(..)
            | VaultError::WentBack => Self::Part,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::certs::challenges::Challenges;
    use crate::certs::keeper::Keeper;
    use crate::certs::keeper::listener::Listener;
    use crate::certs::keeper::works::over_the_network;
    use crate::certs::shelf::Shelf;
    use crate::clock::Clock;
    use crate::shutdown::Shutdown;
    use crate::storage::store::memory::Memory;

    #[tokio::test(start_paused = true)]
    async fn a_store_that_is_down_is_told_though_nothing_is_due_and_again_when_it_is_back() {
        let (store, faults) = Memory::new();
        faults.share();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hearing = heard.clone();
        let works = Arc::new(Works::new(
            store,
            Clock::virtual_from(SystemTime::UNIX_EPOCH),
            Shelf::default(),
            Challenges::default(),
            Listener::new(move |event| hearing.lock().unwrap().push(event.name())),
            "redis://redis.test".to_owned(),
            over_the_network(),
        ));
        let shutdown = Shutdown::new();
        let keeper = Keeper::start(works.clone(), &shutdown);
        keeper.watch(&shutdown);
        sleep(Duration::from_secs(65)).await;
        assert!(heard.lock().unwrap().is_empty());
        faults.cut_off();
        sleep(Duration::from_secs(10)).await;
        assert_eq!(works.storage_problem(), None);
        sleep(Duration::from_secs(10)).await;
        assert_eq!(heard.lock().unwrap().first(), Some(&"storage.unreachable"));
        assert!(works.storage_problem().is_some());
        faults.mend();
        sleep(Duration::from_secs(10)).await;
        assert_eq!(works.storage_problem(), None);
        sleep(Duration::from_secs(60)).await;
        let heard = heard.lock().unwrap();
        let backs = heard.iter().filter(|name| **name == "storage.reachable");
        assert_eq!(
            (backs.count(), heard.last()),
            (1, Some(&"storage.reachable"))
        );
    }
}
