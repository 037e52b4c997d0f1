//! What a lease claims: a host name, a port and a path, and what is behind them.

use serde::{Deserialize, Serialize};

/// One place at the door. Two claims meet when name, port and path are the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// A host name or pattern in its normal form (lower case, A-labels).
    pub name: String,
    pub port: u16,
    pub path: ClaimedPath,
    /// What is behind it, in words; equal words are the same target.
    pub target: String,
}

/// The paths of a claim.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClaimedPath {
    /// Connections are not opened, or carry no HTTP: no other claim fits beside it.
    Everything,
    /// Every path that begins so on a segment boundary; `/` is whatever nobody else claims.
    Prefix(String),
    /// Exactly this path.
    Exact(String),
}
