//! What is of no single name: accounts, ledgers, the local CA, and all that a store has one of.

use serde_json::Value;

use super::super::Contents;
use super::super::part::{self, Part};
use super::{Decision, Deed, Present};
use crate::certs::keeper::ledgers::ca_id;
use crate::certs::ledger::Ledger;
use crate::certs::ledger::merge::merge_bytes;
use crate::certs::ledger::stored;
use crate::storage::store::Key;

const UNREADABLE: &str = "what the storage has there cannot be read";

/// What either knows to be spent is spent.
pub(super) fn ledger(key: &Key, bytes: &[u8], present: &Present) -> Decision {
    let decided = |deed, why: &str| Decision::new(key, deed, why.to_owned());
    if let Err(error) = Ledger::read(bytes) {
        return decided(Deed::Drop, &of_the_backup(&error));
    }
    if present.unreadable.contains(key) {
        return decided(Deed::Keep, UNREADABLE);
    }
    let Some(own) = present.objects.get(key) else {
        return decided(Deed::Write(bytes.to_vec()), "what this CA was asked");
    };
    if let Err(error) = Ledger::read(own) {
        if is_newer(own) {
            return decided(Deed::Keep, &format!("that of the storage stays: {error}"));
        }
        return decided(
            Deed::Write(bytes.to_vec()),
            "that of the storage is damaged; what was asked since the backup is not known",
        );
    }
    match merge_bytes(own, bytes) {
        Ok(both) if both == *own => decided(Deed::Same, "the storage knows all of it"),
        Ok(both) => decided(Deed::Join(both), "what either knows to be spent is spent"),
        Err(error) => decided(Deed::Keep, &format!("both together are too much: {error}")),
    }
}

fn of_the_backup(error: &stored::Error) -> String {
    format!("in the backup, {error}")
}

/// A later onedoor wrote it, so it is not damaged.
fn is_newer(ledger: &[u8]) -> bool {
    let value: Option<Value> = serde_json::from_slice(ledger).ok();
    let version = value.and_then(|value| value.get("version")?.as_u64());
    version.is_some_and(|version| version > 1)
}

/// One that is there is used on: certificates and orders belong to it.
pub(super) fn account(key: &Key, bytes: &[u8], present: &Present) -> Decision {
    let decided = |deed, why: &str| Decision::new(key, deed, why.to_owned());
    if !is_account(key, bytes) {
        return decided(Deed::Drop, "in the backup, it is damaged");
    }
    if present.unreadable.contains(key) {
        return decided(Deed::Keep, UNREADABLE);
    }
    match present.objects.get(key) {
        None => decided(Deed::Write(bytes.to_vec()), "the account at this CA"),
        Some(own) if own == bytes => decided(Deed::Same, SAME),
        Some(own) if is_account(key, own) => decided(
            Deed::Keep,
            "the storage has an account at this CA, which is used on",
        ),
        Some(_damaged) => decided(
            Deed::Write(bytes.to_vec()),
            "the account of the storage is damaged",
        ),
    }
}

fn is_account(key: &Key, bytes: &[u8]) -> bool {
    let value: Option<Value> = serde_json::from_slice(bytes).ok();
    let directory = value.as_ref().and_then(|value| value.get("directory"));
    let directory = directory.and_then(Value::as_str).map(ca_id);
    directory.as_deref() == key.as_str().split('/').nth(1)
}

/// All of it or nothing: clients trust the one that is there. What an earlier restoring left half done is completed.
pub(super) fn local_ca(backup: &Contents, present: &Present) -> Vec<Decision> {
    let is_own = |key: &&Key| Part::of(key) == Some(Part::LocalCa);
    let objects = backup.objects.iter().filter(|(key, _)| is_own(key));
    let is_same = |key: &Key| {
        let incoming = backup.objects.get(key);
        incoming.is_some() && incoming == present.objects.get(key)
    };
    let there: Vec<&Key> = present
        .objects
        .keys()
        .chain(&present.unreadable)
        .filter(is_own)
        .collect();
    let is_copy = |key: &Key| {
        let is_alone = there
            .iter()
            .all(|key| part::is_root(key) || part::is_whole_ca(key));
        part::is_root(key) && is_alone && backup.objects.keys().any(part::is_whole_ca)
    };
    let stays = there.iter().any(|key| !is_same(key) && !is_copy(key));
    let mut decisions: Vec<Decision> = objects
        .map(|(key, bytes)| {
            let (deed, why) = if is_same(key) {
                (Deed::Same, SAME)
            } else if stays {
                let why = "the storage has another local CA, which clients may trust: it stays; to go back to that of the backup, move `local-ca` out of the storage first";
                (Deed::Keep, why)
            } else {
                (Deed::Write(bytes.clone()), "the local CA")
            };
            Decision::new(key, deed, why.to_owned())
        })
        .collect();
    // What can be seen of a CA is its certificate: that comes last.
    decisions.sort_by_key(|decision| !decision.key.as_str().ends_with(".key"));
    decisions.sort_by_key(|decision| decision.key.as_str().ends_with("root.pem"));
    decisions
}

/// What is there stays.
pub(super) fn other(key: &Key, bytes: &[u8], present: &Present) -> Decision {
    let decided = |deed, why: &str| Decision::new(key, deed, why.to_owned());
    match present.objects.get(key) {
        Some(own) if own == bytes => decided(Deed::Same, SAME),
        _ if present.is_taken(key) => decided(Deed::Keep, "the storage has its own"),
        _ => decided(Deed::Write(bytes.to_vec()), "the storage has none"),
    }
}

const SAME: &str = "the storage has the same";
