//! Disks that are full or read-only, played by small file systems in memory.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::super::{Store, StoreError, When};
use super::{content, key, names, store};
use crate::storage::files::Error;

const PAGE: u64 = 4096;
const LASTS: Duration = Duration::from_secs(60);

/// Unmounted when it is dropped.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount(options: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        mount(
            &["-t", "tmpfs", "-o", options, "onedoor-test"],
            folder.path(),
        );
        Self(folder)
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("onedoor")
    }

    fn filler(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

fn mount(arguments: &[&str], folder: &Path) {
    let mounted = Command::new("mount").args(arguments).arg(folder).status();
    assert!(
        mounted.is_ok_and(|status| status.success()),
        "this test plays a full disk with a small tmpfs: run it as root, where `mount` is allowed"
    );
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn a_disk_full_at_any_page_keeps_the_old_object_and_no_scraps() {
    let disk = SmallDisk::mount("size=64k");
    let store = store(&disk.path());
    let mut old = vec![0; 3 * 4096];
    store
        .put(&key("a/b"), &old, &When::Absent, None)
        .await
        .unwrap();
    let mut fence = 0;
    let mut refused = 0;
    for free in 0..=5 {
        let filler = disk.filler("filler");
        fill(&filler, free);
        let new = vec![u8::try_from(free).unwrap() + 1; 3 * 4096];
        match store.put(&key("a/b"), &new, &When::Always, None).await {
            Ok(_) => old = new,
            Err(error) => {
                assert!(is_full(&error), "{error:?}");
                refused += 1;
            }
        }
        assert_eq!(
            content(&store, "a/b").await.unwrap(),
            old,
            "{free} pages free"
        );
        match store.lease(&key("l"), LASTS).await {
            Ok(lease) => fence = risen(lease.unwrap().fence(), fence),
            Err(error) => assert!(is_full(&error), "{error:?}"),
        }
        fs::remove_file(filler).unwrap();
        assert_eq!(visible_and_hidden(&disk.path().join("a")), ["b"]);
        fence = risen(
            store
                .lease(&key("l"), LASTS)
                .await
                .unwrap()
                .unwrap()
                .fence(),
            fence,
        );
    }
    assert!((1..=5).contains(&refused), "{refused}");
}

#[tokio::test]
async fn a_disk_without_room_for_names_keeps_what_is_there() {
    let disk = SmallDisk::mount("size=1m,nr_inodes=40");
    let store = store(&disk.path());
    store
        .put(&key("a/b"), b"old", &When::Absent, None)
        .await
        .unwrap();
    let mut refused = 0;
    for free in 0..=12 {
        let mut fillers = Vec::new();
        while File::create(disk.filler(&fillers.len().to_string())).is_ok() {
            fillers.push(disk.filler(&fillers.len().to_string()));
        }
        for filler in fillers.drain(fillers.len() - free..) {
            fs::remove_file(filler).unwrap();
        }
        let fresh = key(&format!("c/{free}/d"));
        if let Err(error) = store.put(&fresh, b"new", &When::Absent, None).await {
            assert!(is_full(&error), "{error:?}");
            assert_eq!(content(&store, fresh.as_str()).await, None);
            refused += 1;
        }
        if let Err(error) = store.lease(&key("l"), LASTS).await {
            assert!(is_full(&error), "{error:?}");
        }
        assert_eq!(content(&store, "a/b").await.unwrap(), b"old");
        for filler in fillers {
            fs::remove_file(filler).unwrap();
        }
        assert!(store.lease(&key("l"), LASTS).await.unwrap().is_some());
        store.delete(&fresh, &When::Always, None).await.unwrap();
        assert_eq!(names(&store, "").await, ["a/b"]);
    }
    assert!((1..=10).contains(&refused), "{refused}");
}

#[tokio::test]
async fn a_read_only_disk_is_read_and_the_error_says_what_to_do() {
    let disk = SmallDisk::mount("size=64k");
    let store = store(&disk.path());
    store
        .put(&key("a"), b"old", &When::Absent, None)
        .await
        .unwrap();
    drop(store.lease(&key("l"), LASTS).await.unwrap());
    mount(&["-o", "remount,ro"], disk.0.path());
    assert_eq!(content(&store, "a").await.unwrap(), b"old");
    assert_eq!(names(&store, "").await, ["a"]);
    for error in attempts(&store).await {
        let told = error.to_string().contains("mount it writable");
        assert!(
            told && matches!(error, StoreError::Unusable(Error::ReadOnly(_))),
            "{error:?}"
        );
    }
}

async fn attempts(store: &Store) -> [StoreError; 4] {
    [
        store
            .put(&key("a"), b"", &When::Always, None)
            .await
            .unwrap_err(),
        store
            .put(&key("b/c"), b"", &When::Absent, None)
            .await
            .unwrap_err(),
        store
            .delete(&key("a"), &When::Always, None)
            .await
            .unwrap_err(),
        store.lease(&key("l"), LASTS).await.unwrap_err(),
    ]
}

/// Leaves this many pages.
fn fill(path: &Path, free: u64) {
    let mut filler = File::create(path).unwrap();
    while filler.write_all(&[0; PAGE as usize]).is_ok() {}
    let length = filler.metadata().unwrap().len();
    filler.set_len(length - free * PAGE).unwrap();
}

fn is_full(error: &StoreError) -> bool {
    let told = error.to_string().contains("free some");
    told && matches!(error, StoreError::Unusable(Error::Full(_)))
}

#[track_caller]
fn risen(fence: u64, last: u64) -> u64 {
    assert!(fence > last, "{fence} after {last}");
    fence
}

fn visible_and_hidden(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}
