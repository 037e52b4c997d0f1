//! Reads a folder or a file into a tree, within limits. Links are followed, but never in a circle.

use std::fmt;
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::certs::import::plain;
use crate::certs::import::tree::{Content, Tree, join};

/// How many files and folders are looked at.
pub const ENTRIES_MAX: usize = 100_000;
/// How deep folders may lie in folders.
pub const DEPTH_MAX: usize = 16;
/// The largest file that is read, in octets; a Traefik file of thousands of certificates is smaller.
pub const FILE_BYTES_MAX: u64 = 32 << 20;
/// The largest file without an ending that is read, in octets: a key, a chain or an URL.
pub const BARE_FILE_BYTES_MAX: u64 = 1 << 20;
/// How much is read in all, in octets.
pub const TREE_BYTES_MAX: u64 = 256 << 20;

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
];

/// Why nothing was read.
#[derive(Debug)]
pub enum ImportError {
    Missing(PathBuf),
    /// This user may not read it.
    Denied(PathBuf),
    /// Neither a folder nor a file.
    NotAFile(PathBuf),
    /// A single file above [`FILE_BYTES_MAX`].
    TooLarge(PathBuf),
    /// More than [`ENTRIES_MAX`].
    TooMany(PathBuf),
    /// More than [`TREE_BYTES_MAX`].
    TooMuch(PathBuf),
    /// Anything else the system says.
    Failed {
        path: PathBuf,
        source: io::Error,
    },
}

