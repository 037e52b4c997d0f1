//! Puts files there for their owner alone, and none in place of another unless that is wished.

use std::fmt;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};

use crate::certs::export::{Content, Entry, FOLDER_MODE};

/// What becomes of files that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Existing {
    Refuse,
    Replace,
}

/// Why not everything was written.
#[derive(Debug)]
pub(super) enum WriteError {
    /// Nothing was written.
    Exists(PathBuf),
    Failed {
        path: PathBuf,
        source: io::Error,
    },
}

/// Writes all of it; if something is in the way, none of it.
pub(super) fn write(
    folder: &Path,
    entries: &[Entry],
    existing: Existing,
) -> Result<(), WriteError> {
    if existing == Existing::Refuse {
        for entry in entries {
            let path = folder.join(&entry.path);
            if path.symlink_metadata().is_ok() {
                return Err(WriteError::Exists(path));
            }
        }
    }
    for entry in entries {
        let path = folder.join(&entry.path);
        put(&path, &entry.content, existing)
            .map_err(|source| WriteError::Failed { path, source })?;
    }
    Ok(())
}

fn put(path: &Path, content: &Content, existing: Existing) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(FOLDER_MODE)
            .create(parent)?;
    }
    if existing == Existing::Replace {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    match content {
        Content::Link(to) => symlink(to, path),
        Content::File { bytes, mode } => {
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(*mode)
                .open(path)?;
            file.write_all(bytes)?;
            file.sync_all()
        }
    }
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists(path) => write!(
                f,
                "{} is there already, so nothing was written: name another folder with `--to`, or replace what is there with `--force`",
                path.display()
            ),
            Self::Failed { path, .. } => write!(f, "{} cannot be written", path.display()),
        }
    }
}

impl std::error::Error for WriteError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Exists(_) => None,
            Self::Failed { source, .. } => Some(source),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn entries(text: &str) -> Vec<Entry> {
        let entry = |path: &str, content| Entry {
            path: path.to_owned(),
            content,
        };
        let (bytes, mode) = (text.as_bytes().to_vec(), 0o600);
        vec![
            entry("a/key.pem", Content::File { bytes, mode }),
            entry("a/link.pem", Content::Link("key.pem".to_owned())),
        ]
    }

    #[test]
    fn files_are_for_their_owner_alone_and_replaced_only_on_demand() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("out");
        write(&folder, &entries("one"), Existing::Refuse).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder.join("a/key.pem")), 0o600);
        assert_eq!(mode(&folder.join("a")), 0o700);
        assert_eq!(fs::read(folder.join("a/link.pem")).unwrap(), b"one");

        fs::remove_file(folder.join("a/key.pem")).unwrap();
        let refused = write(&folder, &entries("two"), Existing::Refuse).unwrap_err();
        assert!(refused.to_string().contains("--force"), "{refused}");
        assert!(!folder.join("a/key.pem").exists());
        write(&folder, &entries("two"), Existing::Replace).unwrap();
        assert_eq!(fs::read(folder.join("a/link.pem")).unwrap(), b"two");
    }

    #[test]
    fn a_place_that_cannot_be_written_is_named() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("file");
        fs::File::create(&folder).unwrap();
        let failed = write(&folder, &entries("one"), Existing::Replace).unwrap_err();
        assert!(failed.to_string().contains("a/key.pem"), "{failed}");
    }
}
