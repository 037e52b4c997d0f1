//! What a lease looks like in the bucket.

use std::process;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::storage::store::{Claim, Key};

/// How much longer than it says a lease is waited for: clocks of the machines that make up a store differ a little.
const MARGIN: Duration = Duration::from_secs(5);
/// Objects that may be under way at once under one lease.
const KEYS_MAX: usize = 64;

/// Never removed, for the fence would begin again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// For people.
    owner: String,
    pub(super) nonce: String,
    pub(super) fence: u64,
    /// Milliseconds by the store's clock; 0 once it was given back.
    expires: u64,
    /// Under which something may still be on its way to the store.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) keys: Vec<String>,
}

/// What its holder wants of a lease.
#[derive(Debug)]
pub(super) enum Change<'a> {
    /// That it lasts from now on.
    Renew { lasts: Duration },
    /// To write under this key; `busy` are those for which it may not be forgotten yet.
    Admit { key: &'a Key, busy: &'a [Key] },
    /// To be rid of it.
    GiveBack { busy: &'a [Key] },
}

/// What came of a [`Change`].
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Changed {
    ToBeWritten,
    /// It is so already.
    Nothing,
    /// Too much is under way.
    Full,
}

impl Record {
    pub(super) fn new(claim: &Claim, now: SystemTime, lasts: Duration, keys: Vec<String>) -> Self {
        let host = rustix::system::uname();
        Self {
            owner: format!("{}@{}", process::id(), host.nodename().to_string_lossy()),
            nonce: claim.nonce.to_string(),
            fence: claim.fence,
            expires: millis(now + lasts),
            keys,
        }
    }

    pub(super) fn is_free(&self, now: SystemTime) -> bool {
        let until = UNIX_EPOCH + Duration::from_millis(self.expires) + MARGIN;
        self.expires == 0 || until < now
    }

    pub(super) fn belongs_to(&self, claim: &Claim) -> bool {
        self.expires != 0 && *self.nonce == *claim.nonce
    }

    pub(super) fn change(&mut self, change: &Change<'_>, now: SystemTime) -> Changed {
        match change {
            Change::Renew { lasts } => self.expires = millis(now + *lasts),
            Change::GiveBack { busy } => {
                self.expires = 0;
                self.keep_only(busy);
            }
            Change::Admit { key, busy } => {
                if self.keys.iter().any(|known| known == key.as_str()) {
                    return Changed::Nothing;
                }
                if self.keys.len() >= KEYS_MAX {
                    self.keep_only(busy);
                }
                if self.keys.len() >= KEYS_MAX {
                    return Changed::Full;
                }
                self.keys.push(key.as_str().to_owned());
            }
        }
        Changed::ToBeWritten
    }

    fn keep_only(&mut self, busy: &[Key]) {
        let is_busy = |known: &String| busy.iter().any(|key| key.as_str() == known);
        self.keys.retain(is_busy);
    }
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LASTS: Duration = Duration::from_secs(60);

    fn record() -> (Record, SystemTime) {
        let claim = Claim {
            name: Key::new("a").unwrap(),
            fence: 1,
            nonce: "n".into(),
        };
        let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        (Record::new(&claim, now, LASTS, Vec::new()), now)
    }

    #[test]
    fn a_lease_is_waited_for_a_little_longer_than_it_lasts() {
        let (mut record, now) = record();
        assert!(!record.is_free(now + LASTS + MARGIN));
        assert!(record.is_free(now + LASTS + MARGIN + Duration::from_millis(1)));
        record.change(&Change::GiveBack { busy: &[] }, now);
        assert!(record.is_free(now));
    }

    #[test]
    fn keys_are_noted_once_and_forgotten_when_nothing_is_under_way() {
        let (mut record, now) = record();
        let keys: Vec<_> = (0..=KEYS_MAX)
            .map(|number| Key::new(&number.to_string()).unwrap())
            .collect();
        let (last, busy) = keys.split_last().unwrap();
        for key in busy {
            let admit = Change::Admit { key, busy };
            assert_eq!(record.change(&admit, now), Changed::ToBeWritten);
            assert_eq!(record.change(&admit, now), Changed::Nothing);
        }
        assert_eq!(
            record.change(&Change::Admit { key: last, busy }, now),
            Changed::Full
        );
        let busy = &busy[..1];
        let admit = Change::Admit { key: last, busy };
        assert_eq!(record.change(&admit, now), Changed::ToBeWritten);
        assert_eq!(record.keys, ["0".to_owned(), KEYS_MAX.to_string()]);
        record.change(&Change::GiveBack { busy }, now);
        assert_eq!(record.keys, ["0"]);
    }
}
