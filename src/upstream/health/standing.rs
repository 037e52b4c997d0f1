//! How it stands with each endpoint, for the whole process: kept as long as somebody asks, over reloads too.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;

use crate::config::backends::{Eject, Health};
use crate::upstream::endpoint::Endpoint;

/// Failures remembered of one endpoint: an `eject.fails` beyond it is taken for it.
const FAILURES_MAX: usize = 1024;
/// One that was left out gets one exchange in this time, until one is answered; then in twice the time, and so on.
const TRIAL_TIME: Duration = Duration::from_secs(1);
const TRIAL_TIME_MAX: Duration = Duration::from_secs(32);

/// Every endpoint that somebody holds, or that is left out. Who checks it otherwise sees another standing: nobody's checks decide over
/// somebody else's requests.
#[derive(Debug, Clone)]
pub struct Standings {
    known: Arc<Mutex<Known>>,
    started: Instant,
}

type Known = HashMap<Seen, Arc<Standing>, RandomState>;

/// An endpoint, and with which checks it is looked at.
type Seen = (Endpoint, Option<Arc<Health>>);

/// One endpoint, as all workers see it. Times are those since [`Standings`] began.
#[derive(Debug)]
pub struct Standing {
    started: Instant,
    /// What active checks say; up until they say otherwise.
    is_up: AtomicBool,
    /// Exchanges under way.
    busy: AtomicU32,
    /// 0: not left out. Else the millisecond until which it is; from then on it is on trial.
    out_until: AtomicU64,
    out_since: AtomicU64,
    next_trial: AtomicU64,
    /// 0: never. Else the millisecond since which it is asked again.
    returned: AtomicU64,
    failures: Mutex<Failures>,
}

/// Looked at only when an exchange fails, or when somebody asks why.
#[derive(Debug, Default)]
struct Failures {
    moments: VecDeque<Duration>,
    last: Option<Box<str>>,
    /// What active checks found last.
    down: Option<Box<str>>,
}

/// What the end of an exchange changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    Unchanged,
    /// It is left out from now on.
    Ejected,
    /// It was left out, and is asked again.
    Returned,
}

impl Default for Standings {
    fn default() -> Self {
        Self {
            known: Arc::default(),
            started: Instant::now(),
        }
    }
}

impl Standings {
    /// The one of an endpoint, shared by all who check it in the same way, or not at all.
    #[must_use]
    pub fn of(&self, endpoint: &Endpoint, health: Option<&Arc<Health>>) -> Arc<Standing> {
        let seen = (endpoint.clone(), health.cloned());
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(standing) = known.get(&seen) {
            return standing.clone();
        }
        let now = self.elapsed();
        known.retain(|_seen, standing| Arc::strong_count(standing) > 1 || !standing.is_open(now));
        let standing = Arc::new(Standing::new(self.started));
        known.insert(seen, standing.clone());
        standing
    }

    /// The time by which exchanges are judged.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

impl Standing {
    fn new(started: Instant) -> Self {
        Self {
            started,
            is_up: AtomicBool::new(true),
            busy: AtomicU32::new(0),
            out_until: AtomicU64::new(0),
            out_since: AtomicU64::new(0),
            next_trial: AtomicU64::new(0),
            returned: AtomicU64::new(0),
            failures: Mutex::default(),
        }
    }

    /// Whether active checks let it be asked.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.is_up.load(Relaxed)
    }

    /// What active checks found. Coming up again, it starts slowly.
    pub fn set_up(&self, is_up: bool) {
        if !self.is_up.swap(is_up, Relaxed) && is_up {
            self.returned.store(stamp(self.started.elapsed()), Relaxed);
        }
    }

    /// Why active checks hold it to be down, in words.
    pub fn note_down(&self, why: &str) {
        self.failures().down = Some(why.into());
    }

    /// What was noted while it is down.
    #[must_use]
    pub fn down(&self) -> Option<Box<str>> {
        let is_down = !self.is_up();
        is_down.then(|| self.failures().down.clone()).flatten()
    }

    /// Exchanges under way, of all workers; of rules with one target and no `max_conns` none is counted.
    #[must_use]
    pub fn busy(&self) -> u32 {
        self.busy.load(Relaxed)
    }

    /// One more exchange is under way.
    pub fn begin(&self) {
        self.busy.fetch_add(1, Relaxed);
    }

    /// One that was begun is over.
    pub fn end(&self) {
        self.busy.fetch_sub(1, Relaxed);
    }

