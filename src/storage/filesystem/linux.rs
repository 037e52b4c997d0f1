//! Linux, and what resembles it, numbers its file systems.

use rustix::fs::StatFs;

use super::FileSystem;

pub(super) fn kind(found: &StatFs) -> FileSystem {
    FileSystem::Numbered(found.f_type as u32)
}
