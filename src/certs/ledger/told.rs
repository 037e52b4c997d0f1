//! What a refusal of the authority says about itself: which limit it is about, and until when.

use std::collections::BTreeSet;
use std::time::SystemTime;

use jiff::Timestamp;

use super::block::Scope;

/// Read from the words of a `rateLimited` problem, as Boulder writes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub scope: Scope,
    /// The header, if there is one, is to be preferred.
    pub until: Option<SystemTime>,
}

impl Told {
    /// `names` are those of the order. Words that are not understood concern everything.
    pub fn read(words: &str, names: &BTreeSet<String>) -> Self {
        Self {
            scope: scope(words, names),
            until: until(words),
        }
    }
}

fn scope(words: &str, names: &BTreeSet<String>) -> Scope {
    let quoted = || words.split('"').nth(1).map(str::to_owned);
    if words.contains("this exact set of") {
        return Scope::Names(names.clone());
    }
    if words.contains("too many new orders") {
        return Scope::Orders;
    }
    if words.contains("too many new registrations") {
        return Scope::Accounts;
    }
    if words.contains("too many failed authorizations") {
        return quoted().map_or(Scope::Ca, Scope::Name);
    }
    if words.contains("too many certificates") {
        return quoted().map_or(Scope::Ca, Scope::Domain);
    }
    Scope::Ca
}

fn until(words: &str) -> Option<SystemTime> {
    let (_, rest) = words.split_once("retry after ")?;
    let (date, rest) = rest.split_at_checked("2026-11-24".len())?;
    let (time, rest) = rest
        .strip_prefix([' ', 'T'])?
        .split_at_checked("03:10:00".len())?;
    if !rest.starts_with(" UTC") && !rest.starts_with('Z') {
        return None;
    }
    let at: Timestamp = format!("{date}T{time}Z").parse().ok()?;
    Some(at.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certs::ledger::instant::minute;

    #[track_caller]
    fn check(words: &str, expected: &Scope, until: Option<&str>) {
        let told = Told::read(words, &names());
        assert_eq!(&told.scope, expected);
        assert_eq!(told.until.map(minute).as_deref(), until);
    }

    fn names() -> BTreeSet<String> {
        BTreeSet::from(["www.example.com".to_owned()])
    }

    #[test]
    fn the_words_of_boulder_are_understood() {
        let at = Some("2026-11-24 03:10 UTC");
        check(
            "too many certificates (5) already issued for this exact set of identifiers in the last 168h0m0s, retry after 2026-11-24 03:10:00 UTC: see https://letsencrypt.org/docs/rate-limits/",
            &Scope::Names(names()),
            at,
        );
        check(
            "too many certificates (50) already issued for \"example.com\" in the last 168h0m0s, retry after 2026-11-24T03:10:00Z: see",
            &Scope::Domain("example.com".to_owned()),
            at,
        );
        check(
            "too many failed authorizations (5) for \"www.example.com\" in the last 1h0m0s, retry after 2026-11-24 03:10:00 UTC",
            &Scope::Name("www.example.com".to_owned()),
            at,
        );
        check(
            "too many new orders (300) from this account in the last 3h0m0s, retry after soon",
            &Scope::Orders,
            None,
        );
        check("too many new registrations (10)", &Scope::Accounts, None);
    }

    #[test]
    fn other_words_concern_everything() {
        check("", &Scope::Ca, None);
        check("Service busy; retry after ü2026-11-2", &Scope::Ca, None);
        check("too many certificates", &Scope::Ca, None);
        check("retry after 2026-99-24 03:10:00 UTC", &Scope::Ca, None);
    }
}
