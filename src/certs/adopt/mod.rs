//! Certificates and accounts that other tools made become ours: first what would be done is found out, then it is done. What is in the vault
//! already stays if it is as good, so that a second time changes nothing.

mod account_fate;
mod accounts;
mod certificates;
mod choice;
mod election;
mod fate;
mod ledgers;
mod origin;
#[cfg(test)]
mod tests;
mod wishes;

use std::fmt;

use crate::certs::acme::options::CaOptions;
use crate::certs::import::findings::Findings;
use crate::certs::keeper::Connect;
use crate::certs::keeper::ledgers::{LedgerError, Ledgers};
use crate::certs::vault::{Vault, VaultError};
use crate::clock::Clock;
pub use account_fate::{AccountFate, PlannedAccount, Seen};
pub use fate::{Fate, PlannedCertificate, PlannedPlace, Skipped};
pub use wishes::Wishes;

/// Where what is found goes, and who can be asked.
pub struct Adopter {
    vault: Vault,
    ledgers: Ledgers,
    clock: Clock,
    wishes: Wishes,
    connect: Connect,
    policy: Policy,
}

/// What becomes of accounts under keys that onedoor cannot order with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    LeaveForeignKeys,
    /// They get a key of ours, and the tool that made them is locked out.
    TakeOver,
}

/// What is to be done, or what was.
#[derive(Debug)]
pub struct Plan {
    /// In the order in which they were found.
    pub certificates: Vec<PlannedCertificate>,
    pub accounts: Vec<PlannedAccount>,
    /// What else was left out, and why.
    pub remarks: Vec<String>,
}

/// Why nothing more is done.
#[derive(Debug)]
pub enum AdoptError {
    Vault(VaultError),
    Ledger(LedgerError),
}

impl Adopter {
    #[must_use]
    pub fn new(
        vault: Vault,
        clock: Clock,
        wishes: Wishes,
        connect: Connect,
        policy: Policy,
    ) -> Self {
        Self {
            ledgers: Ledgers::new(vault.store().clone(), clock.clone()),
            vault,
            clock,
            wishes,
            connect,
            policy,
        }
    }

    /// Finds out what is to be done. CAs are asked whether they know the accounts; nothing is changed anywhere.
    ///
    /// # Errors
    /// The store as a whole cannot be read.
    pub async fn plan(&self, findings: &Findings) -> Result<Plan, AdoptError> {
        Ok(Plan {
            certificates: self.plan_certificates(findings).await?,
            accounts: self.plan_accounts(findings).await?,
            remarks: Vec::new(),
        })
    }

    /// Does what is to be done; what came of each is in the plan afterwards.
    ///
    /// # Errors
    /// The store as a whole cannot be used. What was done until then is done, and is found so the next time.
    pub async fn carry_out(&self, plan: &mut Plan, findings: &Findings) -> Result<(), AdoptError> {
        self.note_in_ledgers(plan, findings).await?;
        self.keep_certificates(plan, findings).await?;
        self.keep_accounts(plan, findings).await
    }

    /// The CA at a directory, as the configuration has it if it does.
    fn options(&self, directory: &str) -> CaOptions {
        self.wishes.options(directory)
    }
}

impl Plan {
    /// Whether there is nothing to be done.
    #[must_use]
    pub fn is_done(&self) -> bool {
        let places = self.certificates.iter().flat_map(|it| &it.places);
        !places.map(|place| &place.fate).any(Fate::is_due)
            && !self.accounts.iter().any(|account| account.fate.is_due())
    }
}

impl From<VaultError> for AdoptError {
    fn from(error: VaultError) -> Self {
        Self::Vault(error)
    }
}

impl From<LedgerError> for AdoptError {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}

impl fmt::Display for AdoptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vault(error) => error.fmt(f),
            Self::Ledger(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for AdoptError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            // Their own text is shown in place of ours.
            Self::Vault(error) => error.source(),
            Self::Ledger(error) => error.source(),
        }
    }
}

impl fmt::Debug for Adopter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Adopter").finish_non_exhaustive()
    }
}
