//! What was removed from a store leaves the copies of others too, and nothing else does.

use std::path::Path;

use super::super::memory::Memory;
use super::super::{Mark, Store, When};
use super::copied::Host;
use super::{key, names, store};

async fn look(host: &Host, mark: &Mark) -> Mark {
    host.store.changed("", mark).await.unwrap().1
}

async fn read(host: &Host, names: &[&str]) {
    for name in names {
        host.store.get(&key(name)).await.unwrap().unwrap();
    }
}

async fn remove(store: &Store, name: &str) {
    store.delete(&key(name), &When::Always, None).await.unwrap();
}

async fn kept(folder: &Path) -> Vec<String> {
    names(&store(folder), "").await
}

#[tokio::test]
async fn what_another_host_removed_is_forgotten_and_does_not_come_back() {
    let (truth, memory) = Memory::new();
    let [remover, other] = [(); 2].map(|()| Host::new(&memory));
    assert!(remover.leases().await);
    for name in [
        "acme/account",
        "acme/ledger",
        "certs/a/v1",
        "certs/b",
        "certs/c",
    ] {
        remover.put(name, b"1").await;
        read(&other, &[name]).await;
    }
    let mark = look(&other, &Mark::default()).await;
    remove(&remover.store, "certs/b").await;
    look(&other, &mark).await;
    let left = [
        "acme/account",
        "acme/ledger",
        "certs/a/v1",
        "certs/c",
        "identity",
    ];
    assert_eq!(kept(other.folder.path()).await, left);
    for name in ["acme/account", "certs/c"] {
        remove(&truth, name).await;
    }
    // What it was down for, a new process finds at its first look.
    let other = Host::on(&memory, other.folder);
    look(&other, &Mark::default()).await;
    let left = ["acme/account", "acme/ledger", "certs/a/v1", "identity"];
    assert_eq!(kept(other.folder.path()).await, left);
    memory.empty();
    assert!(other.leases().await);
    assert_eq!(names(&truth, "certs/").await, ["certs/a/v1"]);
}

#[tokio::test]
async fn what_a_store_lacks_that_was_emptied_or_came_back_old_is_not_forgotten() {
    let (truth, memory) = Memory::new();
    let host = Host::new(&memory);
    assert!(host.leases().await);
    host.put("acme/ledger", b"2").await;
    for name in ["certs/a/v1", "certs/b"] {
        host.put(name, b"1").await;
    }
    let mark = look(&host, &Mark::default()).await;
    truth
        .put(&key("acme/ledger"), b"1", &When::Always, None)
        .await
        .unwrap();
    remove(&truth, "certs/b").await;
    let mark = look(&host, &mark).await;
    let all = ["acme/ledger", "certs/a/v1", "certs/b", "identity"];
    assert_eq!(kept(host.folder.path()).await, all);
    memory.empty();
    look(&host, &mark).await;
    assert_eq!(kept(host.folder.path()).await, all);
    assert_eq!(names(&truth, "").await, all);
}

#[tokio::test]
async fn what_was_retired_meanwhile_is_not_put_back() {
    let (truth, memory) = Memory::new();
    let host = Host::new(&memory);
    assert!(host.leases().await);
    for name in ["certs/a/v1", "certs/a/v2", "certs/a/v3"] {
        host.put(name, b"1").await;
    }
    host.put("certs/a/current", b"2").await;
    memory.empty();
    assert!(host.leases().await);
    let left = ["certs/a/current", "certs/a/v2", "certs/a/v3"];
    assert_eq!(names(&truth, "certs/").await, left);
    let copy = store(host.folder.path());
    assert_eq!(names(&copy, "certs/").await, left);
}
