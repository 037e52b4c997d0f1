//! Leases of a folder, by locks and by files that change.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time;

use super::super::folder::Folder;
use super::super::leases::Sharing;
use super::super::{Lease, Store, StoreError, When};
use super::{content, key, scribble};
use crate::clock::Clock;

const LASTS: Duration = Duration::from_secs(60);
const KINDS: [fn(&Path) -> Sharing; 2] = [local, network];

fn local(_folder: &Path) -> Sharing {
    Sharing::Local
}

fn network(_folder: &Path) -> Sharing {
    Sharing::Network
}

/// A process of its own, as far as the store can see.
fn process(folder: &Path, sharing: fn(&Path) -> Sharing) -> Store {
    Store::on(Folder::shared_as(
        folder.to_owned(),
        Clock::system(),
        sharing,
    ))
}

async fn take(store: &Store) -> Option<Lease> {
    store.lease(&key("certs/a"), LASTS).await.unwrap()
}

async fn put(store: &Store, lease: &Lease) -> Result<(), StoreError> {
    let bytes = lease.fence().to_string();
    let (name, when) = (key("a"), When::Always);
    store
        .put(&name, bytes.as_bytes(), &when, Some(lease))
        .await?;
    Ok(())
}

#[tokio::test]
async fn one_has_the_lease_until_he_gives_it_back() {
    for sharing in KINDS {
        let temporary = tempfile::tempdir().unwrap();
        let [one, other] = [(); 2].map(|()| process(temporary.path(), sharing));
        let lease = take(&one).await.unwrap();
        assert!(take(&one).await.is_none());
        assert!(take(&other).await.is_none());
        let apart = one.lease(&key("certs/b"), LASTS).await.unwrap();
        assert!(apart.is_some());
        drop(lease);
        assert!(take(&one).await.is_some());
    }
}

#[tokio::test]
async fn the_fence_grows_with_every_taking_by_anybody() {
    for sharing in KINDS {
        let temporary = tempfile::tempdir().unwrap();
        for expected in [1, 3, 5] {
            let store = process(temporary.path(), sharing);
            for fence in [expected, expected + 1] {
                assert_eq!(take(&store).await.unwrap().fence(), fence);
            }
            // Waits until the last one is given back.
            store.lease(&key("certs/b"), LASTS).await.unwrap();
        }
    }
}

#[tokio::test]
async fn of_many_at_once_one_gets_the_lease() {
    for sharing in KINDS {
        let temporary = tempfile::tempdir().unwrap();
        let mut takers = JoinSet::new();
        for _ in 0..20 {
            let store = process(temporary.path(), sharing);
            takers.spawn(async move { take(&store).await });
        }
        let leases = takers.join_all().await;
        assert_eq!(leases.iter().flatten().count(), 1);
    }
}

#[tokio::test]
async fn a_holder_may_write_and_renew() {
    for sharing in KINDS {
        let temporary = tempfile::tempdir().unwrap();
        let store = process(temporary.path(), sharing);
        let mut lease = take(&store).await.unwrap();
        put(&store, &lease).await.unwrap();
        lease.renew().await.unwrap();
        put(&store, &lease).await.unwrap();
        store
            .delete(&key("a"), &When::Always, Some(&lease))
            .await
            .unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn by_locks_a_holder_who_lives_is_never_overtaken() {
    let temporary = tempfile::tempdir().unwrap();
    let [one, other] = [(); 2].map(|()| process(temporary.path(), local));
    let mut lease = take(&one).await.unwrap();
    for _ in 0..3 {
        time::advance(LASTS * 100).await;
        assert!(take(&other).await.is_none());
    }
    lease.renew().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn by_files_a_holder_who_is_silent_for_too_long_is_overtaken_and_fenced() {
    let temporary = tempfile::tempdir().unwrap();
    let [one, other] = [(); 2].map(|()| process(temporary.path(), network));
    let mut old = take(&one).await.unwrap();
    put(&one, &old).await.unwrap();
    time::advance(LASTS * 100).await;
    assert!(
        take(&other).await.is_none(),
        "the silence was not watched yet"
    );
    time::advance(LASTS - Duration::from_millis(1)).await;
    assert!(take(&other).await.is_none());
    time::advance(Duration::from_millis(2)).await;
    let new = take(&other).await.unwrap();
    assert!(new.fence() > old.fence());
    put(&other, &new).await.unwrap();
    fenced(&put(&one, &old).await);
    fenced(&one.delete(&key("a"), &When::Always, Some(&old)).await);
    fenced(&old.renew().await);
    drop(old);
    assert!(
        take(&one).await.is_none(),
        "what is not ours cannot be given back"
    );
    assert_eq!(
        content(&one, "a").await.unwrap(),
        new.fence().to_string().as_bytes()
    );
}

#[track_caller]
fn fenced(done: &Result<(), StoreError>) {
    assert!(matches!(done, Err(StoreError::Fenced)), "{done:?}");
}

#[tokio::test(start_paused = true)]
async fn by_files_a_holder_who_renews_is_not_overtaken() {
    let temporary = tempfile::tempdir().unwrap();
    let [one, other] = [(); 2].map(|()| process(temporary.path(), network));
    let mut lease = take(&one).await.unwrap();
    for _ in 0..9 {
        time::advance(LASTS / 3).await;
        lease.renew().await.unwrap();
        assert!(take(&other).await.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_that_makes_no_sense_never_lowers_the_fence() {
    for sharing in KINDS {
        let temporary = tempfile::tempdir().unwrap();
        let store = process(temporary.path(), sharing);
        let lease = take(&store).await.unwrap();
        let path = temporary.path().join("leases/certs/a.lease");
        scribble(&path.join(lease.fence().to_string()), b"\xff");
        scribble(&path.join("README"), b"foreign");
        fenced(&put(&store, &lease).await);
        let last = lease.fence();
        drop(lease);
        let first = take(&store).await;
        time::advance(LASTS).await;
        let next = match first {
            Some(next) => next,
            None => take(&store).await.unwrap(),
        };
        assert_eq!(next.fence(), last + 1);
        assert!(path.join("README").exists());
    }
}

#[tokio::test]
async fn a_lease_does_not_survive_the_loss_of_its_folder() {
    for sharing in KINDS {
        let temporary = tempfile::tempdir().unwrap();
        let [one, other] = [(); 2].map(|()| process(temporary.path(), sharing));
        let mut old = take(&one).await.unwrap();
        fs::remove_dir_all(temporary.path().join("leases")).unwrap();
        fenced(&put(&one, &old).await);
        let new = take(&other).await.unwrap();
        assert_eq!(new.fence(), old.fence(), "only the nonce tells them apart");
        fenced(&put(&one, &old).await);
        fenced(&old.renew().await);
        put(&other, &new).await.unwrap();
    }
}

#[tokio::test]
async fn both_kinds_on_one_folder_never_share_a_fence() {
    let temporary = tempfile::tempdir().unwrap();
    let [near, far] = KINDS.map(|sharing| process(temporary.path(), sharing));
    let far_lease = take(&far).await.unwrap();
    let near_lease = take(&near).await.unwrap();
    assert!(near_lease.fence() > far_lease.fence());
    fenced(&put(&far, &far_lease).await);
    put(&near, &near_lease).await.unwrap();
}

#[test]
fn a_lease_is_given_back_without_a_runtime_too() {
    let temporary = tempfile::tempdir().unwrap();
    let store = process(temporary.path(), network);
    let take = || {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(take(&store))
    };
    let lease = take().unwrap();
    drop(lease);
    assert!(take().is_some());
}
