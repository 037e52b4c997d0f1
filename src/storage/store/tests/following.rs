//! Whoever follows a store knows what it holds.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::memory::Memory;
use super::super::{Key, Mark, Store, When};
use super::agreement::{Operation, User, operation, runtime};
use super::{content, key, store};

/// What a follower has, who looks after every few operations.
pub(super) async fn follow(store: &Store, prefix: &str, operations: &[Operation]) {
    let mut user = User::new(store.clone());
    let (mut mark, mut copy) = (Mark::default(), BTreeMap::<Key, Vec<u8>>::new());
    for (number, operation) in operations.iter().enumerate() {
        user.act(operation).await;
        if number % 3 == 0 || number + 1 == operations.len() {
            let (changed, next) = store.changed(prefix, &mark).await.unwrap();
            for key in changed {
                assert!(key.as_str().starts_with(prefix), "{key}");
                match store.get(&key).await.ok().flatten() {
                    Some(object) => drop(copy.insert(key, object.bytes)),
                    None => drop(copy.remove(&key)),
                }
            }
            mark = next;
        }
    }
    let mut held = BTreeMap::new();
    for key in store.list(prefix).await.unwrap() {
        let content = content(store, key.as_str()).await;
        held.insert(key, content.unwrap());
    }
    assert_eq!(copy, held, "{operations:?}");
    let (idle, _mark) = store.changed(prefix, &mark).await.unwrap();
    assert!(idle.is_empty(), "{idle:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn who_follows_a_memory_or_a_folder_knows_what_it_holds(operations in vec(operation(), 1..40)) {
        let temporary = tempfile::tempdir().unwrap();
        runtime().block_on(async {
            follow(&Memory::new().0, "", &operations).await;
            follow(&store(temporary.path()), "b/", &operations).await;
        });
    }
}

#[tokio::test]
async fn a_write_of_another_process_is_hinted_at_and_a_hint_waits_for_who_is_busy() {
    let (ours, faults) = Memory::new();
    let (other, _faults) = faults.process();
    other
        .put(&key("a"), b"1", &When::Absent, None)
        .await
        .unwrap();
    tokio::time::timeout(Duration::from_secs(10), ours.hint())
        .await
        .unwrap();
    let waiting = async {
        tokio::join!(ours.hint(), async {
            other.delete(&key("a"), &When::Always, None).await.unwrap();
        })
    };
    tokio::time::timeout(Duration::from_secs(10), waiting)
        .await
        .unwrap();
}

#[tokio::test]
async fn only_a_memory_that_is_told_so_is_shared() {
    let temporary = tempfile::tempdir().unwrap();
    let (memory, faults) = Memory::new();
    assert!(!store(temporary.path()).is_shared() && !memory.is_shared());
    faults.share();
    assert!(memory.is_shared());
}
