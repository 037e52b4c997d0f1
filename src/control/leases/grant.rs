//! What a granted lease means to the others.

use std::fmt;

use crate::control::leases::{Claim, LeaseId};
use crate::control::owner::Owner;

/// That a lease may be had, and what follows from it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grant {
    /// Leases that end whole, because their owner is gone or begins anew.
    pub takes_over: Vec<LeaseId>,
    /// What others have and do not serve while this lease lasts.
    pub displaces: Vec<Displacement>,
    /// What this lease has and does not serve until another ends.
    pub waits: Vec<Displacement>,
    /// What the lease's owner should know, a sentence each.
    pub notes: Vec<String>,
}

/// A claim that yields to another lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Displacement {
    /// In [`Grant::displaces`] who yields, in [`Grant::waits`] who is yielded to.
    pub lease: LeaseId,
    pub claim: Claim,
    /// Of that lease.
    pub owner: Owner,
}

impl Grant {
    pub(super) fn note_takeover(&mut self, lease: LeaseId, owner: &Owner, why: Gone) {
        self.takes_over.push(lease);
        self.notes.push(format!(
            "took over what `{}` (pid {}) had in {}: {why}",
            owner.command,
            owner.pid,
            owner.folder.display()
        ));
    }
}

/// Why a lease can be taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gone {
    Away,
    SameWork,
}

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Away => "its connection is gone",
            Self::SameWork => "this is the same command in the same folder",
        })
    }
}
