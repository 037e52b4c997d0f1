//! What a host has goes back into a store that lacks it, whatever fails on the way.

use std::fs;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{self, Instant};

use super::super::memory::{Memory, Moment};
use super::super::{Store, When};
use super::copied::{GREATEST, Host, LASTS};
use super::{content, key, names, scribble};

/// The copy is written by this many at once.
const WRITERS: u8 = 32;

#[tokio::test]
async fn what_must_not_go_back_is_tried_again_when_it_failed_once() {
    let (truth, memory) = Memory::new();
    let host = Host::new(&memory);
    assert!(host.leases().await);
    host.put("acme/ledger", b"3").await;
    memory.empty();
    host.faults.fail(1, Moment::Before);
    assert!(host.store.lease(&key("work"), LASTS).await.is_err());
    assert!(host.leases().await);
    assert_eq!(content(&truth, "acme/ledger").await.unwrap(), b"3");
}

#[tokio::test]
async fn what_never_goes_into_the_store_holds_up_nothing() {
    let (truth, memory) = Memory::new();
    let host = Host::new(&memory);
    assert!(host.leases().await);
    host.put("certs/a/b", b"1").await;
    host.put("acme/ledger", b"3").await;
    scribble(&host.folder.path().join("alerts"), b"2");
    memory.empty();
    for name in ["certs/a", "alerts/1"] {
        truth
            .put(&key(name), b"in the way", &When::Always, None)
            .await
            .unwrap();
    }
    assert!(host.leases().await);
    assert_eq!(content(&truth, "acme/ledger").await.unwrap(), b"3");
}

#[tokio::test]
async fn a_copy_whose_mark_cannot_be_read_is_put_back_all_the_same() {
    let (truth, memory) = Memory::new();
    let host = Host::new(&memory);
    assert!(host.leases().await);
    host.put("certs/a", b"1").await;
    let mark = host.folder.path().join("identity");
    fs::remove_file(&mark).unwrap();
    fs::create_dir(&mark).unwrap();
    memory.empty();
    let host = Host::on(&memory, host.folder);
    assert!(host.leases().await);
    assert_eq!(names(&truth, "certs/").await, ["certs/a"]);
}

#[tokio::test]
async fn a_copy_whose_mark_was_lost_while_it_was_used_is_put_back_all_the_same() {
    let (truth, memory) = Memory::new();
    let host = Host::new(&memory);
    assert!(host.leases().await);
    host.put("certs/a", b"1").await;
    fs::remove_file(host.folder.path().join("identity")).unwrap();
    memory.empty();
    assert!(host.leases().await);
    assert_eq!(names(&truth, "certs/").await, ["certs/a"]);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_waited_for_others_to_put_back_lasts_as_long_as_any() {
    const WAITED: Duration = Duration::from_secs(50);
    let (_truth, memory) = Memory::new();
    let (shared, faults) = memory.process();
    let store = Store::copied_to(shared, Memory::new().0, GREATEST);
    assert!(store.lease(&key("work"), LASTS).await.unwrap().is_some());
    store
        .put(&key("certs/a"), b"1", &When::Always, None)
        .await
        .unwrap();
    memory.empty();
    faults.silence_at(1, Moment::Before);
    let mut taking = JoinSet::new();
    for name in ["work", "other"] {
        let store = store.clone();
        taking.spawn(async move { store.lease(&key(name), LASTS).await.unwrap().unwrap() });
    }
    time::sleep(WAITED).await;
    faults.mend();
    for lease in taking.join_all().await {
        let left = lease.ends() - Instant::now();
        assert!(left > LASTS / 2, "{left:?}");
    }
}

#[tokio::test]
async fn of_what_many_keep_at_once_in_one_copy_nothing_is_forgotten() {
    for greatest_at in [0, WRITERS / 2, WRITERS - 1] {
        let (copy, copies) = Memory::new();
        let stores = [copy, copies.process().0]
            .map(|copy| Store::copied_to(Memory::new().0, copy, GREATEST));
        let mut keeping = JoinSet::new();
        for turn in 0..WRITERS {
            let number = if turn == greatest_at { WRITERS } else { turn };
            let store = stores[usize::from(turn) % stores.len()].clone();
            keeping.spawn(async move {
                store
                    .put(&key("acme/ledger"), &[number], &When::Always, None)
                    .await
                    .unwrap();
            });
        }
        keeping.join_all().await;
        let kept = content(&stores[0].at_hand(), "acme/ledger").await;
        assert_eq!(kept.unwrap(), [WRITERS], "{greatest_at}");
    }
}
