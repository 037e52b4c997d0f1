//! What a host's copy of a shared storage keeps of its objects when both differ: nothing that was spent is forgotten, no pointer goes
//! back, and no good bundle is replaced by a damaged one. What was removed there is forgotten here if it is a bundle or points to one.

use crate::certs::bundle::Bundle;
use crate::certs::ledger::Ledger;
use crate::certs::ledger::merge::merge_bytes;
use crate::certs::vault::{is_retired, pointed_at};
use crate::storage::store::{Key, Merging};

/// For [`crate::storage::store::Store::copied`].
pub const MERGING: Merging = Merging {
    concerns: |key| Kind::of(key).is_some(),
    merge: |key, ours, found| {
        let keeps_ours = match Kind::of(key) {
            Some(Kind::Ledger) => return merge_bytes(ours, found).unwrap_or_else(|_| found.into()),
            Some(Kind::Pointer) => pointed_at(ours) > pointed_at(found),
            Some(Kind::Bundle) => Bundle::read(found).is_err() && Bundle::read(ours).is_ok(),
            None => false,
        };
        if keeps_ours { ours } else { found }.to_vec()
    },
    passes: |key| matches!(Kind::of(key), Some(Kind::Pointer | Kind::Bundle)),
    dates: |key| matches!(Kind::of(key), Some(Kind::Ledger)),
    is_older: |ours, found| match (Ledger::read(ours), Ledger::read(found)) {
        (Ok(ours), Ok(found)) => ours.events().last() > found.events().last(),
        (Err(_), _) | (_, Err(_)) => true,
    },
    ruler: |key| match (Kind::of(key)?, key.as_str().rsplit_once('/')?) {
        (Kind::Bundle, (folder, _generation)) => Key::new(&format!("{folder}/current")).ok(),
        (Kind::Ledger | Kind::Pointer, _) => None,
    },
    retires: |told, key| {
        let digits = key.as_str().rsplit_once("/v").map(|(_id, digits)| digits);
        let generation = digits.and_then(|digits| digits.parse().ok());
        generation.is_some_and(|generation| is_retired(generation, told))
    },
};

enum Kind {
    /// `acme/CA/ledger`.
    Ledger,
    /// `certs/ID/current`.
    Pointer,
    /// `certs/ID/v00000001`.
    Bundle,
}

impl Kind {
    fn of(key: &Key) -> Option<Self> {
        let parts: Vec<&str> = key.as_str().split('/').collect();
        match parts.as_slice() {
            ["acme", _ca, "ledger"] => Some(Self::Ledger),
            ["certs", _id, "current"] => Some(Self::Pointer),
            ["certs", _id, part] if part.starts_with('v') => Some(Self::Bundle),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(key: &str, ours: &[u8], found: &[u8], expected: &[u8]) {
        let key = Key::new(key).unwrap();
        assert!((MERGING.concerns)(&key), "{key}");
        let merged = (MERGING.merge)(&key, ours, found);
        let text = String::from_utf8_lossy(&merged);
        assert_eq!(merged, expected, "{key}: {text}");
    }

    #[test]
    fn a_pointer_never_goes_back_and_what_is_broken_is_not_believed() {
        let (older, newer) = (br#"{"generation":2}"#, br#"{"generation":10}"#);
        check("certs/a.test/current", newer, older, newer);
        check("certs/a.test/current", older, newer, newer);
        check("certs/a.test/current", b"{", newer, newer);
        check("certs/a.test/current", older, b"", older);
        check("certs/a.test/v00000001", b"broken", b"also", b"also");
    }

    #[test]
    fn bundles_are_retired_by_their_pointer_three_generations_on() {
        let pointer = Key::new("certs/a.test/current").unwrap();
        for (generation, told, expected) in [
            (3, &br#"{"generation":6}"#[..], true),
            (4, br#"{"generation":6}"#, false),
            (1, b"{", false),
        ] {
            let bundle = Key::new(&format!("certs/a.test/v{generation:08}")).unwrap();
            assert_eq!((MERGING.ruler)(&bundle), Some(pointer.clone()));
            assert_eq!((MERGING.retires)(told, &bundle), expected, "{generation}");
            assert!((MERGING.passes)(&bundle) && (MERGING.passes)(&pointer));
        }
        for stays in [
            "acme/ca/ledger",
            "acme/ca/account",
            "certs/a.test/journal",
            "local-ca/authority.json",
        ] {
            let stays = Key::new(stays).unwrap();
            assert!(!(MERGING.passes)(&stays) && (MERGING.ruler)(&stays).is_none());
        }
    }

    #[test]
    fn what_only_saves_work_is_taken_as_it_is_found() {
        for key in [
            "certs/a.test/state",
            "certs/a.test/journal",
            "alerts/notices",
            "acme/ca/account",
        ] {
            assert!(!(MERGING.concerns)(&Key::new(key).unwrap()), "{key}");
        }
    }
}
