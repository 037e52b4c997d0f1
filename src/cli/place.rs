//! Where things lie on this machine, from the environment and what the configuration says.

use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::control::place::{Place, Wishes};
use crate::storage;
use crate::storage::files::Storage;
use crate::storage::place::NoPlace;

/// The storage folder: the configuration's, else the environment's choice.
pub(super) fn storage(config: &Config) -> Result<PathBuf, NoPlace> {
    match &config.storage.folder {
        Some(path) => Ok(path.clone()),
        None => storage::default_place(),
    }
}

/// The storage in this folder, if it holds a local CA: whoever only looks creates none there.
pub(super) fn with_local_ca(folder: &Path) -> Option<Storage> {
    let there = folder.join("local-ca").exists();
    there.then(|| Storage::at(folder.to_owned()))
}

/// Where a program lies that is called by its name alone.
pub(super) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// The control socket's folder.
pub(super) fn control(explicit: Option<&Path>, state: &Path) -> Place {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    Place::choose(Wishes {
        explicit,
        runtime: runtime.as_deref(),
        state,
    })
}
