//! The store in a bucket.

mod between;
mod fencing;
mod odd;
pub(crate) mod server;

use std::error::Error;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::between::Between;
use self::server::{MOTO, SECRET, Server};
use super::super::memory::Memory;
use super::super::s3::Place;
use super::super::{Lease, Mark, Store, StoreError, When};
use super::agreement::{Operation, User, operation, runtime};
use super::{content, key, names};

const LASTS: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(30);
const PATIENCE: Duration = Duration::from_secs(20);
const STEP: Duration = Duration::from_millis(50);

/// With its causes.
fn one_line(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        line += &format!(": {cause}");
        next = cause.source();
    }
    line
}

async fn take(store: &Store) -> Option<Lease> {
    store.lease(&key("certs/a"), LASTS).await.unwrap()
}

/// Tries until whoever has it is out of time.
async fn take_over(store: &Store) -> Lease {
    let taking = async {
        loop {
            if let Some(taken) = take(store).await {
                return taken;
            }
            tokio::time::sleep(STEP).await;
        }
    };
    tokio::time::timeout(PATIENCE, taking).await.unwrap()
}

async fn put(store: &Store, lease: &Lease) -> Result<(), StoreError> {
    let bytes = lease.fence().to_string();
    let (name, when) = (key("a"), When::Always);
    let put = store.put(&name, bytes.as_bytes(), &when, Some(lease));
    put.await.map(|_version| ())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn a_bucket_and_a_memory_answer_alike(operations in vec(operation(), 1..25)) {
        let store = MOTO.store(&MOTO.bucket());
        runtime().block_on(async {
            let mut bucket = User::new(store);
            let mut memory = User::new(Memory::new().0);
            for operation in &operations {
                let mut expected = memory.act(operation).await;
                if matches!(operation, Operation::Get(_)) && expected == "damaged" {
                    // In a bucket a folder is nothing, and asking whether there is one costs more than the answer is worth.
                    "None".clone_into(&mut expected);
                }
                let answer = bucket.act(operation).await;
                prop_assert_eq!(answer, expected, "{:?}", operation);
            }
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn of_many_at_once_one_gets_the_lease_and_fences_grow() {
    let bucket = MOTO.bucket();
    let stores: Vec<_> = (0..8).map(|_process| MOTO.store(&bucket)).collect();
    let mut last = 0;
    for _turn in 0..2 {
        let mut racing = JoinSet::new();
        for store in &stores {
            let store = store.clone();
            racing.spawn(async move { take(&store).await.map(|lease| (lease, store)) });
        }
        let mut winners: Vec<_> = racing.join_all().await.into_iter().flatten().collect();
        assert_eq!(winners.len(), 1);
        let (lease, store) = winners.pop().unwrap();
        assert!(lease.fence() > last);
        last = lease.fence();
        drop(lease);
        // Waits until it is given back.
        store.lease(&key("other"), LASTS).await.unwrap();
    }
}

#[tokio::test]
async fn of_many_writers_of_one_version_one_wins() {
    let bucket = MOTO.bucket();
    let store = MOTO.store(&bucket);
    let mut racing = JoinSet::new();
    let first = store.put(&key("a"), b"first", &When::Absent, None).await;
    let first = first.unwrap();
    for number in 0..8 {
        let (store, when) = (MOTO.store(&bucket), When::Is(first.clone()));
        racing.spawn(async move {
            let content = format!("{number}");
            let name = key("a");
            let put = store.put(&name, content.as_bytes(), &when, None);
            put.await.is_ok().then_some(content)
        });
    }
    let winners: Vec<_> = racing.join_all().await.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1, "{winners:?}");
    let kept = content(&store, "a").await.unwrap();
    assert_eq!(kept, winners[0].as_bytes());
}

#[tokio::test]
async fn who_slept_past_the_lease_writes_nothing() {
    let bucket = MOTO.bucket();
    let [sleeper, other] = [(); 2].map(|()| MOTO.store(&bucket));
    let lease = sleeper.lease(&key("certs/a"), SHORT).await.unwrap();
    let mut lease = lease.unwrap();
    put(&sleeper, &lease).await.unwrap();
    let newer = take_over(&other).await;
    assert!(newer.fence() > lease.fence());
    put(&other, &newer).await.unwrap();
    let late = put(&sleeper, &lease).await;
    assert!(matches!(late, Err(StoreError::Fenced)), "{late:?}");
    assert!(matches!(lease.renew().await, Err(StoreError::Fenced)));
    drop(lease);
    // Giving back what was lost takes nothing from whoever has it.
    assert!(take(&sleeper).await.is_none());
    let kept = content(&other, "a").await.unwrap();
    assert_eq!(kept, newer.fence().to_string().into_bytes());
}

#[tokio::test]
async fn a_write_that_comes_after_its_lease_was_taken_over_changes_nothing() {
    let bucket = MOTO.bucket();
    let other = MOTO.store(&bucket);
    for kept in [None, Some(b"old".as_slice())] {
        let mut serving = JoinSet::new();
        let between = Between::before(MOTO.address.clone(), &mut serving).await;
        let sleeper = server::store(server::place(&between.address, &bucket));
        if let Some(kept) = kept {
            other
                .put(&key("a"), kept, &When::Always, None)
                .await
                .unwrap();
        }
        let lease = sleeper.lease(&key("certs/a"), SHORT).await.unwrap();
        let lease = lease.unwrap();
        between.hold("/one/a");
        let late = async { put(&sleeper, &lease).await };
        let meanwhile = async {
            between.until_held().await;
            let newer = take_over(&other).await;
            between.release();
            between.until_released_ones_are_answered().await;
            newer
        };
        let (late, newer) = tokio::join!(late, meanwhile);
        assert!(late.is_err(), "{late:?}");
        assert_eq!(between.answers("/one/a"), ["412"]);
        assert_eq!(content(&other, "a").await.as_deref(), kept);
        drop(newer);
        // Waits until it is given back.
        other.lease(&key("other"), LASTS).await.unwrap();
    }
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_known_again() {
    let mut serving = JoinSet::new();
    let between = Between::before(MOTO.address.clone(), &mut serving).await;
    let store = server::store(server::place(&between.address, &MOTO.bucket()));
    between.lose("/one/a");
    let created = store.put(&key("a"), b"1", &When::Absent, None).await;
    let when = When::Is(created.unwrap());
    between.lose("/one/a");
    store.put(&key("a"), b"2", &when, None).await.unwrap();
    assert_eq!(between.answers("/one/a"), ["200", "412", "200", "412"]);
    between.lose("/leases/certs/a");
    assert!(take(&store).await.is_some());
}

#[tokio::test]
async fn an_emptied_bucket_gives_no_fence_twice_and_admits_no_old_lease() {
    let bucket = MOTO.bucket();
    let store = MOTO.store(&bucket);
    let lease = take(&store).await.unwrap();
    put(&store, &lease).await.unwrap();
    for path in ["a", "leases/certs/a"] {
        MOTO.ask("DELETE", &format!("/{bucket}/edge/one/{path}"), b"");
    }
    assert_eq!(content(&store, "a").await, None);
    let late = put(&store, &lease).await;
    assert!(matches!(late, Err(StoreError::Fenced)), "{late:?}");
    let newer = take(&store).await.unwrap();
    assert!(newer.fence() > lease.fence());
    put(&store, &newer).await.unwrap();
}

#[tokio::test]
async fn what_was_deleted_is_not_there_and_can_be_made_again() {
    let store = MOTO.store(&MOTO.bucket());
    for name in ["a/1", "a/2", "a/3", "a/4", "b"] {
        store
            .put(&key(name), b"x", &When::Absent, None)
            .await
            .unwrap();
    }
    store
        .delete(&key("a/2"), &When::Always, None)
        .await
        .unwrap();
    assert_eq!(names(&store, "").await, ["a/1", "a/3", "a/4", "b"]);
    assert_eq!(names(&store, "a/").await, ["a/1", "a/3", "a/4"]);
    assert_eq!(content(&store, "a/2").await, None);
    store
        .put(&key("a/2"), b"y", &When::Absent, None)
        .await
        .unwrap();
    assert_eq!(content(&store, "a/2").await.unwrap(), b"y");
}

#[tokio::test]
async fn what_changed_is_told_though_its_content_did_not() {
    let bucket = MOTO.bucket();
    let [store, other] = [(); 2].map(|()| MOTO.store(&bucket));
    for name in ["a/1", "a/2", "a/3", "b"] {
        store
            .put(&key(name), b"x", &When::Absent, None)
            .await
            .unwrap();
    }
    let (keys, mark) = other.changed("a/", &Mark::default()).await.unwrap();
    assert_eq!(keys, ["a/1", "a/2", "a/3"].map(key));
    assert_eq!(
        other.changed("a/", &mark).await.unwrap(),
        (vec![], mark.clone())
    );
    store
        .put(&key("a/1"), b"x", &When::Always, None)
        .await
        .unwrap();
    store
        .delete(&key("a/3"), &When::Always, None)
        .await
        .unwrap();
    let (keys, _mark) = other.changed("a/", &mark).await.unwrap();
    assert_eq!(keys, ["a/1", "a/3"].map(key));
}

#[tokio::test]
async fn what_others_wrote_there_is_damaged_and_concerns_nothing_else() {
    let bucket = MOTO.bucket();
    let store = MOTO.store(&bucket);
    store
        .put(&key("a"), b"x", &When::Absent, None)
        .await
        .unwrap();
    MOTO.ask("PUT", &format!("/{bucket}/edge/one/b"), b"y");
    MOTO.ask("PUT", &format!("/{bucket}/edge/one/UPPER"), b"y");
    MOTO.ask("PUT", &format!("/{bucket}/edge/one-more"), b"y");
    assert_eq!(names(&store, "").await, ["a", "b"]);
    let error = store.get(&key("b")).await.unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
    let line = one_line(&error);
    assert!(line.contains("was not written by onedoor"), "{line}");
    assert!(line.contains(&format!("s3://{bucket}/edge/one")), "{line}");
    store
        .put(&key("b"), b"z", &When::Always, None)
        .await
        .unwrap();
    assert_eq!(content(&store, "b").await.unwrap(), b"z");
}

#[tokio::test]
async fn the_probe_leaves_nothing() {
    let bucket = MOTO.bucket();
    let store = MOTO.store(&bucket);
    drop(take(&store).await.unwrap());
    let listing = MOTO.ask("GET", &format!("/{bucket}?list-type=2"), b"");
    assert!(listing.contains("edge/one/leases/certs/a"), "{listing}");
    assert!(!listing.contains(".probe"), "{listing}");
}

#[tokio::test]
async fn a_store_whose_conditions_lie_is_read_and_written_but_gives_no_lease() {
    let server = Server::lying();
    let store = server.store(&server.folder_bucket());
    store
        .put(&key("a"), b"x", &When::Absent, None)
        .await
        .unwrap();
    for _again in 0..2 {
        let error = store.lease(&key("certs/a"), LASTS).await.unwrap_err();
        let text = error.to_string();
        let seen = "of several writes at once, of which one may win, it accepted ";
        assert!(text.contains(seen), "{text}");
        assert!(
            text.contains(
                "nothing is ordered with it: use Redis, or a store with conditional writes"
            ),
            "{text}"
        );
    }
    assert_eq!(content(&store, "a").await.unwrap(), b"x");
}

#[tokio::test]
async fn what_is_wrong_is_named_with_the_way_out() {
    let lying = Server::lying();
    let bucket = lying.folder_bucket();
    let strangers = lying.place(&bucket).with_keys("AKIASTRANGER", SECRET, None);
    let nowhere = server::place("127.0.0.1:1", "bucket");
    for (place, hint) in [
        (
            MOTO.place("no-such-bucket"),
            "no bucket `no-such-bucket`: create it",
        ),
        (strangers, "correct `access_key` and `secret_key`"),
        (nowhere, "cannot be reached: see that `endpoint` is right"),
    ] {
        let shown = place.to_string();
        let store = server::store(place);
        for error in [
            store.get(&key("a")).await.unwrap_err(),
            store.list("").await.unwrap_err(),
            store
                .put(&key("a"), b"", &When::Absent, None)
                .await
                .unwrap_err(),
            store.lease(&key("a"), LASTS).await.unwrap_err(),
        ] {
            let text = error.to_string();
            assert!(
                text.contains(hint) && text.contains(&shown),
                "{}",
                one_line(&error)
            );
            assert!(!one_line(&error).contains(SECRET));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_never_answers_is_left_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let store = server::store(server::place(&address, "bucket"));
    let begun = Instant::now();
    let error = store.get(&key("a")).await.unwrap_err();
    assert!(error.to_string().contains("cannot be reached"), "{error}");
    assert!(begun.elapsed() < PATIENCE * 2, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn roots_that_are_none_are_refused() {
    let place = Place::parse("s3://bucket").unwrap();
    let place = place.trusting(b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n");
    let line = one_line(&super::super::s3::S3::at(place).unwrap_err());
    assert!(line.contains("extra roots"), "{line}");
}
