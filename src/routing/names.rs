//! Names to entries: exact, then the wildcard of the parent, then the catch-all.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::Entry;
use crate::hostname::{HostName, HostPattern, parent};

/// The names of one listener. Seeded at random, so nobody can choose names that collide.
#[derive(Debug, Default)]
pub struct NameTable {
    exact: HashMap<HostName, Entry, RandomState>,
    wildcards: HashMap<HostName, Entry, RandomState>,
    catch_all: Option<Entry>,
}

impl NameTable {
    /// Makes a pattern lead to an entry; the first one said stays.
    pub fn insert(&mut self, pattern: &HostPattern, entry: Entry) {
        match pattern {
            HostPattern::Exact(name) => {
                self.exact.entry(name.clone()).or_insert(entry);
            }
            HostPattern::Wildcard(parent) => {
                self.wildcards.entry(parent.clone()).or_insert(entry);
            }
            HostPattern::CatchAll => {
                self.catch_all.get_or_insert(entry);
            }
        }
    }

    /// Accepts a lower-case name without a trailing dot.
    #[must_use]
    pub fn exact(&self, name: &str) -> Option<Entry> {
        self.exact.get(name).copied()
    }

    /// The entry of `*.PARENT`.
    #[must_use]
    pub fn wildcard(&self, name: &str) -> Option<Entry> {
        if self.wildcards.is_empty() {
            return None;
        }
        self.wildcards.get(parent(name)?).copied()
    }

    #[must_use]
    pub fn catch_all(&self) -> Option<Entry> {
        self.catch_all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(patterns: &[&str]) -> NameTable {
        let mut table = NameTable::default();
        for (site, pattern) in (0..).zip(patterns) {
            table.insert(
                &HostPattern::parse(pattern).unwrap(),
                Entry { site, slot: site },
            );
        }
        table
    }

    #[test]
    fn a_wildcard_stands_for_one_label() {
        let table = table(&["*.dev.test"]);
        assert_eq!(
            table.wildcard("a.dev.test").map(|entry| entry.site),
            Some(0)
        );
        assert_eq!(table.wildcard("a.b.dev.test"), None);
        assert_eq!(table.wildcard("dev.test"), None);
    }

    #[test]
    fn an_address_has_no_parent() {
        assert_eq!(table(&["*.0.0.test"]).wildcard("127.0.0.1"), None);
    }
}
