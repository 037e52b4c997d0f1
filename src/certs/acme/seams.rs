//! What this module needs of its neighbours: who keeps a journal and an account, and the words for failures and windows.

use std::error::Error;
use std::fmt;
use std::pin::Pin;

use crate::certs::acme::journal::Journal;
pub use crate::certs::retry::Class;
pub use crate::certs::schedule::Window;

/// The future of a trait object's method.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Keeps the journal of one certificate. Once `save` returns, the journal outlives the process.
pub trait JournalKeeper: Send + Sync {
    fn save<'a>(&'a mut self, journal: &'a Journal) -> BoxFuture<'a, Result<(), KeepError>>;
}

/// Keeps the account of one CA as bytes. Only one process at a time may hold it while it has none (a lease).
pub trait AccountKeeper: Send + Sync {
    /// What the operator knows it by.
    fn place(&self) -> String;
    /// The bytes saved last; none if there never were any.
    fn load(&self) -> BoxFuture<'_, Result<Option<Vec<u8>>, KeepError>>;
    fn save<'a>(&'a self, bytes: &'a [u8]) -> BoxFuture<'a, Result<(), KeepError>>;
}

/// Why something was not kept; what it says is for the operator.
#[derive(Debug)]
pub struct KeepError(pub Box<dyn Error + Send + Sync>);

impl fmt::Display for KeepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for KeepError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}
