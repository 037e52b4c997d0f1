//! The folder that outlives the process: what must not be lost is written here, whole or not at all.

mod disk;
pub mod ephemeral;
pub mod files;
pub mod filesystem;
pub mod place;
pub mod store;

use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use place::{Facts, NoPlace};

use crate::system::System;

/// The folder to use when none is configured, chosen by [`place::choose`] from the environment of this process.
///
/// # Errors
/// [`NoPlace`] when the environment names no folder at all.
pub fn default_place() -> Result<PathBuf, NoPlace> {
    place::choose(&Facts {
        configured: folder_variable("ONEDOOR_STORAGE").filter(|path| is_no_url(path)),
        data_is_mount: is_mount(Path::new("/data")),
        is_root: rustix::process::geteuid().is_root(),
        system: System::HERE,
        xdg_data_home: folder_variable("XDG_DATA_HOME"),
        home: env::home_dir(),
    })
}

fn folder_variable(name: &str) -> Option<PathBuf> {
    env::var_os(name).map(PathBuf::from)
}

/// A store that machines share leaves what is of this machine alone in its usual place.
fn is_no_url(path: &Path) -> bool {
    !path.to_string_lossy().contains("://")
}

/// A bind mount from the same file system has the device of its parent: only the mount table knows it.
fn is_mount(path: &Path) -> bool {
    let device = |path: &Path| fs::metadata(path).ok().map(|found| found.dev());
    let Some(own) = device(path) else {
        return false;
    };
    let listed = || {
        fs::read_to_string("/proc/self/mountinfo").is_ok_and(|table| {
            table
                .lines()
                .any(|line| line.split(' ').nth(4).map(Path::new) == Some(path))
        })
    };
    device(Path::new("/")) != Some(own) || listed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_the_root_file_system_is_no_mount() {
        assert!(!is_mount(Path::new("/nowhere-at-all")));
        assert!(!is_mount(Path::new("/bin")));
    }
}
