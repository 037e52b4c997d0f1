//! Two ledgers of one authority joined: what either has spent is spent, and what either was asked to wait with is waited with.
//!
//! Neither order nor repetition matters. Where both count the same, the higher number holds, since one of them is usually an
//! older state of the other; what they spent apart is told apart by its instants, as far as those are remembered.
//! It refuses whatever one of them refuses, but that a set of names which only the other knows to be issued is a renewal, and
//! that what a clock days ahead wrote into one of them is called back as it would be there: see [`Ledger::settle`].

use std::time::SystemTime;

use super::instant::{length, millis};
use super::kept::{CLOCK_TOLERANCE, EVENTS_MAX};
use super::stored::{self, LEDGER_BYTES_MAX};
use super::{Ledger, block::Block};

/// What `one` and `other` know together.
#[must_use]
pub fn merge(one: &Ledger, other: &Ledger) -> Ledger {
    let mut both = one.clone();
    both.merge(other);
    both
}

/// The same for two objects of the store, as [`Ledger::bytes`] wrote them.
///
/// # Errors
/// If one of them cannot be read, a newer version's among them, or both together are too much to be read again. What is in
/// the store must then stay as it is: it may know of limits.
pub fn merge_bytes(one: &[u8], other: &[u8]) -> Result<Vec<u8>, stored::Error> {
    let both = merge(&Ledger::read(one)?, &Ledger::read(other)?).bytes();
    if both.len() > LEDGER_BYTES_MAX {
        return Err(stored::Error::TooLong { bytes: both.len() });
    }
    Ok(both)
}

impl Ledger {
    /// Whether it knows of something, `now`, that `other` never knew of, or lost: not of what `other` forgot for its age, and not of
    /// what a clock that was ahead has written, for that is called back.
    #[must_use]
    pub fn knows_more(&self, other: &Self, now: SystemTime) -> bool {
        let latest = millis(now).saturating_add(length(CLOCK_TOLERANCE));
        let is_whole = other.events.len() < EVENTS_MAX;
        let first = other.events.first().filter(|_first| !is_whole);
        let mut missing = self.events.difference(&other.events);
        missing.any(|event| event.at <= latest && first.is_none_or(|first| event > first))
    }

