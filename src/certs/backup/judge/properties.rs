//! What holds for any two states of one name, however they came to be.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use proptest::option;
use proptest::prelude::*;

use super::kept::{Kept, by_name, newness};
use super::tests::{Objects, bundle, journal, key, leaf, ledger, object, pointer, restored_at};
use crate::certs::bundle::GENERATION_MAX;
use crate::certs::fixture::{Leaf, days, noon};
use crate::storage::store::Key;

const ID: &str = "a.test";
/// When it is judged: the first is over by then, the last not begun for long.
const NOW: u64 = 95;

/// Making keys takes long.
static LEAVES: LazyLock<Vec<Leaf>> = LazyLock::new(|| {
    let times = [(0, 90), (10, 90), (60, 90), (94, 6)];
    times.map(|(begin, lasts)| leaf(begin, lasts)).into()
});

/// Up to four bundles, some of them damaged, and whatever else there is of a name.
fn side() -> impl Strategy<Value = Objects> {
    let bundles = [1_u64, 2, 3, 7].map(|number| {
        let content = option::of((0..LEAVES.len(), 0..5_u8));
        content.prop_map(move |content| content.map(|(which, luck)| kept(number, which, luck)))
    });
    let pointed = option::of(0..8_u64).prop_map(|number| number.map(pointer));
    let order = option::of((0..LEAVES.len(), 0..3_usize)).prop_map(|order| {
        let states = ["ordered", "finalizing", "planned"];
        order.map(|(which, state)| journal(states[state], &LEAVES[which].key_pem))
    });
    let asked = option::of(0..4_u64).prop_map(|times| times.map(ledger));
    (bundles, pointed, order, asked).prop_map(|(bundles, pointed, order, asked)| {
        let others = [pointed, order, asked];
        bundles.into_iter().chain(others).flatten().collect()
    })
}

fn kept(number: u64, which: usize, luck: u8) -> (Key, Vec<u8>) {
    let (key, mut bytes) = bundle(&LEAVES[which], number);
    if luck == 0 {
        bytes.truncate(bytes.len() / 2);
    }
    (key, bytes)
}

fn look<T>(objects: &Objects, ask: impl FnOnce(&Kept<'_>) -> T) -> T {
    let nothing = BTreeSet::new();
    let names = by_name(objects, &nothing, GENERATION_MAX);
    let absent = Kept::default();
    ask(names.get(ID).unwrap_or(&absent))
}

proptest! {
    #[test]
    fn restoring_twice_changes_nothing_and_nothing_good_is_lost(backup in side(), store in side()) {
        let now = noon() + days(NOW);
        let after = restored_at(&backup, store.clone(), now);
        prop_assert_eq!(&restored_at(&backup, after.clone(), now), &after);
        for (key, bytes) in &store {
            let may_change = ["current", "ledger"].iter().any(|end| key.as_str().ends_with(end));
            prop_assert!(may_change || after.get(key) == Some(bytes), "{} is lost", key);
        }
        let newest = |objects: &Objects| look(objects, |it| it.served().map(|it| newness(it, now)));
        prop_assert!(newest(&after) >= newest(&store).max(newest(&backup)));
        // A pointer to nothing holds no number.
        let highest = |objects: &Objects| look(objects, |it| it.bundles.keys().max().copied());
        prop_assert!(highest(&after) >= highest(&store));
    }

    #[test]
    fn what_is_put_into_service_is_there_and_good(backup in side(), store in side()) {
        let after = restored_at(&backup, store.clone(), noon() + days(NOW));
        let current = key("certs/a.test/current");
        if after.get(&current) != store.get(&current) {
            let is_served = look(&after, |it| it.named() == it.served().map(|it| it.bundle.generation));
            prop_assert!(is_served);
        }
    }

    #[test]
    fn whatever_is_interrupted_is_completed(backup in side(), store in side(), done in 0..8_usize) {
        let now = noon() + days(NOW);
        let decisions = super::tests::judged_at(&backup, store.clone(), now);
        let writes = decisions.iter().filter_map(|it| Some((it.key.clone(), it.deed.bytes()?.to_vec())));
        let mut half = store.clone();
        half.extend(writes.take(done));
        let newest = |objects: &Objects| look(objects, |it| it.served().map(|it| newness(it, now)));
        prop_assert!(newest(&half) >= newest(&store));
        let completed = restored_at(&backup, half, now);
        let whole = restored_at(&backup, store, now);
        prop_assert!(newest(&completed) >= newest(&whole));
    }
}

#[test]
fn a_state_that_is_empty_on_both_sides_stays_so() {
    let nothing = Objects::new();
    assert_eq!(restored_at(&nothing, Objects::new(), noon()), nothing);
    let foreign = object("acme/strange", b"1");
    let only: Objects = [foreign].into_iter().collect();
    assert_eq!(restored_at(&nothing, only.clone(), noon()), only);
}
