//! A folder of files: who may read, what is stepped over, what is told.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, SystemTime};

use tokio::task::JoinSet;

use super::super::{Store, StoreError, When};
use super::{content, key, names, scribble, store};
use crate::clock::Clock;
use crate::storage::files::{Error, FILE_BYTES_MAX};

#[tokio::test]
async fn what_is_put_is_read_and_belongs_to_its_owner_alone() {
    let temporary = tempfile::tempdir().unwrap();
    let root = temporary.path().join("deep/onedoor");
    let store = store(&root);
    let name = key("certs/a.example/v1");
    let version = store.put(&name, b"one", &When::Absent, None).await.unwrap();
    let found = store.get(&name).await.unwrap().unwrap();
    assert_eq!(
        (found.bytes.as_slice(), found.version),
        (&b"one"[..], version)
    );
    let mode = |path: &str| fs::metadata(root.join(path)).unwrap().permissions().mode() & 0o777;
    for folder in ["", "certs", "certs/a.example"] {
        assert_eq!(mode(folder), 0o700, "{folder}");
    }
    for file in ["certs/a.example/v1", ".lock"] {
        assert_eq!(mode(file), 0o600, "{file}");
    }
}

#[tokio::test]
async fn reading_creates_nothing() {
    let temporary = tempfile::tempdir().unwrap();
    let root = temporary.path().join("onedoor");
    let store = store(&root);
    assert!(store.get(&key("a")).await.unwrap().is_none());
    assert!(store.list("").await.unwrap().is_empty());
    assert!(!root.exists());
}

#[tokio::test]
async fn a_write_on_a_condition_that_does_not_hold_changes_nothing() {
    let temporary = tempfile::tempdir().unwrap();
    let store = store(temporary.path());
    let name = key("a");
    let one = store.put(&name, b"one", &When::Absent, None).await.unwrap();
    let two = store.put(&name, b"two", &When::Is(one.clone()), None).await;
    let old = When::Is(one);
    for when in [&When::Absent, &old] {
        let put = store.put(&name, b"three", when, None).await;
        assert!(matches!(put, Err(StoreError::Conflict)), "{put:?}");
        let deleted = store.delete(&name, when, None).await;
        assert!(matches!(deleted, Err(StoreError::Conflict)), "{deleted:?}");
    }
    assert_eq!(content(&store, "a").await.unwrap(), b"two");
    store
        .delete(&name, &When::Is(two.unwrap()), None)
        .await
        .unwrap();
    let gone = store.put(&name, b"three", &old, None).await;
    assert!(matches!(gone, Err(StoreError::Conflict)), "{gone:?}");
    store.delete(&name, &When::Always, None).await.unwrap();
    assert_eq!(content(&store, "a").await, None);
}

#[tokio::test]
async fn of_many_who_count_in_one_object_none_is_lost() {
    const WRITERS: usize = 8;
    const ROUNDS: usize = 5;
    let temporary = tempfile::tempdir().unwrap();
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let store = store(temporary.path());
        writers.spawn(async move {
            for _ in 0..ROUNDS {
                while let Err(StoreError::Conflict) = count(&store).await {}
            }
        });
    }
    writers.join_all().await;
    let counted = content(&store(temporary.path()), "count").await.unwrap();
    assert_eq!(counted, (WRITERS * ROUNDS).to_string().as_bytes());
}

async fn count(store: &Store) -> Result<(), StoreError> {
    let (name, found) = (key("count"), store.get(&key("count")).await?);
    let (count, when) = match found {
        Some(found) => (
            str::from_utf8(&found.bytes)
                .unwrap()
                .parse::<usize>()
                .unwrap(),
            When::Is(found.version),
        ),
        None => (0, When::Absent),
    };
    let next = (count + 1).to_string();
    store.put(&name, next.as_bytes(), &when, None).await?;
    Ok(())
}

#[tokio::test]
async fn what_is_damaged_is_told_from_what_is_absent() {
    let temporary = tempfile::tempdir().unwrap();
    let root = temporary.path();
    File::create(root.join("large"))
        .unwrap()
        .set_len(FILE_BYTES_MAX + 1)
        .unwrap();
    fs::create_dir_all(root.join("folder/a")).unwrap();
    let _socket = UnixListener::bind(root.join("socket")).unwrap();
    symlink("socket", root.join("link")).unwrap();
    let store = store(root);
    for name in ["large", "folder", "socket", "link"] {
        let error = store.get(&key(name)).await.unwrap_err();
        assert!(matches!(&error, StoreError::Damaged { key, .. } if key.as_str() == name));
        let path = root.join(name).display().to_string();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains(&path), "{cause}");
    }
    assert_eq!(content(&store, "absent").await, None);
    assert_eq!(content(&store, "large/below").await, None);
    store
        .put(&key("large"), b"mended", &When::Always, None)
        .await
        .unwrap();
    assert_eq!(content(&store, "large").await.unwrap(), b"mended");
    let kept = store.delete(&key("socket"), &When::Always, None).await;
    assert!(matches!(kept, Err(StoreError::Damaged { .. })), "{kept:?}");
}

#[tokio::test]
async fn what_could_not_be_read_back_is_not_written() {
    let temporary = tempfile::tempdir().unwrap();
    let store = store(temporary.path());
    let largest = vec![b'a'; usize::try_from(FILE_BYTES_MAX).unwrap()];
    store
        .put(&key("a"), &largest, &When::Absent, None)
        .await
        .unwrap();
    let larger = [largest.as_slice(), b"a"].concat();
    let refused = store.put(&key("a"), &larger, &When::Always, None).await;
    assert!(matches!(refused, Err(StoreError::TooLarge(_))));
    assert_eq!(content(&store, "a").await.unwrap(), largest);
}

