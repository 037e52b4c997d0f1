//! How a pair of files is known to have changed without reading it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A certificate chain and its key; both may be the same file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Files {
    pub cert: PathBuf,
    pub key: PathBuf,
}

/// Differs after any usual change to either file, behind symbolic links too: a rewrite, a replacement, a removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    cert: Option<FileStamp>,
    key: Option<FileStamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileStamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// The files as they are now; to be taken before they are read.
    #[must_use]
    pub fn of(files: &Files) -> Self {
        Self {
            cert: FileStamp::of(&files.cert),
            key: FileStamp::of(&files.key),
        }
    }
}

impl FileStamp {
    fn of(path: &Path) -> Option<Self> {
        let found = fs::metadata(path).ok()?;
        Some(Self {
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        })
    }
}
