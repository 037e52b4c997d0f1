//! What kind of file system lies under a folder, by the number it has for itself.

use std::io::{self, ErrorKind};
use std::path::Path;

/// The number of the file system that holds `folder`, or will: its nearest parent that exists is asked.
///
/// # Errors
/// When the system does not say.
pub(super) fn magic(folder: &Path) -> io::Result<u32> {
    let mut nearest = folder;
    loop {
        let asked = if nearest.as_os_str().is_empty() {
            Path::new(".")
        } else {
            nearest
        };
        match rustix::fs::statfs(asked).map_err(io::Error::from) {
            Ok(found) => return Ok(found.f_type as u32),
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
            magic(&temporary.path().join("a/b/c")).unwrap(),
            magic(temporary.path()).unwrap()
        );
        assert!(magic(Path::new("nowhere-at-all")).is_ok());
    }
}
