use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::*;
use crate::certs::bundle::{Bundle, Origin};
use crate::certs::fixture::{Authority, Leaf, days, noon};
use crate::certs::ledger::Ledger;
use crate::certs::ledger::limits::Limits;

pub(super) type Objects = BTreeMap<Key, Vec<u8>>;

const CA: &str = "https://acme-v02.api.letsencrypt.org/directory";
const LEDGER: &str = "acme/acme-v02.api.letsencrypt.org-directory/ledger";
const ACCOUNT: &str = "acme/acme-v02.api.letsencrypt.org-directory/account";

#[test]
fn an_empty_store_gets_everything_and_again_nothing() {
    let leaf = leaf(0, 90);
    let backup = objects([
        bundle(&leaf, 3),
        pointer(3),
        state(3),
        ledger(1),
        account("one"),
        object("local-ca/root.pem", b"root"),
        object("local-ca/root.key", b"key"),
        object("saved-leases/b.test", b"{}"),
        object("alerts/notices", b"{}"),
    ]);
    let store = restored(&backup, Objects::new());
    assert_eq!(store, backup);
    changes_nothing(&backup, &store);
}

#[test]
fn the_order_of_writing_is_safe_at_every_interruption() {
    let backup = objects([
        bundle(&leaf(0, 90), 3),
        pointer(3),
        ledger(1),
        object("local-ca/root.pem", b"root"),
        object("local-ca/root.key", b"key"),
    ]);
    let decisions = judged(&backup, Objects::new());
    let keys: Vec<&str> = decisions.iter().map(|it| it.key.as_str()).collect();
    let expected = [
        LEDGER,
        "certs/a.test/v00000003",
        "certs/a.test/current",
        "local-ca/root.key",
        "local-ca/root.pem",
    ];
    assert_eq!(keys, expected);
    for done in 0..decisions.len() {
        let mut store = Objects::new();
        for decision in &decisions[..done] {
            let bytes = decision.deed.bytes().unwrap().to_vec();
            store.insert(decision.key.clone(), bytes);
        }
        assert_eq!(restored(&backup, store), backup, "after {done}");
    }
}

#[test]
fn a_newer_certificate_of_the_store_stays_whatever_its_number() {
    let (old, new) = (leaf(0, 90), leaf(60, 90));
    let backup = objects([bundle(&old, 7), pointer(7), state(7)]);
    for number in [1, 7, 8] {
        let store = objects([bundle(&new, number), pointer(number)]);
        assert_eq!(restored(&backup, store.clone()), store, "{number}");
    }
}

#[test]
fn a_newer_certificate_of_the_backup_is_served_under_a_higher_number() {
    let (old, new) = (leaf(0, 90), leaf(60, 90));
    let backup = objects([bundle(&new, 2), pointer(2), state(2)]);
    for (number, expected) in [(1, 2), (2, 3), (9, 10)] {
        let store = objects([bundle(&old, number), pointer(number)]);
        let after = restored(&backup, store.clone());
        assert_eq!(served(&after), (expected, new.pem.clone()));
        let kept = store.iter().filter(|(key, _)| !is(key, "current"));
        for (key, bytes) in kept {
            assert_eq!(after.get(key), Some(bytes), "{key} was destroyed");
        }
        changes_nothing(&backup, &after);
    }
}

#[test]
fn what_is_over_never_replaces_what_holds_and_the_other_way_round() {
    let (short, long) = (leaf(80, 6), leaf(50, 90));
    let (shorts, longs) = (
        objects([bundle(&short, 5), pointer(5)]),
        objects([bundle(&long, 4), pointer(4)]),
    );
    let later = noon() + days(88);
    assert_eq!(
        served(&restored_at(&longs, shorts.clone(), later)).1,
        long.pem
    );
    let later = noon() + days(84);
    assert_eq!(served(&restored_at(&longs, shorts, later)).1, short.pem);
}

#[test]
fn a_damaged_bundle_of_either_side_is_stepped_over() {
    let (old, new) = (leaf(0, 90), leaf(60, 90));
    let damaged = object("certs/a.test/v00000002", b"{\"generation\":2");
    let backup = objects([bundle(&old, 1), damaged.clone(), pointer(2)]);
    let after = restored(&backup, Objects::new());
    assert_eq!(served(&after), (1, old.pem));
    let backup = objects([bundle(&new, 2), pointer(2)]);
    let store = objects([damaged.clone(), pointer(2)]);
    let after = restored(&backup, store);
    assert_eq!(served(&after), (3, new.pem));
    assert_eq!(
        after.get(&damaged.0),
        Some(&damaged.1),
        "it may be mended by hand"
    );
}

#[test]
fn the_bundle_of_another_name_is_never_put_there() {
    let foreign = Authority::new().leaf(&["b.test"], noon()..noon() + days(90));
    let backup = objects([bundle(&foreign, 1), pointer(1)]);
    assert_eq!(restored(&backup, Objects::new()), Objects::new());
}

