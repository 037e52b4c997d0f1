//! What a certificate says of itself: whom it names, when it holds, who issued it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::SystemTime;

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

use crate::hostname::{HostName, HostPattern};

/// Taken from one certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Its subject alternative names, as far as a server can be reached by them.
    pub names: Vec<HostPattern>,
    pub not_before: SystemTime,
    pub not_after: SystemTime,
    /// The issuer's distinguished name.
    pub issuer: String,
}

impl Facts {
    #[must_use]
    pub fn of(certificate: &X509Certificate<'_>) -> Self {
        let validity = certificate.validity();
        Self {
            names: names(certificate),
            not_before: validity.not_before.to_datetime().into(),
            not_after: validity.not_after.to_datetime().into(),
            issuer: certificate.issuer().to_string(),
        }
    }

    /// Whether a client accepts the certificate for every name the pattern stands for. The catch-all promises no name, so it takes any.
    #[must_use]
    pub fn covers(&self, pattern: &HostPattern) -> bool {
        match pattern {
            HostPattern::Exact(name) => self.names.iter().any(|own| own.matches(name)),
            HostPattern::Wildcard(_) => self.names.contains(pattern),
            HostPattern::CatchAll => true,
        }
    }
}

fn names(certificate: &X509Certificate<'_>) -> Vec<HostPattern> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    extension
        .value
        .general_names
        .iter()
        .filter_map(pattern)
        .collect()
}

fn pattern(name: &GeneralName<'_>) -> Option<HostPattern> {
    if let GeneralName::IPAddress(octets) = name {
        return address(octets).map(|address| HostPattern::Exact(HostName::from_ip(address)));
    }
    let GeneralName::DNSName(text) = name else {
        return None;
    };
    // No client takes `*` or an address written as a DNS name.
    HostPattern::parse(text)
        .ok()
        .filter(|pattern| pattern.base().is_some_and(|base| base.ip().is_none()))
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(octets) {
        return Some(Ipv4Addr::from(four).into());
    }
    <[u8; 16]>::try_from(octets)
        .ok()
        .map(|sixteen| Ipv6Addr::from(sixteen).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certs::fixture::{Authority, days, noon};

    fn facts(names: &[&str]) -> Facts {
        let leaf = Authority::new().leaf(names, noon()..noon() + days(90));
        let (_, certificate) = x509_parser::parse_x509_certificate(&leaf.der).unwrap();
        Facts::of(&certificate)
    }

    #[track_caller]
    fn check(names: &[&str], pattern: &str, expected: bool) {
        let pattern = HostPattern::parse(pattern).unwrap();
        assert_eq!(facts(names).covers(&pattern), expected, "{pattern}");
    }

    #[test]
    fn a_wildcard_covers_one_label() {
        check(&["*.example.com"], "a.example.com", true);
        check(&["*.example.com"], "a.b.example.com", false);
        check(&["*.example.com"], "example.com", false);
        check(&["*.example.com"], "*.example.com", true);
        check(&["a.example.com"], "*.example.com", false);
        check(&["a.example.com"], "*", true);
    }

    #[test]
    fn addresses_are_covered_by_address_names_alone() {
        check(&["127.0.0.1"], "127.0.0.1", true);
        check(&["::1"], "[::1]", true);
        check(&["localhost"], "127.0.0.1", false);
    }

    #[test]
    fn the_validity_and_the_issuer_are_read() {
        let facts = facts(&["a.test"]);
        assert_eq!(facts.not_before, noon());
        assert_eq!(facts.not_after, noon() + days(90));
        assert!(facts.issuer.contains("fixture authority"), "{facts:?}");
    }
}
