//! What one certificate says of itself, for people and programs. Never its key.

use std::time::SystemTime;

use serde::Serialize;
use x509_parser::certificate::X509Certificate;
use x509_parser::public_key::PublicKey;

use crate::certs::facts::Facts;
use crate::certs::schedule::Validity;
use crate::certs::utc::stamp;
use crate::hostname::HostPattern;

/// The seconds of a day.
const DAY: u64 = 24 * 60 * 60;

/// A certificate as it is told of.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Leaf {
    pub(super) names: Vec<String>,
    pub(super) issuer: String,
    /// In hexadecimal, as browsers show it.
    pub(super) serial: String,
    #[serde(serialize_with = "stamp")]
    pub(super) not_before: SystemTime,
    #[serde(serialize_with = "stamp")]
    pub(super) not_after: SystemTime,
    /// As in `ECDSA 256`.
    pub(super) key: String,
    /// Negative once it is over.
    pub(super) days_left: i64,
    #[serde(skip)]
    facts: Facts,
}

impl Leaf {
    /// None if the octets are no certificate.
    pub(super) fn read(der: &[u8], now: SystemTime) -> Option<Self> {
        let (_rest, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
        let facts = Facts::of(&certificate);
        Some(Self {
            names: facts.names.iter().map(ToString::to_string).collect(),
            issuer: facts.issuer.clone(),
            serial: certificate.raw_serial_as_string(),
            not_before: facts.not_before,
            not_after: facts.not_after,
            key: key(&certificate),
            days_left: days(facts.not_after, now),
            facts,
        })
    }

    pub(super) fn covers(&self, name: &HostPattern) -> bool {
        self.facts.covers(name)
    }

    pub(super) fn validity(&self) -> Validity {
        Validity {
            not_before: self.not_before,
            not_after: self.not_after,
        }
    }
}

fn days(until: SystemTime, now: SystemTime) -> i64 {
    let days = |seconds: u64| i64::try_from(seconds / DAY).unwrap_or(i64::MAX);
    match until.duration_since(now) {
        Ok(left) => days(left.as_secs()),
        Err(past) => -days(past.duration().as_secs()) - 1,
    }
}

fn key(certificate: &X509Certificate<'_>) -> String {
    let info = certificate.public_key();
    match info.parsed() {
        Ok(PublicKey::RSA(key)) => format!("RSA {}", key.key_size()),
        Ok(PublicKey::EC(point)) => format!("ECDSA {}", point.key_size()),
        Ok(
            PublicKey::DSA(_)
            | PublicKey::GostR3410(_)
            | PublicKey::GostR3410_2012(_)
            | PublicKey::Unknown(_),
        )
        | Err(_) => match info.algorithm.algorithm.to_id_string().as_str() {
            "1.3.101.112" => "Ed25519".to_owned(),
            other => other.to_owned(),
        },
    }
}
