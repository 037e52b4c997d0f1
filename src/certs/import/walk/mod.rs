//! Reads a folder or a file into a tree, within limits. Links are followed, but never in a circle.

mod error;
#[cfg(test)]
mod tests;

use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::certs::import::plain;
use crate::certs::import::tree::{Content, Tree, join};

pub use error::ImportError;

/// How many files and folders are looked at.
pub const ENTRIES_MAX: usize = 100_000;
/// How deep folders may lie in folders.
pub const DEPTH_MAX: usize = 16;
/// The largest file that is read, in octets; a Traefik file of thousands of certificates is smaller.
pub const FILE_BYTES_MAX: u64 = 32 << 20;
/// The largest file without an ending that is read, in octets: a key, a chain or an URL.
pub const BARE_FILE_BYTES_MAX: u64 = 1 << 20;
/// How much is read in all, in octets, with what all archives hold together.
pub const IMPORT_BYTES_MAX: u64 = 256 << 20;

/// The endings of files that may hold certificates, keys, accounts or what tools say of them.
const ENDINGS: &[&str] = &[
    "bundle",
    "cer",
    "cert",
    "chain",
    "companion",
    "conf",
    "crt",
    "env",
    "fullchain",
    "json",
    "key",
    "pem",
    "privkey",
    "tar",
    "tgz",
    "yaml",
    "yml",
];

/// What a walk keeps to.
#[derive(Debug, Clone, Copy)]
struct Limits {
    entries: usize,
    bytes: u64,
}

const LIMITS: Limits = Limits {
    entries: ENTRIES_MAX,
    bytes: IMPORT_BYTES_MAX,
};

/// Reads what is at `path`. Files inside that cannot be read are in the tree with the reason.
///
/// # Errors
/// Nothing can be read at `path` itself, or it holds more than the limits allow.
pub fn tree(path: &Path) -> Result<Tree, ImportError> {
    tree_within(LIMITS, path)
}

fn tree_within(limits: Limits, path: &Path) -> Result<Tree, ImportError> {
    let found = fs::metadata(path).map_err(|source| ImportError::new(path, source))?;
    if found.is_dir() {
        let mut walk = Walk::new(limits, path);
        let listed = fs::read_dir(path).map_err(|source| ImportError::new(path, source))?;
        walk.folder(listed, path, "", &[identity(&found)])?;
        return Ok(walk.tree);
    }
    if !found.is_file() {
        return Err(ImportError::NotAFile(path.to_owned()));
    }
    if found.len() > FILE_BYTES_MAX {
        return Err(ImportError::TooLarge(path.to_owned()));
    }
    let bytes = read(path).map_err(|source| ImportError::new(path, source))?;
    Ok(alone(path, bytes))
}

/// One file, and beside it what may be its other half.
fn alone(path: &Path, bytes: Vec<u8>) -> Tree {
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut tree = Tree::new(folder.display().to_string());
    for other in plain::partners(&name, &bytes) {
        let beside = folder.join(&other);
        let is_small = fs::metadata(&beside)
            .is_ok_and(|found| found.is_file() && found.len() <= BARE_FILE_BYTES_MAX);
        if is_small {
            let content = read(&beside).map_or_else(|error| unreadable(&error), Content::Bytes);
            tree.insert(other, content);
        }
    }
    tree.insert(name.into_owned(), Content::Bytes(bytes));
    tree
}

/// A tree that grows.
struct Walk {
    tree: Tree,
    path: PathBuf,
    limits: Limits,
    entries: usize,
    bytes: u64,
}

impl Walk {
    fn new(limits: Limits, path: &Path) -> Self {
        Self {
            tree: Tree::new(path.display().to_string().trim_end_matches('/').to_owned()),
            path: path.to_owned(),
            limits,
            entries: 0,
            bytes: 0,
        }
    }

    /// `above` are this folder and those that it lies in.
    fn folder(
        &mut self,
        listed: fs::ReadDir,
        folder: &Path,
        below: &str,
        above: &[(u64, u64)],
    ) -> Result<(), ImportError> {
        for entry in listed {
            self.entries += 1;
            if self.entries > self.limits.entries {
                return Err(ImportError::TooMany(self.path.clone()));
            }
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    self.omit(below, &error);
                    break;
                }
            };
            let name = entry.file_name();
            let name = name.to_string_lossy();
            // Where Kubernetes keeps the versions that its links lead to.
            if name.starts_with("..") {
                continue;
            }
            self.entry(&folder.join(entry.file_name()), &join(below, &name), above)?;
        }
        Ok(())
    }

    fn entry(&mut self, path: &Path, below: &str, above: &[(u64, u64)]) -> Result<(), ImportError> {
        let found = match fs::metadata(path) {
            Ok(found) => found,
            Err(error) => {
                if may_matter(below, 0) {
                    self.tree.insert(below.to_owned(), unreadable(&error));
                }
                return Ok(());
            }
        };
        if found.is_file() && may_matter(below, found.len()) {
            return self.file(path, below, &found);
        }
        if !found.is_dir() {
            return Ok(());
        }
        let own = identity(&found);
        if above.contains(&own) {
            let place = self.tree.place(below);
            self.tree.remark(format!(
                "{place} is a link that leads in a circle: left out"
            ));
            return Ok(());
        }
        if above.len() > DEPTH_MAX {
            let place = self.tree.place(below);
            self.tree.remark(format!(
                "{place} lies more than {DEPTH_MAX} folders deep: left out"
            ));
            return Ok(());
        }
        match fs::read_dir(path) {
            Ok(listed) => self.folder(listed, path, below, &[above, &[own]].concat())?,
            Err(error) => self.omit(below, &error),
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, below: &str, found: &Metadata) -> Result<(), ImportError> {
        if found.len() > FILE_BYTES_MAX {
            let why = format!("is larger than {FILE_BYTES_MAX} octets");
            self.tree.insert(below.to_owned(), Content::Unreadable(why));
            return Ok(());
        }
        let content = match read(path) {
            Ok(bytes) => {
                self.bytes += bytes.len() as u64;
                Content::Bytes(bytes)
            }
            Err(error) => unreadable(&error),
        };
        if self.bytes > self.limits.bytes {
            return Err(ImportError::TooMuch(self.path.clone()));
        }
        self.tree.insert(below.to_owned(), content);
        Ok(())
    }

    fn omit(&mut self, below: &str, error: &io::Error) {
        let place = self.tree.place(below);
        self.tree
            .remark(format!("{place} {}: left out", words(error)));
    }
}

fn may_matter(path: &str, length: u64) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    match name.rsplit_once('.') {
        Some((_, ending)) if ENDINGS.contains(&ending.to_ascii_lowercase().as_str()) => true,
        Some((rest, "gz")) => rest.ends_with(".tar"),
        // Folders and files are named after hosts, so a dot need not begin an ending.
        Some(_) | None => length <= BARE_FILE_BYTES_MAX && plain::is_bare_name(name),
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(FILE_BYTES_MAX)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn identity(found: &Metadata) -> (u64, u64) {
    (found.dev(), found.ino())
}

fn unreadable(error: &io::Error) -> Content {
    Content::Unreadable(words(error))
}

/// What follows on a path.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the system's kinds are many, and only these have words of their own"
)]
fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "is a link to nothing".to_owned(),
        io::ErrorKind::PermissionDenied => "may not be read by this user".to_owned(),
        _ if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
            "is a link that leads in a circle".to_owned()
        }
        _ => format!("cannot be read ({error})"),
    }
}
