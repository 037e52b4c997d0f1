//! The local CA: signs leaves for names no public CA signs, one exact name each, at the handshake that needs it.

mod authority;
pub mod error;
pub mod leaves;
pub mod making;
mod people;
pub mod replacing;
pub mod safe;
pub mod scope;
mod stored;

use std::fmt;
use std::path::PathBuf;
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
use authority::Authority;
use error::Error;
use leaves::{LEAVES_MAX, Leaf, Leaves};
use making::{named, serial};
use scope::Scope;

/// How long a leaf lives.
pub const LEAF_LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Clients whose clock is behind by less than this accept a fresh leaf.
const CLOCK_SLACK: Duration = Duration::from_secs(60 * 60);

/// A CA and the leaves it has signed so far, in memory only.
pub struct LocalCa {
    root: Root,
    authority: Authority,
    remarks: Vec<String>,
    random: &'static dyn SecureRandom,
    leaves: Mutex<Leaves>,
}

/// Whom clients must trust.
#[derive(Debug)]
pub struct Root {
    /// As PEM.
    pub pem: String,
    /// Where it lies for people.
    pub path: PathBuf,
}

impl LocalCa {
    fn new(authority: Authority, path: PathBuf, remarks: Vec<String>) -> Self {
        Self {
            root: Root {
                pem: authority.root.clone(),
                path,
            },
            authority,
            remarks,
            random: random(),
            leaves: Mutex::new(Leaves::new(LEAVES_MAX)),
        }
    }

    #[must_use]
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// What clients accept of it.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.authority.scope
    }

    /// What is odd about it and hinders nobody.
    #[must_use]
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// Whether clients cannot tell the two apart.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.authority.is_same(&other.authority)
    }

    /// A leaf for exactly this name with at least a third of its life left, minted now if need be. Clients refuse it if the name is
    /// outside the [`LocalCa::scope`].
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
        let not_after = (now + LEAF_LIFE).min(self.authority.not_after);
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
            .signed_by(&key, &self.authority.issuer)
            .map_err(Error::Minting)?;
        let key = any_supported_type(&PrivatePkcs8KeyDer::from(key.serialize_der()).into())
            .map_err(Error::UnusableKey)?;
        let mut chain = vec![certificate.into()];
        chain.extend_from_slice(&self.authority.chain);
        Ok(Leaf {
            certified: Arc::new(CertifiedKey::new(chain, key)),
            not_before,
            not_after,
        })
    }
}

fn random() -> &'static dyn SecureRandom {
    rustls::crypto::aws_lc_rs::default_provider().secure_random
}

impl fmt::Debug for LocalCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalCa")
            .field("root", &self.root.path)
            .field("scope", self.scope())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
