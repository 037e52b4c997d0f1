//! What a certificate can be asked for: a host name, a wildcard, or an address.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::hostname::{HostName, HostPattern, InvalidHostName};

/// A name as it stands in an order. Kept in JSON as its text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum CertName {
    Host(HostName),
    /// `*.NAME`
    Wildcard(HostName),
    Address(IpAddr),
}

impl CertName {
    /// # Errors
    /// As [`HostPattern::parse`]; the catch-all is no name either.
    pub fn parse(text: &str) -> Result<Self, InvalidHostName> {
        let pattern = HostPattern::parse(text)?;
        Self::of(&pattern).ok_or(InvalidHostName::MisplacedWildcard)
    }

    /// None for the catch-all.
    #[must_use]
    pub fn of(pattern: &HostPattern) -> Option<Self> {
        match pattern {
            HostPattern::Exact(name) => Some(match name.ip() {
                Some(address) => Self::Address(address),
                None => Self::Host(name.clone()),
            }),
            HostPattern::Wildcard(parent) => Some(Self::Wildcard(parent.clone())),
            HostPattern::CatchAll => None,
        }
    }

    #[must_use]
    pub fn pattern(&self) -> HostPattern {
        match self {
            Self::Host(name) => HostPattern::Exact(name.clone()),
            Self::Wildcard(parent) => HostPattern::Wildcard(parent.clone()),
            Self::Address(address) => HostPattern::Exact(HostName::from_ip(*address)),
        }
    }

    /// As a CA says it apart from the wildcard: a host name without `*.`, or an address.
    #[must_use]
    pub fn base(&self) -> String {
        match self {
            Self::Host(name) | Self::Wildcard(name) => name.to_string(),
            Self::Address(address) => address.to_string(),
        }
    }
}

impl fmt::Display for CertName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(name) => name.fmt(f),
            Self::Wildcard(parent) => write!(f, "*.{parent}"),
            Self::Address(address) => address.fmt(f),
        }
    }
}

impl TryFrom<String> for CertName {
    type Error = InvalidHostName;

    fn try_from(text: String) -> Result<Self, InvalidHostName> {
        Self::parse(&text)
    }
}

impl From<CertName> for String {
    fn from(name: CertName) -> Self {
        name.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_told_from_a_wildcard_and_an_address() {
        let host = HostName::parse("a.test").unwrap();
        assert_eq!(CertName::parse("A.test"), Ok(CertName::Host(host.clone())));
        assert_eq!(CertName::parse("*.a.test"), Ok(CertName::Wildcard(host)));
        let address = "::1".parse().unwrap();
        assert_eq!(CertName::parse("[::1]"), Ok(CertName::Address(address)));
        assert!(CertName::parse("*").is_err());
    }

    #[test]
    fn json_keeps_the_text_and_refuses_what_is_no_name() {
        let name = CertName::parse("*.a.test").unwrap();
        let json = serde_json::to_string(&name).unwrap();
        assert_eq!(json, "\"*.a.test\"");
        assert_eq!(serde_json::from_str::<CertName>(&json).unwrap(), name);
        assert!(serde_json::from_str::<CertName>("\"a..b\"").is_err());
    }
}
