//! Why there is no local CA.

use std::fmt;

use crate::storage::store::StoreError;

/// None of these is mended by making a new CA in silence: clients trust the old root.
#[derive(Debug)]
pub enum Error {
    /// The store cannot be used.
    Store(StoreError),
    /// Something of the CA is there; this, named with its store, is not.
    Missing(String),
    /// This cannot be made sense of.
    Broken(String),
    /// This holds a key that does not belong to its certificate.
    KeyMismatch(String),
    /// The CA that lies there is past its time.
    Expired(String),
    /// Somebody else has replaced the CA in the meantime.
    Replaced,
    /// The system gave no randomness, or a name does not fit into a certificate.
    Minting(rcgen::Error),
    /// A freshly made key could not be used.
    UnusableKey(rustls::Error),
    /// The system gave no randomness.
    NoRandomness,
}

impl Error {
    /// Whether it is about the store as a whole.
    #[must_use]
    pub fn concerns_store(&self) -> bool {
        matches!(self, Self::Store(error) if error.concerns_all())
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (place, fault) = match self {
            Self::Store(error) => return error.fmt(f),
            Self::Replaced => {
                return f.write_str("somebody else has just replaced the local CA: look again");
            }
            Self::Minting(_) | Self::UnusableKey(_) => {
                return f.write_str("the local CA cannot make a certificate");
            }
            Self::NoRandomness => return f.write_str("the system gives no random numbers"),
            Self::Missing(place) => (place, "is missing"),
            Self::Broken(place) => (place, "is broken"),
            Self::KeyMismatch(place) => (place, "has a key that does not belong to it"),
            Self::Expired(place) => (place, "has expired"),
        };
        write!(
            f,
            "{place} of the local CA {fault}: restore it from a backup, or make a new CA with `onedoor certs new-ca`, which every client must then be made to trust"
        )
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(error) => error.source(),
            Self::Minting(source) => Some(source),
            Self::UnusableKey(source) => Some(source),
            Self::Missing(_)
            | Self::Broken(_)
            | Self::KeyMismatch(_)
            | Self::Expired(_)
            | Self::Replaced
            | Self::NoRandomness => None,
        }
    }
}
