//! Who may serve which name: leases, what they claim, and which claim is in force. Nothing here touches a socket or a clock.

mod claim;
mod claims;
mod conflict;
mod grant;
mod standing;
mod table;

pub use claim::{Claim, ClaimedPath};
pub use claims::claims_of;
pub use conflict::{Conflict, ago, render};
pub use grant::{Displacement, Grant};
pub use table::{CLAIMS_MAX, Full, LEASES_MAX, Table};

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::control::owner::Owner;

/// The number of a lease, unique in the life of a door and kept over a hand-over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LeaseId(pub u32);

impl LeaseId {
    /// The holder's own configuration.
    pub const FILE: Self = Self(0);
}

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a lease is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The holder's own configuration.
    File,
    /// A connection of a guest.
    Session,
    /// The storage, until it is removed.
    Saved,
}

/// Whether a guest's connection is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Presence {
    Connected,
    /// It broke off and may come back within its grace.
    Away,
}

/// What is wished where somebody else has the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Insistence {
    /// Be refused.
    #[default]
    Asks,
    /// Displace them until this lease ends (`--replace`).
    Replaces,
}

/// A right to have names served, until it ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    pub id: LeaseId,
    pub kind: Kind,
    pub owner: Owner,
    pub claims: Vec<Claim>,
    pub insistence: Insistence,
    pub presence: Presence,
}
