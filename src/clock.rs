//! The wall clock as an argument: the system's, or one that tests turn.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// The longest sleep between two looks at the wall clock: it may jump, and the machine may have slept.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Tells what time it is, and sleeps until it is later.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System,
    /// Began at the wall time, which goes on with the runtime's.
    Virtual(SystemTime, Instant),
}

impl Clock {
    /// The clock of the system.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that shows `start` now and goes with tokio's time: paused where that is. Must be called inside a runtime.
    #[must_use]
    pub fn virtual_from(start: SystemTime) -> Self {
        Self(Source::Virtual(start, Instant::now()))
    }

    /// The wall time.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the slow side reads the wall clock"
    )]
    pub fn now(&self) -> SystemTime {
        match &self.0 {
            Source::System => SystemTime::now(),
            Source::Virtual(start, began) => *start + began.elapsed(),
        }
    }

    /// Returns once the wall clock shows `at` or later, however it came there: late by at most a minute after a jump.
    pub async fn sleep_until(&self, at: SystemTime) {
        while let Ok(left) = at.duration_since(self.now()) {
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(LOOK_EVERY)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn years_pass_while_nobody_waits() {
        let clock = Clock::virtual_from(UNIX_EPOCH);
        let later = UNIX_EPOCH + Duration::from_secs(86_400 * 365);
        clock.sleep_until(later).await;
        assert!(clock.now() >= later);
        assert!(clock.now() < later + LOOK_EVERY);
        clock.sleep_until(UNIX_EPOCH).await;
    }
}
