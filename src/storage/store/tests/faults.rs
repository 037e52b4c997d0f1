//! The store in memory fails as it is told, and no more.

use std::time::Duration;

use tokio::time;

use super::super::memory::{Memory, Moment};
use super::super::{StoreError, When};
use super::{content, key, names};

const LASTS: Duration = Duration::from_secs(60);

#[tokio::test]
async fn the_nth_mutation_fails_before_or_after_its_effect() {
    let (store, faults) = Memory::new();
    faults.fail(2, Moment::Before);
    faults.fail(3, Moment::After);
    for (name, well) in [("a", true), ("b", false), ("c", false), ("d", true)] {
        let put = store.put(&key(name), b"", &When::Absent, None).await;
        assert_eq!(put.is_ok(), well, "{name}: {put:?}");
    }
    assert_eq!(names(&store, "").await, ["a", "c", "d"]);
    assert_eq!(faults.mutations(), 4);
}

#[tokio::test]
async fn a_crashed_process_does_nothing_and_loses_its_leases_for_good() {
    let (store, faults) = Memory::new();
    let (other, _) = faults.process();
    let mut lease = store.lease(&key("l"), LASTS).await.unwrap().unwrap();
    assert!(other.lease(&key("l"), LASTS).await.unwrap().is_none());
    faults.crash_at(1, Moment::After);
    assert!(
        store
            .put(&key("a"), b"1", &When::Absent, Some(&lease))
            .await
            .is_err()
    );
    assert!(faults.is_crashed());
    assert!(store.get(&key("a")).await.is_err());
    assert!(store.list("").await.is_err());
    assert!(lease.renew().await.is_err());
    assert!(store.lease(&key("m"), LASTS).await.is_err());
    assert_eq!(content(&other, "a").await.unwrap(), b"1");
    let taken = other.lease(&key("l"), LASTS).await.unwrap().unwrap();
    assert!(taken.fence() > lease.fence());
    faults.revive();
    assert_eq!(content(&store, "a").await.unwrap(), b"1");
    let put = store
        .put(&key("a"), b"2", &When::Always, Some(&lease))
        .await;
    assert!(matches!(put, Err(StoreError::Fenced)), "{put:?}");
    drop(lease);
    assert!(store.lease(&key("l"), LASTS).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_not_renewed_ends_with_its_time() {
    let (store, faults) = Memory::new();
    let (other, _) = faults.process();
    let mut lease = store.lease(&key("l"), LASTS).await.unwrap().unwrap();
    time::advance(LASTS / 2).await;
    lease.renew().await.unwrap();
    time::advance(LASTS / 2).await;
    assert!(other.lease(&key("l"), LASTS).await.unwrap().is_none());
    time::advance(LASTS / 2).await;
    let taken = other.lease(&key("l"), LASTS).await.unwrap().unwrap();
    assert!(taken.fence() > lease.fence());
    assert!(matches!(lease.renew().await, Err(StoreError::Fenced)));
}
