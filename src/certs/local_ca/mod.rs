//! The local CA: signs leaves for names no public CA signs, one exact name each, at the handshake that needs it.

pub mod leaves;
pub mod root;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::crypto::SecureRandom;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::sign::CertifiedKey;
use rustls_pki_types::PrivatePkcs8KeyDer;

use crate::hostname::HostName;
use crate::storage::files::Storage;
use leaves::{LEAVES_MAX, Leaf, Leaves};
use root::{CLOCK_SLACK, Error, Root, named, serial};

/// How long a leaf lives.
pub const LEAF_LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A root and the leaves it has signed so far, in memory only.
pub struct LocalCa {
    root: Root,
    random: &'static dyn SecureRandom,
    leaves: Mutex<Leaves>,
}

impl LocalCa {
    /// The CA of this storage, as [`Root::open`] loads or creates it.
    ///
    /// # Errors
    /// As [`Root::open`].
    pub fn open(storage: &Storage, now: SystemTime) -> Result<Self, Error> {
        let random = rustls::crypto::aws_lc_rs::default_provider().secure_random;
        Ok(Self {
            root: Root::open(storage, random, now)?,
            random,
            leaves: Mutex::new(Leaves::new(LEAVES_MAX)),
        })
    }

    #[must_use]
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// A leaf for exactly this name with at least a third of its life left, minted now if need be.
    ///
    /// # Errors
    /// Only if the system fails us.
    pub fn certified(&self, name: &HostName, now: SystemTime) -> Result<Arc<CertifiedKey>, Error> {
        if let Some(certified) = self.leaves().fresh(name, now) {
            return Ok(certified);
        }
        let leaf = self.mint(name, now)?;
        let certified = Arc::clone(&leaf.certified);
        self.leaves().keep(name.clone(), leaf);
        Ok(certified)
    }

    fn leaves(&self) -> MutexGuard<'_, Leaves> {
        self.leaves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mint(&self, name: &HostName, now: SystemTime) -> Result<Leaf, Error> {
        let not_before = now - CLOCK_SLACK;
        let not_after = now + LEAF_LIFE;
        let mut params = CertificateParams::default();
        params.not_before = not_before.into();
        params.not_after = not_after.into();
        params.serial_number = Some(serial(self.random)?);
        params.distinguished_name = named(DnType::OrganizationName, "onedoor");
        params.subject_alt_names = vec![match name.ip() {
            Some(address) => SanType::IpAddress(address),
            None => SanType::DnsName(name.as_str().try_into().map_err(Error::Minting)?),
        }];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().map_err(Error::Minting)?;
        let certificate = params
            .signed_by(&key, &self.root.issuer)
            .map_err(Error::Minting)?;
        let key = any_supported_type(&PrivatePkcs8KeyDer::from(key.serialize_der()).into())
            .map_err(Error::UnusableKey)?;
        Ok(Leaf {
            certified: Arc::new(CertifiedKey::new(vec![certificate.into()], key)),
            not_before,
            not_after,
        })
    }
}

impl fmt::Debug for LocalCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalCa")
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject;
    use tempfile::TempDir;

    use super::*;
    use crate::certs::facts::Facts;
    use crate::certs::fixture::{Authority, days, noon, shake_hands};

    fn storage() -> (TempDir, Storage) {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::at(folder.path().join("onedoor"));
        (folder, storage)
    }

    fn name(text: &str) -> HostName {
        HostName::parse(text).unwrap()
    }

    fn root(ca: &LocalCa) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(ca.root().pem.as_bytes()).unwrap()
    }

    #[test]
    fn a_client_that_trusts_the_root_accepts_a_leaf() {
        let (_folder, storage) = storage();
        let ca = LocalCa::open(&storage, noon()).unwrap();
        for host in ["shop.localhost", "my_service.test", "127.0.0.1", "::1"] {
            let certified = ca.certified(&name(host), noon()).unwrap();
            assert_eq!(certified.cert.len(), 1);
            shake_hands(Arc::clone(&certified), &root(&ca), host, noon()).unwrap();
            let other = shake_hands(certified, &root(&ca), "other.localhost", noon());
            assert!(other.is_err(), "{host}");
        }
        let stranger = Authority::new();
        let certified = ca.certified(&name("a.test"), noon()).unwrap();
        assert!(shake_hands(certified, &stranger.der, "a.test", noon()).is_err());
    }

    #[test]
    fn the_root_outlives_the_process() {
        let (_folder, storage) = storage();
        let first = LocalCa::open(&storage, noon()).unwrap();
        let second = LocalCa::open(&storage, noon() + days(1)).unwrap();
        assert_eq!(first.root().pem, second.root().pem);
        let certified = second.certified(&name("a.test"), noon() + days(1)).unwrap();
        shake_hands(certified, &root(&first), "a.test", noon() + days(1)).unwrap();
    }

    #[test]
    fn a_leaf_is_shared_until_a_third_of_its_life_is_left() {
        let (_folder, storage) = storage();
        let ca = LocalCa::open(&storage, noon()).unwrap();
        let leaf = |now: SystemTime| ca.certified(&name("a.test"), now).unwrap();
        let first = leaf(noon());
        assert!(Arc::ptr_eq(&first, &leaf(noon() + days(19))));
        let renewed = leaf(noon() + days(21));
        assert!(!Arc::ptr_eq(&first, &renewed));
        assert!(Arc::ptr_eq(&renewed, &leaf(noon() + days(21))));
        let after_a_jump_back = leaf(noon() - days(300));
        assert!(!Arc::ptr_eq(&renewed, &after_a_jump_back));
    }

    #[test]
    fn a_leaf_begins_an_hour_back_and_lasts_thirty_days() {
        let (_folder, storage) = storage();
        let ca = LocalCa::open(&storage, noon()).unwrap();
        let certified = ca.certified(&name("a.test"), noon()).unwrap();
        let (_, leaf) = x509_parser::parse_x509_certificate(&certified.cert[0]).unwrap();
        let facts = Facts::of(&leaf);
        assert_eq!(facts.not_before, noon() - Duration::from_secs(3600));
        assert_eq!(facts.not_after, noon() + days(30));
        assert!(!leaf.is_ca());
    }
}
