//! What clients owe at their rates, in a table that grows with those who owe something, up to a limit.
//!
//! A client whose whole burst is there again owes nothing and needs no place. Where more clients owe something than there are places,
//! a newcomer takes that of whoever owes least in the scope that takes up most: a scope that many come to costs others nothing, and
//! whoever owes much stays known.

use super::gcra::{Nanos, Pace, Verdict};

/// A client in a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Debtor {
    /// A keyed hash of the scope and of what is counted apart in it: nobody outside finds two that are alike.
    pub(super) hash: u64,
    pub(super) scope: u32,
}

/// A part of all debts.
#[derive(Debug, Default)]
pub(super) struct Debts(Vec<Debt>);

#[derive(Debug, Clone, Copy, Default)]
struct Debt {
    hash: u64,
    /// In the past: the place is free.
    full: Nanos,
    scope: u32,
}

/// Whether somebody who owed something had to be forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Crowding {
    None,
    Forgot,
}

/// Places among which a client's hash does not choose; each is looked at.
const SET: usize = 16;
/// Places of one part.
pub(super) const PLACES_MAX: usize = 4096;
/// Octets of one part at its largest.
pub(super) const BYTES_MAX: usize = PLACES_MAX * size_of::<Debt>();

impl Debts {
    /// Judges a request of a client and notes what it owes then.
    pub(super) fn judge(&mut self, debtor: Debtor, pace: Pace, now: Nanos) -> (Verdict, Crowding) {
        let known = self
            .set(debtor)
            .iter_mut()
            .find(|debt| debt.hash == debtor.hash);
        let verdict = pace.judge(known.as_ref().map_or(0, |debt| debt.full), now);
        let Verdict::Serve(full) = verdict else {
            return (verdict, Crowding::None);
        };
        if let Some(known) = known {
            known.full = full;
            return (verdict, Crowding::None);
        }
        let (place, crowding) = self.place(debtor, now);
        *place = Debt {
            hash: debtor.hash,
            full,
            scope: debtor.scope,
        };
        (verdict, crowding)
    }

    /// Places taken in memory.
    #[cfg(test)]
    pub(super) fn places(&self) -> usize {
        self.0.len()
    }

    fn set(&mut self, debtor: Debtor) -> &mut [Debt] {
        let sets = self.0.len() / SET;
        if sets == 0 {
            return &mut [];
        }
        let start = usize::try_from(debtor.hash % sets as u64).unwrap_or_default() * SET;
        &mut self.0[start..start + SET]
    }

    /// A place for a newcomer.
    fn place(&mut self, debtor: Debtor, now: Nanos) -> (&mut Debt, Crowding) {
        let is_free = |debt: &Debt| debt.full <= now;
        while !self.set(debtor).iter().any(is_free) && self.0.len() < PLACES_MAX {
            self.grow(now);
        }
        let set = self.set(debtor);
        match set.iter().position(is_free) {
            Some(free) => (&mut set[free], Crowding::None),
            None => (&mut set[least(set, debtor.scope)], Crowding::Forgot),
        }
    }

    /// Twice the places. Each set becomes two, so that none has more clients than before.
    fn grow(&mut self, now: Nanos) {
        let places = (self.0.len() * 2).max(SET);
        let old = std::mem::replace(&mut self.0, vec![Debt::default(); places]);
        for debt in old.into_iter().filter(|debt| debt.full > now) {
            let debtor = Debtor {
                hash: debt.hash,
                scope: debt.scope,
            };
            if let Some(free) = self.set(debtor).iter_mut().find(|debt| debt.full == 0) {
                *free = debt;
            }
        }
    }
}

