//! The local CA's root: made once, kept in the storage, and never replaced in silence.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, SerialNumber,
};
use rustls::crypto::SecureRandom;

use crate::certs::pem::{Contents, Key};
use crate::storage::files::{self, Storage};

const FOLDER: &str = "local-ca";
const CERTIFICATE: &str = "local-ca/root.pem";
const KEY: &str = "local-ca/root.key";

const ROOT_LIFE: Duration = Duration::from_secs(3652 * 24 * 60 * 60);
/// Clients whose clock is behind by less than this accept a fresh certificate.
pub(super) const CLOCK_SLACK: Duration = Duration::from_secs(60 * 60);

/// A root that fits its key and has not expired.
pub struct Root {
    /// As clients need it to trust what it signs.
    pub pem: String,
    pub path: PathBuf,
    pub key_path: PathBuf,
    pub(super) issuer: Issuer<'static, KeyPair>,
}

/// A file at fault and the folder of the CA it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At {
    pub file: PathBuf,
    pub folder: PathBuf,
}

/// Why there is no local CA. None of these is mended by making a new one in silence: clients trust the old root.
#[derive(Debug)]
pub enum Error {
    /// The storage cannot be used.
    Storage(files::Error),
    /// The folder is there, this file in it is not.
    Missing(At),
    /// This file cannot be made sense of.
    Broken(At),
    /// The key does not belong to the root.
    KeyMismatch(At),
    /// The root is past its time.
    Expired(At),
    /// The system gave no randomness, or a name does not fit into a certificate.
    Minting(rcgen::Error),
    /// A freshly made key could not be used.
    UnusableKey(rustls::Error),
    /// The system gave no randomness.
    NoRandomness,
}

impl Root {
    /// Loads the root of this storage; creates it if there is none. Of several processes that create it at once one wins, and all get its root.
    ///
    /// # Errors
    /// Names the file at fault and the ways out.
    pub fn open(
        storage: &Storage,
        random: &dyn SecureRandom,
        now: SystemTime,
    ) -> Result<Self, Error> {
        if !storage.exists(FOLDER).map_err(Error::Storage)? {
            let (certificate, key) = create(random, now)?;
            let files = [
                ("root.pem", certificate.as_bytes()),
                ("root.key", key.as_bytes()),
            ];
            storage
                .create_once(FOLDER, &files)
                .map_err(Error::Storage)?;
        }
        load(storage, now)
    }
}

