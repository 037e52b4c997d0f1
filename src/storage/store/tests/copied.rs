//! A shared store with a copy on each host, which serves while the store is down and fills it after it was emptied.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use tempfile::TempDir;
use tokio::time::Instant;

use super::super::memory::{Faults, Memory};
use super::super::{Key, Lease, Merging, Store, StoreError, When};
use super::agreement::{User, operation, runtime};
use super::following::follow;
use super::{content, key, names, store};
use crate::clock::Clock;

pub(super) const LASTS: Duration = Duration::from_secs(60);
/// The one object that never goes back: the greatest of its octets.
pub(super) const GREATEST: Merging = Merging {
    concerns: |key| key.as_str() == "acme/ledger",
    merge: |_key: &Key, ours: &[u8], found: &[u8]| ours.max(found).to_vec(),
    dates: |key| key.as_str() == "acme/ledger",
    is_older: |ours: &[u8], found: &[u8]| ours > found,
    passes: |key| key.as_str().starts_with("certs/"),
    ruler: |bundle| {
        let is_bundle = bundle.as_str().starts_with("certs/a/v");
        is_bundle.then(|| key("certs/a/current"))
    },
    retires: |told: &[u8], key| key.as_str().as_bytes().last() < told.last(),
};

/// One host of a fleet on a memory.
pub(super) struct Host {
    pub(super) store: Store,
    pub(super) faults: Faults,
    pub(super) folder: TempDir,
}

impl Host {
    pub(super) fn new(memory: &Faults) -> Self {
        Self::on(memory, tempfile::tempdir().unwrap())
    }

    /// A new process on a host, with the copy that it has.
    pub(super) fn on(memory: &Faults, folder: TempDir) -> Self {
        let (shared, faults) = memory.process();
        Self {
            store: copied(shared, folder.path()),
            faults,
            folder,
        }
    }

    pub(super) async fn put(&self, name: &str, bytes: &[u8]) {
        let key = key(name);
        let put = self.store.put(&key, bytes, &When::Always, None);
        put.await.unwrap();
    }

    async fn last_good(&self, name: &str) -> Option<Vec<u8>> {
        let found = self.store.last_good(&key(name)).await.unwrap();
        found.map(|object| object.bytes)
    }

    /// Work under a lease, as an order would begin.
    pub(super) async fn leases(&self) -> bool {
        let lease = self.store.lease(&key("work"), LASTS).await.unwrap();
        lease.is_some()
    }
}

async fn put_under(host: &Host, lease: &Lease) -> Result<(), StoreError> {
    let key = key("certs/a");
    let put = host.store.put(&key, b"x", &When::Always, Some(lease));
    put.await.map(drop)
}

fn copied(shared: Store, folder: &Path) -> Store {
    Store::copied(shared, folder.to_owned(), Clock::system(), GREATEST)
}

