//! What an authority issued to others than this ledger's owner: it counts against the same limits, whoever asked.

use std::collections::BTreeSet;
use std::time::SystemTime;

use super::Ledger;
use super::instant::{length, millis};
use super::limits::{Limits, RENEWAL_WITHIN};
use super::subject;

/// A certificate that was issued to somebody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elsewhere {
    pub names: BTreeSet<String>,
    /// Taken for the time of its issuance, which is at most an hour later.
    pub not_before: SystemTime,
}

impl Ledger {
    /// What is to be merged into a ledger that should know of these, as often as one likes.
    #[must_use]
    pub fn of_elsewhere(limits: &Limits, issued: &[Elsewhere], now: SystemTime) -> Self {
        let now = millis(now);
        let mut issued: Vec<(u64, &BTreeSet<String>)> = issued
            .iter()
            .map(|one| (millis(one.not_before), &one.names))
            .filter(|(at, _names)| at.saturating_add(length(RENEWAL_WITHIN)) > now)
            .collect();
        issued.sort_unstable();
        let mut ledger = Self::default();
        for (at, names) in issued {
            for place in ledger.certificates(names, at) {
                if at.saturating_add(length(limits.rate(place.limit).window)) > now {
                    ledger.spend(limits, &place, at);
                }
            }
            let set = subject::set(names);
            ledger.log(at, "issued elsewhere", set.clone());
            ledger.issued.insert(set, at);
        }
        ledger.bound();
        ledger
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::instant::DAY;
    use super::super::order::Purpose;
    use super::*;

    fn noon() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }

    fn limits() -> &'static Limits {
        Limits::of("https://acme-v02.api.letsencrypt.org/directory")
    }

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn days_ago(names: &[&str], days: u32) -> Elsewhere {
        Elsewhere {
            names: set(names),
            not_before: noon() - DAY * days,
        }
    }

    #[test]
    fn what_was_issued_this_week_counts_and_is_merged_as_often_as_one_likes() {
        let issued = [
            days_ago(&["a.example.com"], 1),
            days_ago(&["a.example.com"], 2),
            days_ago(&["b.example.com"], 80),
        ];
        let seen = Ledger::of_elsewhere(limits(), &issued, noon());
        let mut ledger = Ledger::default();
        ledger.merge(&seen);
        let once = ledger.clone();
        ledger.merge(&Ledger::of_elsewhere(limits(), &issued, noon()));
        assert_eq!(ledger, once);
        // Two of two that our budget has of an exact set.
        let refusal = ledger
            .admit(limits(), &set(&["a.example.com"]), Purpose::Renewal, noon())
            .unwrap_err();
        assert!(refusal.free_at > noon() + DAY, "{refusal}");
        let again = ledger.admit(limits(), &set(&["b.example.com"]), Purpose::Renewal, noon());
        again.unwrap();
    }

    #[test]
    fn what_is_too_old_to_matter_leaves_nothing() {
        let issued = [days_ago(&["a.example.com"], 130)];
        let seen = Ledger::of_elsewhere(limits(), &issued, noon());
        assert_eq!(seen, Ledger::default());
    }
}