    /// Whether failed exchanges let it be asked: it is not left out, or it may be tried.
    #[must_use]
    pub fn is_open(&self, now: Duration) -> bool {
        let until = self.out_until.load(Relaxed);
        until == 0 || (until <= stamp(now) && self.next_trial.load(Relaxed) <= stamp(now))
    }

    /// It was chosen: if this is its trial, the next one has to wait.
    pub fn chosen(&self, now: Duration) {
        let until = self.out_until.load(Relaxed);
        if until != 0 && until <= stamp(now) {
            // One that hangs is on trial for long, and holds fewer and fewer clients.
            let on_trial = now.saturating_sub(Duration::from_millis(until));
            let pause = on_trial.clamp(TRIAL_TIME, TRIAL_TIME_MAX);
            self.next_trial.store(stamp(now + pause), Relaxed);
        }
    }

    /// When it last was asked again, after it was down or left out.
    #[must_use]
    pub fn returned(&self) -> Option<Duration> {
        let returned = self.returned.load(Relaxed);
        (returned != 0).then(|| Duration::from_millis(returned))
    }

    /// An exchange that began at `began` was answered.
    pub fn succeeded(&self, began: Duration, now: Duration) -> Turn {
        let until = self.out_until.load(Relaxed);
        // One from before says nothing of now.
        if until == 0 || stamp(began) <= self.out_since.load(Relaxed) {
            return Turn::Unchanged;
        }
        let swapped = self.out_until.compare_exchange(until, 0, Relaxed, Relaxed);
        if swapped.is_err() {
            return Turn::Unchanged;
        }
        self.returned.store(stamp(now), Relaxed);
        self.failures().moments.clear();
        Turn::Returned
    }

    /// An exchange that began at `began` had no answer, and why.
    pub fn failed(
        &self,
        eject: &Eject,
        began: Duration,
        now: Duration,
        why: impl FnOnce() -> String,
    ) -> Turn {
        let until = self.out_until.load(Relaxed);
        if stamp(began) < self.returned.load(Relaxed).max(until) {
            return Turn::Unchanged;
        }
        let mut failures = self.failures();
        failures.last = Some(why().into());
        let is_out = until != 0 || failures.add(eject, now) >= fails_of(eject);
        drop(failures);
        if !is_out {
            return Turn::Unchanged;
        }
        let fresh = stamp(now + eject.duration);
        let swapped = self
            .out_until
            .compare_exchange(until, fresh, Relaxed, Relaxed);
        if swapped.is_err() {
            return Turn::Unchanged;
        }
        self.out_since.store(stamp(now), Relaxed);
        self.next_trial.store(0, Relaxed);
        // A trial that failed changes nothing: it is out as before.
        if until == 0 {
            Turn::Ejected
        } else {
            Turn::Unchanged
        }
    }

    /// What is wrong with it, in words; none while nothing is. Active checks speak for themselves.
    #[must_use]
    pub fn left_out(&self, now: Duration) -> Option<String> {
        let until = self.out_until.load(Relaxed);
        if until == 0 {
            return None;
        }
        let last = self.last_failure();
        let left = Duration::from_millis(until.saturating_sub(stamp(now)));
        Some(if left.is_zero() {
            format!("being tried again after its exchanges failed: {last}")
        } else {
            let seconds = left.as_secs() + u64::from(left.subsec_millis() > 0);
            format!("left out for {seconds} s more, its exchanges failed: {last}")
        })
    }

    /// Why the last exchange failed that did.
    #[must_use]
    pub fn last_failure(&self) -> Box<str> {
        self.failures().last.clone().unwrap_or_default()
    }

    fn failures(&self) -> MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Failures {
    /// Failures within the time, the newest included.
    fn add(&mut self, eject: &Eject, now: Duration) -> usize {
        if self.moments.len() == FAILURES_MAX {
            self.moments.pop_front();
        }
        self.moments.push_back(now);
        let oldest = now.saturating_sub(eject.within);
        let recent = |moment: &&Duration| **moment >= oldest;
        self.moments.iter().rev().take_while(recent).count()
    }
}

fn fails_of(eject: &Eject) -> usize {
    usize::try_from(eject.fails.get()).map_or(FAILURES_MAX, |fails| fails.min(FAILURES_MAX))
}

/// Whole milliseconds; never 0, which means never.
fn stamp(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
#[path = "standing_tests.rs"]
mod tests;
