//! Which targets are down, since when and why.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use foldhash::fast::RandomState;
use tokio::time::Instant;

use super::subject::Subject;

/// A target that is down.
#[derive(Debug, Clone)]
pub struct Down {
    pub since: Instant,
    /// What the latest check found.
    pub why: String,
}

/// Every target that is down.
#[derive(Debug, Clone, Default)]
pub(super) struct Downs(Arc<Mutex<HashMap<Subject, Down, RandomState>>>);

impl Downs {
    /// A check of a target that is down failed.
    pub(super) fn failed(&self, subject: &Subject, why: &str) {
        let mut down = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match down.get_mut(subject) {
            Some(known) if known.why == why => {}
            Some(known) => known.why = why.to_owned(),
            None => {
                let found = Down {
                    since: Instant::now(),
                    why: why.to_owned(),
                };
                down.insert(subject.clone(), found);
            }
        }
    }

    /// It is up, or nobody looks at it any more.
    pub(super) fn forget(&self, subject: &Subject) -> Option<Down> {
        let mut down = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        down.remove(subject)
    }

    /// What was known before.
    pub(super) fn keep(&self, subject: &Subject, known: Down) {
        let mut down = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        down.insert(subject.clone(), known);
    }

    pub(super) fn all(&self) -> Vec<(Subject, Down)> {
        let down = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = down
            .iter()
            .map(|(subject, known)| (subject.clone(), known.clone()));
        known.collect()
    }
}
