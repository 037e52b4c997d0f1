//! The demo's own folder: storage and control socket, so that no other onedoor is disturbed.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::control::place::{Place, Wishes};
use crate::storage::files::Storage;

/// A temporary folder that only we may enter; it is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Scratch {
    folder: PathBuf,
}

impl Scratch {
    /// Makes it under a name that nobody can guess: a folder that is there already is not used.
    pub(super) fn make() -> Result<Self> {
        let name = format!("onedoor-demo-{:08x}", fastrand::u32(..));
        let folder = std::env::temp_dir().join(name);
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
        // A temporary folder that cannot be removed is the system's to clean.
        let _removed = std::fs::remove_dir_all(&self.folder);
    }
}
