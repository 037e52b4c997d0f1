//! Which turns of one target people are told of: a target that flaps tells no more than one down and one up in a while.

use std::time::{Duration, Instant};

use super::verdict::State;

/// From one target's going down, as it was told, to the next time that it is told. Its coming up in between is told at once.
pub(super) const DOWNS_APART: Duration = Duration::from_secs(300);

/// What was told last of a target.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct News {
    told: Option<State>,
    down_at: Option<Instant>,
}

impl News {
    /// Takes in what is so now, and answers whether that is to be told. A state that lasts until it may be told is told then, so
    /// this is asked after every check that agrees with the state.
    pub(super) fn is_due(&mut self, state: State, now: Instant) -> bool {
        if self.told == Some(state) {
            return false;
        }
        if state == State::Down {
            let is_early = |at| now.saturating_duration_since(at) < DOWNS_APART;
            if self.down_at.is_some_and(is_early) {
                return false;
            }
            self.down_at = Some(now);
        }
        self.told = Some(state);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told of states, each so many seconds after the beginning.
    fn told(seen: &[(u64, State)]) -> Vec<u64> {
        let begin = now();
        let mut news = News::default();
        let is_told =
            |(at, state): &&(u64, State)| news.is_due(*state, begin + Duration::from_secs(*at));
        seen.iter()
            .filter(is_told)
            .map(|(at, _state)| *at)
            .collect()
    }

    fn now() -> Instant {
        Instant::now()
    }

    #[test]
    fn each_turn_is_told_once() {
        let seen = [
            (0, State::Up),
            (10, State::Up),
            (20, State::Down),
            (30, State::Down),
            (40, State::Up),
            (50, State::Up),
        ];
        assert_eq!(told(&seen), [0, 20, 40]);
    }

    #[test]
    fn a_target_that_flaps_is_told_of_seldom() {
        let flapping: Vec<(u64, State)> = (0..600)
            .map(|second| (second, [State::Down, State::Up][second as usize % 2]))
            .collect();
        assert_eq!(told(&flapping), [0, 1, 300, 301]);
    }

    #[test]
    fn what_was_held_back_and_lasts_is_told_later() {
        let seen = [
            (0, State::Down),
            (10, State::Up),
            (20, State::Down),
            (290, State::Down),
            (310, State::Down),
        ];
        assert_eq!(told(&seen), [0, 10, 310]);
    }
}
