//! The stores of roots that clients on a machine read, how each takes in ours, and what is known of it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How this system's store takes in a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Anchors {
    Debian,
    Fedora,
    Arch,
    Suse,
    Keychain,
    Unknown,
}

/// A store and whether our root is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) enum Store {
    System {
        anchors: Anchors,
        /// The program that takes up what changed in the folder of anchors.
        updater: Option<Vec<String>>,
        holds: Holds,
    },
    /// Of macOS, beside what it trusts on the whole: whether our root lies in the keychain of the system.
    SystemKeychain {
        holds: Holds,
    },
    Nss(DataBase),
    /// There is a Node here; whether its environment names our root.
    Node {
        holds: Holds,
    },
    Java(Java),
}

/// A data base of NSS: every browser has its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct DataBase {
    pub(in crate::cli) browser: Browser,
    pub(in crate::cli) folder: PathBuf,
    pub(in crate::cli) there: There,
    pub(in crate::cli) holds: Holds,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::cli) enum Browser {
    Chromium,
    Firefox,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) enum There {
    Made,
    /// It would have to be made, and with it this folder, the topmost that is missing.
    Missing(PathBuf),
}

/// The store of the Java that is called here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Java {
    pub(in crate::cli) keytool: PathBuf,
    pub(in crate::cli) keystore: PathBuf,
    /// Who may change it.
    pub(in crate::cli) owner: Owner,
    pub(in crate::cli) fed: Fed,
    /// Unknown unless somebody asked: it takes a second to read.
    pub(in crate::cli) holds: Holds,
}

/// How roots come into a store of Java.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Fed {
    /// A hook of Debian's carries them over from the system's store, and never takes one away.
    BySystem,
    ByHand,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Owner {
    Us,
    Root,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) enum Holds {
    Ours,
    Nothing,
    /// Another root of onedoor, not this one.
    Another,
    /// Why it cannot be said, and what would help.
    Unknown {
        why: String,
        remedy: Option<String>,
    },
}

impl Anchors {
    /// All that are folders.
    pub(in crate::cli) const FOLDERS: [Self; 4] =
        [Self::Debian, Self::Fedora, Self::Arch, Self::Suse];

    /// Where a root is laid down; it tells one distribution's way from another's.
    pub(in crate::cli) fn folder(self) -> Option<&'static str> {
        match self {
            Self::Debian => Some("/usr/local/share/ca-certificates"),
            Self::Fedora => Some("/etc/pki/ca-trust/source/anchors"),
            Self::Arch => Some("/etc/ca-certificates/trust-source/anchors"),
            Self::Suse => Some("/etc/pki/trust/anchors"),
            Self::Keychain | Self::Unknown => None,
        }
    }

    /// What takes up a change of that folder; of several the first that is there.
    pub(in crate::cli) fn updaters(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::Debian | Self::Suse => &[&["update-ca-certificates"]],
            Self::Fedora => &[&["update-ca-trust"]],
            Self::Arch => &[&["update-ca-trust"], &["trust", "extract-compat"]],
            Self::Keychain | Self::Unknown => &[],
        }
    }

    /// Where what was taken up is found, as PEM.
    pub(in crate::cli) fn bundles(self) -> &'static [&'static str] {
        match self {
            Self::Debian => &["/etc/ssl/certs/ca-certificates.crt"],
            Self::Fedora => &[
                "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
                "/etc/pki/tls/certs/ca-bundle.crt",
            ],
            Self::Arch => &[
                "/etc/ca-certificates/extracted/tls-ca-bundle.pem",
                "/etc/ssl/certs/ca-certificates.crt",
            ],
            Self::Suse => &[
                "/var/lib/ca-certificates/ca-bundle.pem",
                "/etc/ssl/ca-bundle.pem",
            ],
            Self::Keychain | Self::Unknown => &[],
        }
    }

    /// What people call such a system.
    pub(in crate::cli) fn name(self) -> &'static str {
        match self {
            Self::Debian => "as Debian has it",
            Self::Fedora => "as Fedora has it",
            Self::Arch => "as Arch has it",
            Self::Suse => "as SUSE has it",
            Self::Keychain => "the keychain",
            Self::Unknown => "of an unknown kind",
        }
    }
}

impl Browser {
    pub(in crate::cli) fn name(self) -> &'static str {
        match self {
            Self::Chromium => "Chromium",
            Self::Firefox => "Firefox",
        }
    }
}

impl Store {
    pub(in crate::cli) fn is_system_with_it(&self) -> bool {
        matches!(
            self,
            Self::System {
                holds: Holds::Ours,
                ..
            }
        )
    }

    /// Whether it counts by itself, and need not be made first.
    pub(in crate::cli) fn is_there(&self) -> bool {
        match self {
            Self::Nss(data_base) => data_base.there == There::Made,
            Self::System { .. } | Self::Node { .. } | Self::Java(_) => true,
            Self::SystemKeychain { .. } => false,
        }
    }

    pub(in crate::cli) fn holds(&self) -> &Holds {
        match self {
            Self::System { holds, .. } | Self::SystemKeychain { holds } | Self::Node { holds } => {
                holds
            }
            Self::Nss(data_base) => &data_base.holds,
            Self::Java(java) => &java.holds,
        }
    }
}
