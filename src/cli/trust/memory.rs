//! What was laid down and where, kept in the storage: whoever undoes it need not guess, even after the local CA was replaced.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::drawer::Drawer;
use super::place::Laid;
use super::root::{Mark, Root};
use super::way::Error;

/// Of the storage.
const FOLDER: &str = "trust";
const FILE: &str = "laid.json";
/// What it becomes when it cannot be made sense of.
const BROKEN: &str = "laid.json.broken";
/// More are not kept.
const BROKEN_MAX: usize = 100;
/// How it is written here.
const VERSION: u32 = 1;
/// More is not remembered; the oldest is forgotten, and still found by its fingerprint.
const LAID_MAX: usize = 256;

#[derive(Debug)]
pub(super) struct Memory {
    folder: PathBuf,
    pub(super) laid: Vec<Laid>,
    /// Something is there that was not understood.
    is_damaged: bool,
}

/// As it is stored.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    #[serde(default = "first")]
    version: u32,
    laid: Vec<Laid>,
}

/// What is wrong with a memory that is there and cannot be read.
#[derive(Debug)]
pub(super) enum Damage {
    Storage(Error),
    Broken(PathBuf, serde_json::Error),
    Newer(PathBuf),
}

impl Memory {
    /// Empty where nothing was laid down.
    pub(super) fn open(storage: &Path) -> Result<Self, Damage> {
        let folder = storage.join(FOLDER);
        let drawer = Drawer::open(&folder).map_err(Damage::Storage)?;
        let text = match drawer {
            Some(drawer) => drawer.read(FILE).map_err(Damage::Storage)?,
            None => None,
        };
        let laid = match text {
            Some(text) => read(&text, &folder.join(FILE))?,
            None => Vec::new(),
        };
        Ok(Self {
            folder,
            laid,
            is_damaged: false,
        })
    }

    /// In place of one that cannot be read, which is kept under another name as soon as there is something to be remembered, or nothing
    /// left.
    pub(super) fn empty(storage: &Path) -> Self {
        Self {
            folder: storage.join(FOLDER),
            laid: Vec::new(),
            is_damaged: true,
        }
    }

    /// The folder with the certificates of all that is remembered.
    pub(super) fn certificates(&self) -> &Path {
        &self.folder
    }

    /// Where the certificate of a root lies from [`Memory::add`] on.
    pub(super) fn certificate(&self, mark: &Mark) -> PathBuf {
        self.folder.join(mark.file())
    }

    /// Remembers that this is about to be laid down. Says where something went that was not understood.
    pub(super) fn add(&mut self, root: &Root, laid: &[Laid]) -> Result<Option<PathBuf>, Error> {
        let drawer = Drawer::make(&self.folder)?;
        let aside = self.set_aside(&drawer)?;
        drawer.write(&root.mark.file(), root.pem.as_bytes())?;
        for one in laid {
            // What is known of it now is worth more: it may have had to be made.
            let made = |known: &Laid| known.is_at_the_place_of(one);
            if !self.laid.iter().any(made) {
                self.laid.push(one.clone());
            }
        }
        let over = self.laid.len().saturating_sub(LAID_MAX);
        self.laid.drain(..over);
        self.write(&drawer)?;
        Ok(aside)
    }

    /// Keeps what is still there. Of a root that is nowhere any more nothing is kept.
    pub(super) fn retain(&mut self, laid: Vec<Laid>) -> Result<Option<PathBuf>, Error> {
        let before = std::mem::replace(&mut self.laid, laid);
        let Some(drawer) = Drawer::open(&self.folder)? else {
            return Ok(None);
        };
        let aside = self.set_aside(&drawer)?;
        if self.laid.is_empty() {
            drawer.clear(|name| name == FILE || Mark::is_file(name))?;
            return Ok(aside);
        }
        for one in before {
            if !self.laid.iter().any(|kept| kept.root == one.root) {
                drawer.remove(&one.file())?;
            }
        }
        self.write(&drawer)?;
        Ok(aside)
    }

    fn set_aside(&mut self, drawer: &Drawer) -> Result<Option<PathBuf>, Error> {
        if !std::mem::take(&mut self.is_damaged) {
            return Ok(None);
        }
        let numbered = (2..=BROKEN_MAX).map(|number| format!("{BROKEN}-{number}"));
        let names: Vec<String> = std::iter::once(BROKEN.to_owned()).chain(numbered).collect();
        drawer.set_aside(FILE, names.iter().map(String::as_str))
    }

    fn write(&self, drawer: &Drawer) -> Result<(), Error> {
        let stored = Stored {
            version: VERSION,
            laid: self.laid.clone(),
        };
        let text = serde_json::to_vec_pretty(&stored).unwrap_or_default();
        drawer.write(FILE, &text)
    }
}

fn first() -> u32 {
    1
}

