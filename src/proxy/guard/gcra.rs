//! The generic cell rate algorithm: one instant a client says how much of its burst is left.

use std::num::NonZeroU32;
use std::time::Duration;

/// Nanoseconds since the limiter began to count. A client's own is the instant at which its whole burst is there again; one that has
/// passed says nothing.
pub(super) type Nanos = u64;

/// A rate with a burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pace {
    /// What one request costs, in time.
    cost: Nanos,
    /// What may be owed by a client that is still served.
    slack: Nanos,
}

/// Whether a request is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Served; the client's instant is now this one.
    Serve(Nanos),
    /// Not before this much time has passed.
    Wait(Duration),
}

impl Pace {
    /// `limit` requests in `per`, `burst` of them at once.
    pub(super) fn new(limit: NonZeroU32, per: Duration, burst: NonZeroU32) -> Self {
        let per = Nanos::try_from(per.as_nanos()).unwrap_or(Nanos::MAX);
        let cost = (per / Nanos::from(limit.get())).max(1);
        Self {
            cost,
            slack: cost.saturating_mul(Nanos::from(burst.get() - 1)),
        }
    }

    /// Judges a request. A client never owes more than this rate lets it, whatever another one let it before.
    pub(super) fn judge(self, full: Nanos, now: Nanos) -> Verdict {
        let most = now.saturating_add(self.slack).saturating_add(self.cost);
        let full = full.clamp(now, most);
        match (full - now).checked_sub(self.slack) {
            None | Some(0) => Verdict::Serve(full.saturating_add(self.cost)),
            Some(early) => Verdict::Wait(Duration::from_nanos(early)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Nanos = 1_000_000_000;

    fn pace(limit: u32, seconds: u64, burst: u32) -> Pace {
        let count = |number| NonZeroU32::new(number).unwrap();
        Pace::new(count(limit), Duration::from_secs(seconds), count(burst))
    }

    /// How many of the requests at these instants are served.
    fn served(pace: Pace, instants: impl IntoIterator<Item = Nanos>) -> usize {
        let mut full = 0;
        let mut served = 0;
        for now in instants {
            if let Verdict::Serve(next) = pace.judge(full, now) {
                full = next;
                served += 1;
            }
        }
        served
    }

    #[test]
    fn a_burst_is_served_at_once_and_then_the_rate() {
        assert_eq!(served(pace(10, 1, 5), [SECOND; 50]), 5);
        let hundredths = (0..1000).map(|step| SECOND + step * SECOND / 100);
        assert_eq!(served(pace(10, 1, 5), hundredths), 5 + 99);
        assert_eq!(
            served(pace(10, 1, 1), (0..100).map(|step| step * SECOND / 10)),
            100
        );
    }

    #[test]
    fn a_pause_fills_the_burst_and_no_more() {
        let bursts = [0, 3600 * SECOND].into_iter().flat_map(|start| [start; 50]);
        assert_eq!(served(pace(10, 1, 5), bursts), 10);
    }

    #[test]
    fn who_waits_as_told_is_served() {
        let pace = pace(3, 60, 2);
        let mut full = 0;
        for _ in 0..2 {
            let Verdict::Serve(next) = pace.judge(full, SECOND) else {
                panic!("the burst is there");
            };
            full = next;
        }
        let Verdict::Wait(time) = pace.judge(full, SECOND) else {
            panic!("the burst is spent");
        };
        assert_eq!(time, Duration::from_secs(20));
        let later = SECOND + Nanos::try_from(time.as_nanos()).unwrap();
        assert!(matches!(pace.judge(full, later - 1), Verdict::Wait(_)));
        assert!(matches!(pace.judge(full, later), Verdict::Serve(_)));
    }

    #[test]
    fn a_milder_rate_forgives_what_a_stricter_one_noted() {
        let hourly = pace(1, 3600, 1);
        let Verdict::Serve(full) = hourly.judge(0, 0) else {
            panic!("the first is served");
        };
        let Verdict::Wait(time) = pace(10, 1, 1).judge(full, 0) else {
            panic!("it owes something");
        };
        assert_eq!(time, Duration::from_millis(100));
    }

    proptest::proptest! {
        #[test]
        fn no_number_is_too_large(limit in 1_u32.., nanos: u64, burst in 1_u32.., full: Nanos, now: Nanos) {
            let count = |number| NonZeroU32::new(number).unwrap();
            let pace = Pace::new(count(limit), Duration::from_nanos(nanos), count(burst));
            match pace.judge(full, now) {
                Verdict::Serve(next) => proptest::prop_assert!(next >= now),
                Verdict::Wait(time) => proptest::prop_assert!(!time.is_zero()),
            }
        }

        #[test]
        fn never_more_than_burst_and_rate(
            limit in 1_u32..50, burst in 1_u32..20, steps in proptest::collection::vec(0_u64..SECOND / 5, 1..300),
        ) {
            let mut now = 0;
            let instants: Vec<Nanos> = steps.iter().map(|step| { now += step; now }).collect();
            let span = instants[instants.len() - 1] - instants[0];
            let cost = SECOND / u64::from(limit);
            let most = u64::from(burst) + span / cost;
            proptest::prop_assert!(served(pace(limit, 1, burst), instants) as u64 <= most);
        }
    }
}