#[test]
fn a_pointer_that_was_lost_is_put_back_to_what_is_there() {
    let leaf = leaf(0, 90);
    let backup = objects([bundle(&leaf, 3), pointer(3)]);
    let store = objects([bundle(&leaf, 3)]);
    assert_eq!(restored(&backup, store), backup);
}

#[test]
fn ledgers_are_joined_and_never_lowered() {
    let (few, many) = (objects([ledger(1)]), objects([ledger(3)]));
    assert_eq!(restored(&few, many.clone()), many);
    let after = restored(&many, few.clone());
    assert_eq!(left(&after), left(&many));
    changes_nothing(&many, &after);
    let damaged = objects([object(LEDGER, b"{\"version\":1,")]);
    assert_eq!(restored(&few, damaged), few);
    let newer = objects([object(LEDGER, b"{\"version\":2,\"more\":[]}")]);
    assert_eq!(restored(&few, newer.clone()), newer);
    assert_eq!(restored(&newer, few.clone()), few);
}

#[test]
fn an_account_or_a_local_ca_that_is_there_stays() {
    let there = [
        account("theirs"),
        object("local-ca/root.pem", b"theirs"),
        object("saved-leases/b.test", b"theirs"),
    ];
    let mine = [
        account("mine"),
        object("local-ca/root.pem", b"mine"),
        object("local-ca/root.key", b"mine"),
        object("saved-leases/b.test", b"mine"),
    ];
    let (store, backup) = (objects(there), objects(mine));
    assert_eq!(restored(&backup, store.clone()), store);
    let decisions = judged(&backup, store);
    let words = |key: &str| &decisions.iter().find(|it| is(&it.key, key)).unwrap().why;
    assert!(words("root.key").contains("another local CA"));
    assert!(words("account").contains("used on"));
    let damaged = objects([object(ACCOUNT, b"{}")]);
    let backup = objects([account("mine")]);
    assert_eq!(restored(&backup, damaged), backup);
}

#[test]
fn the_copy_of_a_root_without_its_ca_is_in_nobodys_way() {
    let backup = objects([object("local-ca/authority.json", b"whole")]);
    let copy = object("local-ca/root.pem", b"root");
    let after = restored(&backup, objects([copy.clone()]));
    assert_eq!(
        after,
        objects([copy.clone(), object("local-ca/authority.json", b"whole")])
    );
    changes_nothing(&backup, &after);
    let other = objects([copy, object("local-ca/root.key", b"key")]);
    assert_eq!(restored(&backup, other.clone()), other);
}

#[test]
fn an_order_is_gone_on_with_only_while_its_certificate_may_be_fetched() {
    let leaf = leaf(0, 90);
    let fetched = |state: &str| objects([journal(state, &leaf.key_pem)]);
    for dead in ["planned", "ordered", "challenged"] {
        let after = restored(&fetched(dead), Objects::new());
        assert_eq!(after, Objects::new(), "{dead}");
    }
    let backup = fetched("finalizing");
    assert_eq!(restored(&backup, Objects::new()), backup);
    let hours = |count: u64| noon() + Duration::from_secs(count * 60 * 60);
    let after = |now| restored_at(&backup, Objects::new(), now);
    assert_eq!(after(hours(23)), backup);
    assert_eq!(after(hours(24)), Objects::new());
    assert_eq!(after(noon() - days(2)), Objects::new());
}

