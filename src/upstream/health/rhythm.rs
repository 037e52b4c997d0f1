//! When a target is checked: spread, so that many targets never are at once.

use std::time::Duration;

/// New targets that are looked at first within a second; of more, the last ones wait longer, but never for a whole period.
const FIRST_CHECKS_PER_SECOND: u32 = 100;

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
    fn periods_differ_by_a_tenth() {
        assert_eq!(next(EVERY, 0.0), Duration::from_secs(9));
        assert_eq!(next(EVERY, 0.5), EVERY);
        assert_eq!(next(EVERY, 1.0), Duration::from_secs(11));
    }
}