#[tokio::test]
async fn foreign_files_are_stepped_over_and_stay() {
    let temporary = tempfile::tempdir().unwrap();
    let root = temporary.path();
    let store = store(root);
    for name in ["certs/b", "certs/a/v2", "certs/a/v1", "acme"] {
        store
            .put(&key(name), b"", &When::Absent, None)
            .await
            .unwrap();
    }
    let _lease = store
        .lease(&key("certs/a"), Duration::from_secs(60))
        .await
        .unwrap();
    fs::create_dir(root.join("certs/Upper")).unwrap();
    symlink("b", root.join("certs/link")).unwrap();
    let foreign = [
        "certs/README",
        "certs/.hidden",
        "certs/Upper/v1",
        "certs/a/v 3",
    ];
    for path in foreign {
        scribble(&root.join(path), b"mine");
    }
    assert_eq!(
        names(&store, "").await,
        ["acme", "certs/a/v1", "certs/a/v2", "certs/b"]
    );
    assert_eq!(names(&store, "certs/a").await, ["certs/a/v1", "certs/a/v2"]);
    assert_eq!(names(&store, "certs/a/v1").await, ["certs/a/v1"]);
    assert_eq!(names(&store, "ac").await, ["acme"]);
    for prefix in ["../", "/", "certs/../", "leases/", "no/such", "certs/b/c"] {
        assert!(names(&store, prefix).await.is_empty(), "{prefix}");
    }
    for name in ["certs/a/v1", "certs/a/v2"] {
        store.delete(&key(name), &When::Always, None).await.unwrap();
    }
    for path in foreign {
        assert!(root.join(path).exists(), "{path}");
    }
}

#[tokio::test]
async fn an_emptied_folder_goes_with_its_last_object() {
    let temporary = tempfile::tempdir().unwrap();
    let store = store(temporary.path());
    for name in ["a/b/c", "a/d"] {
        store
            .put(&key(name), b"", &When::Absent, None)
            .await
            .unwrap();
    }
    store
        .delete(&key("a/b/c"), &When::Always, None)
        .await
        .unwrap();
    assert!(!temporary.path().join("a/b").exists());
    store
        .delete(&key("a/d"), &When::Always, None)
        .await
        .unwrap();
    assert!(!temporary.path().join("a").exists());
    assert!(temporary.path().exists());
}

#[tokio::test]
async fn a_folder_that_others_remove_does_not_fail_a_write() {
    let temporary = tempfile::tempdir().unwrap();
    let mut writers = JoinSet::new();
    for number in 0..4 {
        let store = store(temporary.path());
        writers.spawn(async move {
            let name = key(&format!("a/b/{number}"));
            for _ in 0..10 {
                store.put(&name, b"", &When::Always, None).await.unwrap();
                store.delete(&name, &When::Always, None).await.unwrap();
            }
        });
    }
    writers.join_all().await;
}

#[tokio::test]
async fn what_a_killed_writer_left_is_hidden_and_swept_when_old() {
    let temporary = tempfile::tempdir().unwrap();
    let root = temporary.path();
    let store = store(root);
    store
        .put(&key("a/b"), b"", &When::Absent, None)
        .await
        .unwrap();
    let [old, young] = ["a/.b.0.tmp", "a/.b.1.tmp"].map(|name| root.join(name));
    let past = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    scribble(&young, b"half");
    scribble(&old, b"half");
    File::options()
        .write(true)
        .open(&old)
        .unwrap()
        .set_modified(past)
        .unwrap();
    assert_eq!(names(&store, "").await, ["a/b"]);
    assert!(old.exists());
    store
        .put(&key("a/b"), b"", &When::Always, None)
        .await
        .unwrap();
    assert!(!old.exists());
    assert!(young.exists());
}

#[tokio::test]
async fn a_file_in_the_place_of_the_folder_is_named() {
    let temporary = tempfile::NamedTempFile::new().unwrap();
    let (path, name) = (temporary.path(), key("a/b"));
    let store = Store::files(path.to_owned(), Clock::system());
    let lasts = Duration::from_secs(60);
    for error in [
        store.get(&name).await.unwrap_err(),
        store.list("").await.unwrap_err(),
        store
            .put(&name, b"", &When::Always, None)
            .await
            .unwrap_err(),
        store.delete(&name, &When::Always, None).await.unwrap_err(),
        store.lease(&name, lasts).await.unwrap_err(),
    ] {
        assert!(names_folder(&error, path), "{error:?}");
    }
}

fn names_folder(error: &StoreError, expected: &Path) -> bool {
    let told = error.to_string().contains("name another folder");
    told && matches!(error, StoreError::Unusable(Error::NotAFolder(path)) if path == expected)
}

#[tokio::test]
async fn an_object_is_not_the_folder_of_another() {
    let temporary = tempfile::tempdir().unwrap();
    let store = store(temporary.path());
    store
        .put(&key("a/b"), b"", &When::Absent, None)
        .await
        .unwrap();
    for name in ["a", "a/b/c"] {
        let refused = store.put(&key(name), b"", &When::Always, None).await;
        assert!(
            matches!(refused, Err(StoreError::Unusable(_))),
            "{refused:?}"
        );
    }
    assert_eq!(names(&store, "").await, ["a/b"]);
}
