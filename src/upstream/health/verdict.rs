//! What a row of checks says of a target.

use crate::config::backends::Health;

/// Whether a target is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Up,
    Down,
}

/// How one check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Passed,
    Failed,
}

/// What is thought of a target, and how many checks in a row spoke against it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) state: State,
    against: u32,
}

impl Verdict {
    /// Of a target that was not looked at. It is asked: one failed check may be a service that is just starting, and whoever takes
    /// requests for it would lose them all until it has passed often enough.
    pub(super) const FRESH: Self = Self::of(State::Up);

    /// Known from earlier checks.
    pub(super) const fn of(state: State) -> Self {
        Self { state, against: 0 }
    }

    /// After one more check.
    pub(super) fn after(self, outcome: Outcome, health: &Health) -> Self {
        let (enough, other) = match (self.state, outcome) {
            (State::Up, Outcome::Passed) | (State::Down, Outcome::Failed) => {
                return Self::of(self.state);
            }
            (State::Up, Outcome::Failed) => (health.fails, State::Down),
            (State::Down, Outcome::Passed) => (health.passes, State::Up),
        };
        let against = self.against + 1;
        if against >= enough.get() {
            return Self::of(other);
        }
        Self { against, ..self }
    }

    /// Whether the latest check agreed.
    pub(super) fn is_settled(self) -> bool {
        self.against == 0
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use super::*;
    use crate::config::backends::Probe;

    /// The states after each check of a text: `+` passed, `-` failed; `U` and `D` are up and down.
    #[track_caller]
    fn check(fails: u32, passes: u32, checks: &str, expected: &str) {
        let health = Health {
            probe: Probe::Tcp,
            every: Duration::from_secs(10),
            timeout: Duration::from_secs(2),
            fails: NonZeroU32::new(fails).unwrap(),
            passes: NonZeroU32::new(passes).unwrap(),
        };
        let mut verdict = Verdict::FRESH;
        let mut states = String::new();
        for mark in checks.chars() {
            let outcome = match mark {
                '+' => Outcome::Passed,
                _ => Outcome::Failed,
            };
            verdict = verdict.after(outcome, &health);
            states.push(match verdict.state {
                State::Up => 'U',
                State::Down => 'D',
            });
        }
        assert_eq!(states, expected, "{checks}");
    }

    #[test]
    fn a_fresh_target_is_up_until_enough_checks_failed() {
        check(3, 2, "--", "UU");
        check(3, 2, "---", "UUD");
    }

    #[test]
    fn only_checks_in_a_row_count() {
        check(3, 2, "--+--+---", "UUUUUUUUD");
        check(1, 3, "-++-++-+++", "DDDDDDDDDU");
    }

    #[test]
    fn enough_passed_checks_bring_it_back() {
        check(3, 2, "-----++", "UUDDDDU");
        check(1, 1, "-+-+", "DUDU");
    }

    #[test]
    fn a_verdict_is_settled_when_the_latest_check_agreed() {
        let health = Health {
            probe: Probe::Tcp,
            every: Duration::from_secs(10),
            timeout: Duration::from_secs(2),
            fails: NonZeroU32::new(2).unwrap(),
            passes: NonZeroU32::MIN,
        };
        let shaken = Verdict::FRESH.after(Outcome::Failed, &health);
        assert!(!shaken.is_settled());
        assert!(shaken.after(Outcome::Failed, &health).is_settled());
        assert!(shaken.after(Outcome::Passed, &health).is_settled());
    }
}
