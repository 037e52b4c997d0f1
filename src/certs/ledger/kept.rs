//! What is kept of a ledger: in line with the clock, and bounded.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::block;
use super::bucket::Bucket;
use super::instant::{DAY, length, millis};
use super::limits::{Limit, Limits, RENEWAL_WITHIN};
use super::{Event, Ledger};

impl Ledger {
    /// Brings what is stored in line with the clock, and forgets what no longer says anything. What lies further ahead than any
    /// correction of a clock was written by one that was wrong, and is called back to now: nothing locks for longer than its
    /// limit's own window. What lies less far ahead stays, so that a clock set back and forth gives nothing back. A clock that
    /// was never set calls nothing back.
    pub fn settle(&mut self, limits: &Limits, now: SystemTime) {
        self.settle_at(limits, now);
    }

    pub(super) fn settle_at(&mut self, limits: &Limits, now: SystemTime) -> u64 {
        let now = millis(now);
        for limit in Limit::ALL {
            let rate = limits.rate(limit);
            if let Some(subjects) = self.buckets.get_mut(limit.key()) {
                subjects.retain(|_, bucket| {
                    bucket.settle(rate, now);
                    !bucket.is_full(now)
                });
            }
        }
        if now >= CLOCK_UNSET_BEFORE {
            self.call_back(limits, now);
        }
        self.blocks.retain(|_, block| block.until > now);
        let remembered = length(RENEWAL_WITHIN);
        self.issued
            .retain(|_, at| at.saturating_add(remembered) > now);
        now
    }

    fn call_back(&mut self, limits: &Limits, now: u64) {
        for (key, block) in &mut self.blocks {
            let latest = now.saturating_add(block::longest(limits, key));
            block.until = block.until.min(latest);
        }
        let ahead = now.saturating_add(length(CLOCK_TOLERANCE));
        for at in self.issued.values_mut().filter(|at| **at > ahead) {
            *at = now;
        }
        let from = Event {
            at: ahead,
            what: String::new(),
            subject: String::new(),
        };
        for mut event in self.events.split_off(&from) {
            event.at = now;
            self.events.insert(event);
        }
    }

    /// Of what is too much, that goes which says least.
    pub(super) fn bound(&mut self) {
        for subjects in self.buckets.values_mut() {
            lightest_out(subjects, SUBJECTS_MAX, Bucket::weight);
        }
        lightest_out(&mut self.blocks, BLOCKS_MAX, |block| block.until);
        lightest_out(&mut self.issued, SUBJECTS_MAX, |at| *at);
        if self.buckets.len() > LIMITS_MAX {
            self.buckets
                .retain(|key, _| Limit::ALL.iter().any(|limit| limit.key() == key));
        }
        while self.events.len() > EVENTS_MAX {
            self.events.pop_first();
        }
    }
}

pub(super) fn lightest_out<V>(
    entries: &mut BTreeMap<String, V>,
    most: usize,
    weight: impl Fn(&V) -> u64,
) {
    let Some(excess) = entries.len().checked_sub(most).filter(|n| *n > 0) else {
        return;
    };
    let mut by_weight: Vec<_> = entries
        .iter()
        .map(|(key, value)| (weight(value), key.clone()))
        .collect();
    by_weight.sort_unstable();
    for (_, key) in by_weight.into_iter().take(excess) {
        entries.remove(&key);
    }
}

/// Subjects remembered per limit, and sets of names. Full buckets are forgotten before it comes to this.
pub const SUBJECTS_MAX: usize = 20_000;
/// Waits remembered, each with its words.
pub(super) const BLOCKS_MAX: usize = 1_000;
/// Limits, with those of later versions.
const LIMITS_MAX: usize = 32;
/// Lines of the log.
pub const EVENTS_MAX: usize = 500;
/// Corrections of a clock that are believed: machines without a battery start with the time of their last stop.
pub(super) const CLOCK_TOLERANCE: Duration = DAY;
/// 2026-01-01, in milliseconds: a clock before this was not set yet.
pub(super) const CLOCK_UNSET_BEFORE: u64 = 1_767_225_600_000;
