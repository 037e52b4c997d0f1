//! Which ticket keys there are, which of them seals now, which ones open, and when there must be another. Every key is published a
//! whole period before it seals, so hosts whose clocks differ, or that look seldom, know it in time.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// How long a key seals.
pub const PERIOD: Duration = Duration::from_secs(12 * 3600);
/// How long it opens afterwards, and what it sealed is good for.
pub const KEPT: Duration = Duration::from_secs(24 * 3600);
/// In a name, which is told in clear.
pub const ID_BYTES: usize = 16;
pub const SECRET_BYTES: usize = 32;
/// Periods ahead that a key may begin to count as the next one; more is the work of a clock that is wrong by days.
const AHEAD_MAX: u32 = 2;
/// The newest ones are kept.
const KEYS_MAX: usize = 16;

/// One key. Its `Debug` is blind.
#[derive(Clone, PartialEq, Eq)]
pub struct TicketKey {
    pub id: [u8; ID_BYTES],
    pub secret: [u8; SECRET_BYTES],
    /// When it begins to seal.
    pub from: SystemTime,
}

/// What a key is made of: random octets.
#[derive(Clone)]
pub struct Fresh {
    pub id: [u8; ID_BYTES],
    pub secret: [u8; SECRET_BYTES],
}

/// All keys of a fleet, the oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys(Vec<TicketKey>);

/// What is stored is no list of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadKeys;

impl Keys {
    /// # Errors
    /// [`BadKeys`]
    pub fn parse(stored: &[u8]) -> Result<Self, BadKeys> {
        let stored: Stored = serde_json::from_slice(stored).map_err(|_error| BadKeys)?;
        if stored.keys.len() > KEYS_MAX {
            return Err(BadKeys);
        }
        let keys: Option<Vec<TicketKey>> = stored.keys.iter().map(StoredKey::read).collect();
        Ok(Self::sorted(keys.ok_or(BadKeys)?))
    }

    #[must_use]
    pub fn stored(&self) -> Vec<u8> {
        let keys = self.0.iter().map(StoredKey::of).collect();
        serde_json::to_vec(&Stored { keys }).unwrap_or_default()
    }

    /// Whether there must be another: none seals yet, or none is there that will follow.
    #[must_use]
    pub fn is_due(&self, now: SystemTime) -> bool {
        let soon = now + AHEAD_MAX * PERIOD;
        let follows = |key: &TicketKey| key.from > now && key.from <= soon;
        self.sealing(now).is_none() || !self.0.iter().any(follows)
    }

    /// With the ones that are missing, and without those that open nothing any more.
    #[must_use]
    pub fn rotated(&self, now: SystemTime, fresh: [Fresh; 2]) -> Self {
        let [first, next] = fresh;
        let mut keys = self.accepted(now).0;
        if self.sealing(now).is_none() {
            keys.push(first.from(now));
        }
        keys.push(next.from(now + PERIOD));
        Self::sorted(keys)
    }

    /// The key that seals now.
    #[must_use]
    pub fn sealing(&self, now: SystemTime) -> Option<&TicketKey> {
        self.0.iter().rfind(|key| key.from <= now)
    }

    /// The keys that open now: also those that do not seal yet, for other clocks are ahead.
    #[must_use]
    pub fn accepted(&self, now: SystemTime) -> Self {
        let successors = self.0.iter().skip(1).map(|key| Some(key.from));
        let ends = successors.chain([None]);
        let is_good = |end: Option<SystemTime>| end.is_none_or(|end| end + KEPT > now);
        let keys = self.0.iter().zip(ends);
        let good = keys.filter(|(_key, end)| is_good(*end));
        Self(good.map(|(key, _end)| key.clone()).collect())
    }

    /// These, and those of `known` that are not among them.
    #[must_use]
    pub fn joined(&self, known: &Self) -> Self {
        let is_new = |key: &&TicketKey| !self.0.iter().any(|own| own.id == key.id);
        let others = known.0.iter().filter(is_new).cloned();
        Self::sorted(self.0.iter().cloned().chain(others).collect())
    }

    /// Whether one of them is among the others.
    #[must_use]
    pub fn shares_any(&self, others: &Self) -> bool {
        let has = |key: &TicketKey| others.0.iter().any(|other| other.id == key.id);
        self.0.iter().any(has)
    }

    pub fn iter(&self) -> impl Iterator<Item = &TicketKey> {
        self.0.iter()
    }

    fn sorted(mut keys: Vec<TicketKey>) -> Self {
        keys.sort_by_key(|key| (key.from, key.id));
        let surplus = keys.len().saturating_sub(KEYS_MAX);
        keys.drain(..surplus);
        Self(keys)
    }
}

impl Fresh {
    fn from(self, from: SystemTime) -> TicketKey {
        // What is stored has whole seconds.
        let seconds = from
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        TicketKey {
            id: self.id,
            secret: self.secret,
            from: UNIX_EPOCH + Duration::from_secs(seconds),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Stored {
    keys: Vec<StoredKey>,
}

/// Octets in hexadecimal, the time in seconds since 1970.
#[derive(Serialize, Deserialize)]
struct StoredKey {
    id: String,
    secret: String,
    from: u64,
}

impl StoredKey {
    fn of(key: &TicketKey) -> Self {
        let since = key.from.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            id: hex(&key.id),
            secret: hex(&key.secret),
            from: since.as_secs(),
        }
    }

    fn read(&self) -> Option<TicketKey> {
        Some(TicketKey {
            id: octets(&self.id)?,
            secret: octets(&self.secret)?,
            from: UNIX_EPOCH.checked_add(Duration::from_secs(self.from))?,
        })
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn octets<const LENGTH: usize>(text: &str) -> Option<[u8; LENGTH]> {
    let is_hex = text.bytes().all(|octet| octet.is_ascii_hexdigit());
    if text.len() != 2 * LENGTH || !is_hex {
        return None;
    }
    let mut octets = [0; LENGTH];
    for (octet, digits) in octets.iter_mut().zip(text.as_bytes().chunks(2)) {
        *octet = u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(octets)
}

impl fmt::Debug for TicketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TicketKey({}…)", hex(&self.id[..4]))
    }
}

impl fmt::Debug for Fresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fresh")
    }
}

impl fmt::Display for BadKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what is stored is no list of ticket keys")
    }
}

