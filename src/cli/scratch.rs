//! A folder of a verb's own, for storage and control socket, so that no other onedoor is disturbed.

use std::fs::DirBuilder;
use std::hash::{BuildHasher as _, RandomState};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::control::place::{Place, Wishes};
use crate::storage::files::Storage;

/// A temporary folder that only we may enter, under a name that nobody can guess; it is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Scratch {
    folder: PathBuf,
}

impl Scratch {
    /// Makes it at once; a folder that is there already is not used.
    pub(super) fn make(verb: &str) -> Result<Self> {
        let folder = name(verb);
        DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        Ok(Self { folder })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn storage(&self) -> Storage {
        Storage::at(self.folder.join("storage"))
    }

    pub(super) fn control(&self) -> Place {
        let control = self.folder.join("control");
        Place::choose(Wishes {
            explicit: Some(&control),
            runtime: None,
            state: &self.folder,
        })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // It may never have come into being; one that cannot be removed is the system's to clean.
        let _removed = std::fs::remove_dir_all(&self.folder);
    }
}

fn name(verb: &str) -> PathBuf {
    let seed = RandomState::new();
    let (one, other) = (seed.hash_one(0), seed.hash_one(1));
    std::env::temp_dir().join(format!("onedoor-{verb}-{one:016x}{other:016x}"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::Scratch;

    #[test]
    fn a_scratch_folder_is_private_alone_and_gone_in_the_end() {
        let one = Scratch::make("test").unwrap();
        let other = Scratch::make("test").unwrap();
        assert_ne!(one.folder(), other.folder());
        one.storage().write("file", b"secret").unwrap();
        for scratch in [one, other] {
            let folder = scratch.folder().to_owned();
            let mode = folder.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700);
            drop(scratch);
            assert!(!folder.exists());
        }
    }
}
