//! All that is told of one import: a table for people, an object for programs, and the sums.

use std::collections::BTreeSet;

use serde::Serialize;

use super::entry::{AccountEntry, CertificateEntry, Told};
use super::farewell::farewell;
use crate::app::banner::counted;
use crate::certs::adopt::{AccountFate, Fate, Plan};
use crate::certs::import::findings::{Findings, Tool};
use crate::certs::utc::minute;
use crate::cli::table::table;
use crate::config::Config;

#[derive(Debug, Serialize)]
pub(super) struct Report {
    dry_run: bool,
    certificates: Vec<CertificateEntry>,
    accounts: Vec<AccountEntry>,
    remarks: Vec<String>,
    sums: Sums,
    #[serde(skip)]
    tools: BTreeSet<Tool>,
    #[serde(skip)]
    needs_take_over: bool,
}

/// Of certificates under their names, and of accounts.
#[derive(Debug, Default, Serialize)]
struct Sums {
    certificates: usize,
    /// Taken, or to be.
    taken: usize,
    here_already: usize,
    left: usize,
    failed: usize,
    accounts_taken: usize,
    accounts_here_already: usize,
    accounts_left: usize,
}

impl Report {
    pub(super) fn of(plan: &Plan, findings: &Findings, told: Told) -> Self {
        let certificates: Vec<CertificateEntry> = plan
            .certificates
            .iter()
            .filter_map(|planned| {
                let found = findings.certificates.get(planned.number)?;
                Some(CertificateEntry::of(planned, found, findings, told))
            })
            .collect();
        let accounts = plan.accounts.iter().filter_map(|planned| {
            let found = findings.accounts.get(planned.number)?;
            Some(AccountEntry::of(planned, found, findings, told))
        });
        let needs_take_over =
            |fate: &AccountFate| matches!(fate, AccountFate::NeedsTakeOver { .. });
        Self {
            dry_run: told == Told::Beforehand,
            accounts: accounts.collect(),
            certificates,
            remarks: [&findings.remarks[..], &plan.remarks].concat(),
            sums: sums(plan),
            tools: findings.tools.iter().copied().collect(),
            needs_take_over: plan.accounts.iter().any(|it| needs_take_over(&it.fate)),
        }
    }

    /// Whether something that was to be done was not, or something that should be of use is of none.
    pub(super) fn has_failed(&self) -> bool {
        self.sums.failed > 0
            || self.accounts.iter().any(|account| account.is_failure)
            || self.certificates.iter().any(|entry| entry.is_lost)
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        if !self.certificates.is_empty() {
            let heading = ["CERTIFICATE", "UNTIL", "CA", "KEY", "WHAT"].map(str::to_owned);
            let rows = self.certificates.iter().map(certificate_row);
            text += &table(&[heading].into_iter().chain(rows).collect::<Vec<_>>());
        }
        if !self.accounts.is_empty() {
            let heading = ["ACCOUNT", "KEY", "WHAT"].map(str::to_owned);
            let rows = self.accounts.iter().map(account_row);
            text.push('\n');
            text += &table(&[heading].into_iter().chain(rows).collect::<Vec<_>>());
        }
        text.push('\n');
        text += &self.sum();
        printable(&text) + "\n"
    }

    fn sum(&self) -> String {
        let Sums {
            certificates,
            taken,
            here_already,
            left,
            failed,
            accounts_taken,
            accounts_here_already,
            accounts_left,
        } = &self.sums;
        let would = if self.dry_run { "would be " } else { "" };
        let mut parts = vec![format!(
            "{} found: {would}taken for {}, here already for {here_already}",
            counted(*certificates, "certificate"),
            counted(*taken, "name"),
        )];
        if *left > 0 {
            parts.push(format!("left for {left}"));
        }
        if *failed > 0 {
            parts.push(format!("failed for {failed}"));
        }
        let accounts = accounts_taken + accounts_here_already + accounts_left;
        let mut text = parts.join(", ");
        if accounts > 0 {
            text += &format!(
                "; {}: {accounts_taken} {would}taken, {accounts_here_already} here already, {accounts_left} left",
                counted(accounts, "account"),
            );
        }
        if self.dry_run {
            text += "; nothing was changed";
        }
        text
    }

    /// What else to know and to do.
    pub(super) fn notes(&self, config: Option<&Config>) -> String {
        let mut notes: Vec<String> = self.remarks.clone();
        for entry in &self.certificates {
            let warnings = entry.warnings.iter();
            notes.extend(warnings.map(|warning| format!("{}: {warning}", entry.place)));
        }
        notes.extend(self.unwanted(config));
        if self.needs_take_over {
            notes.push("without its account a certificate is renewed by a new one: that counts against the CA's limits, and CAA records with `accounturi` must name the new one. Decide before onedoor starts, for then it makes its own".to_owned());
        }
        if self.is_something_here() && !self.dry_run {
            notes.extend(self.tools.iter().map(|tool| farewell(*tool).to_owned()));
        }
        let lines = notes.iter().map(|note| format!("  note: {note}\n"));
        printable(&lines.collect::<String>())
    }

