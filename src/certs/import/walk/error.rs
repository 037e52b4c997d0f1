//! Why nothing was read, in words for whoever named the path.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::{ENTRIES_MAX, FILE_BYTES_MAX, IMPORT_BYTES_MAX};

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
    /// More than [`IMPORT_BYTES_MAX`].
    TooMuch(PathBuf),
    /// Anything else the system says.
    Failed {
        path: PathBuf,
        source: io::Error,
    },
}

impl ImportError {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the system's kinds are many, and only these have a remedy of their own"
    )]
    pub(super) fn new(path: &Path, source: io::Error) -> Self {
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
                "{} holds more than {IMPORT_BYTES_MAX} octets to look through: name the tool's own folder",
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
