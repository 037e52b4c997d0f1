//! What was told while nobody could write it down, on top of what others wrote since.

use super::notices::{Notices, RENEWED_MAX, Renewal};

impl Notices {
    /// What is `found` in the store, with what became of `base`, which was there before, in `self`. Of two words on the same, ours
    /// counts.
    #[must_use]
    pub fn onto(&self, base: &Self, mut found: Self) -> Self {
        for (key, standing) in &self.standing {
            if base.standing.get(key) != Some(standing) {
                found.standing.insert(key.clone(), standing.clone());
            }
        }
        for ended in base.standing.keys() {
            if !self.standing.contains_key(ended) {
                found.standing.remove(ended);
            }
        }
        found.make_room();
        let is_gone = |known: &Renewal| base.renewed.contains(known);
        found
            .renewed
            .retain(|known| self.renewed.contains(known) || !is_gone(known));
        for told in &self.renewed {
            if !base.renewed.contains(told) && !found.renewed.contains(told) {
                found.renewed.push_back(told.clone());
            }
        }
        while found.renewed.len() > RENEWED_MAX {
            found.renewed.pop_front();
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::certs::alerts::event::Event;

    fn down(storage: &str) -> Event {
        Event::StorageUnreachable {
            storage: storage.to_owned(),
            problem: "it is down".to_owned(),
        }
    }

    fn up(storage: &str) -> Event {
        Event::StorageReachable {
            storage: storage.to_owned(),
        }
    }

    fn renewed(until: u64) -> Event {
        Event::Renewed {
            certificate: "a.test".to_owned(),
            names: vec!["a.test".to_owned()],
            ca: "https://ca.test".to_owned(),
            not_after: UNIX_EPOCH + Duration::from_secs(until),
        }
    }

    fn after(before: &Notices, events: &[Event]) -> Notices {
        let mut notices = before.clone();
        for event in events {
            notices.offer(event.clone(), UNIX_EPOCH);
        }
        notices
    }

    #[test]
    fn what_began_and_ended_here_and_elsewhere_is_kept() {
        let base = after(&Notices::default(), &[down("a"), down("b"), renewed(1)]);
        let ours = after(&base, &[up("a"), down("c"), renewed(2)]);
        let found = after(&base, &[up("b"), down("d")]);
        let expected = after(&Notices::default(), &[renewed(2), down("c"), down("d")]);
        assert_eq!(ours.onto(&base, found.clone()), expected);
        assert_eq!(base.onto(&base, found.clone()), found);
    }
}
