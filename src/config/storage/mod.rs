//! `storage`: where certificates, accounts and the ledger live.

mod place;
mod reading;
mod url;

use std::path::PathBuf;

pub use place::{Place, Reached, Redis, S3, S3Keys};
pub use url::BadUrl;

/// What `storage` says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Storage {
    /// None: it is chosen from the environment.
    pub place: Option<Place>,
    /// The folder of this machine beside a shared store: its copy, and what is its own. None: the usual one.
    pub local_copy: Option<PathBuf>,
    pub ephemeral: Ephemeral,
}

/// Whether a public CA is asked for certificates that the next start would have lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Ephemeral {
    #[default]
    Refuse,
    Allow,
}