/// The root and its key, both as PEM.
fn create(random: &dyn SecureRandom, now: SystemTime) -> Result<(String, String), Error> {
    let mut suffix = [0; 4];
    random
        .fill(&mut suffix)
        .map_err(|_failed| Error::NoRandomness)?;
    let suffix = u32::from_be_bytes(suffix);
    let mut params = CertificateParams::default();
    params.not_before = (now - CLOCK_SLACK).into();
    params.not_after = (now + ROOT_LIFE).into();
    params.serial_number = Some(serial(random)?);
    params.distinguished_name = named(
        DnType::CommonName,
        &format!("onedoor local CA {suffix:08x}"),
    );
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate().map_err(Error::Minting)?;
    let root = params.self_signed(&key).map_err(Error::Minting)?;
    Ok((root.pem(), key.serialize_pem()))
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

fn load(storage: &Storage, now: SystemTime) -> Result<Root, Error> {
    let (path, key_path) = (storage.path(CERTIFICATE), storage.path(KEY));
    let at = |file: &Path| At {
        file: file.to_owned(),
        folder: storage.path(FOLDER),
    };
    let broken = || Error::Broken(at(&path));
    let read = |name: &str| {
        let found = storage.read(name).map_err(Error::Storage)?;
        found.ok_or_else(|| Error::Missing(at(&storage.path(name))))
    };
    let pem = String::from_utf8(read(CERTIFICATE)?).map_err(|_binary| broken())?;
    let key = parse_key(&read(KEY)?).ok_or_else(|| Error::Broken(at(&key_path)))?;
    let contents = Contents::parse(pem.as_bytes()).map_err(|_malformed| broken())?;
    let [der] = contents.certificates.as_slice() else {
        return Err(broken());
    };
    let (_rest, root) = x509_parser::parse_x509_certificate(der).map_err(|_bad| broken())?;
    if !root.is_ca() {
        return Err(broken());
    }
    if key.subject_public_key_info() != root.public_key().raw {
        return Err(Error::KeyMismatch(at(&key_path)));
    }
    if SystemTime::from(root.validity().not_after.to_datetime()) <= now {
        return Err(Error::Expired(at(&path)));
    }
    let issuer = Issuer::from_ca_cert_der(der, key).map_err(|_unusable| broken())?;
    Ok(Root {
        pem,
        path,
        key_path,
        issuer,
    })
}

fn parse_key(text: &[u8]) -> Option<KeyPair> {
    match Contents::parse(text).ok()?.key {
        Key::Plain(key) => KeyPair::try_from(&key).ok(),
        Key::Absent | Key::Encrypted => None,
    }
}

impl fmt::Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Root")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, fault) = match self {
            Self::Storage(error) => return error.fmt(f),
            Self::Minting(_) | Self::UnusableKey(_) => {
                return f.write_str("the local CA cannot make a certificate");
            }
            Self::NoRandomness => return f.write_str("the system gives no random numbers"),
            Self::Missing(at) => (at, "is missing"),
            Self::Broken(at) => (at, "is broken"),
            Self::KeyMismatch(at) => (at, "does not belong to the root beside it"),
            Self::Expired(at) => (at, "has expired"),
        };
        write!(
            f,
            "{} of the local CA {fault}: restore it from a backup, or move {} away to get a new root, which every client must then be made to trust",
            at.file.display(),
            at.folder.display()
        )
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Storage(error) => error.source(),
            Self::Minting(source) => Some(source),
            Self::UnusableKey(source) => Some(source),
            Self::Missing(_)
            | Self::Broken(_)
            | Self::KeyMismatch(_)
            | Self::Expired(_)
            | Self::NoRandomness => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::thread;

    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject;
    use tempfile::TempDir;

    use super::*;
    use crate::certs::fixture::{Authority, days, noon, replace};

    fn storage() -> (TempDir, Storage) {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::at(folder.path().join("onedoor"));
        (folder, storage)
    }

    fn open(storage: &Storage, now: SystemTime) -> Result<Root, Error> {
        let random = rustls::crypto::aws_lc_rs::default_provider().secure_random;
        Root::open(storage, random, now)
    }

    #[test]
    fn the_root_signs_only_leaves() {
        let (_folder, storage) = storage();
        let der =
            CertificateDer::from_pem_slice(open(&storage, noon()).unwrap().pem.as_bytes()).unwrap();
        let (_, root) = x509_parser::parse_x509_certificate(&der).unwrap();
        let constraints = root.basic_constraints().unwrap().unwrap();
        assert!(constraints.critical && constraints.value.ca);
        assert_eq!(constraints.value.path_len_constraint, Some(0));
        let usage = root.key_usage().unwrap().unwrap().value;
        assert!(usage.key_cert_sign() && usage.crl_sign() && !usage.digital_signature());
        assert!(root.extended_key_usage().unwrap().is_none());
        assert!(root.subject().to_string().contains("onedoor local CA "));
    }

    #[test]
    fn processes_that_create_the_root_at_once_agree() {
        let (_folder, storage) = storage();
        let root = || open(&storage, noon()).unwrap().pem;
        let roots: Vec<String> = thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(root)).collect();
            threads.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert!(roots.iter().all(|root| *root == roots[0]));
        assert_eq!(fs::read_dir(storage.path("")).unwrap().count(), 1);
    }

    #[test]
    fn a_broken_ca_is_named_and_never_replaced() {
        let (_folder, storage) = storage();
        let good = open(&storage, noon()).unwrap();
        let (root, key) = (storage.path(CERTIFICATE), storage.path(KEY));
        let key_pem = fs::read_to_string(&key).unwrap();
        let other = Authority::new().leaf(&["a.test"], noon()..noon() + days(1));
        let refused = |expected: fn(&Error) -> bool, file: &Path| {
            let error = open(&storage, noon()).unwrap_err();
            assert!(expected(&error), "{error:?}");
            let message = error.to_string();
            assert!(message.starts_with(file.to_str().unwrap()), "{message}");
            assert!(message.contains("backup"), "{message}");
        };

        replace(&root, "nonsense");
        refused(|error| matches!(error, Error::Broken(_)), &root);
        replace(&root, &other.pem);
        refused(|error| matches!(error, Error::Broken(_)), &root);
        fs::remove_file(&root).unwrap();
        refused(|error| matches!(error, Error::Missing(_)), &root);

        replace(&root, &good.pem);
        replace(&key, "nonsense");
        refused(|error| matches!(error, Error::Broken(_)), &key);
        replace(&key, &other.key_pem);
        refused(|error| matches!(error, Error::KeyMismatch(_)), &key);
        fs::remove_file(&key).unwrap();
        refused(|error| matches!(error, Error::Missing(_)), &key);

        replace(&key, &key_pem);
        open(&storage, noon()).unwrap();
        let late = open(&storage, noon() + days(3660)).unwrap_err();
        assert!(matches!(late, Error::Expired(_)), "{late}");
    }

    #[test]
    fn an_empty_folder_of_the_ca_is_not_filled_anew() {
        let (_folder, storage) = storage();
        fs::create_dir_all(storage.path(FOLDER)).unwrap();
        let error = open(&storage, noon()).unwrap_err();
        assert!(matches!(error, Error::Missing(_)), "{error}");
    }
}
