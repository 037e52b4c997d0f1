//! PEM files as they are found: certificates in their order and at most one key. Whether they fit is not judged here.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustls_pki_types::pem::{PemObject, SectionKind};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// The largest PEM file that is read, in octets.
pub const PEM_BYTES_MAX: u64 = 1 << 20;

/// What a PEM text holds; sections of other kinds are left out.
#[derive(Debug)]
pub struct Contents {
    pub certificates: Vec<CertificateDer<'static>>,
    /// The first key.
    pub key: Key,
}

#[derive(Debug)]
pub enum Key {
    Absent,
    /// Behind a passphrase.
    Encrypted,
    /// PKCS#8, SEC1 or PKCS#1; not parsed.
    Plain(PrivateKeyDer<'static>),
}

/// Why there are no contents.
#[derive(Debug)]
pub enum Error {
    Missing(PathBuf),
    /// This user may not read it.
    Denied(PathBuf),
    /// A folder or a device.
    NotAFile(PathBuf),
    /// Larger than [`PEM_BYTES_MAX`].
    TooLarge(PathBuf),
    /// Not well-formed PEM.
    Broken {
        path: PathBuf,
        source: rustls_pki_types::pem::Error,
    },
    /// Anything else the system says.
    Failed {
        path: PathBuf,
        source: io::Error,
    },
}

impl Contents {
    /// Reads a file of at most [`PEM_BYTES_MAX`] octets.
    ///
    /// # Errors
    /// Names the path and what is wrong with it.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let bytes = read_bounded(path).map_err(|source| Error::new(path.to_owned(), source))?;
        if bytes.len() as u64 > PEM_BYTES_MAX {
            return Err(Error::TooLarge(path.to_owned()));
        }
        Self::parse(&bytes).map_err(|source| Error::Broken {
            path: path.to_owned(),
            source,
        })
    }

    /// Takes PEM sections out of `text`; what stands between them is ignored.
    ///
    /// # Errors
    /// A section without an end, or not in base 64.
    pub fn parse(text: &[u8]) -> Result<Self, rustls_pki_types::pem::Error> {
        let mut certificates = Vec::new();
        let mut key = None;
        for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(text) {
            let (kind, der) = section?;
            if kind == SectionKind::Certificate {
                certificates.push(CertificateDer::from(der));
            } else if key.is_none() {
                key = PrivateKeyDer::from_pem(kind, der);
            }
        }
        let key = match key {
            Some(key) => Key::Plain(key),
            None if is_encrypted(text) => Key::Encrypted,
            None => Key::Absent,
        };
        Ok(Self { certificates, key })
    }
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    // Opening a named pipe would wait for its writer.
    if !fs::metadata(path)?.is_file() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let mut bytes = Vec::new();
    File::open(path)?
        .take(PEM_BYTES_MAX + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The reader of sections passes over kinds it does not know.
fn is_encrypted(text: &[u8]) -> bool {
    const MARKER: &[u8] = b"-----BEGIN ENCRYPTED PRIVATE KEY-----";
    text.windows(MARKER.len()).any(|window| window == MARKER)
}

impl Error {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the system's kinds are many, and only these have a remedy of their own"
    )]
    fn new(path: PathBuf, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::NotFound => Self::Missing(path),
            io::ErrorKind::PermissionDenied => Self::Denied(path),
            io::ErrorKind::IsADirectory => Self::NotAFile(path),
            _ => Self::Failed { path, source },
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(path) => write!(f, "{} does not exist", path.display()),
            Self::Denied(path) => write!(
                f,
                "no permission to read {}: give it to the user that runs onedoor",
                path.display()
            ),
            Self::NotAFile(path) => write!(f, "{} is not a file", path.display()),
            Self::TooLarge(path) => write!(
                f,
                "{} is larger than {PEM_BYTES_MAX} octets: not a certificate",
                path.display()
            ),
            Self::Broken { path, .. } => write!(f, "{} is not well-formed PEM", path.display()),
            Self::Failed { path, .. } => write!(f, "cannot read {}", path.display()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Broken { source, .. } => Some(source),
            Self::Failed { source, .. } => Some(source),
            Self::Missing(_) | Self::Denied(_) | Self::NotAFile(_) | Self::TooLarge(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encrypted_key_is_told_from_a_missing_one() {
        let encrypted =
            b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        let key = |text: &[u8]| Contents::parse(text).unwrap().key;
        assert!(matches!(key(encrypted), Key::Encrypted));
        assert!(matches!(key(b"nothing of the kind"), Key::Absent));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pem");
        assert!(matches!(Contents::read(&path), Err(Error::Missing(_))));
        assert!(matches!(
            Contents::read(folder.path()),
            Err(Error::NotAFile(_))
        ));
        let file = File::create(&path).unwrap();
        file.set_len(PEM_BYTES_MAX + 1).unwrap();
        assert!(matches!(Contents::read(&path), Err(Error::TooLarge(_))));
    }
}
