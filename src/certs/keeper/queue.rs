//! Names by the time at which they are looked at, nearest first.

use std::collections::{BTreeSet, HashMap};
use std::time::SystemTime;

use crate::hostname::HostPattern;

/// Each name at most once.
#[derive(Debug, Default)]
pub(super) struct Queue {
    by_time: BTreeSet<(SystemTime, HostPattern)>,
    by_name: HashMap<HostPattern, SystemTime>,
}

impl Queue {
    /// In place of the name's earlier time, if it had one.
    pub(super) fn put(&mut self, name: HostPattern, at: SystemTime) {
        self.drop(&name);
        self.by_name.insert(name.clone(), at);
        self.by_time.insert((at, name));
    }

    pub(super) fn drop(&mut self, name: &HostPattern) {
        if let Some(at) = self.by_name.remove(name) {
            self.by_time.remove(&(at, name.clone()));
        }
    }

    /// The nearest time.
    pub(super) fn next(&self) -> Option<SystemTime> {
        self.by_time.first().map(|(at, _name)| *at)
    }

    /// The name whose time came first, if it has come.
    pub(super) fn due(&mut self, now: SystemTime) -> Option<HostPattern> {
        if self.next()? > now {
            return None;
        }
        let (_at, name) = self.by_time.pop_first()?;
        self.by_name.remove(&name);
        Some(name)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_nearest_comes_first_and_each_name_once() {
        let name = |text: &str| HostPattern::parse(text).unwrap();
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let mut queue = Queue::default();
        queue.put(name("b.test"), at(2));
        queue.put(name("a.test"), at(9));
        queue.put(name("a.test"), at(1));
        queue.put(name("*.test"), at(3));
        queue.drop(&name("*.test"));
        assert_eq!(queue.next(), Some(at(1)));
        assert_eq!(queue.due(at(0)), None);
        assert_eq!(queue.due(at(5)), Some(name("a.test")));
        assert_eq!(queue.due(at(5)), Some(name("b.test")));
        assert_eq!(queue.due(at(5)), None);
        assert_eq!(queue.next(), None);
    }
}
