//! One known certificate: whose it is, where it comes from, and how it is.

use std::fmt;
use std::path::PathBuf;
use std::time::SystemTime;

use serde::Serialize;

use super::leaf::Leaf;
use crate::certs::bundle::Ready;
use crate::certs::retry::Class;
use crate::certs::utc::{minute, stamp, stamp_or_null};
use crate::certs::vault;
use crate::hostname::HostPattern;

/// A certificate, or a name that should have one.
#[derive(Debug, Serialize)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) source: Source,
    /// Of the local CA its root: its leaves are made when they are needed.
    pub(super) certificate: Option<Leaf>,
    #[serde(flatten)]
    pub(super) state: State,
    /// The host that ordered it, if one of ours did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ordered_by: Option<String>,
    /// When it is to be renewed by onedoor; null: it is not.
    #[serde(serialize_with = "stamp_or_null")]
    pub(super) due: Option<SystemTime>,
    /// What is damaged and was stepped over.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) faults: Vec<String>,
    #[serde(skip)]
    pub(super) pattern: HostPattern,
    #[serde(skip)]
    pub(super) kept: Option<Kept>,
}

/// What the storage has of it.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) id: vault::CertId,
    pub(super) ready: Option<Ready>,
    pub(super) state: vault::State,
}

/// Where a certificate comes from.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(super) enum Source {
    /// A CA that onedoor orders from; none: not ordered yet, and nobody knows from whom.
    Ca {
        directory: Option<String>,
    },
    OwnPair {
        path: PathBuf,
    },
    /// A pair of the folder of pairs.
    CertDir {
        path: PathBuf,
    },
    LocalCa,
    /// A site's name whose certificate cannot be used or found.
    Nowhere,
    /// A handshake.
    Connection {
        address: String,
    },
}

/// How it is.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub(super) enum State {
    Fine,
    RenewalDue,
    Failing(Failing),
    Expired,
    NoCertificate,
    /// It cannot be used, in words.
    Broken {
        reason: String,
    },
    /// No site wants it any more.
    NotWanted,
}

/// The last try.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Failing {
    /// In the CA's words.
    pub(super) reason: String,
    pub(super) class: Class,
    pub(super) failures: u32,
    #[serde(serialize_with = "stamp")]
    pub(super) next_try: SystemTime,
}

impl Entry {
    /// Whether there is, or should be, something to serve.
    pub(super) fn is_wanted(&self) -> bool {
        match self.state {
            State::NotWanted => false,
            State::Fine
            | State::RenewalDue
            | State::Failing(_)
            | State::Expired
            | State::NoCertificate
            | State::Broken { .. } => true,
        }
    }

    /// Where its certificate is from, for people.
    pub(super) fn origin(&self) -> String {
        match self.source {
            Source::LocalCa => format!("{} (its root)", self.source),
            Source::Ca { .. }
            | Source::OwnPair { .. }
            | Source::CertDir { .. }
            | Source::Nowhere
            | Source::Connection { .. } => self.source.to_string(),
        }
    }

    /// Whether it is the one for this name.
    pub(super) fn is_for(&self, wanted: &HostPattern) -> bool {
        match wanted {
            HostPattern::Exact(name) => self.pattern.matches(name),
            HostPattern::Wildcard(_) | HostPattern::CatchAll => self.pattern == *wanted,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ca {
                directory: Some(directory),
            } => f.write_str(host(directory)),
            Self::Ca { directory: None } => f.write_str("public CA"),
            Self::OwnPair { path } => write!(f, "own pair {}", path.display()),
            Self::CertDir { path } => write!(f, "cert_dir {}", path.display()),
            Self::LocalCa => f.write_str("local CA"),
            Self::Nowhere => f.write_str("none"),
            Self::Connection { address } => f.write_str(address),
        }
    }
}

fn host(directory: &str) -> &str {
    let address = directory
        .split_once("://")
        .map_or(directory, |(_scheme, address)| address);
    address.split('/').next().unwrap_or(address)
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fine => f.write_str("fine"),
            Self::RenewalDue => f.write_str("renewal due"),
            Self::Failing(failing) => write!(
                f,
                "failing, next try {}: {}",
                minute(failing.next_try),
                failing.reason
            ),
            Self::Expired => f.write_str("expired"),
            Self::NoCertificate => f.write_str("no certificate yet"),
            Self::Broken { reason } => f.write_str(reason),
            Self::NotWanted => f.write_str("not wanted any more"),
        }
    }
}
