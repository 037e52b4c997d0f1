//! Whether a folder outlives the container or the machine's next start.

use std::fmt;
use std::path::Path;

use super::filesystem::{self, FileSystem};

const OVERLAYFS: u32 = 0x794c_7630;
const TMPFS: u32 = 0x0102_1994;
const RAMFS: u32 = 0x8584_58f6;

/// What becomes of a folder when its container is replaced or the machine starts again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ephemeral {
    /// On a disk, a volume or the network, as far as can be known.
    Kept,
    /// On the layer of a container, which goes with it. A volume mounted into the container is not.
    Overlay,
    /// In memory: a tmpfs or a ramfs.
    Tmpfs,
    /// The system does not say.
    Unknown,
}

impl Ephemeral {
    /// Whether what is written there is known to be lost one day.
    #[must_use]
    pub fn is_lost(self) -> bool {
        match self {
            Self::Overlay | Self::Tmpfs => true,
            Self::Kept | Self::Unknown => false,
        }
    }
}

/// What `folder` is, or will be once it is created.
#[must_use]
pub fn kind(folder: &Path) -> Ephemeral {
    filesystem::under(folder).map_or(Ephemeral::Unknown, |found| of(&found))
}

fn of(found: &FileSystem) -> Ephemeral {
    match found {
        FileSystem::Numbered(OVERLAYFS) => Ephemeral::Overlay,
        FileSystem::Numbered(TMPFS | RAMFS) => Ephemeral::Tmpfs,
        FileSystem::Named(name) if name == "tmpfs" => Ephemeral::Tmpfs,
        FileSystem::Numbered(_) | FileSystem::Named(_) => Ephemeral::Kept,
    }
}

/// A noun for messages: “`/data` is on …”.
impl fmt::Display for Ephemeral {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kept => "a file system that is kept",
            Self::Overlay => "a container's own layer (overlayfs)",
            Self::Tmpfs => "a file system in memory (tmpfs)",
            Self::Unknown => "an unknown file system",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::System;

    const EXT4: u32 = 0xef53;

    #[test]
    fn a_file_system_is_told_by_its_number_or_name() {
        let number = FileSystem::Numbered;
        let name = |name: &str| FileSystem::Named(name.to_owned());
        for (found, expected) in [
            (number(OVERLAYFS), Ephemeral::Overlay),
            (number(TMPFS), Ephemeral::Tmpfs),
            (number(RAMFS), Ephemeral::Tmpfs),
            (number(EXT4), Ephemeral::Kept),
            (number(0), Ephemeral::Kept),
            (name("apfs"), Ephemeral::Kept),
            (name("tmpfs"), Ephemeral::Tmpfs),
            (name(""), Ephemeral::Kept),
        ] {
            assert_eq!(of(&found), expected, "{found:?}");
        }
    }

    #[test]
    fn only_what_is_surely_lost_counts_as_lost() {
        assert!(Ephemeral::Overlay.is_lost() && Ephemeral::Tmpfs.is_lost());
        assert!(!Ephemeral::Kept.is_lost() && !Ephemeral::Unknown.is_lost());
        assert!(Ephemeral::Overlay.to_string().contains("container"));
    }

    #[test]
    fn the_system_is_asked_about_a_folder_that_is_not_there_yet() {
        // Shared memory is files in memory on every Linux; macOS has no file system in memory unless somebody mounts one.
        let (folder, expected) = match System::HERE {
            System::Linux => ("/dev/shm/onedoor/certs", Ephemeral::Tmpfs),
            System::Darwin | System::OtherUnix => ("/onedoor/certs", Ephemeral::Kept),
        };
        assert_eq!(kind(Path::new(folder)), expected);
    }
}
