//! What `onedoor status`, `ls` and `explain` show, as JSON on the control socket.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::control::health::{Health, Kind as Spoken};
use crate::control::leases::{Kind, LeaseId, Presence};
use crate::control::owner::Owner;

/// A whole door. Lists are bounded by what is served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// A table of its own: both count sites.
    pub health: Health,
    pub holder: Owner,
    /// The holder's own file, or what it is called.
    pub file: String,
    pub storage: String,
    /// Why the storage cannot be used, if it cannot: nothing is ordered, and what is loaded is served on.
    #[serde(default)]
    pub storage_problem: Option<String>,
    pub connections: usize,
    pub leases: Vec<LeaseStatus>,
    pub sites: Vec<SiteStatus>,
    /// Addresses at which another process takes our connections.
    #[serde(default)]
    pub shadowed: Vec<String>,
    /// Targets that checks found down.
    #[serde(default)]
    pub down: Vec<DownStatus>,
    /// Why the latest change of the holder's file was refused, if it was.
    #[serde(default)]
    pub refused: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseStatus {
    pub lease: LeaseId,
    pub kind: Kind,
    pub owner: Owner,
    pub presence: Presence,
    /// Names that somebody else serves for now.
    pub displaced: Vec<String>,
}

/// A site in service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteStatus {
    pub names: Vec<String>,
    pub lease: LeaseId,
    /// Where a client reaches it, one a name that is no pattern.
    pub urls: Vec<String>,
    pub target: String,
    pub certificate: String,
    pub listen: Vec<String>,
    /// Whether it displaced another lease's claim.
    pub overrides: Option<LeaseId>,
}

/// A target that is asked no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DownStatus {
    pub target: String,
    /// `GET /up`, `TCP`, `gRPC`
    pub check: String,
    /// Sites that have it checked so; not all, if there are very many.
    pub sites: Vec<String>,
    pub since: Timestamp,
    /// What the latest check found, in words.
    pub why: String,
}

/// What becomes of a request for a URL, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    pub url: String,
    pub listener: Option<Step>,
    pub spoken: Option<Spoken>,
    pub certificate: Option<Step>,
    pub site: Option<Step>,
    pub rule: Option<Step>,
    pub target: Option<Step>,
    /// Who may ask, and how often; a line a condition.
    #[serde(default)]
    pub guard: Vec<String>,
    /// How a target is chosen, watched and spared.
    #[serde(default)]
    pub choice: Vec<String>,
    /// What is done with the request's head, a line an edit.
    pub request: Vec<String>,
    /// What is done with the answer's head, and with its body.
    pub answer: Vec<String>,
    /// The end of it in one sentence.
    pub outcome: String,
    pub lease: Option<LeaseId>,
    pub owner: Option<Owner>,
    pub since: Option<Timestamp>,
}

/// One choice on the way, and why it was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    pub what: String,
    pub why: String,
}
