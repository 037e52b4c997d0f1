//! Where a root of ours belongs, store by store: all names come from its mark, so that what was laid down is found without a memory.

use std::path::{Path, PathBuf};

use super::place::Place;
use super::root::Mark;
use super::store::{Anchors, DataBase, Fed, Java, Store, There};

pub(super) const SYSTEM_KEYCHAIN: &str = "/Library/Keychains/System.keychain";
const LOGIN_KEYCHAIN: &str = "Library/Keychains/login.keychain-db";

/// Which keychain on macOS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keychain {
    Login,
    System,
}

/// Every place of these stores that a root of this mark could have been laid down in.
pub(super) fn everywhere(stores: &[Store], mark: &Mark, home: Option<&Path>) -> Vec<Place> {
    let mut places = Vec::new();
    for store in stores {
        match store {
            Store::System {
                anchors: Anchors::Keychain,
                ..
            } => {
                let both = [Keychain::Login, Keychain::System];
                places.extend(both.into_iter().filter_map(|one| one.place(mark, home)));
            }
            Store::System { anchors, .. } => places.extend(anchors.place(mark)),
            Store::Nss(data_base) => places.push(data_base.place(mark)),
            Store::Java(java) => {
                places.push(java.place(mark));
                places.extend(java.fed_place(mark));
            }
            Store::SystemKeychain { .. } | Store::Node { .. } => {}
        }
    }
    places
}

impl Keychain {
    /// None: the login keychain of somebody without a home, or of a root whose SHA-1 is not known.
    pub(super) fn place(self, mark: &Mark, home: Option<&Path>) -> Option<Place> {
        let keychain = match self {
            Self::Login => home?.join(LOGIN_KEYCHAIN),
            Self::System => PathBuf::from(SYSTEM_KEYCHAIN),
        };
        let sha1 = mark.sha1.clone()?;
        Some(Place::Keychain { keychain, sha1 })
    }
}

/// Whether only root may change this keychain.
pub(super) fn is_of_system(keychain: &Path) -> bool {
    keychain == Path::new(SYSTEM_KEYCHAIN)
}

impl Anchors {
    pub(super) fn place(self, mark: &Mark) -> Option<Place> {
        let folder = self.folder()?;
        let file = Path::new(folder).join(mark.file());
        Some(Place::Anchor { file })
    }
}

impl DataBase {
    pub(super) fn place(&self, mark: &Mark) -> Place {
        Place::Nss {
            browser: self.browser,
            folder: self.folder.clone(),
            nickname: mark.nickname(),
            made: match &self.there {
                There::Made => None,
                There::Missing(topmost) => Some(topmost.clone()),
            },
        }
    }
}

impl Java {
    pub(super) fn place(&self, mark: &Mark) -> Place {
        self.called(mark.name())
    }

    /// Where the hook of the system's store lays it down.
    pub(super) fn fed_place(&self, mark: &Mark) -> Option<Place> {
        match self.fed {
            Fed::BySystem => Some(self.called(format!("debian:{}.pem", mark.name()))),
            Fed::ByHand => None,
        }
    }

    fn called(&self, alias: String) -> Place {
        Place::Java {
            keystore: self.keystore.clone(),
            alias,
        }
    }
}
