//! How far a follower has followed the record of changes in Redis.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::storage::store::{Key, Mark};

/// What a [`Mark`] says: the place in one history of one server, and what was there.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct History {
    /// Of the process that Redis is; after a restart it may have forgotten its last writes.
    server: String,
    /// Of the record; Redis may have been emptied.
    word: String,
    place: u64,
    keys: BTreeSet<String>,
}

/// The answer to how it went on: the word, the place, whether what was known is a part of it, the names written, the names removed.
pub(super) type News = (String, u64, u8, Vec<String>, Vec<String>);

impl History {
    pub(super) fn read(mark: &Mark) -> Self {
        let text = mark.place().unwrap_or_default();
        serde_json::from_str(text).unwrap_or_default()
    }

    /// The word of the record, if it is still that of the same server; else one that no record has.
    pub(super) fn word_at(&self, server: &str) -> &str {
        if self.server == server {
            &self.word
        } else {
            "-"
        }
    }

    pub(super) fn place(&self) -> u64 {
        self.place
    }

    /// What is to be looked at, and how far it is followed then.
    pub(super) fn followed_by(self, server: &str, news: News) -> (Vec<Key>, Mark) {
        let (word, place, is_part, written, removed) = news;
        let mut keys = self.keys;
        let mut changed: BTreeSet<String> = written.iter().chain(&removed).cloned().collect();
        if is_part == 0 {
            changed.append(&mut keys);
        }
        keys.extend(written);
        for name in &removed {
            keys.remove(name);
        }
        let known = Self {
            server: server.to_owned(),
            word,
            place,
            keys,
        };
        let mark = serde_json::to_string(&known).unwrap_or_default();
        let changed = changed.iter().filter_map(|name| Key::new(name).ok());
        (changed.collect(), Mark::at(&mark))
    }
}
