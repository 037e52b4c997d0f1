//! The root that clients are to trust, and what it is called in stores: every name comes from its fingerprint, so that roots of
//! several onedoors, and of one before and after a replacement, stand beside each other and are told apart.

use std::fmt::Write as _;
use std::time::SystemTime;

use aws_lc_rs::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use rustls_pki_types::CertificateDer;

use crate::certs::local_ca::scope::Scope;
use crate::certs::pem::Contents;

/// What our roots are called in stores that want a name, before the part that is their own.
pub(in crate::cli) const NICKNAME: &str = "onedoor local CA";
/// What the files of our roots are called, before the part that is their own.
const STEM: &str = "onedoor-";
/// Digits of the fingerprint in a name.
const DIGITS: usize = 8;

/// One certificate that signs others.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Root {
    /// As clients need it.
    pub(in crate::cli) pem: String,
    pub(in crate::cli) der: CertificateDer<'static>,
    pub(in crate::cli) mark: Mark,
}

/// What tells one root from all others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Mark {
    /// SHA-256 of the certificate, in lower-case hexadecimal digits.
    sha256: String,
    /// macOS calls certificates by it. Absent where only the other is known.
    pub(in crate::cli) sha1: Option<String>,
}

impl Root {
    /// None unless it is exactly one certificate.
    pub(in crate::cli) fn parse(pem: String) -> Option<Self> {
        let mut found = Contents::parse(pem.as_bytes()).ok()?.certificates;
        let der = found.pop().filter(|_last| found.is_empty())?;
        let mark = Mark::of(&der);
        Some(Self { pem, der, mark })
    }

    /// What clients accept of it, as it says itself.
    pub(in crate::cli) fn scope(&self) -> Option<Scope> {
        let (_rest, certificate) = x509_parser::parse_x509_certificate(&self.der).ok()?;
        Some(Scope::of_certificate(&certificate))
    }

    pub(in crate::cli) fn not_after(&self) -> Option<SystemTime> {
        let (_rest, certificate) = x509_parser::parse_x509_certificate(&self.der).ok()?;
        Some(certificate.validity().not_after.to_datetime().into())
    }
}

impl Mark {
    pub(in crate::cli) fn of(der: &[u8]) -> Self {
        Self {
            sha256: hex(&SHA256, der),
            sha1: Some(hex(&SHA1_FOR_LEGACY_USE_ONLY, der)),
        }
    }

    /// As people write it, with colons or without.
    ///
    /// # Errors
    /// It is no SHA-256 in hexadecimal digits.
    pub(in crate::cli) fn parse(text: &str) -> Result<Self, &'static str> {
        let digits: String = text.chars().filter(|c| *c != ':').collect();
        let sha256 = digits.to_ascii_lowercase();
        if sha256.len() != 64 || !sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(
                "64 hexadecimal digits, with colons or without, as `onedoor trust` shows them",
            );
        }
        Ok(Self { sha256, sha1: None })
    }

    /// As it was remembered.
    pub(in crate::cli) fn from_sha256(sha256: &str) -> Self {
        Self {
            sha256: sha256.to_owned(),
            sha1: None,
        }
    }

    pub(in crate::cli) fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Whether this SHA-256 is its.
    pub(in crate::cli) fn is(&self, sha256: &str) -> bool {
        self.sha256 == sha256
    }

    pub(in crate::cli) fn is_of(&self, der: &[u8]) -> bool {
        hex(&SHA256, der) == self.sha256
    }

    /// The stem of a file, and the alias in stores of Java.
    pub(in crate::cli) fn name(&self) -> String {
        format!("{STEM}{}", self.own())
    }

    /// The file of its certificate.
    pub(in crate::cli) fn file(&self) -> String {
        format!("{}.crt", self.name())
    }

    /// Whether a file of this name can be such.
    pub(in crate::cli) fn is_file(name: &str) -> bool {
        name.starts_with(STEM) && name.ends_with(".crt")
    }

    pub(in crate::cli) fn nickname(&self) -> String {
        format!("{NICKNAME} {}", self.own())
    }

    /// As people compare it.
    pub(in crate::cli) fn fingerprint(&self) -> String {
        let upper = self.sha256.to_ascii_uppercase();
        let mut text = String::with_capacity(upper.len() * 3 / 2);
        for (index, digit) in upper.chars().enumerate() {
            if index > 0 && index % 2 == 0 {
                text.push(':');
            }
            text.push(digit);
        }
        text
    }

    fn own(&self) -> &str {
        self.sha256.get(..DIGITS).unwrap_or(&self.sha256)
    }
}

fn hex(algorithm: &'static Algorithm, bytes: &[u8]) -> String {
    let mut text = String::new();
    for octet in digest(algorithm, bytes).as_ref() {
        // Nothing can go wrong in a string.
        let _written = write!(text, "{octet:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn root() -> Root {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::default().self_signed(&key).unwrap();
        Root::parse(certificate.pem()).unwrap()
    }

    #[test]
    fn names_come_from_the_fingerprint() {
        let root = root();
        let mark = &root.mark;
        let own = &mark.sha256()[..8];
        assert_eq!(mark.name(), format!("onedoor-{own}"));
        assert_eq!(mark.nickname(), format!("onedoor local CA {own}"));
        assert_eq!(mark.fingerprint().len(), 95);
        assert!(mark.is_of(&root.der) && !mark.is_of(b"another"));
        let read = Mark::parse(&mark.fingerprint()).unwrap();
        assert_eq!(read.sha1, None);
        assert_eq!(read.sha256(), mark.sha256());
        assert!(Mark::parse("AB:CD").is_err());
        assert!(Mark::parse(&"x".repeat(64)).is_err());
    }

    #[test]
    fn two_certificates_are_no_root() {
        let pem = root().pem;
        assert!(Root::parse(format!("{pem}{pem}")).is_none());
        assert!(Root::parse("nonsense".to_owned()).is_none());
    }
}
