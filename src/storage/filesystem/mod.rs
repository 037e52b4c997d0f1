//! What kind of file system lies under a folder, as the system calls it.

#[cfg_attr(target_vendor = "apple", path = "darwin.rs")]
#[cfg_attr(not(target_vendor = "apple"), path = "linux.rs")]
mod here;

use std::io::{self, ErrorKind};
use std::path::Path;

/// How a system calls a file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileSystem {
    /// By a number that is the same everywhere (`statfs(2)` of Linux).
    Numbered(u32),
    /// By its name; numbers are given anew at each start there (`statfs(2)` of macOS).
    Named(String),
}

/// The file system that holds `folder`, or will: its nearest parent that exists is asked.
///
/// # Errors
/// When the system does not say.
pub(super) fn under(folder: &Path) -> io::Result<FileSystem> {
    let mut nearest = folder;
    loop {
        let asked = if nearest.as_os_str().is_empty() {
            Path::new(".")
        } else {
            nearest
        };
        match rustix::fs::statfs(asked).map_err(io::Error::from) {
            Ok(found) => return Ok(here::kind(&found)),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                nearest = nearest.parent().ok_or(error)?;
            }
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_not_there_yet_is_on_the_file_system_of_its_parent() {
        let temporary = tempfile::tempdir().unwrap();
        assert_eq!(
            under(&temporary.path().join("a/b/c")).unwrap(),
            under(temporary.path()).unwrap()
        );
        assert!(under(Path::new("nowhere-at-all")).is_ok());
    }
}