/// Reads what is at `path`. Files inside that cannot be read are in the tree with the reason.
///
/// # Errors
/// Nothing can be read at `path` itself, or it holds more than the limits allow.
pub fn tree(path: &Path) -> Result<Tree, ImportError> {
    let found = fs::metadata(path).map_err(|source| ImportError::new(path, source))?;
    if found.is_dir() {
        let mut walk = Walk::new(path);
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
    let folder = path.parent().unwrap_or(Path::new(""));
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
    entries: usize,
    bytes: u64,
}

impl Walk {
    fn new(path: &Path) -> Self {
        Self {
            tree: Tree::new(path.display().to_string().trim_end_matches('/').to_owned()),
            path: path.to_owned(),
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
            if self.entries > ENTRIES_MAX {
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
        if self.bytes > TREE_BYTES_MAX {
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

impl ImportError {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the system's kinds are many, and only these have a remedy of their own"
    )]
    fn new(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound => Self::Missing(path),
            io::ErrorKind::PermissionDenied => Self::Denied(path),
            _ => Self::Failed { path, source },
        }
    }
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(path) => write!(f, "{} does not exist", path.display()),
            Self::Denied(path) => write!(
                f,
                "no permission to read {}: most tools keep keys for root alone, so try with sudo",
                path.display()
            ),
            Self::NotAFile(path) => {
                write!(f, "{} is neither a folder nor a file", path.display())
            }
            Self::TooLarge(path) => write!(
                f,
                "{} is larger than {FILE_BYTES_MAX} octets: no tool's certificates",
                path.display()
            ),
            Self::TooMany(path) => write!(
                f,
                "{} holds more than {ENTRIES_MAX} files: name the tool's own folder",
                path.display()
            ),
            Self::TooMuch(path) => write!(
                f,
                "{} holds more than {TREE_BYTES_MAX} octets to look through: name the tool's own folder",
                path.display()
            ),
            Self::Failed { path, .. } => write!(f, "cannot read {}", path.display()),
        }
    }
}

impl std::error::Error for ImportError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Failed { source, .. } => Some(source),
            Self::Missing(_)
            | Self::Denied(_)
            | Self::NotAFile(_)
            | Self::TooLarge(_)
            | Self::TooMany(_)
            | Self::TooMuch(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use tempfile::TempDir;

    use super::*;
    use crate::certs::fixture::replace;
    use crate::certs::import::fixture::{Ca, now, sound};
    use crate::certs::import::read;

    fn folder(paths: &[&str]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for path in paths {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            replace(&path, "x");
        }
        folder
    }

    fn paths(tree: &Tree) -> Vec<String> {
        tree.files().map(|(path, _)| path.to_owned()).collect()
    }

    #[test]
    fn links_are_followed_but_not_in_a_circle() {
        let folder = folder(&["archive/a.pem", "live/README"]);
        let at = |path: &str| folder.path().join(path);
        symlink("../archive/a.pem", at("live/b.pem")).unwrap();
        symlink("..", at("live/up")).unwrap();
        symlink("nowhere.pem", at("live/gone.pem")).unwrap();
        symlink("me.pem", at("live/me.pem")).unwrap();
        symlink("archive", at("other")).unwrap();
        let tree = tree(folder.path()).unwrap();
        assert_eq!(
            paths(&tree),
            [
                "archive/a.pem",
                "live/b.pem",
                "live/gone.pem",
                "live/me.pem",
                "other/a.pem"
            ]
        );
        assert_eq!(
            tree.content("live/b.pem"),
            Some(&Content::Bytes(b"x".to_vec()))
        );
        let gone = Content::Unreadable("is a link to nothing".to_owned());
        assert_eq!(tree.content("live/gone.pem"), Some(&gone));
        let [remark] = tree.remarks() else {
            panic!("{tree:?}");
        };
        assert!(
            remark.contains("live/up is a link that leads in a circle"),
            "{remark}"
        );
    }

    #[test]
    fn what_lies_too_deep_is_told() {
        let deep = ["d"; DEPTH_MAX + 1].join("/");
        let folder = folder(&[&format!("{deep}/a.pem"), &format!("{}/b.pem", &deep[2..])]);
        let tree = tree(folder.path()).unwrap();
        assert_eq!(paths(&tree), [format!("{}/b.pem", &deep[2..])]);
        assert!(tree.remarks()[0].contains("folders deep"), "{tree:?}");
    }

    #[test]
    fn what_is_too_large_is_told() {
        let folder = folder(&[]);
        let path = folder.path().join("a.json");
        File::create(&path)
            .unwrap()
            .set_len(FILE_BYTES_MAX + 1)
            .unwrap();
        let read = tree(folder.path()).unwrap();
        assert!(matches!(
            read.content("a.json"),
            Some(Content::Unreadable(_))
        ));
        assert!(matches!(tree(&path), Err(ImportError::TooLarge(_))));
    }

    #[test]
    fn more_than_can_be_kept_is_refused_with_a_word() {
        let folder = folder(&[]);
        for number in 0..=TREE_BYTES_MAX / FILE_BYTES_MAX {
            let file = File::create(folder.path().join(format!("{number}.json"))).unwrap();
            file.set_len(FILE_BYTES_MAX).unwrap();
        }
        let refused = tree(folder.path()).unwrap_err();
        assert!(matches!(refused, ImportError::TooMuch(_)), "{refused}");
        assert!(refused.to_string().contains("name the tool's own folder"));
    }

    #[test]
    fn what_may_matter_is_told_from_the_rest() {
        for name in [
            "a.PEM",
            "x/acme.json",
            "x/cert",
            ".companion",
            "a.tar.gz",
            "deactivated",
        ] {
            assert!(may_matter(name, 1), "{name}");
        }
        for name in ["a.log", "core", "a.gz", "a.test"] {
            assert!(!may_matter(name, 1), "{name}");
        }
        assert!(!may_matter("cert", BARE_FILE_BYTES_MAX + 1));
    }

    #[test]
    fn odd_names_and_odd_files_are_no_trouble() {
        let folder = folder(&["..data/tls.pem"]);
        let name = std::ffi::OsStr::from_bytes(b"\xff\xfe\n.pem");
        replace(&folder.path().join(name), "x");
        rustix::fs::mkfifoat(
            rustix::fs::CWD,
            folder.path().join("pipe.pem"),
            0o600.into(),
        )
        .unwrap();
        let tree = tree(folder.path()).unwrap();
        assert_eq!(paths(&tree), ["\u{fffd}\u{fffd}\n.pem"]);
        let pipe = super::tree(&folder.path().join("pipe.pem"));
        assert!(matches!(pipe, Err(ImportError::NotAFile(_))));
        let nothing = super::tree(&folder.path().join("none"));
        assert!(matches!(nothing, Err(ImportError::Missing(_))));
    }

    #[test]
    fn what_may_not_be_read_is_told() {
        let folder = folder(&["live/a.pem", "b.pem"]);
        let lock = |path: &str| {
            let path = folder.path().join(path);
            fs::set_permissions(path, fs::Permissions::from_mode(0)).unwrap();
        };
        lock("live");
        lock("b.pem");
        if File::open(folder.path().join("b.pem")).is_ok() {
            // Root reads everything.
            return;
        }
        let tree = tree(folder.path()).unwrap();
        assert!(
            tree.remarks()[0].contains("live may not be read"),
            "{tree:?}"
        );
        assert!(matches!(
            tree.content("b.pem"),
            Some(Content::Unreadable(_))
        ));
        let denied = super::tree(&folder.path().join("live")).unwrap_err();
        assert!(denied.to_string().contains("sudo"), "{denied}");
    }

    #[test]
    fn a_file_named_alone_brings_its_other_half() {
        let pair = Ca::new().pair(&["a.test"]);
        let folder = folder(&[]);
        let at = |name: &str| folder.path().join(name);
        replace(&at("a.crt"), &pair.chain);
        replace(&at("a.key"), &pair.key);
        let other = Ca::new().pair(&["b.test"]);
        replace(&at("b.crt"), &other.chain);
        let findings = read(&at("a.crt"), now()).unwrap();
        assert_eq!(sound(&findings).names, ["a.test"]);
        let findings = read(&at("a.key"), now()).unwrap();
        assert_eq!(sound(&findings).names, ["a.test"]);
    }
}
