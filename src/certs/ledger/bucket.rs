//! One limit of one subject: the authority's bucket as the instant at which it is full again (GCRA), and the last spendings,
//! for our own budget.
//!
//! That instant alone forgets: two of five certificates a week are back after three days, so "two in any week" cannot be
//! judged by it. The spendings are kept only where there is a budget below the capacity.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::instant::length;
use super::kept::{CLOCK_TOLERANCE, CLOCK_UNSET_BEFORE};
use super::limits::Rate;

/// By whose number a bucket is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judge {
    Budget,
    Capacity,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Bucket {
    tat: u64,
    /// How many were spent at which instant.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    recent: BTreeMap<u64, u32>,
}

impl Bucket {
    /// Forgets what the window has passed, and calls back what a clock far ahead of `now` wrote: its spendings are taken for
    /// spent now, and the authority's bucket for as empty as they make it.
    pub(super) fn settle(&mut self, rate: &Rate, now: u64) {
        let window = length(rate.window);
        self.recent
            .retain(|at, _| at.saturating_add(window) > now && rate.budget.is_some());
        if now < CLOCK_UNSET_BEFORE {
            return;
        }
        let believed = now.saturating_add(length(CLOCK_TOLERANCE));
        let ahead = self.recent.split_off(&believed.saturating_add(1));
        let ahead = ahead.into_values().fold(0, u32::saturating_add);
        if ahead > 0 {
            self.remember(rate, now, ahead);
        }
        if self.tat > believed.saturating_add(rate.depth()) {
            let spent = rate.budget.map_or(rate.capacity, |_| self.spent());
            let level = rate.interval().saturating_mul(u64::from(spent));
            self.tat = now.saturating_add(level.min(rate.depth()));
        }
        self.tat = self.tat.max(self.replayed(rate));
    }

    pub(super) fn settled(&self, rate: &Rate, now: u64) -> Self {
        let mut settled = self.clone();
        settled.settle(rate, now);
        settled
    }

    /// How many may be spent at once. For this and what follows the bucket must be settled.
    pub(super) fn left(&self, rate: &Rate, judge: Judge, now: u64) -> u32 {
        let room = rate.depth().saturating_sub(self.tat.saturating_sub(now));
        let of_capacity = u32::try_from(room / rate.interval()).unwrap_or(u32::MAX);
        match (judge, rate.budget) {
            (Judge::Budget, Some(budget)) => of_capacity.min(budget.saturating_sub(self.spent())),
            (Judge::Budget, None) | (Judge::Capacity, _) => of_capacity,
        }
    }

    /// When at least one is left: `now` if one is.
    pub(super) fn free_at(&self, rate: &Rate, judge: Judge, now: u64) -> u64 {
        let full = self.tat.saturating_add(rate.interval());
        let of_capacity = full.saturating_sub(rate.depth()).max(now);
        match (judge, rate.budget) {
            (Judge::Budget, Some(budget)) => of_capacity.max(self.budget_free_at(rate, budget)),
            (Judge::Budget, None) | (Judge::Capacity, _) => of_capacity,
        }
    }

    /// When one more is left than now: `None` if all are.
    pub(super) fn refills_at(&self, rate: &Rate, judge: Judge, now: u64) -> Option<u64> {
        let left = self.left(rate, judge, now);
        if left == 0 {
            return Some(self.free_at(rate, judge, now));
        }
        let level = self.tat.saturating_sub(now);
        let next = (level > 0).then(|| now.saturating_add((level - 1) % rate.interval() + 1));
        let first = self.recent.keys().next().filter(|_| judge == Judge::Budget);
        let expires = first.map(|at| at.saturating_add(length(rate.window)));
        let more = |at: &u64| self.settled(rate, *at).left(rate, judge, *at) > left;
        let (earlier, later) = (next.min(expires), next.max(expires));
        earlier.filter(more).or_else(|| later.filter(more))
    }

    pub(super) fn spend(&mut self, rate: &Rate, now: u64) {
        self.settle(rate, now);
        let empty = now.saturating_add(rate.depth()).max(self.tat);
        let next = self.tat.max(now).saturating_add(rate.interval());
        self.tat = next.min(empty);
        if rate.budget.is_some() {
            self.remember(rate, now, 1);
        }
    }

    /// Takes back what was spent at `spent`, if that is still known.
    pub(super) fn give_back(&mut self, rate: &Rate, spent: u64, now: u64) {
        self.settle(rate, now);
        if rate.budget.is_some() {
            let Some(count) = self.recent.get_mut(&spent) else {
                return;
            };
            *count -= 1;
            if *count == 0 {
                self.recent.remove(&spent);
            }
        }
        self.tat = self.tat.saturating_sub(rate.interval());
    }

    /// What either knows: never less than each. What both spent apart adds up when it is settled.
    pub(super) fn merge(&mut self, other: &Self) {
        self.tat = self.tat.max(other.tat);
        for (at, count) in &other.recent {
            let own = self.recent.entry(*at).or_default();
            *own = (*own).max(*count);
        }
        self.trim();
    }

    /// Of what was read: no entry says nothing, and there are not too many.
    pub(super) fn trim(&mut self) {
        self.recent.retain(|_, count| *count > 0);
        while self.recent.len() > RECENT_MAX {
            self.recent.pop_first();
        }
    }

