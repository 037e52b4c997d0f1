//! A local CA as it was read from the store, checked, and ready to sign.

use std::fmt;
use std::time::SystemTime;

use rcgen::{Issuer, KeyPair, PublicKeyData};
use rustls_pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;

use super::error::Error;
use super::scope::Scope;
use super::stored::Stored;
use crate::certs::facts::Facts;
use crate::certs::pem::{Contents, Key};

/// Whoever signs, what clients accept of it, and what they need besides the root.
pub(super) struct Authority {
    pub(super) root: String,
    /// Sent behind every leaf.
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) issuer: Issuer<'static, KeyPair>,
    pub(super) scope: Scope,
    pub(super) not_before: SystemTime,
    pub(super) not_after: SystemTime,
}

impl Authority {
    /// One with an intermediate; `place` names the object for people.
    ///
    /// # Errors
    /// [`Error::Broken`], [`Error::KeyMismatch`], [`Error::Expired`].
    pub(super) fn of(stored: Stored, place: &str, now: SystemTime) -> Result<Self, Error> {
        let root = certificate(stored.root.as_bytes(), place)?;
        let intermediate = certificate(stored.intermediate.as_bytes(), place)?;
        let (_, parsed_root) = parse(&root, place)?;
        let (_, parsed) = parse(&intermediate, place)?;
        if parsed.issuer() != parsed_root.subject() || !parsed_root.is_ca() {
            return Err(Error::Broken(place.to_owned()));
        }
        let key = key(stored.intermediate_key.as_bytes(), place)?;
        let signing = Signing::of(&intermediate, key, place, place, now)?;
        Ok(Self {
            root: stored.root,
            chain: vec![intermediate.clone()],
            issuer: signing.issuer,
            scope: signing.scope,
            not_before: signing.not_before,
            not_after: signing.not_after,
        })
    }

    /// One of earlier versions, or of the user's own: the root signs leaves itself.
    ///
    /// # Errors
    /// As for [`Authority::of`].
    pub(super) fn earlier(
        root: &[u8],
        root_place: &str,
        root_key: &[u8],
        key_place: &str,
        now: SystemTime,
    ) -> Result<Self, Error> {
        let der = certificate(root, root_place)?;
        let key = key(root_key, key_place)?;
        let signing = Signing::of(&der, key, root_place, key_place, now)?;
        Ok(Self {
            root: String::from_utf8_lossy(root).into_owned(),
            chain: Vec::new(),
            issuer: signing.issuer,
            scope: signing.scope,
            not_before: signing.not_before,
            not_after: signing.not_after,
        })
    }

    /// Whether it is the same CA, by the certificates that clients see.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.root == other.root && self.chain == other.chain
    }
}

struct Signing {
    issuer: Issuer<'static, KeyPair>,
    scope: Scope,
    not_before: SystemTime,
    not_after: SystemTime,
}

impl Signing {
    fn of(
        der: &CertificateDer<'static>,
        key: KeyPair,
        place: &str,
        key_place: &str,
        now: SystemTime,
    ) -> Result<Self, Error> {
        let broken = || Error::Broken(place.to_owned());
        let (_, parsed) = parse(der, place)?;
        if !parsed.is_ca() {
            return Err(broken());
        }
        if key.subject_public_key_info() != parsed.public_key().raw {
            return Err(Error::KeyMismatch(key_place.to_owned()));
        }
        let Facts {
            not_before,
            not_after,
            ..
        } = Facts::of(&parsed);
        if not_after <= now {
            return Err(Error::Expired(place.to_owned()));
        }
        Ok(Self {
            scope: Scope::of_certificate(&parsed),
            issuer: Issuer::from_ca_cert_der(der, key).map_err(|_unusable| broken())?,
            not_before,
            not_after,
        })
    }
}

fn certificate(pem: &[u8], place: &str) -> Result<CertificateDer<'static>, Error> {
    let contents = Contents::parse(pem).ok();
    let certificates = contents.map(|contents| contents.certificates);
    match certificates.as_deref() {
        Some([only]) => Ok(only.clone()),
        Some(_) | None => Err(Error::Broken(place.to_owned())),
    }
}

fn parse<'a>(
    der: &'a CertificateDer<'static>,
    place: &str,
) -> Result<(&'a [u8], X509Certificate<'a>), Error> {
    x509_parser::parse_x509_certificate(der).map_err(|_bad| Error::Broken(place.to_owned()))
}

fn key(pem: &[u8], place: &str) -> Result<KeyPair, Error> {
    let broken = || Error::Broken(place.to_owned());
    match Contents::parse(pem).map_err(|_bad| broken())?.key {
        Key::Plain(key) => KeyPair::try_from(&key).map_err(|_unusable| broken()),
        Key::Absent | Key::Encrypted => Err(broken()),
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority")
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}