#[test]
fn an_order_whose_certificate_came_or_that_is_not_needed_is_left_out() {
    let (leaf, other) = (leaf(0, 90), leaf(0, 80));
    let under_way = || journal("finalizing", &leaf.key_pem);
    let place = under_way().0;
    let backup = objects([under_way(), bundle(&leaf, 1), pointer(1)]);
    assert!(!restored(&backup, Objects::new()).contains_key(&place));
    let store = objects([bundle(&other, 1), pointer(1)]);
    assert_eq!(restored(&objects([under_way()]), store.clone()), store);
    let own = objects([(place, br#"{"state":"idle"}"#.to_vec())]);
    let after = restored(&objects([under_way()]), own);
    assert_eq!(after, objects([under_way()]));
    let busy = objects([journal("ordered", "another")]);
    assert_eq!(restored(&objects([under_way()]), busy.clone()), busy);
}

#[test]
fn what_cannot_be_read_is_never_written_over() {
    let leaf = leaf(0, 90);
    let backup = objects([
        bundle(&leaf, 1),
        pointer(1),
        ledger(1),
        account("one"),
        object("alerts/notices", b"{}"),
    ]);
    let present = Present {
        objects: Objects::new(),
        unreadable: backup.keys().cloned().collect(),
    };
    let written: Vec<String> = judge(&contents(&backup), &present, noon())
        .into_iter()
        .filter(|decision| decision.deed.bytes().is_some())
        .map(|decision| decision.key.to_string())
        .collect();
    assert_eq!(written, ["certs/a.test/v00000002"]);
}

#[test]
fn objects_that_no_backup_holds_are_left_out() {
    let backup = objects([
        object("identity", b"1"),
        object("tickets", b"1"),
        object("challenges/http/a", b"1"),
    ]);
    assert_eq!(restored(&backup, Objects::new()), Objects::new());
}

fn changes_nothing(backup: &Objects, store: &Objects) {
    let decisions = judged(backup, store.clone());
    let writes = decisions.iter().filter(|it| it.deed.bytes().is_some());
    assert_eq!(writes.count(), 0, "{decisions:?}");
}

fn judged(backup: &Objects, store: Objects) -> Vec<Decision> {
    judged_at(backup, store, noon())
}

pub(super) fn judged_at(backup: &Objects, store: Objects, now: SystemTime) -> Vec<Decision> {
    let present = Present {
        objects: store,
        ..Present::default()
    };
    judge(&contents(backup), &present, now)
}

fn restored(backup: &Objects, store: Objects) -> Objects {
    restored_at(backup, store, noon())
}

/// The store after what was decided is carried out.
pub(super) fn restored_at(backup: &Objects, store: Objects, now: SystemTime) -> Objects {
    let mut present = Present {
        objects: store,
        ..Present::default()
    };
    for decision in judge(&contents(backup), &present, now) {
        if let Some(bytes) = decision.deed.bytes() {
            present.objects.insert(decision.key, bytes.to_vec());
        }
    }
    present.objects
}

fn contents(objects: &Objects) -> Contents {
    Contents {
        made_at: Timestamp::try_from(noon()).unwrap(),
        objects: objects.clone(),
    }
}

/// What the pointer names.
pub(super) fn served(store: &Objects) -> (u64, String) {
    let pointer = &store[&key("certs/a.test/current")];
    let pointer: serde_json::Value = serde_json::from_slice(pointer).unwrap();
    let number = pointer["generation"].as_u64().unwrap();
    let bundle = &store[&key(&format!("certs/a.test/v{number:08}"))];
    let ready = Bundle::read(bundle).unwrap();
    assert_eq!(ready.bundle.generation, number);
    (number, ready.bundle.chain.clone())
}

fn left(store: &Objects) -> Vec<u32> {
    let ledger = Ledger::read(&store[&key(LEDGER)]).unwrap();
    let report = ledger.report(Limits::of(CA), noon() + days(1));
    report.buckets.iter().map(|bucket| bucket.ca_left).collect()
}

pub(super) fn leaf(begin: u64, days_valid: u64) -> Leaf {
    let begin = noon() + days(begin);
    Authority::new().leaf(&["a.test"], begin..begin + days(days_valid))
}

pub(super) fn bundle(leaf: &Leaf, generation: u64) -> (Key, Vec<u8>) {
    let origin = Origin {
        generation,
        directory: CA,
        profile: None,
    };
    let made = Bundle::of(leaf.pem.clone(), leaf.key_pem.clone(), origin, noon());
    let bytes = serde_json::to_vec(&*made.unwrap().bundle).unwrap();
    (key(&format!("certs/a.test/v{generation:08}")), bytes)
}

pub(super) fn pointer(generation: u64) -> (Key, Vec<u8>) {
    let text = json!({ "generation": generation }).to_string();
    object("certs/a.test/current", text.as_bytes())
}

fn state(generation: u64) -> (Key, Vec<u8>) {
    let text = json!({ "generation": generation }).to_string();
    object("certs/a.test/state", text.as_bytes())
}

pub(super) fn ledger(accounts: u64) -> (Key, Vec<u8>) {
    let mut ledger = Ledger::default();
    for hour in 0..accounts {
        let at = noon() + days(1) - Duration::from_secs(hour);
        ledger.account_made(Limits::of(CA), at);
    }
    object(LEDGER, &ledger.bytes())
}

fn account(key: &str) -> (Key, Vec<u8>) {
    let text = json!({ "directory": CA, "key": key }).to_string();
    object(ACCOUNT, text.as_bytes())
}

pub(super) fn journal(state: &str, key_pem: &str) -> (Key, Vec<u8>) {
    let plan = json!({
        "ca": CA, "key_pem": key_pem, "names": ["a.test"], "challenges": [],
    });
    let mut journal = plan.clone();
    if state != "planned" {
        journal = json!({ "plan": plan, "account": "https://ca.test/1", "order_url": "https://ca.test/2" });
    }
    journal["state"] = json!(state);
    object("certs/a.test/journal", journal.to_string().as_bytes())
}

pub(super) fn object(at: &str, bytes: &[u8]) -> (Key, Vec<u8>) {
    (key(at), bytes.to_vec())
}

pub(super) fn objects<const N: usize>(objects: [(Key, Vec<u8>); N]) -> Objects {
    objects.into_iter().collect()
}

fn is(key: &Key, last: &str) -> bool {
    key.as_str().ends_with(last)
}

pub(super) fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}
