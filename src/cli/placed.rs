//! Files outside our own folders, which others read: changed whole, with the owner and the mode that they had.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

/// A file that was not there is for all to read.
const MODE: u32 = 0o644;

/// How a file was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Put {
    /// By another file in its place: readers saw the old or the new one.
    Swapped,
    /// In itself: it is a mount point, as containers have their hosts file, and nothing can take its place.
    InPlace,
}

/// Puts `bytes` there. A link is followed, and what it leads to is changed.
///
/// # Errors
/// Then what was there is untouched, unless the system refused in the middle of [`Put::InPlace`].
pub(super) fn put(path: &Path, bytes: &[u8]) -> io::Result<Put> {
    let path = match fs::canonicalize(path) {
        Ok(path) => path,
        Err(error) if error.kind() == ErrorKind::NotFound => path.to_owned(),
        Err(error) => return Err(error),
    };
    let temporary = beside(&path);
    let swapped = stage(&temporary, &path, bytes).and_then(|()| fs::rename(&temporary, &path));
    match swapped {
        Ok(()) => {
            sync_folder(&path);
            Ok(Put::Swapped)
        }
        Err(error) => {
            // It may not have come into being.
            let _removed = fs::remove_file(&temporary);
            if error.kind() != ErrorKind::ResourceBusy {
                return Err(error);
            }
            let mut file = OpenOptions::new().write(true).truncate(true).open(&path)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            Ok(Put::InPlace)
        }
    }
}

fn stage(temporary: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let old = match fs::metadata(path) {
        Ok(old) => Some(old),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut file = options.open(temporary)?;
    file.write_all(bytes)?;
    if let Some(old) = &old {
        let new = file.metadata()?;
        if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
            fchown(&file, Some(old.uid()), Some(old.gid()))?;
        }
    }
    // After the owner: changing that clears some bits.
    let mode = old.map_or(MODE, |old| old.mode() & 0o7777);
    file.set_permissions(Permissions::from_mode(mode))?;
    file.sync_all()
}

fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{:016x}.onedoor", fastrand::u64(..)))
}

/// The file itself is safe; whether the folder is matters only for a loss of power in this moment.
fn sync_folder(path: &Path) {
    if let Some(Ok(folder)) = path.parent().map(File::open) {
        let _synced = folder.sync_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_keeps_its_mode_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hosts");
        assert_eq!(put(&path, b"one").unwrap(), Put::Swapped);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, MODE);
        fs::set_permissions(&path, Permissions::from_mode(0o604)).unwrap();
        put(&path, b"two").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o604);
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_a_link_leads_to_is_changed() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        put(&real, b"old").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        put(&link, b"new").unwrap();
        assert_eq!(fs::read(&real).unwrap(), b"new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let refused = put(&folder.path().join("none/hosts"), b"x").unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::NotFound);
    }
}
