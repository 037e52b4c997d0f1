//! The store in a real Redis.

mod lasting;
mod secured;
mod server;

use std::error::Error;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use tokio::task::JoinSet;

use self::server::Server;
use super::super::memory::Memory;
use super::super::redis::{Place, Reached, Redis};
use super::super::{Lease, Mark, Store, StoreError, When};
use super::agreement::{User, operation, runtime};
use super::following::follow;
use super::{content, key, names};

const LASTS: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(10);
const STEP: Duration = Duration::from_millis(10);

/// Tries until the server is there.
async fn ready(store: &Store) {
    let waiting = async {
        while store.list("").await.is_err() {
            tokio::time::sleep(STEP).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap();
}

async fn take(store: &Store) -> Option<Lease> {
    store.lease(&key("certs/a"), LASTS).await.unwrap()
}

async fn put(store: &Store, lease: &Lease) -> Result<(), StoreError> {
    let bytes = lease.fence().to_string();
    let when = When::Always;
    let key = key("a");
    let put = store.put(&key, bytes.as_bytes(), &when, Some(lease));
    put.await.map(|_version| ())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn redis_and_a_memory_answer_alike(operations in vec(operation(), 1..40)) {
        let server = Server::start();
        runtime().block_on(async {
            let store = server.store("one");
            ready(&store).await;
            let mut redis = User::new(store);
            let mut memory = User::new(Memory::new().0);
            for operation in &operations {
                let expected = memory.act(operation).await;
                let answer = redis.act(operation).await;
                prop_assert_eq!(answer, expected, "{:?}", operation);
            }
            Ok(())
        })?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn who_follows_redis_knows_what_it_holds(operations in vec(operation(), 1..40)) {
        let server = Server::start();
        runtime().block_on(async {
            ready(&server.store("one")).await;
            follow(&server.store("one"), "", &operations).await;
            follow(&server.store("two"), "b/", &operations).await;
        });
    }
}

#[tokio::test]
async fn what_a_restart_took_away_is_followed_too() {
    let mut server = Server::start();
    let store = server.store("one");
    ready(&store).await;
    for name in ["a", "b"] {
        let written = store.put(&key(name), b"x", &When::Absent, None).await;
        written.unwrap();
    }
    let (keys, mark) = store.changed("", &Mark::default()).await.unwrap();
    assert_eq!(keys, [key("a"), key("b")]);
    server.restart();
    ready(&store).await;
    // As many writes as before: the numbers alone would not tell.
    for content in [b"x", b"y"] {
        let written = store.put(&key("a"), content, &When::Always, None).await;
        written.unwrap();
    }
    let (keys, mark) = store.changed("", &mark).await.unwrap();
    assert_eq!(keys, [key("a"), key("b")]);
    let (keys, _mark) = store.changed("", &mark).await.unwrap();
    assert_eq!(keys, []);
}

#[tokio::test]
async fn a_write_of_another_process_is_hinted_at_also_after_a_restart() {
    let mut server = Server::start();
    let [ours, other] = [(); 2].map(|()| server.store("one"));
    ready(&ours).await;
    for turn in 0..2 {
        let writing = async {
            for number in 0_u64.. {
                let (key, bytes) = (key("a"), number.to_string());
                let put = other.put(&key, bytes.as_bytes(), &When::Always, None);
                put.await.unwrap();
                tokio::time::sleep(STEP).await;
            }
        };
        tokio::select! {
            () = ours.hint() => {}
            () = writing => {}
            () = tokio::time::sleep(PATIENCE) => panic!("no hint in turn {turn}"),
        }
        server.restart();
        ready(&other).await;
        // What was heard of before.
        let _late = tokio::time::timeout(STEP, ours.hint()).await;
    }
}

#[test]
fn a_store_outlives_the_runtime_that_it_was_first_used_in() {
    let server = Server::start();
    let store = server.store("one");
    runtime().block_on(ready(&store));
    for _other in 0..2 {
        let listed = runtime().block_on(store.list(""));
        listed.unwrap();
    }
}

#[tokio::test]
async fn of_many_at_once_one_gets_the_lease_and_fences_grow() {
    let server = Server::start();
    ready(&server.store("one")).await;
    let mut last = 0;
    for _turn in 0..3 {
        let mut racing = JoinSet::new();
        for _process in 0..8 {
            let store = server.store("one");
            racing.spawn(async move { (take(&store).await, store) });
        }
        let taken: Vec<_> = racing.join_all().await;
        let winners: Vec<_> = taken
            .iter()
            .filter_map(|(lease, _)| lease.as_ref())
            .collect();
        assert_eq!(winners.len(), 1);
        assert!(winners[0].fence() > last);
        last = winners[0].fence();
        let winner = taken.into_iter().find(|(lease, _)| lease.is_some());
        let (lease, store) = winner.unwrap();
        drop(lease);
        // Waits until it is given back.
        store.lease(&key("other"), LASTS).await.unwrap();
    }
}

#[tokio::test]
async fn who_slept_past_the_lease_writes_nothing() {
    let server = Server::start();
    let [sleeper, other] = [(); 2].map(|()| server.store("one"));
    ready(&sleeper).await;
    let short = Duration::from_millis(300);
    let lease = sleeper.lease(&key("certs/a"), short).await.unwrap();
    let mut lease = lease.unwrap();
    let taking = async {
        loop {
            if let Some(taken) = take(&other).await {
                return taken;
            }
            tokio::time::sleep(STEP).await;
        }
    };
    let newer = tokio::time::timeout(PATIENCE, taking).await.unwrap();
    assert!(newer.fence() > lease.fence());
    put(&other, &newer).await.unwrap();
    assert!(matches!(
        put(&sleeper, &lease).await,
        Err(StoreError::Fenced)
    ));
    assert!(matches!(lease.renew().await, Err(StoreError::Fenced)));
    let kept = content(&other, "a").await.unwrap();
    assert_eq!(kept, newer.fence().to_string().into_bytes());
}

#[tokio::test]
async fn a_wiped_redis_gives_no_fence_twice_and_admits_no_old_lease() {
    let mut server = Server::start();
    let store = server.store("one");
    ready(&store).await;
    let lease = take(&store).await.unwrap();
    server.restart();
    ready(&store).await;
    assert!(matches!(put(&store, &lease).await, Err(StoreError::Fenced)));
    let newer = take(&store).await.unwrap();
    assert!(newer.fence() > lease.fence());
    put(&store, &newer).await.unwrap();
}

#[tokio::test]
async fn prefixes_are_stores_of_their_own() {
    let server = Server::start();
    let [one, other] = ["one", "other"].map(|prefix| server.store(prefix));
    ready(&one).await;
    one.put(&key("a/b"), b"x", &When::Absent, None)
        .await
        .unwrap();
    assert_eq!(names(&one, "").await, ["a/b"]);
    assert_eq!(names(&other, "").await, [""; 0]);
    assert!(take(&one).await.is_some());
    assert!(take(&other).await.is_some());
}

#[tokio::test]
async fn a_redis_that_is_gone_is_named_with_the_way_out() {
    let place = Place {
        reached: Reached::Plain {
            host: "127.0.0.1".into(),
            port: 1,
        },
        database: 0,
        prefix: "gone".into(),
        user: Some("me".into()),
        password: Some("secret".into()),
        name: "redis://127.0.0.1:1/0".into(),
    };
    assert!(!format!("{place:?}").contains("secret"));
    let store = Store::on(Redis::at(place).unwrap());
    let error = store.get(&key("a")).await.unwrap_err().to_string();
    assert!(error.contains("redis://127.0.0.1:1/0"), "{error}");
    assert!(error.contains("see that Redis runs there"), "{error}");
    assert!(!error.contains("secret"), "{error}");
}

#[tokio::test]
async fn the_first_read_after_redis_was_away_is_answered() {
    let mut server = Server::start();
    let [store, other] = [(); 2].map(|()| server.store("one"));
    ready(&store).await;
    for asked_meanwhile in [false, true] {
        server.stop();
        if asked_meanwhile {
            assert!(store.list("").await.is_err());
        }
        server.revive();
        ready(&other).await;
        assert!(store.get(&key("a")).await.unwrap().is_none());
        server.restart();
        ready(&other).await;
        store.changed("", &Mark::default()).await.unwrap();
        server.restart();
        ready(&other).await;
        assert_eq!(names(&store, "").await, [""; 0]);
    }
}

#[tokio::test]
async fn what_was_altered_there_is_called_so_and_concerns_nothing_else() {
    let server = Server::start();
    let store = server.store("one");
    ready(&store).await;
    store
        .put(&key("a"), b"x", &When::Absent, None)
        .await
        .unwrap();
    server.tell("HSET {one}:object:a content y");
    let error = store.get(&key("a")).await.unwrap_err();
    assert!(!error.concerns_all(), "{error:?}");
    let line = format!("{error}: {}", error.source().unwrap());
    assert!(line.contains("`{one}:object:a` of redis+unix"), "{line}");
    let why = error.source().and_then(Error::source).unwrap().to_string();
    assert!(why.contains("was altered since onedoor wrote it"), "{why}");
    server.tell("DEL {one}:object:a");
    assert_eq!(content(&store, "a").await, None);
    store
        .put(&key("a"), b"z", &When::Absent, None)
        .await
        .unwrap();
    assert_eq!(content(&store, "a").await.unwrap(), b"z");
}
