//! The system's root certificates and the local CA's in one file, for programs that take only one.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::storage::files::{Error, Storage};

const BUNDLE: &str = "local-ca/bundle.pem";
/// Characters of a line (RFC 7468 section 2).
const LINE: usize = 64;

/// Roots as PEM, one behind the other.
#[derive(Debug)]
pub(in crate::cli) struct Bundle {
    pub(in crate::cli) text: String,
    pub(in crate::cli) company: Company,
}

/// Whose roots stand beside ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Company {
    System,
    None,
}

/// Sees to it that the bundle beside `root`, the local CA's root in this storage, is what it would be now; says where it lies. A
/// system without roots has none: programs that bring their own would lose them.
///
/// # Errors
/// When the storage cannot be used; the bundle is then as it was.
pub(in crate::cli) fn refresh(storage: &Storage, root: &Path) -> Result<Option<PathBuf>, Error> {
    let Ok(own) = CertificateDer::from_pem_file(root) else {
        return Ok(None);
    };
    let bundle = Bundle::with(&own);
    if bundle.company == Company::None {
        return Ok(None);
    }
    let text = bundle.text.as_bytes();
    if storage.read(BUNDLE)?.as_deref() != Some(text) {
        storage.write(BUNDLE, text)?;
    }
    Ok(Some(storage.path(BUNDLE)))
}

impl Bundle {
    /// Our root and the system's of this moment.
    pub(in crate::cli) fn with(own: &CertificateDer<'_>) -> Self {
        let system = rustls_native_certs::load_native_certs().certs;
        let company = if system.iter().all(|root| root == own) {
            Company::None
        } else {
            Company::System
        };
        Self {
            text: bundle(&system, own),
            company,
        }
    }
}

/// Each certificate once, our own first; the same for the same certificates in any order.
fn bundle(system: &[CertificateDer<'_>], own: &CertificateDer<'_>) -> String {
    let mut system: Vec<&CertificateDer<'_>> = system.iter().collect();
    system.sort_unstable_by(|one, other| one.as_ref().cmp(other.as_ref()));
    let mut seen = HashSet::new();
    let mut text = String::new();
    for root in std::iter::once(own).chain(system) {
        if seen.insert(root.as_ref()) {
            push_pem(&mut text, root);
        }
    }
    text
}

fn push_pem(text: &mut String, certificate: &[u8]) {
    let encoded = STANDARD.encode(certificate);
    text.push_str("-----BEGIN CERTIFICATE-----\n");
    for (index, character) in encoded.chars().enumerate() {
        if index > 0 && index % LINE == 0 {
            text.push('\n');
        }
        text.push(character);
    }
    text.push_str("\n-----END CERTIFICATE-----\n");
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn der(octets: &[u8]) -> CertificateDer<'_> {
        CertificateDer::from(octets)
    }

    fn own_root() -> String {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::default();
        params.self_signed(&key).unwrap().pem()
    }

    #[test]
    fn each_certificate_is_there_once_and_ours_first() {
        let (long, own) = ([7; 100], der(b"own"));
        let system = [der(&long), der(b"b"), own.clone(), der(b"b")];
        let text = bundle(&system, &own);
        let read: Vec<_> = CertificateDer::pem_slice_iter(text.as_bytes())
            .map(Result::unwrap)
            .collect();
        assert_eq!(read, [own.clone(), der(&long), der(b"b")]);
        assert!(text.lines().all(|line| line.len() <= LINE));
        let other_way_round = [der(b"b"), der(&long)];
        assert_eq!(bundle(&other_way_round, &own), text);
    }

    #[test]
    fn a_bundle_is_written_again_when_it_is_stale_and_only_then() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::at(folder.path().join("onedoor"));
        let root = storage.path("root.pem");
        storage.write("root.pem", own_root().as_bytes()).unwrap();
        let place = refresh(&storage, &root).unwrap().unwrap();
        let first = storage.read(BUNDLE).unwrap().unwrap();
        assert!(CertificateDer::pem_slice_iter(&first).count() > 1);
        let written =
            |place: &Path| -> SystemTime { std::fs::metadata(place).unwrap().modified().unwrap() };
        let before = written(&place);
        refresh(&storage, &root).unwrap();
        assert_eq!(written(&place), before);
        storage.write(BUNDLE, b"stale").unwrap();
        refresh(&storage, &root).unwrap();
        assert_eq!(storage.read(BUNDLE).unwrap().unwrap(), first);
    }
}