    /// A settled bucket that knows nothing may be forgotten.
    pub(super) fn is_full(&self, now: u64) -> bool {
        self.tat <= now && self.recent.is_empty()
    }

    /// The later, the more is lost with it.
    pub(super) fn weight(&self) -> u64 {
        self.tat
            .max(self.recent.keys().next_back().copied().unwrap_or_default())
    }

    fn spent(&self) -> u32 {
        self.recent
            .values()
            .fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// When the authority's bucket is full again if nothing was spent but what is remembered. This is below what was counted
    /// at the time, unless two ledgers were joined that spent apart from each other.
    fn replayed(&self, rate: &Rate) -> u64 {
        self.recent.iter().fold(0, |tat: u64, (at, count)| {
            let spent = rate.interval().saturating_mul(u64::from(*count));
            let empty = at.saturating_add(rate.depth()).max(tat);
            tat.max(*at).saturating_add(spent).min(empty)
        })
    }

    fn budget_free_at(&self, rate: &Rate, budget: u32) -> u64 {
        let mut newer = 0_u32;
        for (at, count) in self.recent.iter().rev() {
            newer = newer.saturating_add(*count);
            if newer >= budget {
                return at.saturating_add(length(rate.window));
            }
        }
        0
    }

    /// More than the capacity cannot have been granted, so the oldest beyond it are dropped.
    fn remember(&mut self, rate: &Rate, at: u64, count: u32) {
        let here = self.recent.entry(at).or_default();
        *here = here.saturating_add(count).min(rate.capacity);
        let mut room = rate.capacity;
        for (_, count) in self.recent.iter_mut().rev() {
            *count = (*count).min(room);
            room -= *count;
        }
        self.trim();
    }
}

/// Instants remembered per bucket.
pub(super) const RECENT_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certs::ledger::limits::{Limit, Limits};

    const HOUR: u64 = 3_600_000;
    const NOW: u64 = 1_000_000 * HOUR;

    fn rate() -> &'static Rate {
        Limits::of("https://acme-v02.api.letsencrypt.org/directory")
            .rate(Limit::CertificatesPerNames)
    }

    #[test]
    fn budget_and_capacity_are_judged_apart_and_spent_together() {
        let mut bucket = Bucket::default();
        let left = |bucket: &Bucket| {
            [Judge::Budget, Judge::Capacity].map(|judge| bucket.left(rate(), judge, NOW))
        };
        assert_eq!(left(&bucket), [2, 5]);
        for expected in [[1, 4], [0, 3], [0, 2], [0, 1], [0, 0], [0, 0]] {
            bucket.spend(rate(), NOW);
            assert_eq!(left(&bucket), expected);
        }
        assert_eq!(
            bucket.free_at(rate(), Judge::Capacity, NOW),
            NOW + rate().interval()
        );
        assert_eq!(
            bucket.free_at(rate(), Judge::Budget, NOW),
            NOW + 7 * 24 * HOUR
        );
    }

    #[test]
    fn it_is_free_exactly_when_it_says_and_not_before() {
        let mut bucket = Bucket::default();
        for hours in [0, 5] {
            bucket.spend(rate(), NOW + hours * HOUR);
        }
        for judge in [Judge::Budget, Judge::Capacity] {
            let at = bucket.free_at(rate(), judge, NOW + 5 * HOUR);
            assert!(bucket.settled(rate(), at).left(rate(), judge, at) > 0);
            let before = at - 1;
            let left = bucket.settled(rate(), before).left(rate(), judge, before);
            assert_eq!(left > 0, judge == Judge::Capacity);
        }
    }

    #[test]
    fn what_was_given_back_can_be_spent_once_more_and_only_once() {
        let mut bucket = Bucket::default();
        bucket.spend(rate(), NOW);
        bucket.spend(rate(), NOW + 1);
        bucket.give_back(rate(), NOW, NOW + 2);
        bucket.give_back(rate(), NOW, NOW + 2);
        assert_eq!(bucket.left(rate(), Judge::Budget, NOW + 2), 1);
        assert_eq!(bucket.left(rate(), Judge::Capacity, NOW + 2), 4);
    }

    #[test]
    fn a_clock_that_was_far_ahead_locks_for_one_window_at_most() {
        let mut bucket = Bucket::default();
        for _ in 0..5 {
            bucket.spend(rate(), NOW + 80 * 24 * HOUR);
        }
        bucket.settle(rate(), NOW);
        assert_eq!(bucket.left(rate(), Judge::Capacity, NOW), 0);
        assert!(bucket.free_at(rate(), Judge::Capacity, NOW) <= NOW + rate().interval());
        assert!(bucket.free_at(rate(), Judge::Budget, NOW) <= NOW + 7 * 24 * HOUR);
    }

    #[test]
    fn a_refill_is_announced_when_it_comes() {
        let mut bucket = Bucket::default();
        assert_eq!(bucket.refills_at(rate(), Judge::Budget, NOW), None);
        bucket.spend(rate(), NOW);
        let refills = |judge| bucket.refills_at(rate(), judge, NOW + 1);
        assert_eq!(refills(Judge::Budget), Some(NOW + 7 * 24 * HOUR));
        assert_eq!(refills(Judge::Capacity), Some(NOW + rate().interval()));
    }
}
