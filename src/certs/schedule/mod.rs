//! When a certificate is due: pure functions of its validity, the authority's window and a salt. The same inputs give the same
//! instant after every restart and on every node; drawing again would draw early.

use std::time::{Duration, SystemTime};

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};

use super::ledger::instant::{self, DAY, HOUR, MINUTE};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validity {
    #[serde(with = "instant::number")]
    pub not_before: SystemTime,
    #[serde(with = "instant::number")]
    pub not_after: SystemTime,
}

impl Validity {
    /// Zero if it ends before it begins.
    pub fn life(&self) -> Duration {
        self.not_after
            .duration_since(self.not_before)
            .unwrap_or(Duration::ZERO)
    }

    /// Zero once it is over.
    pub fn left(&self, now: SystemTime) -> Duration {
        self.not_after.duration_since(now).unwrap_or(Duration::ZERO)
    }
}

/// What the authority suggests (RFC 9773): a renewal in `[start, end)` is exempt from its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    #[serde(with = "instant::number")]
    pub start: SystemTime,
    #[serde(with = "instant::number")]
    pub end: SystemTime,
}

impl Window {
    /// Whether a renewal now is an [`super::ledger::Purpose::AriRenewal`].
    pub fn contains(&self, now: SystemTime) -> bool {
        self.start <= now && now < self.end
    }
}

/// When to renew: a point of the window that `salt` (the certificate's id and serial) decides, or, without a usable window, at
/// a share of the life. Never later than [`is_urgent`] begins. A point in the past means now.
pub fn renewal_point(validity: &Validity, ari: Option<&Window>, salt: &[u8]) -> SystemTime {
    let share = share(salt);
    let point = ari
        .and_then(|window| point_in(window, share))
        .unwrap_or_else(|| fallback(validity, share));
    point.min(Expiring::Tenth.at(validity))
}

/// The schedule no longer matters: only what the authority asked to wait with does.
pub fn is_urgent(validity: &Validity, now: SystemTime) -> bool {
    now >= Expiring::Tenth.at(validity)
}

/// How little is left, from much to little.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expiring {
    Third,
    Tenth,
    Fiftieth,
}

impl Expiring {
    pub const ALL: [Self; 3] = [Self::Third, Self::Tenth, Self::Fiftieth];

    /// The first instant at which no more than this is left.
    pub fn at(self, validity: &Validity) -> SystemTime {
        let left = validity.life() / self.part();
        validity
            .not_after
            .checked_sub(left)
            .unwrap_or(validity.not_before)
    }

    fn part(self) -> u32 {
        match self {
            Self::Third => 3,
            Self::Tenth => 10,
            Self::Fiftieth => 50,
        }
    }
}

/// The last threshold that was crossed. After the end it is still the last one.
pub fn expiring(validity: &Validity, now: SystemTime) -> Option<Expiring> {
    let mut crossed = Expiring::ALL.into_iter().rev();
    crossed.find(|threshold| threshold.at(validity) <= now)
}

/// The threshold to tell of, if `told` was the last one told of this certificate: each is told once, and what was slept through
/// is not told late.
pub fn newly_expiring(
    validity: &Validity,
    told: Option<Expiring>,
    now: SystemTime,
) -> Option<Expiring> {
    expiring(validity, now).filter(|crossed| Some(*crossed) > told)
}

/// How the last request for the window ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Poll {
    /// With a usable window and this header.
    Answered { retry_after: Duration },
    /// Timeouts and 5xx, so many in a row.
    Unanswered { times: u32 },
    /// Anything else: other 4xx, no Retry-After, an end before its start, an unknown or unreachable host.
    Refused,
}

/// When to ask for the window again. `None`: never, since the certificate is over by then.
pub fn next_poll(validity: &Validity, poll: Poll, now: SystemTime) -> Option<SystemTime> {
    let pause = match poll {
        Poll::Answered { retry_after } => retry_after.clamp(POLL_MIN, POLL_MAX),
        Poll::Unanswered { times } => {
            let doublings = times.saturating_sub(1).min(DOUBLINGS_MAX);
            (POLL_MIN * 2_u32.pow(doublings)).min(POLL_AFTER_REFUSAL)
        }
        Poll::Refused => POLL_AFTER_REFUSAL,
    };
    let at = now.checked_add(pause)?;
    (at < validity.not_after).then_some(at)
}

/// Not in the last minutes of the window, so that an order begun there ends there.
fn point_in(window: &Window, share: u16) -> Option<SystemTime> {
    let span = window.end.duration_since(window.start).ok()?;
    if span.is_zero() {
        return None;
    }
    let usable = span.saturating_sub(END_MARGIN).max(span / 2);
    window.start.checked_add(usable / WHOLE * u32::from(share))
}

fn fallback(validity: &Validity, share: u16) -> SystemTime {
    let life = validity.life();
    let due = if life < SHORT_LIFE {
        life / 2
    } else {
        life / 3 * 2
    };
    let jitter = life / 100 * JITTER_PERCENT;
    let earliest = due.saturating_sub(jitter);
    let after = earliest + jitter * 2 / WHOLE * u32::from(share);
    validity
        .not_before
        .checked_add(after)
        .unwrap_or(validity.not_before)
}

fn share(salt: &[u8]) -> u16 {
    let hash = digest::digest(&digest::SHA256, salt);
    let mut octets = hash.as_ref().iter().copied();
    u16::from_be_bytes([
        octets.next().unwrap_or_default(),
        octets.next().unwrap_or_default(),
    ])
}

/// A share is so many of these.
const WHOLE: u32 = 1 << u16::BITS;
const END_MARGIN: Duration = Duration::from_secs(10 * 60);
const SHORT_LIFE: Duration = DAY.saturating_mul(10);
const JITTER_PERCENT: u32 = 3;
const POLL_MIN: Duration = MINUTE;
const POLL_MAX: Duration = DAY;
const POLL_AFTER_REFUSAL: Duration = HOUR.saturating_mul(6);
const DOUBLINGS_MAX: u32 = 16;

#[cfg(test)]
mod tests;
