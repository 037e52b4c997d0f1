//! Accounts that other tools made: whether a CA knows them, and how they become ours.

use std::fmt;
use std::sync::Arc;

use crate::certs::acme::account::{self, Stored};
use crate::certs::acme::account_key::AccountKey;
use crate::certs::acme::ca;
use crate::certs::acme::directory::Directory;
use crate::certs::acme::fault::OrderError;
use crate::certs::acme::options::CaOptions;
use crate::certs::acme::post::Way;
use crate::certs::acme::rollover;
use crate::certs::acme::seams::AccountKeeper;
use crate::certs::acme::transport::Transport;
use crate::clock::Clock;

/// A CA that is asked about accounts. None is ever made.
pub struct Registry<'a> {
    options: &'a CaOptions,
    directory: Directory,
    transport: Arc<dyn Transport>,
    clock: Clock,
}

impl<'a> Registry<'a> {
    /// # Errors
    /// The CA cannot be reached.
    pub async fn open(
        options: &'a CaOptions,
        transport: Arc<dyn Transport>,
        clock: Clock,
    ) -> Result<Self, OrderError> {
        let directory = ca::directory(transport.as_ref(), &options.directory, &clock).await?;
        Ok(Self {
            options,
            directory,
            transport,
            clock,
        })
    }

    /// The URL of the account that has this key; none if there is none.
    ///
    /// # Errors
    /// The CA cannot be reached, or will have nothing to do with the account.
    pub async fn find(&self, key: &AccountKey) -> Result<Option<String>, OrderError> {
        account::find(key, &self.way()).await
    }

    /// Makes an account as another tool would.
    #[cfg(test)]
    pub(crate) async fn register(&self, key: &AccountKey) -> Result<String, OrderError> {
        account::make(key, self.options, &self.way()).await
    }

    /// Whether an account may get another key here.
    #[must_use]
    pub fn changes_keys(&self) -> bool {
        self.directory.key_change.is_some()
    }

    /// Has the account at `url` answer to a new key of ours, and no more to `old`. What `keeper` keeps from its first write on is enough for
    /// [`Ca::open`](crate::certs::acme::ca::Ca::open) to finish it after a crash.
    ///
    /// # Errors
    /// What is kept stays, for it may be finished later.
    pub async fn take_over(
        &self,
        old: &AccountKey,
        url: &str,
        keeper: &dyn AccountKeeper,
    ) -> Result<(), OrderError> {
        let mut account = Stored::to_be_taken_over(self.options, old, url)?;
        account::save(keeper, &account).await?;
        rollover::finish(&mut account, keeper, &self.way()).await
    }

    fn way(&self) -> Way<'_> {
        Way {
            directory: &self.directory,
            transport: self.transport.as_ref(),
            clock: &self.clock,
        }
    }
}

/// An account as [`Ca::open`](crate::certs::acme::ca::Ca::open) finds its own; the key must be P-256.
///
/// # Errors
/// It is another key.
pub fn kept(directory: &str, key: &AccountKey, url: &str) -> Result<Vec<u8>, OrderError> {
    account::bytes(&Stored::of(directory, key, url)?)
}

/// What is kept of an account that is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// None until the CA has told it.
    pub url: Option<String>,
    /// The CA may not know our key of it yet.
    pub is_being_taken_over: bool,
}

/// Reads what is kept; `place` is where.
///
/// # Errors
/// It is damaged, or another CA's.
pub fn read(bytes: &[u8], place: &str, options: &CaOptions) -> Result<Known, OrderError> {
    let stored = account::parse(bytes, place, options)?;
    Ok(Known {
        is_being_taken_over: stored.old_key()?.is_some(),
        url: stored.url,
    })
}

/// An account of ours, whole. Its `Debug` is blind: it holds the key.
pub struct Own {
    pub directory: String,
    pub url: Option<String>,
    pub email: Option<String>,
    /// PKCS#8, P-256.
    pub key: Vec<u8>,
}

/// Reads what is kept of an account, whichever CA's it is; none if it is damaged, or not ours yet.
#[must_use]
pub fn own(bytes: &[u8]) -> Option<Own> {
    let stored = Stored::read(bytes)?;
    if stored.old_key().ok()?.is_some() {
        return None;
    }
    Some(Own {
        key: stored.key().ok()?,
        directory: stored.directory,
        url: stored.url,
        email: stored.email,
    })
}

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Own")
            .field("directory", &self.directory)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Registry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("directory", &self.directory.url)
            .finish_non_exhaustive()
    }
}