    /// Takes over what `other` knows.
    pub fn merge(&mut self, other: &Self) {
        for (limit, subjects) in &other.buckets {
            let own = self.buckets.entry(limit.clone()).or_default();
            for (subject, bucket) in subjects {
                own.entry(subject.clone()).or_default().merge(bucket);
            }
        }
        for (key, block) in &other.blocks {
            let own: &mut Block = self.blocks.entry(key.clone()).or_default();
            *own = own.clone().max(block.clone());
        }
        for (set, at) in &other.issued {
            let own = self.issued.entry(set.clone()).or_default();
            *own = (*own).max(*at);
        }
        self.events.extend(other.events.iter().cloned());
        self.bound();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::{Duration, UNIX_EPOCH};

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::block::Place;
    use super::super::bucket::Judge;
    use super::super::instant::{DAY, HOUR};
    use super::super::limits::Limits;
    use super::super::{Purpose, Scope, subject};
    use super::*;

    #[test]
    fn a_copy_knows_more_of_what_was_lost_and_not_of_what_was_given_back_or_called_back() {
        let now = start() + HOUR;
        let mut stored = Ledger::default();
        let asked = stored.admit(production(), &set(0), Purpose::New, start());
        assert!(asked.is_ok());
        let old = stored.clone();
        let mut copy = stored.clone();
        stored.not_issued(production(), &set(0), start(), now);
        copy.merge(&stored);
        assert_ne!(copy, stored, "a copy gives nothing back");
        assert!(!copy.knows_more(&stored, now));
        assert!(copy.knows_more(&old, now));
        assert!(copy.knows_more(&Ledger::default(), now));
        copy.account_made(production(), now + 2 * DAY);
        assert!(!copy.knows_more(&stored, now));
    }

    #[test]
    fn what_a_full_log_forgot_is_not_missed() {
        let mut stored = Ledger::default();
        let mut copy = Ledger::default();
        copy.account_made(production(), start());
        for second in 1..=EVENTS_MAX as u64 {
            stored.issued(production(), &set(0), start() + Duration::from_secs(second));
        }
        let now = start() + HOUR;
        assert!(!copy.knows_more(&stored, now));
        copy.account_made(production(), now);
        assert!(copy.knows_more(&stored, now));
    }

    #[test]
    fn what_two_spent_apart_adds_up_for_the_authority_as_well() {
        let spent = |count: u64, after: u64| {
            let mut ledger = Ledger::default();
            for at in 0..count {
                let now = start() + Duration::from_secs(after + at);
                let forced = ledger.admit(production(), &set(0), Purpose::Forced, now);
                forced.unwrap();
            }
            ledger
        };
        let mut both = merge(&spent(3, 0), &spent(2, 60));
        let now = start() + Duration::from_secs(120);
        let refused = both.admit(production(), &set(0), Purpose::Forced, now);
        assert!(refused.unwrap_err().free_at > now + DAY);
        let mut same = merge(&spent(3, 0), &spent(3, 0));
        let again = same.admit(production(), &set(0), Purpose::Forced, now);
        again.expect("the same is not counted twice");
    }

    #[test]
    fn what_cannot_be_read_is_never_replaced() {
        let good = Ledger::default().bytes();
        let newer = String::from_utf8(good.clone()).unwrap();
        let newer = newer.replacen("\"version\":1", "\"version\":2", 1);
        for bad in [&b""[..], b"{}", newer.as_bytes()] {
            merge_bytes(&good, bad).unwrap_err();
            merge_bytes(bad, &good).unwrap_err();
        }
        assert_eq!(merge_bytes(&good, &good).unwrap(), good);
    }

    proptest! {
        #[test]
        fn order_and_repetition_do_not_matter(one in ledger(), two in ledger(), three in ledger()) {
            let both = merge(&one, &two);
            prop_assert_eq!(&both, &merge(&two, &one));
            prop_assert_eq!(&both, &merge(&both, &two));
            prop_assert_eq!(&one, &merge(&one, &one));
            prop_assert_eq!(merge(&both, &three), merge(&one, &merge(&two, &three)));
            let bytes = merge_bytes(&one.bytes(), &two.bytes()).unwrap();
            prop_assert_eq!(&bytes, &both.bytes());
            prop_assert_eq!(&bytes, &merge_bytes(&bytes, &one.bytes()).unwrap());
        }

        #[test]
        fn nothing_spent_is_lowered_and_no_wait_is_lifted(
            one in ledger(), two in ledger(), later in 600_000_000..2_000_000_000_u64, url in url(),
        ) {
            let limits = Limits::of(url);
            let now = start() + Duration::from_millis(later);
            let both = merge(&one, &two);
            let after = both.report(limits, now);
            for ledger in [&one, &two] {
                let before = ledger.report(limits, now);
                for bucket in before.buckets {
                    let same = after.buckets.iter().find(|b| b.limit == bucket.limit && b.subject == bucket.subject);
                    let same = same.expect("nothing is lost by a merge");
                    prop_assert!(same.left <= bucket.left && same.ca_left <= bucket.ca_left);
                }
                for wait in before.blocks {
                    let held = after.blocks.iter().any(|b| {
                        b.limit == wait.limit && b.subject == wait.subject && b.until >= wait.until
                    });
                    prop_assert!(held);
                }
            }
        }

        #[test]
        fn whatever_one_refuses_both_refuse_for_as_long(
            one in ledger(), two in ledger(), later in 600_000_000..2_000_000_000_u64, url in url(),
        ) {
            let limits = Limits::of(url);
            let now = start() + Duration::from_millis(later);
            let both = merge(&one, &two);
            for ledger in [&one, &two] {
                for place in places() {
                    for judge in [Judge::Budget, Judge::Capacity] {
                        let refused = ledger.look(limits, &place, judge, millis(now));
                        let Err(refused) = refused else { continue };
                        let last = millis(refused.free_at) - 1;
                        for at in [millis(now), last] {
                            prop_assert!(both.look(limits, &place, judge, at).is_err());
                        }
                    }
                }
            }
        }

        #[test]
        fn orders_that_one_refuses_both_refuse_unless_only_the_other_knows_them_as_renewals(
            one in ledger(), two in ledger(), later in 600_000_000..2_000_000_000_u64, url in url(),
        ) {
            let limits = Limits::of(url);
            let now = start() + Duration::from_millis(later);
            let both = merge(&one, &two);
            for ledger in [&one, &two] {
                for (host, purpose) in asked() {
                    let names = set(host);
                    let key = subject::set(&names);
                    let refused = ledger.clone().admit(limits, &names, purpose, now).is_err();
                    if refused && ledger.issued.contains_key(&key) == both.issued.contains_key(&key) {
                        prop_assert!(both.clone().admit(limits, &names, purpose, now).is_err());
                    }
                }
            }
        }
    }

    fn asked() -> impl Iterator<Item = (u8, Purpose)> {
        let purposes = [
            Purpose::New,
            Purpose::Renewal,
            Purpose::AriRenewal,
            Purpose::Forced,
        ];
        (0..2).flat_map(move |host| purposes.map(|purpose| (host, purpose)))
    }

    fn places() -> Vec<Place> {
        let mut places = vec![Place::orders(), Place::accounts()];
        for host in 0..2 {
            let names = set(host);
            places.extend(names.iter().map(|name| Place::name(name)));
            places.extend(names.iter().map(|name| Place::domain(name)));
            places.push(Place::names(&names));
        }
        places
    }

    /// Of an authority with a budget of ours below its limits, and of one without.
    fn url() -> impl Strategy<Value = &'static str> {
        prop_oneof![
            Just(PRODUCTION),
            Just("https://acme-staging-v02.api.letsencrypt.org/directory"),
        ]
    }

