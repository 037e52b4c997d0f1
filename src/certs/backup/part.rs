//! What an object of the store is, by its key; and which of them a backup holds.

use crate::storage::store::Key;

/// What begins the keys that a backup holds.
pub(super) const PREFIXES: &[&str] = &[CERTS, LEDGERS, "alerts/", SAVED_LEASES, LOCAL_CA];
pub(super) const CERTS: &str = "certs/";
/// With the accounts.
pub(super) const LEDGERS: &str = "acme/";
/// Of one machine.
pub(super) const SAVED_LEASES: &str = "saved-leases/";
pub(super) const LOCAL_CA: &str = "local-ca/";
/// The system's roots and ours, made anew whenever it is asked for.
const MADE_ANEW: &str = "local-ca/bundle.pem";

/// What a backup holds of, with what stands for a name in keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part<'a> {
    Bundle(&'a str, u64),
    Pointer(&'a str),
    Journal(&'a str),
    State(&'a str),
    Account,
    Ledger,
    LocalCa,
    /// Alerts, saved leases, and what later versions keep beside them.
    Other,
}

impl<'a> Part<'a> {
    /// None: no backup holds it.
    pub(super) fn of(key: &'a Key) -> Option<Self> {
        let text = key.as_str();
        if text == MADE_ANEW || !PREFIXES.iter().any(|prefix| text.starts_with(prefix)) {
            return None;
        }
        let segments: Vec<&str> = text.split('/').collect();
        Some(match segments.as_slice() {
            ["certs", id, "current"] => Self::Pointer(id),
            ["certs", id, "journal"] => Self::Journal(id),
            ["certs", id, "state"] => Self::State(id),
            ["certs", id, bundle] => match generation(bundle) {
                Some(generation) => Self::Bundle(id, generation),
                None => Self::Other,
            },
            ["acme", _ca, "account"] => Self::Account,
            ["acme", _ca, "ledger"] => Self::Ledger,
            ["local-ca", ..] => Self::LocalCa,
            _ => Self::Other,
        })
    }

    /// What stands for the name that it is about.
    pub(super) fn id(self) -> Option<&'a str> {
        match self {
            Self::Bundle(id, _) | Self::Pointer(id) | Self::Journal(id) | Self::State(id) => {
                Some(id)
            }
            Self::Account | Self::Ledger | Self::LocalCa | Self::Other => None,
        }
    }
}

/// The one object that is a local CA.
pub(super) fn is_whole_ca(key: &Key) -> bool {
    key.as_str() == "local-ca/authority.json"
}

/// The root's certificate: of earlier versions a part of the CA, else a copy.
pub(super) fn is_root(key: &Key) -> bool {
    key.as_str() == "local-ca/root.pem"
}

fn generation(segment: &str) -> Option<u64> {
    let digits = segment.strip_prefix('v')?;
    digits
        .bytes()
        .all(|octet| octet.is_ascii_digit())
        .then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(key: &str, expected: Option<Part<'_>>) {
        assert_eq!(Part::of(&Key::new(key).unwrap()), expected, "{key}");
    }

    #[test]
    fn objects_are_known_by_their_keys() {
        let name = "wildcard_.a.test";
        check(
            "certs/wildcard_.a.test/v00000012",
            Some(Part::Bundle(name, 12)),
        );
        check("certs/wildcard_.a.test/current", Some(Part::Pointer(name)));
        check("certs/a.test/later", Some(Part::Other));
        check("certs/a.test/v-1", Some(Part::Other));
        check("acme/ca.test/ledger", Some(Part::Ledger));
        check("acme/ca.test/account", Some(Part::Account));
        check("local-ca/root.pem", Some(Part::LocalCa));
        check("saved-leases/a.test", Some(Part::Other));
    }

    #[test]
    fn what_is_made_anew_is_left_out() {
        for key in ["identity", "tickets", "challenges/http/00", MADE_ANEW] {
            check(key, None);
        }
    }
}