/// Who is forgotten in a full set: of the scope that takes up most of it, the newcomer's counted, whoever owes least.
fn least(set: &[Debt], newcomer: u32) -> usize {
    let share = |scope: u32| {
        let own = usize::from(scope == newcomer);
        set.iter().filter(|debt| debt.scope == scope).count() + own
    };
    let mut crowded = newcomer;
    for debt in set {
        if share(debt.scope) > share(crowded) {
            crowded = debt.scope;
        }
    }
    let members = set
        .iter()
        .enumerate()
        .filter(|(_, debt)| debt.scope == crowded);
    members
        .min_by_key(|(_, debt)| debt.full)
        .map_or(0, |(place, _)| place)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use super::*;

    const SECOND: Nanos = 1_000_000_000;

    fn pace(limit: u32, burst: u32) -> Pace {
        let count = |number| NonZeroU32::new(number).unwrap();
        Pace::new(count(limit), Duration::from_secs(60), count(burst))
    }

    /// The hashes are as even as those of a keyed hash.
    fn debtor(number: u64, scope: u32) -> Debtor {
        let hash = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(scope) << 40;
        Debtor {
            hash: hash ^ hash >> 29,
            scope,
        }
    }

    fn is_served(debts: &mut Debts, debtor: Debtor, pace: Pace, now: Nanos) -> bool {
        matches!(debts.judge(debtor, pace, now).0, Verdict::Serve(_))
    }

    #[test]
    fn each_client_has_a_burst_of_its_own() {
        let mut debts = Debts::default();
        for number in 0..500 {
            let served =
                (0..5).filter(|_| is_served(&mut debts, debtor(number, 1), pace(1, 3), SECOND));
            assert_eq!(served.count(), 3, "{number}");
        }
        assert!(!is_served(&mut debts, debtor(0, 1), pace(1, 3), SECOND));
        assert!(is_served(&mut debts, debtor(0, 1), pace(1, 3), 61 * SECOND));
    }

    #[test]
    fn it_grows_only_with_those_who_owe_something() {
        let mut debts = Debts::default();
        assert_eq!(debts.places(), 0);
        // Each of them owes nothing when the next comes.
        for number in 0..10_000 {
            assert!(is_served(
                &mut debts,
                debtor(number, 1),
                pace(60, 1),
                number * SECOND
            ));
        }
        assert_eq!(debts.places(), SET);
        for number in 0..1_000_000 {
            debts.judge(debtor(number, 1), pace(60, 1), 10_000 * SECOND);
        }
        assert_eq!(debts.places(), PLACES_MAX);
    }

    #[test]
    fn nobody_is_forgotten_while_there_is_room() {
        let mut debts = Debts::default();
        for number in 0..PLACES_MAX as u64 / 4 {
            let (_, crowding) = debts.judge(debtor(number, 1), pace(1, 1), SECOND);
            assert_eq!(crowding, Crowding::None);
        }
        for number in 0..PLACES_MAX as u64 / 4 {
            assert!(!is_served(
                &mut debts,
                debtor(number, 1),
                pace(1, 1),
                SECOND
            ));
        }
    }

    #[test]
    fn whoever_owes_much_outlasts_a_flood_of_those_who_owe_little() {
        let mut debts = Debts::default();
        let greedy = debtor(0, 1);
        while is_served(&mut debts, greedy, pace(10, 10), SECOND) {}
        let mut forgot = 0;
        for number in 1..1_000_000 {
            let (_, crowding) = debts.judge(debtor(number, 1), pace(10, 10), SECOND);
            forgot += u64::from(crowding == Crowding::Forgot);
        }
        assert!(forgot > 900_000);
        assert!(!is_served(&mut debts, greedy, pace(10, 10), SECOND));
    }

    #[test]
    fn a_scope_that_is_flooded_costs_others_nothing() {
        let mut debts = Debts::default();
        // The others owe a second, the flood an hour.
        let (brief, long) = (pace(60, 1), pace(1, 60));
        let others: Vec<Debtor> = (0..100).map(|number| debtor(number, 1)).collect();
        for other in &others {
            assert!(is_served(&mut debts, *other, brief, SECOND));
        }
        for number in 0..1_000_000 {
            debts.judge(debtor(number, 2), long, SECOND);
            debts.judge(debtor(number, 2), long, SECOND);
        }
        for other in &others {
            assert!(!is_served(&mut debts, *other, brief, SECOND));
        }
    }
}