    fn ledger() -> impl Strategy<Value = Ledger> {
        vec((0..680_000_000_u64, 0..2_u8, 0..8_u8), 0..30).prop_map(|steps| {
            let mut ledger = Ledger::default();
            for (at, host, deed) in steps {
                let now = start() + Duration::from_millis(at);
                let name = format!("host{host}.example.com");
                match deed {
                    0 => ledger.issued(production(), &set(host), now),
                    1 => ledger.account_made(production(), now),
                    2 => ledger.authorization_failed(production(), &name, now),
                    3 => ledger.not_issued(production(), &set(host), now, now),
                    4 => {
                        let scope = scope(at, host);
                        ledger.blocked(production(), &scope, now + DAY, "later", now);
                    }
                    _ => {
                        let _ = ledger.admit(production(), &set(host), Purpose::Forced, now);
                    }
                }
            }
            ledger
        })
    }

    fn scope(choice: u64, host: u8) -> Scope {
        let name = format!("host{host}.example.com");
        match choice % 6 {
            0 => Scope::Ca,
            1 => Scope::Orders,
            2 => Scope::Accounts,
            3 => Scope::Names(set(host)),
            4 => Scope::Domain(name),
            _ => Scope::Name(name),
        }
    }

    fn production() -> &'static Limits {
        Limits::of(PRODUCTION)
    }

    fn start() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_795_309_323)
    }

    fn set(host: u8) -> BTreeSet<String> {
        BTreeSet::from([format!("host{host}.example.com")])
    }

    const PRODUCTION: &str = "https://acme-v02.api.letsencrypt.org/directory";
}
