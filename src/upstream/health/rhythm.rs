//! When a target is checked: spread, so that many targets never are at once.

use std::time::Duration;

/// New targets that are looked at first within a second; of more, the last ones wait longer, but never for a whole period.
const FIRST_CHECKS_PER_SECOND: u32 = 100;

/// Beats in a period.
const BEATS: u32 = 100;
/// From one beat to the next, of long periods.
const BEAT_MAX: Duration = Duration::from_millis(100);

/// How long the first check of one of `newcomers` waits; `chance` is from 0 to 1.
pub(super) fn first(every: Duration, newcomers: usize, chance: f64) -> Duration {
    let newcomers = u32::try_from(newcomers).unwrap_or(u32::MAX);
    let spread = Duration::from_secs(1) * newcomers / FIRST_CHECKS_PER_SECOND;
    spread.min(every).mul_f64(chance)
}

/// From the beginning of a check to the next one's: a tenth more or less than is asked for; `chance` is from 0 to 1.
pub(super) fn next(every: Duration, chance: f64) -> Duration {
    every.mul_f64(0.9 + 0.2 * chance)
}

/// The next beat at or after a time, both since the first one. Checks of many targets begin on beats, some at once: what costs is to
/// wake a thread, more than what it does then.
pub(super) fn on_beat(time: Duration, every: Duration) -> Duration {
    let beat = (every / BEATS).min(BEAT_MAX).as_nanos().max(1);
    let beats = time.as_nanos().div_ceil(beat);
    Duration::from_nanos(u64::try_from(beats * beat).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(10);

    #[test]
    fn few_newcomers_are_looked_at_soon() {
        assert_eq!(first(EVERY, 1, 1.0), Duration::from_millis(10));
        assert_eq!(first(EVERY, 100, 0.5), Duration::from_millis(500));
    }

    #[test]
    fn many_newcomers_are_spread_over_a_period_at_most() {
        assert_eq!(first(EVERY, 500, 1.0), Duration::from_secs(5));
        for newcomers in [1_000, 1_000_000, usize::MAX] {
            assert_eq!(first(EVERY, newcomers, 1.0), EVERY);
        }
        assert_eq!(first(EVERY, 1_000, 0.0), Duration::ZERO);
    }

    #[test]
    fn checks_begin_on_beats() {
        let at = |millis| on_beat(Duration::from_millis(millis), EVERY);
        assert_eq!(at(0), Duration::ZERO);
        assert_eq!(at(1), Duration::from_millis(100));
        assert_eq!(at(100), Duration::from_millis(100));
        let hourly = on_beat(Duration::from_millis(101), Duration::from_secs(3600));
        assert_eq!(hourly, Duration::from_millis(200));
        let odd = on_beat(Duration::from_nanos(7), Duration::from_nanos(9));
        assert_eq!(odd, Duration::from_nanos(7));
    }

    #[test]
    fn periods_differ_by_a_tenth() {
        assert_eq!(next(EVERY, 0.0), Duration::from_secs(9));
        assert_eq!(next(EVERY, 0.5), EVERY);
        assert_eq!(next(EVERY, 1.0), Duration::from_secs(11));
    }
}
