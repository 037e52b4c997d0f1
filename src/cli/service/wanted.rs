//! What a service is written for: the program, its file, and what of the machine it must reach.

use std::path::PathBuf;

use crate::routing::SocketSpec;

/// The first line of every file of ours, as a comment: only what has it is ever replaced or removed.
pub(super) const MARK: &str =
    "written by `onedoor service install`; `onedoor service uninstall` removes it";

/// Whose service it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    System,
    User,
}

/// Everything that the texts depend on.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) scope: Scope,
    /// Absolute.
    pub(super) program: PathBuf,
    /// Absolute.
    pub(super) config: PathBuf,
    pub(super) sockets: Vec<SocketSpec>,
    pub(super) stop_seconds: u64,
    /// The user's home; the place of the logs on macOS.
    pub(super) home: Option<PathBuf>,
    pub(super) needs: Needs,
}

/// What of the machine the configuration asks for, beyond ports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Needs {
    /// Folders that it writes to, beside its own state.
    pub(super) written: Vec<PathBuf>,
    /// Files that not everybody may read, or sockets of others: a user of its own would be shut out.
    pub(super) private: Vec<PathBuf>,
    /// Whether it speaks to sockets in a folder for temporary files.
    pub(super) shared_tmp: bool,
    /// Whether it runs programs of others, which may need what onedoor itself does not.
    pub(super) programs: bool,
}

impl Needs {
    /// Whether root is needed to reach it all; with no capability but those for ports and files.
    pub(super) fn ask_for_root(&self) -> bool {
        !self.written.is_empty() || !self.private.is_empty() || self.shared_tmp
    }
}