impl std::error::Error for BadKeys {}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn noon() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }

    fn fresh(number: u8) -> [Fresh; 2] {
        let of = |octet| Fresh {
            id: [octet; ID_BYTES],
            secret: [octet; SECRET_BYTES],
        };
        [of(number), of(number + 1)]
    }

    fn sealing(keys: &Keys, now: SystemTime) -> u8 {
        keys.sealing(now).unwrap().id[0]
    }

    #[test]
    fn the_first_keys_seal_at_once_and_after_a_period() {
        let none = Keys::default();
        assert!(none.is_due(noon()));
        let keys = none.rotated(noon(), fresh(1));
        assert_eq!(sealing(&keys, noon()), 1);
        assert!(!keys.is_due(noon()) && !keys.is_due(noon() + PERIOD - HOUR));
        assert_eq!(sealing(&keys, noon() + PERIOD), 2);
        assert!(keys.is_due(noon() + PERIOD));
    }

    #[test]
    fn every_key_is_known_a_period_before_it_seals_and_opens_two_more() {
        let mut keys = Keys::default().rotated(noon(), fresh(1));
        for turn in 1..20_u8 {
            let now = noon() + u32::from(turn) * PERIOD;
            assert!(keys.is_due(now));
            keys = keys.rotated(now, fresh(10 * turn));
            assert_eq!(keys.iter().last().unwrap().from, now + PERIOD);
            assert!(keys.0.len() <= 5, "{}", keys.0.len());
        }
        let now = noon() + 19 * PERIOD;
        let sealed_last = keys.0[keys.0.len() - 3].clone();
        assert!(sealed_last.from < now);
        let opens = |now| keys.accepted(now).iter().any(|key| *key == sealed_last);
        assert!(opens(now + KEPT - HOUR) && !opens(now + KEPT));
    }

    #[test]
    fn hosts_whose_clocks_differ_open_what_each_other_seals() {
        let mut keys = Keys::default().rotated(noon(), fresh(1));
        for quarter in 0..400_u32 {
            let now = noon() + quarter * 15 * Duration::from_secs(60);
            let clocks = [now - 7 * HOUR / 60, now, now + 9 * HOUR / 60];
            for (sealer, clock) in clocks.into_iter().enumerate() {
                if keys.is_due(clock) {
                    let number = u8::try_from(quarter % 120).unwrap() * 2;
                    keys = keys.rotated(clock, fresh(number));
                }
                // What was read a few looks ago is what is there now, but for keys that do not seal yet.
                let seals = keys.sealing(clock).unwrap();
                for opener in clocks {
                    let opens = keys.accepted(opener).iter().any(|key| key.id == seals.id);
                    assert!(opens, "{sealer} at {quarter}");
                }
            }
        }
    }

    #[test]
    fn a_clock_that_is_a_year_ahead_stops_no_rotation() {
        let keys = Keys::default().rotated(noon(), fresh(1));
        let year = 365 * 24 * HOUR;
        let keys = keys.rotated(noon() + year, fresh(3));
        assert!(keys.is_due(noon()));
        let keys = keys.rotated(noon(), fresh(5));
        assert!(!keys.is_due(noon()));
        assert!(keys.sealing(noon()).is_some() && keys.sealing(noon() + PERIOD).is_some());
    }

    #[test]
    fn keys_are_joined_in_their_order_and_each_once() {
        let known = Keys::default().rotated(noon(), fresh(1));
        let found = Keys::default().rotated(noon() + HOUR, fresh(3));
        let joined = found.joined(&known);
        let ids: Vec<u8> = joined.iter().map(|key| key.id[0]).collect();
        assert_eq!(ids, [1, 3, 2, 4]);
        assert_eq!(joined.joined(&known), joined);
        assert!(joined.shares_any(&known) && !found.shares_any(&known));
    }

    #[test]
    fn what_is_stored_is_read_back_and_nothing_else_is() {
        let keys = Keys::default().rotated(noon(), fresh(1));
        assert_eq!(Keys::parse(&keys.stored()), Ok(keys.clone()));
        let text = String::from_utf8(keys.stored()).unwrap();
        for bad in [
            String::new(),
            text.replace("01", "zz"),
            text.replacen("0101", "01", 1),
            text.replacen("0101", "é01", 1),
            text.replace("1800000000", "-1"),
            text.replace("1800000000", "18446744073709551615"),
        ] {
            assert_eq!(Keys::parse(bad.as_bytes()), Err(BadKeys), "{bad}");
        }
        let shown = format!("{keys:?} {:?}", fresh(1));
        assert!(!shown.contains("0101010101"), "{shown}");
    }

    #[test]
    fn there_are_never_more_keys_than_are_read() {
        let mut keys = Keys::default();
        for number in 0..100 {
            keys = keys.joined(&Keys::default().rotated(noon(), fresh(2 * number)));
        }
        assert_eq!(Keys::parse(&keys.stored()), Ok(keys));
    }
}