#[tokio::test]
async fn what_is_read_or_written_is_copied_for_its_owner_alone_and_secrets_of_the_hour_are_not() {
    let (truth, memory) = Memory::new();
    let host = Host::new(&memory);
    truth
        .put(&key("certs/a/current"), b"1", &When::Always, None)
        .await
        .unwrap();
    assert_eq!(content(&host.store, "certs/a/current").await.unwrap(), b"1");
    for name in ["certs/b", "tickets", "challenges/http/x", "leaving"] {
        host.put(name, b"2").await;
    }
    host.store
        .delete(&key("leaving"), &When::Always, None)
        .await
        .unwrap();
    let copy = store(host.folder.path());
    assert_eq!(names(&copy, "").await, ["certs/a/current", "certs/b"]);
    let path = host.folder.path().join("certs/b");
    let mode = path.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_host_that_starts_while_the_store_is_down_reads_what_it_saw_last() {
    let (_truth, memory) = Memory::new();
    let host = Host::new(&memory);
    host.put("certs/a", b"1").await;
    let host = Host::on(&memory, host.folder);
    host.faults.cut_off();
    assert_eq!(host.last_good("certs/a").await.unwrap(), b"1");
    let found = host.store.or_copy().list("certs/").await.unwrap();
    assert_eq!(found, [key("certs/a")]);
    assert_eq!(
        content(&host.store.at_hand(), "certs/a").await.unwrap(),
        b"1"
    );
    assert!(host.store.get(&key("certs/a")).await.is_err());
    assert!(host.store.lease(&key("work"), LASTS).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_silent_store_is_waited_for_once_and_not_by_every_reader() {
    let (truth, memory) = Memory::new();
    let host = Host::new(&memory);
    for number in 0..1_000 {
        host.put(&format!("certs/n{number}"), b"1").await;
    }
    host.faults.silence();
    let begun = Instant::now();
    for number in 0..1_000 {
        let found = host.last_good(&format!("certs/n{number}")).await;
        assert_eq!(found.unwrap(), b"1");
    }
    let waited = begun.elapsed();
    assert!(waited < Duration::from_secs(10), "{waited:?}");
    host.faults.mend();
    truth
        .put(&key("certs/n1"), b"2", &When::Always, None)
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(host.last_good("certs/n1").await.unwrap(), b"2");
}

#[tokio::test]
async fn an_emptied_store_is_filled_by_every_host_before_anybody_works_on_it() {
    let (truth, memory) = Memory::new();
    let [one, other] = [(); 2].map(|()| Host::new(&memory));
    assert!(one.leases().await && other.leases().await);
    one.put("certs/a", b"1").await;
    one.put("acme/ledger", b"3").await;
    other.put("certs/b", b"1").await;
    other.put("acme/ledger", b"4").await;
    let before = content(&truth, "identity").await.unwrap();
    memory.empty();
    assert!(one.leases().await);
    assert_eq!(names(&truth, "certs/").await, ["certs/a"]);
    assert_eq!(content(&truth, "acme/ledger").await.unwrap(), b"3");
    assert_ne!(content(&truth, "identity").await.unwrap(), before);
    truth
        .put(&key("certs/a"), b"2", &When::Always, None)
        .await
        .unwrap();
    assert!(other.leases().await);
    assert_eq!(names(&truth, "certs/").await, ["certs/a", "certs/b"]);
    assert_eq!(content(&truth, "acme/ledger").await.unwrap(), b"4");
    // What is there already is newer than what anybody remembers.
    assert_eq!(content(&truth, "certs/a").await.unwrap(), b"2");
    let mark = content(&truth, "identity").await;
    assert!(one.leases().await && other.leases().await);
    assert_eq!(content(&truth, "identity").await, mark);
}

#[tokio::test]
async fn a_new_process_with_an_old_copy_fills_an_emptied_store() {
    let (truth, memory) = Memory::new();
    let host = Host::new(&memory);
    assert!(host.leases().await);
    host.put("certs/a", b"1").await;
    memory.empty();
    let host = Host::on(&memory, host.folder);
    let (changed, _mark) = host
        .store
        .changed("certs/", &Default::default())
        .await
        .unwrap();
    assert_eq!(changed, [key("certs/a")]);
    assert_eq!(content(&truth, "certs/a").await.unwrap(), b"1");
}

#[tokio::test]
async fn a_new_host_puts_nothing_into_a_store_that_it_does_not_know() {
    let (truth, memory) = Memory::new();
    let host = Host::new(&memory);
    host.put("alerts/notices", b"1").await;
    truth
        .delete(&key("alerts/notices"), &When::Always, None)
        .await
        .unwrap();
    assert!(host.leases().await);
    assert_eq!(names(&truth, "").await, ["identity"]);
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_at_an_emptied_store_waits_for_those_who_know_it() {
    let (_truth, memory) = Memory::new();
    memory.share();
    let [known, newcomer] = [(); 2].map(|()| Host::new(&memory));
    assert!(known.leases().await);
    known.put("certs/a", b"1").await;
    memory.empty();
    let (found, ()) = tokio::join!(
        async {
            assert!(newcomer.leases().await);
            content(&newcomer.store, "certs/a").await
        },
        async {
            // The one that knows it looks every few seconds.
            tokio::time::sleep(Duration::from_secs(10)).await;
            let mark = Default::default();
            known.store.changed("certs/", &mark).await.unwrap();
        },
    );
    assert_eq!(found.unwrap(), b"1");
}

#[tokio::test(start_paused = true)]
async fn newcomers_whom_nobody_helps_wait_once_and_only_to_order() {
    let (truth, memory) = Memory::new();
    memory.share();
    let [one, other, restoring] = [(); 3].map(|()| Host::new(&memory));
    let begun = Instant::now();
    restoring.store.orders_nothing();
    assert!(restoring.leases().await);
    one.put("local-ca/authority.json", b"1").await;
    assert!(begun.elapsed() < Duration::from_secs(1));
    assert_eq!(content(&truth, "identity").await, None);
    let founding = tokio::join!(one.leases(), async {
        let lease = other.store.lease(&key("other"), LASTS).await;
        lease.unwrap().is_some()
    });
    assert_eq!(founding, (true, true));
    let waited = begun.elapsed();
    assert!(waited >= Duration::from_secs(30), "{waited:?}");
    assert!(waited < Duration::from_secs(40), "{waited:?}");
    assert!(one.leases().await && other.leases().await);
    assert_eq!(begun.elapsed(), waited);
}

#[tokio::test]
async fn a_store_that_came_back_old_gets_what_must_not_go_back_on_demand() {
    let (truth, memory) = Memory::new();
    let host = Host::new(&memory);
    assert!(host.leases().await);
    host.put("acme/ledger", b"5").await;
    host.put("certs/a/v2", b"2").await;
    truth
        .put(&key("acme/ledger"), b"1", &When::Always, None)
        .await
        .unwrap();
    truth
        .delete(&key("certs/a/v2"), &When::Always, None)
        .await
        .unwrap();
    // Even if it is read first.
    assert_eq!(content(&host.store, "acme/ledger").await.unwrap(), b"1");
    host.store.put_back().await.unwrap();
    assert_eq!(content(&truth, "acme/ledger").await.unwrap(), b"5");
    assert_eq!(content(&truth, "certs/a/v2").await.unwrap(), b"2");
}

#[tokio::test]
async fn a_frozen_holder_writes_nothing_into_a_store_that_was_emptied_meanwhile() {
    let (_truth, memory) = Memory::new();
    let [frozen, other] = [(); 2].map(|()| Host::new(&memory));
    let lease = frozen.store.lease(&key("work"), LASTS).await.unwrap();
    let mut lease = lease.unwrap();
    memory.empty();
    assert!(matches!(
        put_under(&frozen, &lease).await,
        Err(StoreError::Fenced)
    ));
    // Its number comes again, its nonce does not.
    let again = other
        .store
        .lease(&key("work"), LASTS)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(again.fence(), lease.fence());
    assert!(matches!(
        put_under(&frozen, &lease).await,
        Err(StoreError::Fenced)
    ));
    assert!(matches!(lease.renew().await, Err(StoreError::Fenced)));
    drop(again);
    let own = frozen.store.lease(&key("work"), LASTS).await.unwrap();
    assert!(matches!(
        put_under(&frozen, &lease).await,
        Err(StoreError::Fenced)
    ));
    put_under(&frozen, &own.unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_copy_that_cannot_be_written_hinders_nobody() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let (_truth, memory) = Memory::new();
    let (shared, _faults) = memory.process();
    let store = copied(shared, file.path());
    store
        .put(&key("certs/a"), b"1", &When::Absent, None)
        .await
        .unwrap();
    assert_eq!(content(&store, "certs/a").await.unwrap(), b"1");
    assert!(store.lease(&key("work"), LASTS).await.unwrap().is_some());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_store_with_a_copy_answers_as_one_without(operations in vec(operation(), 1..40)) {
        runtime().block_on(async {
            let (_truth, memory) = Memory::new();
            let host = Host::new(&memory);
            let mut with = User::new(host.store.clone());
            let mut without = User::new(Memory::new().0);
            for operation in &operations {
                let expected = without.act(operation).await;
                let mut answer = with.act(operation).await;
                for mark in ["\"identity\", ", ", \"identity\"", "\"identity\""] {
                    answer = answer.replace(mark, "");
                }
                prop_assert_eq!(answer, expected, "{:?}", operation);
            }
            follow(&Host::new(&Memory::new().1).store, "b/", &operations).await;
            Ok(())
        })?;
    }
}
