//! Why the vault cannot do something.

use std::fmt;

use crate::certs::bundle::Unservable;
use crate::storage::store::{BadKey, Key, StoreError};

#[derive(Debug)]
pub enum VaultError {
    Store(StoreError),
    /// The name has no key.
    Key(BadKey),
    /// What was written does not read as what it should be.
    Unservable(Unservable),
    /// Cannot be written as JSON.
    Unwritable(serde_json::Error),
    /// An object is not what is written here; the key names it.
    Damaged(Key, serde_json::Error),
    /// The store has an older state than this host saw, as after an old backup.
    WentBack,
}

impl VaultError {
    /// A fault of one object in words, for whoever steps over it; one of the store as a whole stays an error.
    pub(super) fn blame(self) -> Result<String, Self> {
        match self {
            Self::Damaged(key, error) => Ok(format!("{key} is damaged: {error}")),
            Self::Store(StoreError::Damaged { .. }) => Ok(self.to_string()),
            broken @ (Self::Store(_)
            | Self::Key(_)
            | Self::Unservable(_)
            | Self::Unwritable(_)
            | Self::WentBack) => Err(broken),
        }
    }
}

impl From<StoreError> for VaultError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl fmt::Display for VaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Key(error) => error.fmt(f),
            Self::Unservable(error) => write!(f, "a new certificate cannot be served: {error}"),
            Self::Unwritable(_) => {
                f.write_str("what is known of a certificate cannot be written as JSON")
            }
            Self::Damaged(key, _) => write!(f, "{key} is damaged"),
            Self::WentBack => f.write_str("the storage is older than what this host has of it"),
        }
    }
}

impl std::error::Error for VaultError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(error) => error.source(),
            Self::Key(error) => error.source(),
            Self::Unservable(error) => error.source(),
            Self::Unwritable(error) | Self::Damaged(_, error) => Some(error),
            Self::WentBack => None,
        }
    }
}