    fn is_something_here(&self) -> bool {
        self.sums.taken + self.sums.here_already > 0
    }

    fn unwanted(&self, config: Option<&Config>) -> Option<String> {
        let Some(config) = config else {
            return Some("no configuration was found, so nobody knows which names sites want: name one with -c".to_owned());
        };
        if config.acme.is_none() {
            return Some("the configuration has no `[acme]`, so its sites do not look for certificates here: set it, and they are served and renewed".to_owned());
        }
        let kept = self.certificates.iter().flat_map(|entry| &entry.kept);
        let unwanted: BTreeSet<&str> = kept
            .filter(|place| !place.wanted)
            .map(|place| place.name.as_str())
            .collect();
        let shown: Vec<&str> = unwanted.iter().copied().take(UNWANTED_SHOWN).collect();
        let more = unwanted.len().saturating_sub(shown.len());
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        (!shown.is_empty()).then(|| {
            format!(
                "kept, but no site wants it: {}{more}; `onedoor certs prune --imported` would remove it",
                shown.join(", ")
            )
        })
    }
}

/// Paths may come from anybody's archive, and shall not speak to the terminal.
pub(super) fn printable(text: &str) -> String {
    let is_spoken = |letter: char| letter.is_control() && letter != '\n';
    text.replace(is_spoken, "\u{fffd}")
}

/// Names that are told of one by one.
const UNWANTED_SHOWN: usize = 20;

fn sums(plan: &Plan) -> Sums {
    let mut sums = Sums {
        certificates: plan.certificates.len(),
        ..Sums::default()
    };
    for planned in &plan.certificates {
        if planned.skipped.is_some() {
            sums.left += 1;
        }
        for place in &planned.places {
            match place.fate {
                Fate::Take { .. } | Fate::Taken => sums.taken += 1,
                Fate::Same => sums.here_already += 1,
                Fate::OursStays { .. } | Fate::OtherWins { .. } => sums.left += 1,
                Fate::Busy | Fate::Failed(_) => sums.failed += 1,
            }
        }
    }
    for account in &plan.accounts {
        match account.fate {
            AccountFate::Adopt { .. }
            | AccountFate::Adopted { .. }
            | AccountFate::TakeOver { .. }
            | AccountFate::TakenOver { .. } => sums.accounts_taken += 1,
            AccountFate::Ours { .. } => sums.accounts_here_already += 1,
            AccountFate::OursStays { .. }
            | AccountFate::OtherWins { .. }
            | AccountFate::NeedsTakeOver { .. }
            | AccountFate::Unknown
            | AccountFate::Unusable(_)
            | AccountFate::Unreachable(_)
            | AccountFate::Busy
            | AccountFate::Failed(_) => sums.accounts_left += 1,
        }
    }
    sums
}

fn certificate_row(entry: &CertificateEntry) -> [String; 5] {
    let fits = match entry.key_fits {
        Some(true) => "fits",
        Some(false) => "does not fit",
        None => "?",
    };
    [
        names(entry),
        entry.not_after.map(minute).unwrap_or_default(),
        ca(entry.directory.as_deref()),
        fits.to_owned(),
        what(entry),
    ]
}

fn names(entry: &CertificateEntry) -> String {
    match entry.names.as_slice() {
        [] => entry.place.clone(),
        [first] => first.clone(),
        [first, second] => format!("{first}, {second}"),
        [first, second, more @ ..] => format!("{first}, {second} and {} more", more.len()),
    }
}

fn ca(directory: Option<&str>) -> String {
    let address = directory.map(|url| url.split_once("://").map_or(url, |(_scheme, rest)| rest));
    let host = address.and_then(|address| address.split('/').next());
    host.unwrap_or("?").to_owned()
}

/// One sentence if all its names fare the same, else one for each.
fn what(entry: &CertificateEntry) -> String {
    if let Some(skipped) = &entry.skipped {
        return format!("left: {skipped}");
    }
    let sentences: BTreeSet<&str> = entry.kept.iter().map(|place| place.what.as_str()).collect();
    let mut sentences = sentences.into_iter();
    match (sentences.next(), sentences.next()) {
        (Some(sentence), None) => sentence.to_owned(),
        (None, _) => String::new(),
        (Some(_), Some(_)) => {
            let each = entry
                .kept
                .iter()
                .map(|place| format!("{}: {}", place.name, place.what));
            each.collect::<Vec<_>>().join("; ")
        }
    }
}

fn account_row(entry: &AccountEntry) -> [String; 3] {
    [
        entry.url.clone().unwrap_or_else(|| entry.place.clone()),
        entry.key.clone().unwrap_or_else(|| "?".to_owned()),
        entry.what.clone(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_does_not_speak_to_the_terminal() {
        let told = printable("/a/\u{1b}[2J\u{9b}x\r\nb é");
        assert_eq!(told, "/a/\u{fffd}[2J\u{fffd}x\u{fffd}\nb é");
    }
}
