//! Names that the local CA was not made for, told with what each needs.

use std::fmt::Write as _;

use crate::certs::resolver::Remedy;
use crate::config::problem::{At, Problem};
use crate::hostname::HostPattern;

/// How many names are spelt out.
const NAMES_SHOWN: usize = 5;

const NEW_CA: &str = "`onedoor certs new-ca` makes a new one and keeps the old aside; every client must then be made to trust the new root (`onedoor trust`)";

/// A name outside what the CA is for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Narrow<'a> {
    pub(super) name: &'a HostPattern,
    /// Its site.
    pub(super) at: At,
    /// What the CA is for, in words.
    pub(super) scope: &'a str,
    pub(super) remedy: Remedy,
}

/// One problem for each remedy.
pub(super) fn too_narrow(names: &[Narrow<'_>]) -> Vec<Problem> {
    let remedies = [Remedy::NewCa, Remedy::Suffix, Remedy::SuffixAndNewCa];
    let of = |remedy: Remedy| {
        let concerned: Vec<_> = names.iter().filter(|name| name.remedy == remedy).collect();
        problem(&concerned)
    };
    remedies.into_iter().filter_map(of).collect()
}

fn problem(names: &[&Narrow<'_>]) -> Option<Problem> {
    let first = names.first()?;
    let listed = listed(names.iter().map(|name| format!("`{}`", name.name)));
    let (message, help) = match first.remedy {
        Remedy::NewCa => (
            format!("the local CA was made before `tls.local_suffixes` covered {listed}"),
            format!("a CA cannot be widened: {NEW_CA}"),
        ),
        Remedy::Suffix => (
            format!("clients would refuse what the local CA signs for {listed}"),
            format!(
                "if machines of your own are to trust it there, say so before it is made: {}",
                suffixes(names)
            ),
        ),
        Remedy::SuffixAndNewCa => (
            format!("clients refuse what the local CA signs for {listed}"),
            format!(
                "if machines of your own are to trust it there, say so: {}; the CA that is there was made without, and cannot be widened: {NEW_CA}",
                suffixes(names)
            ),
        ),
    };
    let problem = Problem::error("outside-local-ca", message)
        .at(
            first.at,
            format!("the local CA is for {} alone", first.scope),
        )
        .help(help);
    Some(problem)
}

fn suffixes(names: &[&Narrow<'_>]) -> String {
    let bases = names.iter().filter_map(|name| name.name.base());
    let listed = listed_with(", ", bases.map(|base| format!("\"{base}\"")));
    format!("`[tls] local_suffixes = [{listed}]`")
}

fn listed(names: impl Iterator<Item = String>) -> String {
    listed_with(", ", names)
}

fn listed_with(between: &str, names: impl Iterator<Item = String>) -> String {
    let all: Vec<String> = names.collect();
    let mut text = all
        .iter()
        .take(NAMES_SHOWN)
        .cloned()
        .collect::<Vec<_>>()
        .join(between);
    if let Some(left) = all.len().checked_sub(NAMES_SHOWN).filter(|left| *left > 0) {
        let _written = write!(text, " and {left} more");
    }
    text
}
