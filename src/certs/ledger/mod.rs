//! What was asked of one certificate authority, and whether more may be asked: its limits as buckets, a stricter budget of our
//! own, and what it asked us to wait with. It is kept in storage, so that a new process knows what the old one did.
//!
//! It reads no clock and stores nothing itself. Whoever holds it stores it after each call that takes `&mut self`, whatever
//! that returned, and before the request that the call was about is sent.

mod block;
mod bucket;
pub mod elsewhere;
pub(crate) mod instant;
pub mod kept;
pub mod limits;
pub mod merge;
mod order;
pub mod refusal;
pub mod report;
pub mod stored;
mod subject;
pub mod told;

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

pub use block::Scope;
pub use order::Purpose;

use block::{Block, CA, Place, WORDS_BYTES_MAX};
use bucket::{Bucket, Judge};
use instant::{millis, time};
use limits::Limits;
use refusal::{Reason, Refusal};
use subject::cut;

/// Keys are text, so that what a later version adds is kept and not misread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    #[serde(deserialize_with = "stored::version")]
    version: u32,
    /// By [`limits::Limit::key`] and subject.
    #[serde(default)]
    buckets: BTreeMap<String, BTreeMap<String, Bucket>>,
    #[serde(default)]
    blocks: BTreeMap<String, Block>,
    /// When each exact set of names was issued last.
    #[serde(default)]
    issued: BTreeMap<String, u64>,
    #[serde(default)]
    events: BTreeSet<Event>,
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Event {
    /// Milliseconds since the epoch.
    pub at: u64,
    pub what: String,
    pub subject: String,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            version: stored::VERSION,
            buckets: BTreeMap::new(),
            blocks: BTreeMap::new(),
            issued: BTreeMap::new(),
            events: BTreeSet::new(),
        }
    }
}

impl Ledger {
    /// A validation of `name` failed at the authority.
    pub fn authorization_failed(&mut self, limits: &Limits, name: &str, now: SystemTime) {
        let now = self.settle_at(limits, now);
        let place = Place::name(name);
        self.spend(limits, &place, now);
        self.log(now, "validation failed", place.subject);
    }

    /// Whether one more failure of `name` would be within our budget. [`Self::admit`] asks this for every name of an order.
    pub fn may_authorize(
        &self,
        limits: &Limits,
        name: &str,
        now: SystemTime,
    ) -> Result<(), Refusal> {
        self.look(limits, &Place::name(name), Judge::Budget, millis(now))
    }

    /// To be asked before a new account is asked for.
    pub fn may_make_account(&self, limits: &Limits, now: SystemTime) -> Result<(), Refusal> {
        self.look(limits, &Place::accounts(), Judge::Budget, millis(now))
    }

    /// A new account was asked for, whether it was given or not.
    pub fn account_made(&mut self, limits: &Limits, now: SystemTime) {
        let now = self.settle_at(limits, now);
        let place = Place::accounts();
        self.spend(limits, &place, now);
        self.log(now, "account made", place.subject);
    }

    /// A certificate for exactly `names` was issued: the next one for them is a renewal in the eyes of Boulder.
    pub fn issued(&mut self, limits: &Limits, names: &BTreeSet<String>, now: SystemTime) {
        let now = self.settle_at(limits, now);
        let set = subject::set(names);
        self.log(now, "issued", set.clone());
        self.issued.insert(set, now);
        self.bound();
    }

    /// The authority asked to wait, in these words, until this instant. A wait that no limit explains is cut to the longest
    /// that one does.
    pub fn blocked(
        &mut self,
        limits: &Limits,
        scope: &Scope,
        until: SystemTime,
        words: &str,
        now: SystemTime,
    ) {
        let now = self.settle_at(limits, now);
        let key = scope.place().map_or_else(|| CA.to_owned(), |p| p.key());
        let until = millis(until).min(now.saturating_add(block::longest(limits, &key)));
        self.log(now, "blocked", key.clone());
        let words = cut(words, WORDS_BYTES_MAX);
        let block = self.blocks.entry(key).or_default();
        *block = block.clone().max(Block { until, words });
        self.bound();
    }

    /// The log, oldest first.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.events.iter()
    }

    /// Refuses what the authority blocked or of which none is left, without spending.
    fn look(&self, limits: &Limits, place: &Place, judge: Judge, now: u64) -> Result<(), Refusal> {
        self.unblocked(limits, None, now)?;
        self.unblocked(limits, Some(place), now)?;
        let rate = limits.rate(place.limit);
        let known = self.buckets.get(place.limit.key());
        let Some(bucket) = known.and_then(|subjects| subjects.get(&place.subject)) else {
            return Ok(());
        };
        let bucket = bucket.settled(rate, now);
        if bucket.left(rate, judge, now) > 0 {
            return Ok(());
        }
        let budget = match judge {
            Judge::Budget if bucket.left(rate, Judge::Capacity, now) > 0 => rate.budget,
            Judge::Budget | Judge::Capacity => None,
        };
        let free_at = time(bucket.free_at(rate, judge, now));
        Err(Refusal::used_up(limits, place, budget, free_at))
    }

    fn unblocked(&self, limits: &Limits, place: Option<&Place>, now: u64) -> Result<(), Refusal> {
        let key = place.map_or_else(|| CA.to_owned(), Place::key);
        let Some(block) = self.blocks.get(&key).filter(|block| block.until > now) else {
            return Ok(());
        };
        let until = block
            .until
            .min(now.saturating_add(block::longest(limits, &key)));
        let reason = Reason::Blocked {
            limit: place.map(|place| place.limit),
            subject: place.map(|place| place.subject.clone()).unwrap_or_default(),
            words: block.words.clone(),
        };
        Err(Refusal {
            ca: limits.ca,
            reason,
            free_at: time(until),
        })
    }

    fn spend(&mut self, limits: &Limits, place: &Place, now: u64) {
        self.bucket(place).spend(limits.rate(place.limit), now);
        self.bound();
    }

    fn bucket(&mut self, place: &Place) -> &mut Bucket {
        let subjects = self
            .buckets
            .entry(place.limit.key().to_owned())
            .or_default();
        subjects.entry(place.subject.clone()).or_default()
    }

    fn log(&mut self, at: u64, what: &str, subject: String) {
        let what = what.to_owned();
        self.events.insert(Event { at, what, subject });
        self.bound();
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
