//! What is told of one certificate or account that was found, for people and programs. Never a key.

use std::time::SystemTime;

use serde::Serialize;

use super::words;
use crate::certs::adopt::{
    AccountFate, Fate, PlannedAccount, PlannedCertificate, PlannedPlace, Skipped,
};
use crate::certs::import::fault::Fault;
use crate::certs::import::findings::{Findings, FoundAccount, FoundCertificate};
use crate::certs::utc::stamp_or_null;

/// Whether it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    Beforehand,
    Afterwards,
}

#[derive(Debug, Serialize)]
pub(super) struct CertificateEntry {
    pub(super) tool: String,
    pub(super) place: String,
    pub(super) names: Vec<String>,
    #[serde(serialize_with = "stamp_or_null")]
    pub(super) not_after: Option<SystemTime>,
    pub(super) issuer: Option<String>,
    /// Of the CA that made it, as far as anybody knows.
    pub(super) directory: Option<String>,
    /// Null: there is no key or no certificate to compare.
    pub(super) key_fits: Option<bool>,
    /// Why it is left where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) skipped: Option<String>,
    pub(super) warnings: Vec<String>,
    /// The names that it is kept under.
    pub(super) kept: Vec<PlaceEntry>,
    /// It should have been of use, and is not.
    #[serde(skip)]
    pub(super) is_lost: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct PlaceEntry {
    pub(super) name: String,
    /// Whether a site of the configuration wants it.
    pub(super) wanted: bool,
    pub(super) fate: &'static str,
    /// In words.
    pub(super) what: String,
}

#[derive(Debug, Serialize)]
pub(super) struct AccountEntry {
    pub(super) tool: String,
    pub(super) place: String,
    pub(super) directory: Option<String>,
    pub(super) url: Option<String>,
    /// As in `RSA-2048`.
    pub(super) key: Option<String>,
    /// How many of the certificates that were found it ordered.
    pub(super) certificates: usize,
    pub(super) fate: &'static str,
    /// In words.
    pub(super) what: String,
    #[serde(skip)]
    pub(super) is_failure: bool,
}

impl CertificateEntry {
    pub(super) fn of(
        planned: &PlannedCertificate,
        found: &FoundCertificate,
        findings: &Findings,
        told: Told,
    ) -> Self {
        let facts = found.facts.as_ref();
        Self {
            tool: found.tool.to_string(),
            place: found.place.clone(),
            names: found.names.clone(),
            not_after: facts.map(|facts| facts.not_after),
            issuer: facts.map(|facts| facts.issuer.clone()),
            directory: planned
                .directory
                .clone()
                .or_else(|| found.directory.clone()),
            key_fits: key_fits(found.fault.as_ref()),
            skipped: planned.skipped.as_ref().map(ToString::to_string),
            warnings: found.warnings.iter().map(ToString::to_string).collect(),
            kept: planned
                .places
                .iter()
                .map(|place| PlaceEntry::of(place, findings, told))
                .collect(),
            is_lost: planned.skipped.as_ref().is_some_and(Skipped::is_loss),
        }
    }
}

impl PlaceEntry {
    fn of(place: &PlannedPlace, findings: &Findings, told: Told) -> Self {
        Self {
            name: place.name.to_string(),
            wanted: place.is_wanted,
            fate: word(&place.fate),
            what: words::fate(&place.fate, findings, told),
        }
    }
}

impl AccountEntry {
    pub(super) fn of(
        planned: &PlannedAccount,
        found: &FoundAccount,
        findings: &Findings,
        told: Told,
    ) -> Self {
        Self {
            tool: found.tool.to_string(),
            place: found.place.clone(),
            directory: found.directory.clone(),
            url: url(&planned.fate).or_else(|| found.url.clone()),
            key: found.key.as_ref().map(|key| key.kind().to_owned()),
            certificates: planned.certificates,
            fate: account_word(&planned.fate),
            what: words::account(&planned.fate, found, findings, told),
            is_failure: planned.fate.is_failure(),
        }
    }
}

fn key_fits(fault: Option<&Fault>) -> Option<bool> {
    match fault {
        None | Some(Fault::Expired(_) | Fault::LeafNotFirst(_) | Fault::NamesNoHost) => Some(true),
        Some(Fault::KeyMismatch) => Some(false),
        Some(
            Fault::NoCertificate
            | Fault::NoKey
            | Fault::EncryptedKey
            | Fault::BrokenPem
            | Fault::BrokenCertificate(_)
            | Fault::UnusableKey
            | Fault::Unreadable(_),
        ) => None,
    }
}

fn word(fate: &Fate) -> &'static str {
    match fate {
        Fate::Take { .. } => "take",
        Fate::Taken => "taken",
        Fate::Same => "same",
        Fate::OursStays { .. } => "ours-stays",
        Fate::OtherWins { .. } => "other-wins",
        Fate::Busy => "busy",
        Fate::Failed(_) => "failed",
    }
}

fn account_word(fate: &AccountFate) -> &'static str {
    match fate {
        AccountFate::Adopt { .. } => "adopt",
        AccountFate::Adopted { .. } => "adopted",
        AccountFate::TakeOver { .. } => "take-over",
        AccountFate::TakenOver { .. } => "taken-over",
        AccountFate::Ours { .. } => "ours",
        AccountFate::OursStays { .. } => "ours-stays",
        AccountFate::OtherWins { .. } => "other-wins",
        AccountFate::NeedsTakeOver { .. } => "needs-take-over",
        AccountFate::Unknown => "unknown",
        AccountFate::Unusable(_) => "unusable",
        AccountFate::Unreachable(_) => "unreachable",
        AccountFate::Busy => "busy",
        AccountFate::Failed(_) => "failed",
    }
}

/// The account's own URL, not that of another one.
fn url(fate: &AccountFate) -> Option<String> {
    match fate {
        AccountFate::Adopt { url, .. }
        | AccountFate::Adopted { url, .. }
        | AccountFate::TakeOver { url }
        | AccountFate::TakenOver { url }
        | AccountFate::Ours { url } => Some(url.clone()),
        AccountFate::OursStays { .. }
        | AccountFate::OtherWins { .. }
        | AccountFate::NeedsTakeOver { .. }
        | AccountFate::Unknown
        | AccountFate::Unusable(_)
        | AccountFate::Unreachable(_)
        | AccountFate::Busy
        | AccountFate::Failed(_) => None,
    }
}
