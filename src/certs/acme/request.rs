//! What is asked of a CA, and what it gave.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::certs::acme::name::CertName;

/// One certificate to be ordered.
#[derive(Debug, Clone)]
pub struct OrderRequest {
    pub names: Vec<CertName>,
    /// The id (see [`certificate_id`](super::ari::certificate_id)) of the certificate that this one replaces.
    pub replaces: Option<String>,
    /// In place of the CA's.
    pub profile: Option<String>,
    /// In the order of preference.
    pub challenges: Vec<ChallengeKind>,
}

/// How control over a name is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChallengeKind {
    #[serde(rename = "http-01")]
    Http01,
    #[serde(rename = "tls-alpn-01")]
    TlsAlpn01,
    #[serde(rename = "dns-01")]
    Dns01,
}

/// A certificate that was checked: the key fits, and the leaf covers what was ordered.
#[derive(Clone)]
pub struct Issued {
    /// The leaf first.
    pub chain_pem: String,
    pub key_pem: String,
    pub names: Vec<CertName>,
    /// As the CA says; none if it says nothing.
    pub profile: Option<String>,
    /// The URL of the CA's directory.
    pub ca: String,
}

impl ChallengeKind {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http01 => "http-01",
            Self::TlsAlpn01 => "tls-alpn-01",
            Self::Dns01 => "dns-01",
        }
    }

    /// Whether the CA may be shown this name that way: a wildcard takes DNS alone, and an address has none (RFC 8738).
    #[must_use]
    pub fn suits(self, name: &CertName) -> bool {
        match name {
            CertName::Host(_) => true,
            CertName::Wildcard(_) => self == Self::Dns01,
            CertName::Address(_) => self != Self::Dns01,
        }
    }
}

impl fmt::Display for ChallengeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued")
            .field("names", &self.names)
            .field("profile", &self.profile)
            .field("ca", &self.ca)
            .finish_non_exhaustive()
    }
}
