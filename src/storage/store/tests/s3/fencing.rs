//! Whoever wrote under a lease writes nothing once somebody else has it, whatever lies there and whatever failed in between.

use std::time::Duration;

use tokio::task::JoinSet;

use super::between::Between;
use super::server::{self, MOTO};
use super::{SHORT, put, take, take_over};
use crate::storage::store::StoreError;
use crate::storage::store::tests::{content, key};

#[tokio::test]
async fn what_one_could_not_shut_is_shut_by_the_next() {
    let bucket = MOTO.bucket();
    let mut serving = JoinSet::new();
    let late = Between::before(MOTO.address.clone(), &mut serving).await;
    let hindered = Between::before(MOTO.address.clone(), &mut serving).await;
    let [sleeper, hindered_one] =
        [&late, &hindered].map(|between| server::store(server::place(&between.address, &bucket)));
    let other = MOTO.store(&bucket);
    let lease = sleeper.lease(&key("certs/a"), SHORT).await.unwrap();
    let lease = lease.unwrap();
    late.hold("/one/a");
    hindered.refuse("/one/a");
    let writing = async { put(&sleeper, &lease).await };
    let meanwhile = async {
        late.until_held().await;
        let failed = loop {
            match hindered_one.lease(&key("certs/a"), SHORT).await {
                Ok(None) => tokio::time::sleep(super::STEP).await,
                Ok(Some(_)) => panic!("it could not shut what it took over"),
                Err(error) => break error,
            }
        };
        assert!(failed.to_string().contains("denies us"), "{failed}");
        let newer = take_over(&other).await;
        late.release();
        late.until_released_ones_are_answered().await;
        newer
    };
    let (written, _newer) = tokio::join!(writing, meanwhile);
    assert!(written.is_err(), "{written:?}");
    assert_eq!(late.answers("/one/a"), ["412"]);
    assert_eq!(content(&other, "a").await, None);
}

#[tokio::test]
async fn a_late_write_over_what_others_wrote_there_changes_nothing_that_counts() {
    for newer_writes in [false, true] {
        let bucket = MOTO.bucket();
        let mut serving = JoinSet::new();
        let between = Between::before(MOTO.address.clone(), &mut serving).await;
        let sleeper = server::store(server::place(&between.address, &bucket));
        let other = MOTO.store(&bucket);
        MOTO.ask("PUT", &format!("/{bucket}/edge/one/a"), b"of others");
        let lease = sleeper.lease(&key("certs/a"), SHORT).await.unwrap();
        let lease = lease.unwrap();
        between.hold("/one/a");
        let late = async { put(&sleeper, &lease).await };
        let meanwhile = async {
            between.until_held().await;
            let newer = take_over(&other).await;
            if newer_writes {
                put(&other, &newer).await.unwrap();
            }
            between.release();
            newer
        };
        let (late, newer) = tokio::join!(late, meanwhile);
        assert!(matches!(late, Err(StoreError::Fenced)), "{late:?}");
        let kept = content(&other, "a").await;
        let expected = newer_writes.then(|| newer.fence().to_string().into_bytes());
        assert_eq!(kept, expected);
    }
}

#[tokio::test]
async fn a_holder_replaces_what_others_wrote_there() {
    let bucket = MOTO.bucket();
    let store = MOTO.store(&bucket);
    MOTO.ask("PUT", &format!("/{bucket}/edge/one/a"), b"of others");
    let lease = take(&store).await.unwrap();
    put(&store, &lease).await.unwrap();
    let kept = content(&store, "a").await.unwrap();
    assert_eq!(kept, lease.fence().to_string().into_bytes());
}

#[tokio::test]
async fn a_holder_that_slept_and_renews_in_time_has_the_lease_for_all_of_its_time() {
    let bucket = MOTO.bucket();
    let mut serving = JoinSet::new();
    let between = Between::before(MOTO.address.clone(), &mut serving).await;
    let [sleeper, other] =
        [(); 2].map(|()| server::store(server::place(&between.address, &bucket)));
    let mut lease = take(&sleeper).await.unwrap();
    // Its own clock stood still meanwhile.
    between.set_ahead(Duration::from_secs(3600));
    lease.renew().await.unwrap();
    assert!(take(&other).await.is_none());
    put(&sleeper, &lease).await.unwrap();
}
