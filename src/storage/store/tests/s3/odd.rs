//! What lies in a bucket and is no object of ours, or no longer.

use std::time::Duration;

use tokio::task::JoinSet;

use super::between::Between;
use super::server::{self, MOTO};
use super::{content, key, one_line};
use crate::storage::files::FILE_BYTES_MAX;
use crate::storage::store::{StoreError, When};

const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test]
async fn an_object_that_is_too_large_is_called_so_and_can_be_replaced() {
    let bucket = MOTO.bucket();
    let mut serving = JoinSet::new();
    let between = Between::before(MOTO.address.clone(), &mut serving).await;
    let store = server::store(server::place(&between.address, &bucket));
    let limit = usize::try_from(FILE_BYTES_MAX).unwrap();
    for size in [limit + 1_000, limit + (4 << 20)] {
        MOTO.ask("PUT", &format!("/{bucket}/edge/one/a"), b"of others");
        between.swell("/one/a", size);
        let error = store.get(&key("a")).await.unwrap_err();
        assert!(!error.concerns_all(), "{error:?}");
        assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
        let line = one_line(&error);
        let named = format!("`a` of s3://{bucket}/edge/one");
        for part in [
            &named,
            &format!("has {size} octets"),
            &format!("at most {FILE_BYTES_MAX}"),
            "remove it",
        ] {
            assert!(line.contains(part), "{part}: {line}");
        }
        store
            .put(&key("a"), b"small", &When::Always, None)
            .await
            .unwrap();
        let kept = content(&MOTO.store(&bucket), "a").await;
        assert_eq!(kept.unwrap(), b"small");
    }
}

#[tokio::test]
async fn tombstones_are_removed_after_a_week_and_nothing_else_is() {
    let bucket = MOTO.bucket();
    let mut serving = JoinSet::new();
    let between = Between::before(MOTO.address.clone(), &mut serving).await;
    let store = server::store(server::place(&between.address, &bucket));
    for name in ["a/1", "a/2", "a/3", "b/1"] {
        store
            .put(&key(name), b"x", &When::Absent, None)
            .await
            .unwrap();
    }
    let delete = async |name| {
        store.delete(&key(name), &When::Always, None).await.unwrap();
    };
    // As long as a tombstone, and none.
    MOTO.ask("PUT", &format!("/{bucket}/edge/one/a/4"), &[b'x'; 48]);
    delete("a/1").await;
    delete("b/1").await;
    let there = |name: &str| {
        let status = MOTO.ask("HEAD", &format!("/{bucket}/edge/one/{name}"), b"");
        status.starts_with("HTTP/1.1 200")
    };
    between.set_ahead(DAY * 6);
    delete("a/2").await;
    assert!(there("a/1") && there("a/2"));
    between.set_ahead(DAY * 8);
    delete("a/2").await;
    let left = ["a/1", "a/2", "a/3", "a/4", "b/1"].map(there);
    assert_eq!(left, [false, false, true, true, true]);
    assert_eq!(content(&store, "a/3").await.unwrap(), b"x");
}
