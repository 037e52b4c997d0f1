//! What a lease claims: a host name, a port and a path, and what is behind them.

use std::fmt;

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

impl Claim {
    /// Whether both cannot be in force at once: one place, or one that has no room beside it, and two targets.
    #[must_use]
    pub fn excludes(&self, other: &Self) -> bool {
        let meets =
            (&self.name, self.port) == (&other.name, other.port) && self.path.meets(&other.path);
        meets && !(self.path == other.path && self.target == other.target)
    }
}

impl ClaimedPath {
    fn meets(&self, other: &Self) -> bool {
        self == other || *self == Self::Everything || *other == Self::Everything
    }
}

/// As people write it: `shop.localhost:443/api`.
impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.contains(':') {
            true => write!(f, "[{}]:{}", self.name, self.port)?,
            false => write!(f, "{}:{}", self.name, self.port)?,
        }
        match &self.path {
            ClaimedPath::Everything => Ok(()),
            ClaimedPath::Prefix(path) if path == "/" => Ok(()),
            ClaimedPath::Prefix(path) => f.write_str(path),
            ClaimedPath::Exact(path) => write!(f, "{path}$"),
        }
    }
}
