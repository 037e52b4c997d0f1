//! One place in which a root of ours was laid down, with all that is needed to take it away again.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::root::Mark;
use super::store::{Browser, Owner};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(super) enum Place {
    /// A file in the system's folder of anchors.
    Anchor {
        file: PathBuf,
    },
    Keychain {
        keychain: PathBuf,
        /// What keychains call the certificate.
        sha1: String,
    },
    Nss {
        browser: Browser,
        folder: PathBuf,
        nickname: String,
        /// The topmost folder that was made for this data base; none: it was there.
        made: Option<PathBuf>,
    },
    Java {
        keystore: PathBuf,
        alias: String,
    },
}

/// A place, and whose root lies there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Laid {
    /// SHA-256 of the root.
    pub(super) root: String,
    #[serde(flatten)]
    pub(super) place: Place,
}

/// What was found where something was laid down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    Ours,
    /// In a data base that holds nothing else.
    OursAlone,
    Nothing,
    /// The file is gone, and the system has not been told.
    TakenUp,
    /// Something of the same name.
    Another,
    Unknown(String),
}

/// What was seen at a place, and who may change it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) laid: Laid,
    pub(super) found: Found,
    pub(super) owner: Owner,
}

impl Laid {
    pub(super) fn new(mark: &Mark, place: Place) -> Self {
        Self {
            root: mark.sha256().to_owned(),
            place,
        }
    }

    /// Whether both are of the same root and the same place, whatever else is known of it.
    pub(super) fn is_at_the_place_of(&self, other: &Self) -> bool {
        self.root == other.root && self.place.name() == other.place.name()
    }

    /// Whether `trust` could have done it: who may write the memory may not be who undoes it.
    pub(super) fn is_of_trust(&self) -> bool {
        Mark::parse(&self.root).is_ok()
            && match &self.place {
                Place::Anchor { file } => file.file_name() == Some(self.file().as_ref()),
                Place::Keychain { .. } | Place::Nss { .. } | Place::Java { .. } => true,
            }
    }

    /// The file in which its certificate is remembered.
    pub(super) fn file(&self) -> String {
        Mark::from_sha256(&self.root).file()
    }
}

impl Place {
    /// As it is told.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Anchor { file } => format!("the system's store ({})", file.display()),
            Self::Keychain { keychain, .. } => format!("the keychain {}", keychain.display()),
            Self::Nss {
                browser, folder, ..
            } => {
                format!("{} ({})", browser.name(), folder.display())
            }
            Self::Java { keystore, alias } => format!("Java ({}, {alias})", keystore.display()),
        }
    }
}
