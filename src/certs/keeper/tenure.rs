//! Holding on to a lease while work is done under it, and letting go of the work before somebody else may have the lease.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use crate::storage::store::{Lease, StoreError};

/// How long a lease lasts without being renewed, where a store cannot tell that its holder lives.
pub(super) const LEASE_TIME: Duration = Duration::from_secs(60);
/// How long before its end by our own clock the work stops: what was sent may still be on its way.
const MARGIN: Duration = Duration::from_secs(10);
/// Between two tries to renew it while the store fails.
const TRY_EVERY: Duration = Duration::from_secs(3);

/// Renews the lease again and again. Ends, with the reason, as soon as the work must not go on.
pub(super) async fn hold_on(lease: &Mutex<Lease>) -> StoreError {
    let mut ends = lease.lock().await.ends();
    loop {
        let last_moment = ends.checked_sub(MARGIN).unwrap_or(ends);
        sleep_until(last_moment.min(Instant::now() + LEASE_TIME / 3)).await;
        loop {
            // Whoever was frozen finds the time over before anything else is done.
            if Instant::now() >= last_moment {
                return StoreError::Fenced;
            }
            let renewal = async {
                let mut lease = lease.lock().await;
                lease.renew().await.map(|()| lease.ends())
            };
            match timeout_at(last_moment, renewal).await {
                Ok(Ok(renewed)) => {
                    ends = renewed;
                    break;
                }
                Ok(Err(StoreError::Fenced)) | Err(_) => return StoreError::Fenced,
                Ok(Err(error)) => {
                    tracing::debug!(%error, "a lease was not renewed");
                    sleep(TRY_EVERY).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::store::memory::{Faults, Memory};
    use crate::storage::store::{Key, Store};

    async fn lease(store: &Store) -> Mutex<Lease> {
        let name = Key::new("work").unwrap();
        Mutex::new(store.lease(&name, LEASE_TIME).await.unwrap().unwrap())
    }

    async fn lasts(faults: &Faults, disturb: impl Fn(&Faults)) -> Duration {
        let (store, faults) = faults.process();
        let lease = lease(&store).await;
        let begun = Instant::now();
        let disturbed = async {
            sleep(LEASE_TIME * 2).await;
            disturb(&faults);
            std::future::pending().await
        };
        tokio::select! {
            _lost = hold_on(&lease) => begun.elapsed(),
            () = disturbed => unreachable!(),
            () = sleep(LEASE_TIME * 10) => LEASE_TIME * 10,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn work_goes_on_while_the_lease_is_renewed_and_stops_before_it_ends() {
        for disturb in [Faults::cut_off, Faults::silence] {
            let (_store, memory) = Memory::new();
            let lasted = lasts(&memory, disturb).await;
            let longest = LEASE_TIME * 3 - MARGIN;
            assert!(lasted > LEASE_TIME * 2 && lasted <= longest, "{lasted:?}");
        }
        let (_store, memory) = Memory::new();
        assert_eq!(lasts(&memory, |_faults| {}).await, LEASE_TIME * 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_fails_for_a_moment_stops_no_work() {
        let (_store, memory) = Memory::new();
        let (store, faults) = memory.process();
        let lease = lease(&store).await;
        let disturbed = async {
            sleep(LEASE_TIME / 4).await;
            faults.cut_off();
            sleep(LEASE_TIME / 4).await;
            faults.mend();
            sleep(LEASE_TIME * 3).await;
        };
        tokio::select! {
            lost = hold_on(&lease) => panic!("{lost}"),
            () = disturbed => {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_somebody_else_has_stops_the_work_at_once() {
        let (_store, memory) = Memory::new();
        let (store, _faults) = memory.process();
        let lease = lease(&store).await;
        memory.empty();
        let begun = Instant::now();
        hold_on(&lease).await;
        assert!(begun.elapsed() <= LEASE_TIME / 3);
    }
}
