//! Who made a lease, in the words in which people are told.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The process behind a lease. Only the user is an authority; process numbers are used again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    pub pid: u32,
    pub uid: u32,
    /// What was typed: program and arguments.
    pub command: String,
    /// The folder it was typed in.
    pub folder: PathBuf,
    pub since: Timestamp,
}

impl Owner {
    /// Whether this is the same work begun again: the same user, command and folder.
    #[must_use]
    pub fn is_same_work(&self, other: &Self) -> bool {
        (self.uid, &self.command, &self.folder) == (other.uid, &other.command, &other.folder)
    }
}
