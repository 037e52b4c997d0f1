//! Certificates that an operator would bring along.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, IsCa, Issuer, KeyPair};
use rustls::RootCertStore;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::door::Home;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A CA that only the test trusts.
pub(crate) struct Authority {
    root: CertificateDer<'static>,
    root_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A leaf with its key.
pub(crate) struct Pair {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) certificate_pem: String,
    pub(crate) key_pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key).unwrap();
        Self {
            root: root.der().clone(),
            root_pem: root.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    /// Valid from yesterday for a month.
    pub(crate) fn pair(&self, names: &[&str]) -> Pair {
        let now = SystemTime::now();
        self.pair_valid(names, now - DAY, now + 30 * DAY)
    }

    /// Valid for years, before now and after it.
    pub(crate) fn lasting(&self, names: &[&str]) -> Pair {
        let now = SystemTime::now();
        self.pair_valid(names, now - 3650 * DAY, now + 3650 * DAY)
    }

    /// Valid until an hour ago.
    pub(crate) fn expired(&self, names: &[&str]) -> Pair {
        let ended = SystemTime::now() - Duration::from_secs(3600);
        self.pair_valid(names, ended - 30 * DAY, ended)
    }

    pub(crate) fn pair_valid(&self, names: &[&str], from: SystemTime, until: SystemTime) -> Pair {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        // With the issuer's own name OpenSSL would take it for self-signed.
        params.distinguished_name = DistinguishedName::new();
        params.not_before = from.into();
        params.not_after = until.into();
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        Pair {
            certificate: leaf.der().clone(),
            certificate_pem: leaf.pem(),
            key_pem: key.serialize_pem(),
        }
    }

    /// Writes a pair into a folder and returns its certificate.
    pub(crate) fn write_pair(
        &self,
        home: &Home,
        stem: &str,
        names: &[&str],
    ) -> CertificateDer<'static> {
        let pair = self.pair(names);
        pair.write(home, stem);
        pair.certificate
    }

    pub(crate) fn root_pem(&self) -> String {
        self.root_pem.clone()
    }

    pub(crate) fn root_key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// Trusts this CA alone.
    pub(crate) fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).unwrap();
        Arc::new(roots)
    }
}

impl Pair {
    /// Writes `STEM.pem` and `STEM.key`, key first.
    pub(crate) fn write(&self, home: &Home, stem: &str) {
        home.write(&format!("{stem}.key"), &self.key_pem);
        home.write(&format!("{stem}.pem"), &self.certificate_pem);
    }

    pub(crate) fn key(&self) -> PrivateKeyDer<'static> {
        use rustls_pki_types::pem::PemObject as _;
        PrivatePkcs8KeyDer::from_pem_slice(self.key_pem.as_bytes())
            .unwrap()
            .into()
    }
}
