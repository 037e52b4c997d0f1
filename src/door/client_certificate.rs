//! From the certificate that a client showed to what upstreams are told of it. The handshake has seen to it that it is good.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest;
use http::HeaderValue;
use x509_parser::prelude::{ASN1Time, FromDer as _, X509Certificate};

use super::subject;
use crate::proxy::headers::ClientCertificate;

/// The longest subject that is passed on: heads have their limits at the upstream too.
const SUBJECT_OCTETS_MAX: usize = 4096;

/// Why a client with a good certificate is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Unreadable,
    SubjectTooLong,
    /// It was good when the session began that is resumed now.
    Expired,
}

/// Reads a certificate.
///
/// # Errors
/// When something of it could not be passed on whole, or its time is over.
pub(super) fn read(der: &[u8], now: SystemTime) -> Result<ClientCertificate, Fault> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(|_broken| Fault::Unreadable)?;
    let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let now = i64::try_from(seconds)
        .ok()
        .and_then(|seconds| ASN1Time::from_timestamp(seconds).ok())
        .ok_or(Fault::Unreadable)?;
    if certificate.validity().not_after < now {
        return Err(Fault::Expired);
    }
    let subject = subject::text(certificate.subject()).ok_or(Fault::Unreadable)?;
    if subject.len() > SUBJECT_OCTETS_MAX {
        return Err(Fault::SubjectTooLong);
    }
    let value = |text| HeaderValue::try_from(text).map_err(|_unprintable| Fault::Unreadable);
    Ok(ClientCertificate {
        subject: value(subject)?,
        fingerprint: value(hexadecimal(digest::digest(&digest::SHA256, der).as_ref()))?,
    })
}

fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreadable => "the client's certificate cannot be read",
            Self::SubjectTooLong => "the subject of the client's certificate is too long",
            Self::Expired => "the client's certificate expired since its session began",
        })
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};

    use super::*;

    fn certificate(common_name: &str) -> Vec<u8> {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::OrganizationName, "Acme");
        params
            .distinguished_name
            .push(DnType::CommonName, common_name);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2030, 1, 1);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    fn in_year(year: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs((year - 1970) * 31_557_600)
    }

    #[test]
    fn subject_and_fingerprint_are_told() {
        let der = certificate("ada");
        let read = read(&der, in_year(2025)).unwrap();
        assert_eq!(read.subject, "CN=ada,O=Acme");
        assert_eq!(read.fingerprint.len(), 64);
        let digest = digest::digest(&digest::SHA256, &der);
        assert_eq!(read.fingerprint, hexadecimal(digest.as_ref()));
        assert!(hexadecimal(&[0, 0xAB]) == "00ab");
    }

    #[test]
    fn what_cannot_be_passed_on_whole_is_not() {
        let long = certificate(&"x".repeat(5000));
        assert_eq!(read(&long, in_year(2025)), Err(Fault::SubjectTooLong));
        assert_eq!(read(b"\x30\x00", in_year(2025)), Err(Fault::Unreadable));
        assert_eq!(
            read(&certificate("ada"), in_year(2031)),
            Err(Fault::Expired)
        );
    }
}
