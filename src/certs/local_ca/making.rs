//! Making a local CA: a root that signs one intermediate, whose key is then forgotten unless the user wants to keep it.
//! Nobody can sign a second intermediate afterwards, so the first lives as long as the root.

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SerialNumber,
};
use rustls::crypto::SecureRandom;

use super::error::Error;
use super::scope::Scope;
use super::stored::Stored;

/// How long a CA lives.
pub const CA_LIFE: Duration = Duration::from_secs(3652 * 24 * 60 * 60);
/// A CA begins in the past: a clock that is set right by less than this makes it no stranger.
pub const CA_BACKDATE: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// What a CA shall be like, should one be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    pub scope: Scope,
    pub root_key: RootKey,
}

/// What becomes of the root's key once it has signed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RootKey {
    /// It is forgotten, so nobody can ever sign with it.
    #[default]
    Discard,
    Keep,
}

/// Makes one. Root and intermediate are both constrained: some clients believe a root they were told to trust without looking.
pub(super) fn make(
    wish: &Wish,
    random: &dyn SecureRandom,
    now: SystemTime,
) -> Result<Stored, Error> {
    let mut suffix = [0; 4];
    random
        .fill(&mut suffix)
        .map_err(|_failed| Error::NoRandomness)?;
    let suffix = u32::from_be_bytes(suffix);
    let of = |name: String, below: u8| -> Result<CertificateParams, Error> {
        let mut params = CertificateParams::default();
        params.not_before = (now - CA_BACKDATE).into();
        params.not_after = (now + CA_LIFE).into();
        params.serial_number = Some(serial(random)?);
        params.distinguished_name = named(DnType::CommonName, &name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(below));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.name_constraints = wish.scope.constraints();
        Ok(params)
    };
    let root_params = of(format!("onedoor local CA {suffix:08x}"), 1)?;
    let root_key = KeyPair::generate().map_err(Error::Minting)?;
    let root = root_params.self_signed(&root_key).map_err(Error::Minting)?;

    let mut params = of(format!("onedoor local intermediate {suffix:08x}"), 0)?;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate().map_err(Error::Minting)?;
    let issuer = Issuer::from_params(&root_params, &root_key);
    let intermediate = params.signed_by(&key, &issuer).map_err(Error::Minting)?;
    Ok(Stored {
        root: root.pem(),
        intermediate: intermediate.pem(),
        intermediate_key: key.serialize_pem(),
        root_key: match wish.root_key {
            RootKey::Discard => None,
            RootKey::Keep => Some(root_key.serialize_pem()),
        },
    })
}

pub(super) fn named(kind: DnType, name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(kind, name);
    distinguished
}

/// A positive number of fixed length, as RFC 5280 section 4.1.2.2 wants it.
pub(super) fn serial(random: &dyn SecureRandom) -> Result<SerialNumber, Error> {
    let mut bytes = [0; 16];
    random
        .fill(&mut bytes)
        .map_err(|_failed| Error::NoRandomness)?;
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

#[cfg(test)]
mod tests {
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject as _;
    use x509_parser::certificate::X509Certificate;

    use super::*;
    use crate::certs::facts::Facts;
    use crate::certs::fixture::noon;

    fn made(root_key: RootKey) -> Stored {
        let random = rustls::crypto::aws_lc_rs::default_provider().secure_random;
        let wish = Wish {
            scope: Scope::of(&[]),
            root_key,
        };
        make(&wish, random, noon()).unwrap()
    }

    fn looked_at(pem: &str, look: impl Fn(&X509Certificate<'_>)) {
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        look(&x509_parser::parse_x509_certificate(&der).unwrap().1);
    }

    #[test]
    fn both_are_constrained_and_the_lower_one_signs_only_leaves() {
        let made = made(RootKey::Discard);
        for (pem, below) in [(&made.root, 1), (&made.intermediate, 0)] {
            looked_at(pem, |certificate| {
                let basic = certificate.basic_constraints().unwrap().unwrap();
                assert!(basic.critical && basic.value.ca);
                assert_eq!(basic.value.path_len_constraint, Some(below));
                let usage = certificate.key_usage().unwrap().unwrap().value;
                assert!(usage.key_cert_sign() && usage.crl_sign() && !usage.digital_signature());
                assert!(certificate.name_constraints().unwrap().unwrap().critical);
                assert_eq!(Scope::of_certificate(certificate), Scope::of(&[]));
                assert!(certificate.subject().to_string().contains("onedoor local "));
            });
        }
        looked_at(&made.intermediate, |certificate| {
            let usage = certificate.extended_key_usage().unwrap().unwrap().value;
            assert!(usage.server_auth && !usage.any && !usage.email_protection);
        });
    }

    #[test]
    fn both_live_equally_long_and_begin_in_the_past() {
        let made = made(RootKey::Discard);
        for pem in [&made.root, &made.intermediate] {
            looked_at(pem, |certificate| {
                let facts = Facts::of(certificate);
                assert_eq!(facts.not_before, noon() - CA_BACKDATE);
                assert_eq!(facts.not_after, noon() + CA_LIFE);
            });
        }
    }

    #[test]
    fn the_key_of_the_root_is_kept_only_on_request() {
        let discarded = made(RootKey::Discard);
        assert_eq!(discarded.root_key, None);
        let text = String::from_utf8(discarded.bytes()).unwrap();
        assert_eq!(text.matches("PRIVATE KEY").count(), 2, "one, BEGIN and END");
        let kept = made(RootKey::Keep);
        let key = KeyPair::from_pem(&kept.root_key.clone().unwrap()).unwrap();
        looked_at(&kept.root, |root| {
            let public = rcgen::PublicKeyData::subject_public_key_info(&key);
            assert_eq!(public, root.public_key().raw);
        });
        assert_eq!(Stored::read(&kept.bytes()), Some(kept));
    }
}
