//! Keys, the request for a certificate, and the look at what came back.

use std::fmt;

use rcgen::{CertificateParams, DistinguishedName, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PublicKeyData as _};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::certs::acme::journal::Plan;
use crate::certs::acme::name::CertName;
use crate::certs::acme::options::KeyKind;
use crate::certs::facts::Facts;

/// What is wrong with a chain that a CA gave.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BadChain {
    /// Not PEM, or not certificates: perhaps broken on the way.
    Unreadable,
    /// The leaf has another key than was sent.
    OtherKey,
    /// The leaf lacks this name.
    Lacks(CertName),
}

/// A new key as PEM.
pub(super) async fn new_key(kind: KeyKind) -> Result<String, rcgen::Error> {
    let key = match kind {
        KeyKind::P256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
        KeyKind::P384 => KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384),
        KeyKind::Rsa2048 => tokio::task::spawn_blocking(new_rsa_key)
            .await
            .unwrap_or(Err(rcgen::Error::RemoteKeyError)),
    };
    key.map(|key| key.serialize_pem())
}

fn new_rsa_key() -> Result<KeyPair, rcgen::Error> {
    KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)
}

/// The CSR of a plan: its names as SANs and nothing else.
pub(super) fn csr(plan: &Plan) -> Result<Vec<u8>, rcgen::Error> {
    let key = KeyPair::from_pem(&plan.key_pem)?;
    let names: Vec<String> = plan.names.iter().map(CertName::to_string).collect();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = DistinguishedName::new();
    Ok(params.serialize_request(&key)?.der().to_vec())
}

/// Whether the chain's leaf has the plan's key and names.
pub(super) fn check(plan: &Plan, chain_pem: &str) -> Result<(), BadChain> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain_pem.as_bytes()).collect();
    let chain = chain.map_err(|_bad_pem| BadChain::Unreadable)?;
    let leaf = chain.first().ok_or(BadChain::Unreadable)?;
    let (_, leaf) =
        x509_parser::parse_x509_certificate(leaf).map_err(|_bad_der| BadChain::Unreadable)?;
    let key = KeyPair::from_pem(&plan.key_pem).map_err(|_bad_key| BadChain::OtherKey)?;
    if leaf.public_key().raw != key.subject_public_key_info() {
        return Err(BadChain::OtherKey);
    }
    let facts = Facts::of(&leaf);
    let lacked = plan
        .names
        .iter()
        .find(|name| !facts.covers(&name.pattern()));
    lacked.map_or(Ok(()), |name| Err(BadChain::Lacks(name.clone())))
}

impl fmt::Display for BadChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable => f.write_str("the chain that the CA gave cannot be read"),
            Self::OtherKey => f.write_str("the CA gave a certificate for another key"),
            Self::Lacks(name) => write!(f, "the CA gave a certificate without {name}"),
        }
    }
}

impl std::error::Error for BadChain {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certs::acme::request::ChallengeKind;
    use crate::certs::fixture::{Authority, days, noon};

    async fn plan(kind: KeyKind) -> Plan {
        Plan {
            ca: String::new(),
            key_pem: new_key(kind).await.unwrap(),
            names: ["a.test", "*.b.test", "127.0.0.1", "::1"]
                .map(|name| CertName::parse(name).unwrap())
                .to_vec(),
            profile: None,
            replaces: None,
            challenges: vec![ChallengeKind::Dns01],
        }
    }

    #[tokio::test]
    async fn a_request_carries_the_names_and_nothing_else_with_every_kind_of_key() {
        for kind in [KeyKind::P256, KeyKind::P384, KeyKind::Rsa2048] {
            let der = csr(&plan(kind).await).unwrap().into();
            let csr = rcgen::CertificateSigningRequestParams::from_der(&der).unwrap();
            assert_eq!(csr.params.subject_alt_names.len(), 4);
            assert_eq!(csr.params.distinguished_name.iter().count(), 0);
            let addresses = csr.params.subject_alt_names.iter();
            let addresses = addresses.filter(|name| matches!(name, rcgen::SanType::IpAddress(_)));
            assert_eq!(addresses.count(), 2);
        }
    }

    #[tokio::test]
    async fn a_chain_for_another_key_or_without_a_name_is_refused() {
        let mut plan = plan(KeyKind::P256).await;
        let leaf = Authority::new().leaf(&["a.test"], noon()..noon() + days(90));
        assert_eq!(check(&plan, &leaf.pem), Err(BadChain::OtherKey));
        plan.key_pem = leaf.key_pem;
        let lacked = CertName::parse("*.b.test").unwrap();
        assert_eq!(check(&plan, &leaf.pem), Err(BadChain::Lacks(lacked)));
        plan.names.truncate(1);
        assert_eq!(check(&plan, &leaf.pem), Ok(()));
        for broken in ["", "<html>", &leaf.pem[..leaf.pem.len() / 2]] {
            assert_eq!(check(&plan, broken), Err(BadChain::Unreadable));
        }
    }
}
