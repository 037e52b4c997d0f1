//! Leases that `onedoor add` makes: kept in the storage until `onedoor rm`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::control::leases::Insistence;
use crate::control::owner::Owner;

/// A site of one host and one target, as `onedoor add HOST TARGET` says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedLease {
    /// As in `[sites]`: a host or pattern, with a port if it is an own one.
    pub host: String,
    /// As in `to`, a path of a socket made absolute.
    pub target: String,
    pub owner: Owner,
    #[serde(default)]
    pub insistence: Insistence,
    /// The folder that relative paths of the target mean.
    pub folder: PathBuf,
}

/// The body of `PUT /v1/leases/HOST`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saving {
    #[serde(flatten)]
    pub saved: SavedLease,
    /// How long the target may take to be healthy; 0: it is not looked at.
    #[serde(default)]
    pub wait_seconds: u64,
    /// How long the answer waits for exchanges of the old target to end.
    #[serde(default)]
    pub drain_seconds: u64,
    /// A path that must answer well; else it is enough that the target accepts connections.
    #[serde(default)]
    pub health: Option<String>,
}

/// The answer to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    pub revision: u64,
    pub url: String,
    /// Whether every exchange of the old target ended in time.
    pub drained: bool,
}

/// A saved lease that is in service.
#[derive(Debug)]
pub struct Kept {
    pub revision: u64,
    /// Where the site is reached.
    pub url: String,
    /// What it replaced; true once no exchange of the old target is left.
    pub drained: Option<watch::Receiver<bool>>,
}
