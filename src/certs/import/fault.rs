//! What can be wrong or odd about what was found, in words for its owner.

use std::fmt;
use std::time::SystemTime;

use crate::certs::utc::minute;

/// Why a certificate cannot be taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    NoCertificate,
    /// Named are the places where one was looked for.
    NoKey,
    /// The key is behind a passphrase.
    EncryptedKey,
    BrokenPem,
    /// A certificate of the chain cannot be parsed; the leaf is number 1.
    BrokenCertificate(usize),
    /// No key that TLS servers use.
    UnusableKey,
    KeyMismatch,
    /// The key is that of this certificate of the chain.
    LeafNotFirst(usize),
    /// No client would take it for any host.
    NamesNoHost,
    Expired(SystemTime),
    /// The tool's own file about it, or one of its files, cannot be read: why.
    Unreadable(String),
}

/// What is odd about a certificate that can be taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// From a CA's test environment: no browser trusts it.
    Staging,
    /// Signed by itself, so no public CA renews it.
    SelfSigned,
    NotYetValid(SystemTime),
    /// The leaf alone: clients that do not know its issuer refuse it.
    NoChain,
    /// This certificate of the chain was not issued by the one behind it.
    ChainBroken(usize),
    /// The tool thinks that it is for these names, and the leaf does not.
    NamesDiffer(Vec<String>),
    /// What the tool has as its CA's directory is no URL, and was dropped.
    OddDirectory(String),
}

/// Why an account cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountFault {
    NoKey,
    EncryptedKey,
    /// Neither a key nor anything like it.
    BrokenKey,
    /// Of a kind that we cannot sign with.
    UnusableKey(String),
    /// The tool does not say at which CA it is.
    UnknownDirectory,
    /// What the tool has as its URL, or as that of its CA's directory, is none.
    OddUrl(String),
    /// The CA does not know it any more, says the tool.
    NotValid(String),
    /// The tool's own file about it cannot be read: why.
    Unreadable(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCertificate => f.write_str("its certificate is missing"),
            Self::NoKey => f.write_str("its key is missing"),
            Self::EncryptedKey => {
                f.write_str("its key is behind a passphrase: take it off with `openssl pkey`")
            }
            Self::BrokenPem => f.write_str("its PEM is damaged"),
            Self::BrokenCertificate(number) => {
                write!(
                    f,
                    "certificate number {number} of its chain cannot be parsed"
                )
            }
            Self::UnusableKey => {
                f.write_str("its key cannot be used: it must be RSA, ECDSA or Ed25519")
            }
            Self::KeyMismatch => f.write_str("the key is not that of the certificate"),
            Self::LeafNotFirst(number) => write!(
                f,
                "its chain is in the wrong order: the certificate of the key is number {number} and must be the first"
            ),
            Self::NamesNoHost => f.write_str("it names no host"),
            Self::Expired(since) => write!(f, "it expired at {}", minute(*since)),
            Self::Unreadable(why) => f.write_str(why),
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Staging => {
                f.write_str("it is from a CA's test environment: no browser trusts it")
            }
            Self::SelfSigned => f.write_str("it is signed by itself: no CA renews it"),
            Self::NotYetValid(from) => write!(f, "it is valid only from {}", minute(*from)),
            Self::NoChain => f.write_str(
                "its issuer's certificate is missing: some clients may not find a way to their root",
            ),
            Self::ChainBroken(number) => write!(
                f,
                "certificate number {number} of its chain was not issued by the next one: some clients may not find a way to their root"
            ),
            Self::NamesDiffer(names) => write!(
                f,
                "the tool has it for {}, which it does not name",
                names.join(", ")
            ),
            Self::OddDirectory(text) => write!(
                f,
                "the tool has it from a CA at `{}`, which is no URL: left out",
                shown(text)
            ),
        }
    }
}

/// A text that may hold anything, on one line.
fn shown(text: &str) -> String {
    const SHOWN_MAX: usize = 200;
    text.escape_debug().take(SHOWN_MAX).collect()
}

impl fmt::Display for AccountFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKey => f.write_str("its key is missing"),
            Self::EncryptedKey => {
                f.write_str("its key is behind a passphrase: take it off with `openssl pkey`")
            }
            Self::BrokenKey => f.write_str("its key is damaged"),
            Self::UnusableKey(kind) => {
                write!(f, "its key is {kind}, which onedoor cannot sign with")
            }
            Self::UnknownDirectory => f.write_str("nothing says at which CA it is"),
            Self::OddUrl(text) => {
                write!(f, "the tool has it at `{}`, which is no URL", shown(text))
            }
            Self::NotValid(status) => write!(f, "the tool noted that it is {status}"),
            Self::Unreadable(why) => f.write_str(why),
        }
    }
}
