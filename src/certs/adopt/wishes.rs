//! What the configuration wants of what was found.

use std::collections::BTreeSet;

use crate::certs::acme::options::{CaOptions, KeyKind};
use crate::certs::facts::Facts;
use crate::certs::keeper::ledgers::ca_id;
use crate::hostname::HostPattern;

/// As far as there is a configuration.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    /// The names that shall have certificates of public CAs.
    pub names: BTreeSet<HostPattern>,
    /// What stands for names that get theirs when they are first asked for.
    pub at_handshakes: Vec<HostPattern>,
    /// The CAs that are ordered from.
    pub cas: Vec<CaOptions>,
    /// PEM roots that CAs' own HTTPS may chain to, besides the system's.
    pub roots: Option<Vec<u8>>,
}

impl Wishes {
    /// The names under which a certificate is of use, and whether a site wants each: its own names, and what else it is good for.
    #[must_use]
    pub fn places(&self, facts: &Facts) -> Vec<(HostPattern, bool)> {
        let own = facts.names.iter().cloned();
        let others = self
            .names
            .iter()
            .filter(|name| matches!(name, HostPattern::Exact(_)) && facts.covers(name));
        let names: BTreeSet<HostPattern> = own.chain(others.cloned()).collect();
        names
            .into_iter()
            .map(|name| {
                let is_wanted = self.wants(&name);
                (name, is_wanted)
            })
            .collect()
    }

    fn wants(&self, name: &HostPattern) -> bool {
        let at_a_handshake = match name {
            HostPattern::Exact(name) => self.at_handshakes.iter().any(|own| own.matches(name)),
            HostPattern::Wildcard(_) | HostPattern::CatchAll => false,
        };
        at_a_handshake || self.names.contains(name)
    }

    /// The configured CA at this directory, however its URL is written.
    #[must_use]
    pub fn ca(&self, directory: &str) -> Option<&CaOptions> {
        let id = ca_id(directory);
        self.cas.iter().find(|ca| ca_id(&ca.directory) == id)
    }

    /// The only configured CA on the host of one of its URLs, such as an account's.
    #[must_use]
    pub fn ca_of_url(&self, url: &str) -> Option<&CaOptions> {
        let host = authority(url)?;
        let mut there = self
            .cas
            .iter()
            .filter(|ca| authority(&ca.directory).is_some_and(|it| it.eq_ignore_ascii_case(host)));
        let ca = there.next()?;
        there.next().is_none().then_some(ca)
    }

    /// The same; one that is not configured is as the defaults are.
    #[must_use]
    pub fn options(&self, directory: &str) -> CaOptions {
        self.ca(directory).cloned().unwrap_or_else(|| CaOptions {
            directory: directory.to_owned(),
            email: None,
            eab: None,
            profile: None,
            roots: self.roots.clone(),
            key: KeyKind::P256,
        })
    }
}

fn authority(url: &str) -> Option<&str> {
    let (_scheme, address) = url.split_once("://")?;
    address.split('/').next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certs::fixture::noon;

    fn pattern(text: &str) -> HostPattern {
        HostPattern::parse(text).unwrap()
    }

    fn facts(names: &[&str]) -> Facts {
        Facts {
            names: names.iter().map(|name| pattern(name)).collect(),
            not_before: noon(),
            not_after: noon(),
            issuer: String::new(),
        }
    }

    #[track_caller]
    fn check(names: &[&str], expected: &[(&str, bool)]) {
        let wishes = Wishes {
            names: ["a.test", "b.example.com", "*.example.com"]
                .map(pattern)
                .into(),
            at_handshakes: vec![pattern("*.demand.test")],
            ..Wishes::default()
        };
        let places = wishes.places(&facts(names));
        let places: Vec<_> = places
            .iter()
            .map(|(name, is)| (name.to_string(), *is))
            .collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|(name, is)| ((*name).to_owned(), *is))
            .collect();
        assert_eq!(places, expected, "{names:?}");
    }

    #[test]
    fn a_certificate_is_of_use_under_its_names_and_what_a_wildcard_covers() {
        check(
            &["a.test", "www.a.test"],
            &[("a.test", true), ("www.a.test", false)],
        );
        check(
            &["*.example.com"],
            &[("b.example.com", true), ("*.example.com", true)],
        );
        check(&["x.demand.test"], &[("x.demand.test", true)]);
        check(&["other.test"], &[("other.test", false)]);
    }

    #[test]
    fn a_directory_is_the_configured_one_however_it_is_written() {
        let mut wishes = Wishes::default();
        let own = wishes.options("https://ca.test/dir");
        wishes.cas.push(own.clone());
        assert_eq!(wishes.ca("https://CA.test/dir/"), Some(&own));
        assert_eq!(wishes.ca("https://ca.test/other"), None);
        assert_eq!(wishes.ca_of_url("https://ca.test/account/1"), Some(&own));
        assert_eq!(wishes.ca_of_url("https://other.test/account/1"), None);
        assert_eq!(wishes.ca_of_url("ca.test"), None);
        wishes.cas.push(wishes.options("https://ca.test/other"));
        assert_eq!(wishes.ca_of_url("https://ca.test/account/1"), None);
    }
}
