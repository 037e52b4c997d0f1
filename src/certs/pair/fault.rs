//! What can be wrong or odd about a pair, in words for its operator.

use std::fmt;
use std::path::PathBuf;
use std::time::SystemTime;

use jiff::Timestamp;

use crate::certs::pem;
use crate::certs::stamp::Files;
use crate::hostname::HostPattern;

/// How many of a certificate's names a message lists.
const NAMES_SHOWN_MAX: usize = 5;

/// Why a pair cannot be served. Every one is the operator's to mend.
#[derive(Debug)]
pub enum Error {
    /// One of the two files cannot be read.
    File(pem::Error),
    /// The file has no PEM certificate.
    NoCertificate(PathBuf),
    /// The file has no PEM key.
    NoKey(PathBuf),
    /// The key is behind a passphrase.
    EncryptedKey(PathBuf),
    /// A certificate of the chain cannot be parsed; the leaf is number 1.
    BrokenCertificate { cert: PathBuf, number: usize },
    /// The key cannot be parsed or is of a kind that TLS servers do not use.
    UnusableKey { key: PathBuf, source: rustls::Error },
    /// The key belongs to no certificate of the chain.
    KeyMismatch(Files),
    /// The key belongs to this certificate of the chain, which is not the first.
    LeafNotFirst { cert: PathBuf, number: usize },
    /// The leaf does not name what it shall be served for.
    NotCovered {
        cert: PathBuf,
        wanted: HostPattern,
        names: Vec<HostPattern>,
    },
}

/// What is odd about a pair that is served all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// Clients refuse it; without it they would be refused anyway, and with less to go by.
    Expired {
        cert: PathBuf,
        since: SystemTime,
    },
    /// Less than [`EXPIRY_NOTICE`](super::EXPIRY_NOTICE) is left.
    ExpiresSoon {
        cert: PathBuf,
        at: SystemTime,
    },
    NotYetValid {
        cert: PathBuf,
        from: SystemTime,
    },
    /// This certificate of the chain was not issued by the one behind it.
    ChainBroken {
        cert: PathBuf,
        number: usize,
    },
    /// Other users may read the key.
    ReadableKey {
        key: PathBuf,
        mode: u32,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::NoCertificate(path) => write!(
                f,
                "{} has no PEM certificate: a binary one is converted by `openssl x509 -inform der`",
                path.display()
            ),
            Self::NoKey(path) => write!(f, "{} has no PEM private key", path.display()),
            Self::EncryptedKey(path) => write!(
                f,
                "the key in {} is behind a passphrase: take it off with `openssl pkey`",
                path.display()
            ),
            Self::BrokenCertificate { cert, number } => write!(
                f,
                "certificate number {number} in {} cannot be parsed",
                cert.display()
            ),
            Self::UnusableKey { key, .. } => write!(
                f,
                "the key in {} cannot be used: it must be RSA, ECDSA or Ed25519",
                key.display()
            ),
            Self::KeyMismatch(files) => write!(
                f,
                "the key in {} does not belong to the certificate in {}",
                files.key.display(),
                files.cert.display()
            ),
            Self::LeafNotFirst { cert, number } => write!(
                f,
                "the chain in {} is in the wrong order: the certificate of the key is number {number} and must be the first",
                cert.display()
            ),
            Self::NotCovered {
                cert,
                wanted,
                names,
            } => {
                write!(f, "{} is not for `{wanted}`: ", cert.display())?;
                write_names(f, names)
            }
        }
    }
}

fn write_names(f: &mut fmt::Formatter<'_>, names: &[HostPattern]) -> fmt::Result {
    let Some((first, rest)) = names.split_first() else {
        return f.write_str("it names no host at all");
    };
    write!(f, "it names {first}")?;
    for name in rest.iter().take(NAMES_SHOWN_MAX - 1) {
        write!(f, ", {name}")?;
    }
    match names.len().saturating_sub(NAMES_SHOWN_MAX) {
        0 => Ok(()),
        more => write!(f, " and {more} more"),
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::File(error) => error.source(),
            Self::UnusableKey { source, .. } => Some(source),
            Self::NoCertificate(_)
            | Self::NoKey(_)
            | Self::EncryptedKey(_)
            | Self::BrokenCertificate { .. }
            | Self::KeyMismatch(_)
            | Self::LeafNotFirst { .. }
            | Self::NotCovered { .. } => None,
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired { cert, since } => {
                write!(f, "{} expired on {}", cert.display(), day(*since))
            }
            Self::ExpiresSoon { cert, at } => {
                write!(f, "{} expires on {}", cert.display(), day(*at))
            }
            Self::NotYetValid { cert, from } => {
                write!(f, "{} is valid only from {}", cert.display(), day(*from))
            }
            Self::ChainBroken { cert, number } => write!(
                f,
                "certificate number {number} in {} was not issued by the next one: some clients may not find a way to their root",
                cert.display()
            ),
            Self::ReadableKey { key, mode } => write!(
                f,
                "{} can be read by other users (mode {mode:03o}): `chmod 600` mends it",
                key.display()
            ),
        }
    }
}

pub(crate) fn day(time: SystemTime) -> String {
    Timestamp::try_from(time).map_or_else(
        |_out_of_range| "a day beyond the calendar".to_owned(),
        |time| time.strftime("%Y-%m-%d").to_string(),
    )
}
