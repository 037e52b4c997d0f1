//! What the authority asked us to wait with, and until when.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::instant::{DAY, length};
use super::limits::{Limit, Limits};
use super::subject;

/// What a refusal of the authority was about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Everything: a load balancer's 503, or a 429 that names nothing else.
    Ca,
    Orders,
    Accounts,
    Names(BTreeSet<String>),
    /// The registered domain of this name.
    Domain(String),
    /// Validations of this name.
    Name(String),
}

impl Scope {
    pub(super) fn place(&self) -> Option<Place> {
        match self {
            Self::Ca => None,
            Self::Orders => Some(Place::orders()),
            Self::Accounts => Some(Place::accounts()),
            Self::Names(names) => Some(Place::names(names)),
            Self::Domain(name) => Some(Place::domain(name)),
            Self::Name(name) => Some(Place::name(name)),
        }
    }
}

/// A limit and whom it counts. The ledger is kept per account and storage, so these have one subject.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) limit: Limit,
    pub(super) subject: String,
}

impl Place {
    pub(super) fn orders() -> Self {
        let subject = "this account".to_owned();
        Self {
            limit: Limit::NewOrders,
            subject,
        }
    }

    pub(super) fn accounts() -> Self {
        let subject = "this storage".to_owned();
        Self {
            limit: Limit::NewAccounts,
            subject,
        }
    }

    pub(super) fn names(names: &BTreeSet<String>) -> Self {
        Self {
            limit: Limit::CertificatesPerNames,
            subject: subject::set(names),
        }
    }

    pub(super) fn domain(name: &str) -> Self {
        Self {
            limit: Limit::CertificatesPerDomain,
            subject: subject::domain(name),
        }
    }

    pub(super) fn name(name: &str) -> Self {
        Self {
            limit: Limit::FailedValidations,
            subject: subject::identifier(name),
        }
    }

    pub(super) fn key(&self) -> String {
        format!("{} {}", self.limit.key(), self.subject)
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Block {
    pub(super) until: u64,
    /// The authority's own.
    #[serde(default)]
    pub(super) words: String,
}

/// The longest wait a key can ask for. What is longer comes from a clock that was ahead, or from a mistake.
pub(super) fn longest(limits: &Limits, key: &str) -> u64 {
    let limit = key.split_once(' ').and_then(|(limit, _)| {
        Limit::ALL
            .into_iter()
            .find(|candidate| candidate.key() == limit)
    });
    let window = limit.map_or(DAY, |limit| limits.rate(limit).window.max(DAY));
    length(window)
}

pub(super) const CA: &str = "ca";
/// Octets kept of an authority's words.
pub(super) const WORDS_BYTES_MAX: usize = 500;
