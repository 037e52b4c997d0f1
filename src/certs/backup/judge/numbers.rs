//! Numbers of bundles that no onedoor counts to.

use serde_json::{Value, json};

use super::tests::{Objects, bundle, judged_at, key, leaf, objects, pointer, restored_at, served};
use crate::certs::bundle::GENERATION_MAX;
use crate::certs::fixture::noon;

fn restored(backup: &Objects, store: Objects) -> Objects {
    restored_at(backup, store, noon())
}

/// What [`bundle`] would not make.
fn numbered(number: u64) -> Objects {
    let (_key, bytes) = bundle(&leaf(0, 90), 1);
    let mut value: Value = serde_json::from_slice(&bytes).unwrap();
    value["generation"] = json!(number);
    let place = key(&format!("certs/a.test/v{number:08}"));
    objects([
        (place, serde_json::to_vec(&value).unwrap()),
        pointer(number),
    ])
}

#[test]
fn a_backup_is_not_believed_a_number_that_leaves_too_few_to_go_on_with() {
    for number in [GENERATION_MAX / 2 + 1, GENERATION_MAX, u64::MAX] {
        let backup = numbered(number);
        let decisions = judged_at(&backup, Objects::new(), noon());
        let is_named = decisions
            .iter()
            .any(|it| it.why.contains(&number.to_string()));
        assert!(is_named, "{decisions:?}");
        assert_eq!(restored(&backup, Objects::new()), Objects::new());
    }
    let backup = numbered(GENERATION_MAX / 2);
    assert_eq!(restored(&backup, Objects::new()), backup);
}

#[test]
fn a_number_in_the_storage_that_there_cannot_be_is_stepped_over() {
    let good = objects([bundle(&leaf(0, 90), 3), pointer(3)]);
    for number in [GENERATION_MAX + 1, u64::MAX - 1, u64::MAX] {
        let store = restored(&good, numbered(number));
        assert_eq!(served(&store).0, 3, "{number}");
    }
}

#[test]
fn nothing_is_put_in_front_of_the_last_number_that_there_is() {
    let backup = objects([bundle(&leaf(60, 90), 2), pointer(2)]);
    let store = numbered(GENERATION_MAX);
    assert_eq!(restored(&backup, store.clone()), store);
}
