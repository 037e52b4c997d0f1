//! After a failure: when to try again. Pure; the state is stored by whoever tries, so that a restart is no new beginning.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::ledger::instant::{self, CLOCKS_DIFFER, DAY, HOUR, MINUTE};
use super::schedule::{Validity, is_urgent};

/// What kind of failure it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// badNonce, 5xx, timeouts, answers that are no JSON: tried again within the operation first, by [`PAUSES`].
    Transient,
    /// 429 with a Retry-After.
    Limited,
    /// Paused, userActionRequired, account gone, caa, rejectedIdentifier, invalidProfile: somebody has to do something.
    Human,
    /// dns, connection, unauthorized, tls, incorrectResponse.
    Validation,
}

/// Within one operation, after [`Class::Transient`].
pub const PAUSES: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(15),
];

/// The failures of one certificate in a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failures {
    pub count: u32,
    pub class: Class,
    #[serde(with = "instant::number")]
    pub retry_at: SystemTime,
    /// The last one, in the authority's words.
    pub detail: String,
    /// Stands for the configuration that was tried: what differs from it begins anew.
    #[serde(default)]
    pub tried: String,
}

/// One failure, as it came.
#[derive(Debug, Clone, Copy)]
pub struct Failure<'a> {
    pub class: Class,
    pub retry_after: Option<Duration>,
    pub detail: &'a str,
    pub tried: &'a str,
}

impl Failures {
    /// `failure` happened now, after `before`.
    pub fn after(
        before: Option<&Self>,
        failure: Failure<'_>,
        validity: Option<&Validity>,
        now: SystemTime,
        random: u64,
    ) -> Self {
        let Failure {
            class,
            retry_after,
            detail,
            tried,
        } = failure;
        let before = before.filter(|before| before.concerns(tried));
        let count = before.map_or(0, |before| before.count).saturating_add(1);
        Self {
            count,
            class,
            retry_at: next_try(class, count, retry_after, validity, now, random),
            detail: detail[..detail.floor_char_boundary(DETAIL_BYTES_MAX)].to_owned(),
            tried: tried.to_owned(),
        }
    }

    /// Whether these are failures of this configuration. Those of another are to be dropped, as after a manual retry.
    pub fn concerns(&self, tried: &str) -> bool {
        self.tried == tried
    }

    /// When to try again. An instant further away than any wait was written by a clock that was ahead: it means now.
    pub fn due(&self, now: SystemTime) -> SystemTime {
        match self.retry_at.duration_since(now) {
            Ok(wait) if wait > WAIT_MAX + CLOCKS_DIFFER => now,
            Ok(_) | Err(_) => self.retry_at,
        }
    }
}

/// When to try again after the `count`-th failure in a row; `random` is any number, and decides the jitter.
///
/// Short waits vary to both sides. Days, hours before the end, and what the authority asked for vary to the later side only: no
/// sum of luck makes more tries than were meant.
pub fn next_try(
    class: Class,
    count: u32,
    retry_after: Option<Duration>,
    validity: Option<&Validity>,
    now: SystemTime,
    random: u64,
) -> SystemTime {
    let asked = retry_after.map(|wait| wait.clamp(MINUTE, DAY));
    let wait = match class {
        Class::Limited => later(asked.unwrap_or(DAY), random),
        Class::Human => later(DAY, random),
        Class::Transient | Class::Validation => {
            let step = step(count, validity, now, random);
            step.max(asked.map_or(Duration::ZERO, |asked| later(asked, random)))
        }
    };
    now.checked_add(wait).unwrap_or(now)
}

fn step(count: u32, validity: Option<&Validity>, now: SystemTime, random: u64) -> Duration {
    let index = usize::try_from(count.saturating_sub(1)).unwrap_or(usize::MAX);
    let longest = match validity {
        Some(validity) if is_near_the_end(validity, now) => HOUR,
        Some(_) | None => DAY,
    };
    match STEPS.get(index) {
        Some(step) if *step < longest => around(*step, random),
        Some(_) | None => later(longest, random),
    }
}

/// From the last tenth of the life until as long after its end: who did not come until then need not be called hourly.
fn is_near_the_end(validity: &Validity, now: SystemTime) -> bool {
    let patience = validity.life() / 10;
    let over = validity.not_after.checked_add(patience);
    is_urgent(validity, now) && over.is_some_and(|over| now < over)
}

/// 80 to 120 percent.
fn around(wait: Duration, random: u64) -> Duration {
    wait / 5 * 4 + part(wait / 5 * 2, random)
}

/// 100 to 120 percent.
fn later(wait: Duration, random: u64) -> Duration {
    wait + part(wait / 5, random)
}

fn part(of: Duration, random: u64) -> Duration {
    let [.., high, low] = random.to_be_bytes();
    of / (1 << u16::BITS) * u32::from(u16::from_be_bytes([high, low]))
}

const STEPS: [Duration; 3] = [
    MINUTE,
    Duration::from_secs(10 * 60),
    Duration::from_secs(100 * 60),
];
/// The longest wait of all, its jitter included.
const WAIT_MAX: Duration = Duration::from_secs(DAY.as_secs() / 5 * 6);
/// Octets kept of an authority's words.
const DETAIL_BYTES_MAX: usize = 2_000;

#[cfg(test)]
mod tests;