fn read(text: &[u8], file: &Path) -> Result<Vec<Laid>, Damage> {
    /// What every version has.
    #[derive(Deserialize)]
    struct Any {
        #[serde(default = "first")]
        version: u32,
    }
    let broken = |error| Damage::Broken(file.to_owned(), error);
    let any: Any = serde_json::from_slice(text).map_err(broken)?;
    if any.version > VERSION {
        return Err(Damage::Newer(file.to_owned()));
    }
    let stored: Stored = serde_json::from_slice(text).map_err(broken)?;
    if stored.laid.iter().any(|one| !one.is_of_trust()) {
        let foreign = "it names what `onedoor trust` never does";
        return Err(broken(serde::de::Error::custom(foreign)));
    }
    Ok(stored.laid)
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, fault) = match self {
            Self::Storage(error) => return error.fmt(f),
            Self::Broken(file, _error) => (file, "is broken"),
            Self::Newer(file) => (file, "was written by a newer version of onedoor"),
        };
        write!(
            f,
            "{}, the list of what `onedoor trust` did, {fault}: a root of the present local CA is found without it, others with `onedoor untrust --fingerprint`",
            file.display()
        )
    }
}

impl std::error::Error for Damage {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Storage(error) => error.source(),
            Self::Broken(_file, error) => Some(error),
            Self::Newer(_file) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rcgen::{CertificateParams, KeyPair};

    use super::*;
    use crate::cli::trust::place::Place;

    fn root() -> Root {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::default().self_signed(&key).unwrap();
        Root::parse(certificate.pem()).unwrap()
    }

    fn laid(root: &Root, file: &str) -> Laid {
        let file = Path::new(file).join(root.mark.file());
        Laid::new(&root.mark, Place::Anchor { file })
    }

    #[test]
    fn what_was_laid_down_is_remembered_once_until_it_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let storage = folder.path().join("onedoor");
        let (one, other) = (root(), root());
        let mut memory = Memory::open(&storage).unwrap();
        for _twice in 0..2 {
            assert_eq!(memory.add(&one, &[laid(&one, "/a")]).unwrap(), None);
        }
        memory.add(&other, &[laid(&other, "/b")]).unwrap();
        let mut memory = Memory::open(&storage).unwrap();
        assert_eq!(memory.laid, [laid(&one, "/a"), laid(&other, "/b")]);
        assert!(memory.certificate(&one.mark).exists());

        memory.retain(vec![laid(&other, "/b")]).unwrap();
        assert!(!memory.certificate(&one.mark).exists());
        assert!(memory.certificate(&other.mark).exists());
        memory.retain(Vec::new()).unwrap();
        assert!(!memory.certificates().exists());
        assert!(Memory::open(&storage).unwrap().laid.is_empty());
    }

    #[test]
    fn what_is_not_understood_is_told_and_kept_under_another_name() {
        let folder = tempfile::tempdir().unwrap();
        let storage = folder.path().join("onedoor");
        let root = root();
        let place = |name: &str| storage.join(FOLDER).join(name);
        let newer = br#"{"version": 2, "laid": {"a": "b"}}"#;
        let unknown = br#"{"laid": [{"root": "ab", "kind": "moon"}]}"#;
        let more = br#"{"laid": [], "more": 1}"#;
        let mut theirs = laid(&root, "/a");
        theirs.place = Place::Anchor {
            file: PathBuf::from("/etc/ssl/certs/theirs.pem"),
        };
        let foreign = Stored {
            version: 1,
            laid: vec![theirs],
        };
        let foreign = serde_json::to_vec(&foreign).unwrap();
        let texts: [(&[u8], &str); 5] = [
            (&foreign, "broken"),
            (b"{", "broken"),
            (newer, "newer"),
            (unknown, "broken"),
            (more, "broken"),
        ];
        let drawer = Drawer::make(&place("")).unwrap();
        for (nth, (text, fault)) in texts.into_iter().enumerate() {
            drawer.write(FILE, text).unwrap();
            let damage = Memory::open(&storage).unwrap_err().to_string();
            assert!(damage.contains(fault), "{damage}");
            let mut memory = Memory::empty(&storage);
            assert_eq!(fs::read(place(FILE)).unwrap(), text, "nothing is done yet");
            let aside = match nth % 2 {
                0 => memory.add(&root, &[laid(&root, "/a")]),
                _ => memory.retain(Vec::new()),
            };
            let aside = aside.unwrap().unwrap();
            assert!(aside.display().to_string().contains(BROKEN), "{aside:?}");
            assert_eq!(fs::read(aside).unwrap(), text);
            let left = Memory::open(&storage).unwrap().laid;
            assert_eq!(left.len(), 1 - nth % 2);
            assert_eq!(memory.retain(Vec::new()).unwrap(), None);
        }
        assert_eq!(fs::read_dir(place("")).unwrap().count(), texts.len());
    }
}
