//! What was laid down and where, kept in the storage: whoever undoes it need not guess, even after the local CA was replaced.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::place::Laid;
use super::root::{Mark, Root};
use crate::storage::files::{Error, Storage};

const FOLDER: &str = "trust";
const FILE: &str = "trust/laid.json";

/// More is not remembered; the oldest is forgotten, and still found by its fingerprint.
const LAID_MAX: usize = 256;

#[derive(Debug)]
pub(super) struct Memory {
    storage: Storage,
    pub(super) laid: Vec<Laid>,
}

/// As it is stored.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Stored {
    laid: Vec<Laid>,
}

/// What is wrong with a memory that is there and cannot be read.
#[derive(Debug)]
pub(super) enum Damage {
    Storage(Error),
    Broken(PathBuf, serde_json::Error),
}

impl Memory {
    /// Empty where nothing was laid down.
    pub(super) fn open(storage: Storage) -> Result<Self, Damage> {
        let stored = match storage.read(FILE).map_err(Damage::Storage)? {
            Some(text) => serde_json::from_slice(&text)
                .map_err(|error| Damage::Broken(storage.path(FILE), error))?,
            None => Stored::default(),
        };
        Ok(Self {
            storage,
            laid: stored.laid,
        })
    }

    pub(super) fn empty(storage: Storage) -> Self {
        Self {
            storage,
            laid: Vec::new(),
        }
    }

    /// The folder with the certificates of all that is remembered.
    pub(super) fn certificates(&self) -> PathBuf {
        self.storage.path(FOLDER)
    }

    /// Where the certificate of a root lies from [`Memory::add`] on.
    pub(super) fn certificate(&self, mark: &Mark) -> PathBuf {
        self.certificates().join(mark.file())
    }

    /// Remembers that this is about to be laid down.
    pub(super) fn add(&mut self, root: &Root, laid: &[Laid]) -> Result<(), Error> {
        let file = format!("{FOLDER}/{}", root.mark.file());
        self.storage.write(&file, root.pem.as_bytes())?;
        for one in laid {
            // What is known of it now is worth more: it may have had to be made.
            let made = |known: &Laid| known.is_at_the_place_of(one);
            if !self.laid.iter().any(made) {
                self.laid.push(one.clone());
            }
        }
        let over = self.laid.len().saturating_sub(LAID_MAX);
        self.laid.drain(..over);
        self.write()
    }

    /// Keeps what is still there. Of a root that is nowhere any more nothing is kept.
    pub(super) fn retain(&mut self, laid: Vec<Laid>) -> Result<(), Error> {
        let before = std::mem::replace(&mut self.laid, laid);
        if self.laid.is_empty() {
            // There may never have been any.
            let _gone = fs::remove_dir_all(self.certificates());
            return Ok(());
        }
        for one in before {
            if !self.laid.iter().any(|kept| kept.root == one.root) {
                let _gone = fs::remove_file(self.certificates().join(one.file()));
            }
        }
        self.write()
    }

    fn write(&self) -> Result<(), Error> {
        let stored = Stored {
            laid: self.laid.clone(),
        };
        let text = serde_json::to_vec_pretty(&stored).unwrap_or_default();
        self.storage.write(FILE, &text)?;
        // Root may write in somebody's folder; what lies there stays that one's.
        let _kept = self.give_to_owner();
        Ok(())
    }

    fn give_to_owner(&self) -> io::Result<()> {
        let owner = fs::metadata(self.storage.folder())?;
        let folder = self.certificates();
        let mut paths = vec![folder.clone()];
        for entry in fs::read_dir(folder)? {
            paths.push(entry?.path());
        }
        for path in paths {
            let found = fs::symlink_metadata(&path)?;
            if found.is_symlink() || found.uid() == owner.uid() {
                continue;
            }
            match chown(&path, Some(owner.uid()), Some(owner.gid())) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Storage(error) => error.fmt(f),
            Self::Broken(file, _error) => write!(f, "{} is broken", file.display()),
        }
    }
}

impl std::error::Error for Damage {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Storage(error) => error.source(),
            Self::Broken(_file, error) => Some(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;
    use crate::cli::trust::place::Place;

    fn root() -> Root {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::default().self_signed(&key).unwrap();
        Root::parse(certificate.pem()).unwrap()
    }

    fn laid(root: &Root, file: &str) -> Laid {
        let file = PathBuf::from(file);
        Laid::new(&root.mark, Place::Anchor { file })
    }

    #[test]
    fn what_was_laid_down_is_remembered_once_until_it_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::at(folder.path().join("onedoor"));
        let (one, other) = (root(), root());
        let mut memory = Memory::open(storage.clone()).unwrap();
        for _twice in 0..2 {
            memory.add(&one, &[laid(&one, "/a")]).unwrap();
        }
        memory.add(&other, &[laid(&other, "/b")]).unwrap();
        let mut memory = Memory::open(storage.clone()).unwrap();
        assert_eq!(memory.laid, [laid(&one, "/a"), laid(&other, "/b")]);
        assert!(memory.certificate(&one.mark).exists());

        memory.retain(vec![laid(&other, "/b")]).unwrap();
        assert!(!memory.certificate(&one.mark).exists());
        assert!(memory.certificate(&other.mark).exists());
        memory.retain(Vec::new()).unwrap();
        assert!(!memory.certificates().exists());
        assert!(Memory::open(storage).unwrap().laid.is_empty());
    }

    #[test]
    fn a_broken_memory_is_told_and_left() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::at(folder.path().join("onedoor"));
        storage.write(FILE, b"{").unwrap();
        let damage = Memory::open(storage).unwrap_err();
        assert!(damage.to_string().ends_with("laid.json is broken"));
    }
}
