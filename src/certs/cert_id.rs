//! What stands for a name in the keys of the store.

use crate::certs::bundle::Ready;
use crate::hostname::HostPattern;

/// What stands for a name in keys.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CertId(String);

impl CertId {
    /// The id of a part of a key.
    pub(super) fn of_key(part: &str) -> Self {
        Self(part.to_owned())
    }

    /// As in `shop.example.com`, `wildcard_.example.com`, `2001-db8--1`.
    #[must_use]
    pub fn of(name: &HostPattern) -> Self {
        Self(
            name.to_string()
                .replacen('*', "wildcard_", 1)
                .replace(':', "-"),
        )
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a bundle is good for the name that this stands for. One for a wildcard may be kept for a name below it.
    pub(super) fn is_of(&self, ready: &Ready) -> bool {
        match self.name() {
            Some(HostPattern::CatchAll) | None => false,
            Some(name) => Self::of(&name) == *self && ready.facts.covers(&name),
        }
    }

    /// The name that this stands for. A name without dots that reads as an address is one.
    #[must_use]
    pub fn name(&self) -> Option<HostPattern> {
        let address = self.0.replace('-', ":");
        let text = match address.parse::<std::net::Ipv6Addr>() {
            Ok(_) => address,
            Err(_) => self.0.replacen("wildcard_", "*", 1),
        };
        HostPattern::parse(&text).ok()
    }
}
