//! Who answers challenges. An order asks for each one to be presented, and for each one to be cleaned up, whatever came of it.

use std::error::Error;
use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::certs::acme::request::ChallengeKind;
use crate::certs::acme::seams::BoxFuture;

/// Shows a CA that names are ours.
pub trait Solver: Send + Sync {
    /// Whether `name` (a host name without `*.`, or an address) can be shown that way now.
    fn can(&self, kind: ChallengeKind, name: &str) -> bool;
    /// Returns once the CA may look. Presenting twice is harmless.
    fn present<'a>(&'a self, challenge: &'a Challenge) -> BoxFuture<'a, Result<(), SolveError>>;
    /// Takes it back; also what an earlier process presented, or what never was. Faults are the solver's to tell.
    fn clean<'a>(&'a self, challenge: &'a Challenge) -> BoxFuture<'a, ()>;
}

/// One challenge of one name, with all that its answer needs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    pub kind: ChallengeKind,
    /// A host name without `*.`, or an address.
    pub name: String,
    pub token: String,
    /// The body of the HTTP-01 answer.
    pub key_authorization: String,
}

impl Challenge {
    /// What a TLS-ALPN-01 certificate carries (RFC 8737 section 3).
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut octets = [0; 32];
        let digest = digest(&SHA256, self.key_authorization.as_bytes());
        octets.copy_from_slice(digest.as_ref());
        octets
    }

    /// The value of the DNS-01 record.
    #[must_use]
    pub fn dns_value(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.digest())
    }

    /// The name of the DNS-01 record.
    #[must_use]
    pub fn dns_name(&self) -> String {
        format!("_acme-challenge.{}", self.name)
    }
}

impl fmt::Debug for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Challenge")
            .field("kind", &self.kind)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Why a challenge could not be presented; what it says is for the operator.
#[derive(Debug)]
pub struct SolveError(pub Box<dyn Error + Send + Sync>);

impl fmt::Display for SolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for SolveError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dns_record_carries_the_digest() {
        let challenge = Challenge {
            kind: ChallengeKind::Dns01,
            name: "a.test".to_owned(),
            token: String::new(),
            key_authorization: "abc".to_owned(),
        };
        // SHA-256 of `abc` as in FIPS 180-2, appendix B.1.
        let value = "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0";
        assert_eq!(challenge.dns_value(), value);
        assert_eq!(challenge.dns_name(), "_acme-challenge.a.test");
    }
}
