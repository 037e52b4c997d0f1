//! Numbers about certificates, orders and the storage, ready for whoever asks.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use crate::certs::keeper::Outcome;
use crate::certs::retry::Class;
use crate::hostname::HostPattern;

/// Counted since the start of the process.
#[derive(Debug, Default)]
pub struct Figures {
    issued: AtomicU64,
    transient: AtomicU64,
    limited: AtomicU64,
    human: AtomicU64,
    validation: AtomicU64,
    storage: AtomicU64,
    standings: Mutex<BTreeMap<HostPattern, Standing>>,
}

/// How it stands with one name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// The end of the certificate in service.
    pub until: Option<SystemTime>,
    /// When it is looked at again.
    pub next: Option<SystemTime>,
    pub is_failing: bool,
}

/// The numbers at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counted {
    pub issued: u64,
    /// Orders that failed, by what they failed of.
    pub transient: u64,
    pub limited: u64,
    pub human: u64,
    pub validation: u64,
    /// Looks that the storage did not allow.
    pub storage: u64,
    pub standings: Vec<(HostPattern, Standing)>,
}

impl Figures {
    pub(super) fn issued(&self) {
        self.issued.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn failed(&self, class: Class) {
        let counter = match class {
            Class::Transient => &self.transient,
            Class::Limited => &self.limited,
            Class::Human => &self.human,
            Class::Validation => &self.validation,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn storage_failed(&self) {
        self.storage.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn stands(&self, name: &HostPattern, outcome: &Outcome, next: SystemTime) {
        let mut standings = self
            .standings
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let standing = standings.entry(name.clone()).or_default();
        standing.next = Some(next);
        match outcome {
            Outcome::Fine { until, .. } | Outcome::Renewed { until, .. } => {
                standing.until = Some(*until);
                standing.is_failing = false;
            }
            Outcome::Failed { .. } => standing.is_failing = true,
            Outcome::Busy | Outcome::Unknown | Outcome::ServesOnly => {}
        }
    }

    pub(super) fn forget(&self, name: &HostPattern) {
        let mut standings = self
            .standings
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        standings.remove(name);
    }

    /// The numbers now.
    #[must_use]
    pub fn counted(&self) -> Counted {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let standings = self
            .standings
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Counted {
            issued: of(&self.issued),
            transient: of(&self.transient),
            limited: of(&self.limited),
            human: of(&self.human),
            validation: of(&self.validation),
            storage: of(&self.storage),
            standings: standings
                .iter()
                .map(|(name, standing)| (name.clone(), *standing))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_fails_keeps_the_end_of_its_old_certificate() {
        let figures = Figures::default();
        let name = HostPattern::parse("a.test").unwrap();
        let (until, next) = (SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH);
        figures.stands(
            &name,
            &Outcome::Fine {
                generation: 1,
                until,
            },
            next,
        );
        let failed = Outcome::Failed {
            problem: String::new(),
            again: next,
        };
        figures.stands(&name, &failed, next);
        figures.failed(Class::Limited);
        let counted = figures.counted();
        let standing = Standing {
            until: Some(until),
            next: Some(next),
            is_failing: true,
        };
        assert_eq!((counted.limited, counted.issued), (1, 0));
        assert_eq!(counted.standings, [(name.clone(), standing)]);
        figures.forget(&name);
        assert!(figures.counted().standings.is_empty());
    }
}
