//! Reading and writing single files with care: bounded, whole or not at all, for their owner alone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, fstat, statat};

use super::files::{Creation, Error, FILE_BYTES_MAX};

pub(super) const FOLDER_MODE: u32 = 0o700;
pub(super) const FILE_MODE: u32 = 0o600;
const FOLDER_FLAGS: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// The content of the file at `path`; none if nothing is there.
///
/// # Errors
/// When something is there and cannot be read, is no file, or is too large.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match read_bounded(path) {
        Ok(bytes) if bytes.len() as u64 > FILE_BYTES_MAX => Err(Error::TooLarge(path.to_owned())),
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::new(path.to_owned(), error)),
    }
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    // Opening a named pipe would wait for its writer.
    if !fs::metadata(path)?.is_file() {
        return Err(ErrorKind::IsADirectory.into());
    }
    let mut bytes = Vec::new();
    File::open(path)?
        .take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A file written whole and safe, under a hidden name beside its place. Removed when it is dropped before it took it.
#[derive(Debug)]
pub(super) struct Staged {
    temporary: PathBuf,
    path: PathBuf,
}

impl Staged {
    /// The folder of `path` must be there.
    pub(super) fn write(path: PathBuf, bytes: &[u8]) -> Result<Self, Error> {
        let staged = Self {
            temporary: beside(&path),
            path,
        };
        write_new(&staged.temporary, bytes)
            .map_err(|error| Error::new(staged.path.clone(), error))?;
        Ok(staged)
    }

    /// Replaces what is there at once. Survives a loss of power only after [`sync_folder`].
    pub(super) fn put_in_place(self) -> Result<(), Error> {
        fs::rename(&self.temporary, &self.path)
            .map_err(|error| Error::new(self.path.clone(), error))
    }

    /// Takes the place if nothing is there. A file system without links cannot compare and put as one.
    pub(super) fn put_in_empty_place(self) -> Result<Creation, Error> {
        match fs::hard_link(&self.temporary, &self.path) {
            Ok(()) => Ok(Creation::Created),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Creation::AlreadyThere),
            Err(_no_links) if fs::symlink_metadata(&self.path).is_ok() => {
                Ok(Creation::AlreadyThere)
            }
            Err(_no_links) => self.put_in_place().map(|()| Creation::Created),
        }
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // Gone already if it took its place; else the write has failed already, and a leftover harms nobody.
        let _ = fs::remove_file(&self.temporary);
    }
}

/// Creates what is missing of `folder`, so that it survives a loss of power.
pub(super) fn create_folders(folder: &Path) -> Result<(), Error> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = folder
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        create_folders(parent)?;
    }
    match create_folder(folder) {
        Ok(()) => {}
        // Another process may have been faster.
        Err(error) if error.kind() == ErrorKind::AlreadyExists && folder.is_dir() => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return Err(Error::NotAFolder(folder.to_owned()));
        }
        Err(error) => return Err(Error::new(folder.to_owned(), error)),
    }
    match parent.map_or(Ok(()), sync_folder) {
        // A folder that may be entered but not read belongs to the system, and was there before.
        Err(error) if error.kind() != ErrorKind::PermissionDenied => {
            Err(Error::new(folder.to_owned(), error))
        }
        _ => Ok(()),
    }
}

/// Its parent must be there, and it must not.
pub(super) fn create_folder(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().mode(FOLDER_MODE).create(folder)?;
    let made = rustix::fs::open(folder, FOLDER_FLAGS, Mode::empty())?;
    give(&made, folder);
    Ok(())
}

/// Gives what root has just made at `path` to the owner of the folder that it is in, if that is for its owner alone, as those of a storage
/// are: a verb that root runs must not lock out the user whose storage it is.
pub(super) fn give(made: impl AsFd, path: &Path) {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    if let Some((owner, group)) = owner(&made, path) {
        // A file system that knows no owners has none who could be locked out.
        let _given = fchown(made, Some(owner), Some(group));
    }
}

/// User and group, if they are another's. That other may put links in the way at any time: what counts is that the thing lies in a folder
/// of theirs, and by its only name.
fn owner(made: impl AsFd, path: &Path) -> Option<(u32, u32)> {
    let (parent, name) = (path.parent()?, path.file_name()?);
    let folder = rustix::fs::open(parent, FOLDER_FLAGS, Mode::empty()).ok()?;
    let (around, own) = (fstat(&folder).ok()?, fstat(made).ok()?);
    let found = statat(&folder, Path::new(name), AtFlags::SYMLINK_NOFOLLOW).ok()?;
    let is_there = (found.st_dev, found.st_ino) == (own.st_dev, own.st_ino);
    let is_folder = FileType::from_raw_mode(own.st_mode) == FileType::Directory;
    let is_private = around.st_mode & 0o077 == 0;
    let is_theirs = is_there && (is_folder || own.st_nlink == 1) && is_private;
    (is_theirs && around.st_uid != 0).then_some((around.st_uid, around.st_gid))
}

/// Of several processes that write one path exactly one succeeds.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(path)?;
    give(&file, path);
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes the names in `folder` survive a loss of power.
/// Some network file systems cannot sync a folder and keep its entries safe by themselves.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder)?.sync_all() {
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::InvalidInput | ErrorKind::Unsupported
            ) =>
        {
            Ok(())
        }
        synced => synced,
    }
}

/// A fresh hidden name in the same folder, hence on the same file system.
pub(super) fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{:016x}.tmp", fastrand::u64(..)))
}

/// Whether [`beside`] could have made this name.
pub(super) fn is_temporary(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(".tmp")
}
