//! Which of several certificates of one name is served.

use std::time::SystemTime;

/// What counts of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing<'a> {
    /// DER.
    pub(super) leaf: &'a [u8],
    pub(super) not_before: SystemTime,
    pub(super) not_after: SystemTime,
    /// Whether the configuration orders from its CA; true if nobody knows.
    pub(super) is_of_configured_ca: bool,
}

/// How one that was found stands to what is in the vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Ours is missing, over, or shorter and older.
    Better,
    Same,
    /// Ours is newer, or lasts longer.
    NotBetter,
}

/// Judges one that was found.
pub(super) fn judge(found: &Standing<'_>, ours: Option<&Standing<'_>>, now: SystemTime) -> Verdict {
    let Some(ours) = ours else {
        return Verdict::Better;
    };
    if ours.leaf == found.leaf {
        return Verdict::Same;
    }
    let is_ours_good = ours.not_before <= now && now < ours.not_after;
    if !is_ours_good {
        return Verdict::Better;
    }
    match (found.is_of_configured_ca, ours.is_of_configured_ca) {
        (true, false) => return Verdict::Better,
        (false, true) => return Verdict::NotBetter,
        (true, true) | (false, false) => {}
    }
    if ours.not_after >= found.not_after || ours.not_before > found.not_before {
        Verdict::NotBetter
    } else {
        Verdict::Better
    }
}

/// The best of those that were found, by its number: the one that lasts longest, of equals the first.
pub(super) fn best<'a>(found: impl Iterator<Item = (usize, Standing<'a>)>) -> Option<usize> {
    let rank = |one: &Standing<'_>| (one.is_of_configured_ca, one.not_after, one.not_before);
    let better = |best: (usize, Standing<'a>), next: (usize, Standing<'a>)| {
        if rank(&next.1) > rank(&best.1) {
            next
        } else {
            best
        }
    };
    found.reduce(better).map(|(number, _standing)| number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certs::fixture::{days, noon};

    fn standing(leaf: &'static [u8], from: u64, until: u64) -> Standing<'static> {
        Standing {
            leaf,
            not_before: noon() + days(from),
            not_after: noon() + days(until),
            is_of_configured_ca: true,
        }
    }

    #[track_caller]
    fn check(found: Standing<'_>, ours: Standing<'_>, expected: Verdict) {
        let now = noon() + days(50);
        assert_eq!(
            judge(&found, Some(&ours), now),
            expected,
            "{found:?} {ours:?}"
        );
    }

    #[test]
    fn ours_stays_if_it_is_newer_or_lasts_longer_and_good() {
        let found = standing(b"a", 10, 100);
        assert_eq!(judge(&found, None, noon()), Verdict::Better);
        check(found, standing(b"a", 10, 100), Verdict::Same);
        check(found, standing(b"b", 0, 90), Verdict::Better);
        check(found, standing(b"b", 0, 100), Verdict::NotBetter);
        check(found, standing(b"b", 20, 60), Verdict::NotBetter);
        check(found, standing(b"b", 20, 110), Verdict::NotBetter);
        check(found, standing(b"b", 0, 50), Verdict::Better);
        check(found, standing(b"b", 51, 200), Verdict::Better);
        let elsewhere = Standing {
            is_of_configured_ca: false,
            ..standing(b"b", 20, 110)
        };
        check(found, elsewhere, Verdict::Better);
        check(elsewhere, found, Verdict::NotBetter);
    }

    #[test]
    fn of_several_the_longest_wins_and_of_equals_the_first() {
        let all = [
            standing(b"a", 0, 90),
            standing(b"b", 10, 100),
            standing(b"c", 10, 100),
        ];
        assert_eq!(best(all.into_iter().enumerate()), Some(1));
        assert_eq!(best(std::iter::empty()), None);
    }
}
