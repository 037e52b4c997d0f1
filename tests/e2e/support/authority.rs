//! An operator's own certificates: a CA of the test that signs pairs.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;

use super::door::Home;

/// A CA that only the test trusts.
pub(crate) struct Authority {
    root: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let root = params.self_signed(&key).unwrap().der().clone();
        Self {
            root,
            issuer: Issuer::new(params, key),
        }
    }

    /// Trusts this CA alone.
    pub(crate) fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).unwrap();
        Arc::new(roots)
    }

    /// Writes `STEM.pem` and `STEM.key` into a folder, key first; returns the leaf.
    pub(crate) fn write_pair(
        &self,
        home: &Home,
        stem: &str,
        names: &[&str],
    ) -> CertificateDer<'static> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(names).unwrap();
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        home.write(&format!("{stem}.key"), &key.serialize_pem());
        home.write(&format!("{stem}.pem"), &leaf.pem());
        leaf.der().clone()
    }
}
