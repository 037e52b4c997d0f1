//! The storage as a folder of files that only their owner may read. A reader sees a whole file, old or new, never a part.

use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::disk::{self, Staged};

/// The largest file that is read back, in octets. The ledger of a CA is the only one to come near it.
pub const FILE_BYTES_MAX: u64 = 1 << 24;

/// A folder and what is kept in it. Names are paths relative to the folder. Nothing is created before the first write.
#[derive(Debug, Clone)]
pub struct Storage {
    folder: PathBuf,
}

/// What became of an attempt to create something once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Creation {
    /// It was not there; now it is, as asked.
    Created,
    /// It was there, possibly by another process a moment ago, and was left as it is.
    AlreadyThere,
}

/// Why the storage could not be used. Names the path at fault and how to mend it; all are the operator's to mend.
#[derive(Debug)]
pub enum Error {
    /// The file system refuses every write.
    ReadOnly(PathBuf),
    /// This user may not.
    Denied(PathBuf),
    /// A file stands where a folder must be.
    NotAFolder(PathBuf),
    /// A folder or a device stands where a file must be.
    NotAFile(PathBuf),
    /// The file system or the user's share of it is full.
    Full(PathBuf),
    /// Larger than [`FILE_BYTES_MAX`].
    TooLarge(PathBuf),
    /// Anything else the system says.
    Failed { path: PathBuf, source: io::Error },
}

impl Storage {
    #[must_use]
    pub fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Where everything is kept, whether it exists or not.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where `name` is, whether it exists or not.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Whether there is anything under this name.
    ///
    /// # Errors
    /// When the system does not let us know.
    pub fn exists(&self, name: &str) -> Result<bool, Error> {
        let path = self.path(name);
        path.try_exists().map_err(|error| Error::new(path, error))
    }

    /// The content; none if there is no such file.
    ///
    /// # Errors
    /// When the file is there and cannot be read, or is too large.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        disk::read(&self.path(name))
    }

    /// Puts `bytes` there, in place of what was there; once it returns, they survive a loss of power.
    ///
    /// # Errors
    /// Then what was there before is untouched.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let path = self.path(name);
        let folder = path.parent().unwrap_or(&self.folder);
        disk::create_folders(folder)?;
        Staged::write(path.clone(), bytes)?.put_in_place()?;
        disk::sync_folder(folder).map_err(|error| Error::new(path, error))
    }

    /// Puts `bytes` there if nothing is. Of several processes that try at once exactly one succeeds.
    ///
    /// # Errors
    /// Then nothing was created.
    pub fn write_once(&self, name: &str, bytes: &[u8]) -> Result<Creation, Error> {
        let path = self.path(name);
        let folder = path.parent().unwrap_or(&self.folder);
        disk::create_folders(folder)?;
        let creation = Staged::write(path.clone(), bytes)?.put_in_empty_place()?;
        disk::sync_folder(folder).map_err(|error| Error::new(path, error))?;
        Ok(creation)
    }

    /// Creates a folder with these files, all or nothing. Of several processes that try at once exactly one creates it.
    ///
    /// # Errors
    /// Then nothing was created.
    pub fn create_once(&self, name: &str, files: &[(&str, &[u8])]) -> Result<Creation, Error> {
        let path = self.path(name);
        let parent = path.parent().unwrap_or(&self.folder);
        disk::create_folders(parent)?;
        let temporary = disk::beside(&path);
        let created = fill_folder(&temporary, files)
            .and_then(|()| fs::rename(&temporary, &path))
            .and_then(|()| disk::sync_folder(parent));
        let Err(error) = created else {
            return Ok(Creation::Created);
        };
        // Whatever the reason, the temporary folder is ours alone and of no more use.
        let _ = fs::remove_dir_all(&temporary);
        if matches!(
            error.kind(),
            ErrorKind::AlreadyExists | ErrorKind::DirectoryNotEmpty
        ) {
            return Ok(Creation::AlreadyThere);
        }
        Err(Error::new(path, error))
    }
}

fn fill_folder(folder: &Path, files: &[(&str, &[u8])]) -> io::Result<()> {
    disk::create_folder(folder)?;
    for (name, bytes) in files {
        disk::write_new(&folder.join(name), bytes)?;
    }
    disk::sync_folder(folder)
}

impl Error {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the system's kinds are many, and only these have a remedy of their own"
    )]
    pub(super) fn new(path: PathBuf, source: io::Error) -> Self {
        match source.kind() {
            ErrorKind::ReadOnlyFilesystem => Self::ReadOnly(path),
            ErrorKind::PermissionDenied => Self::Denied(path),
            ErrorKind::NotADirectory => Self::NotAFolder(path),
            ErrorKind::IsADirectory => Self::NotAFile(path),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Full(path),
            _ => Self::Failed { path, source },
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReadOnly(path) => write!(
                f,
                "{} is on a read-only file system: mount it writable, or name another folder with `storage`",
                path.display()
            ),
            Self::Denied(path) => write!(
                f,
                "no permission for {}: run as the owner of the storage, give it to this user with `chown -R`, or name another folder with `storage`",
                path.display()
            ),
            Self::NotAFolder(path) => write!(
                f,
                "{} must be a folder, but a file is in its place: move it away, or name another folder with `storage`",
                path.display()
            ),
            Self::NotAFile(path) => write!(
                f,
                "{} must be a file, but something else is in its place: move it away",
                path.display()
            ),
            Self::Full(path) => write!(f, "no space left for {}: free some", path.display()),
            Self::TooLarge(path) => write!(
                f,
                "{} is larger than {FILE_BYTES_MAX} octets, so onedoor did not write it: move it away",
                path.display()
            ),
            Self::Failed { path, .. } => write!(f, "cannot use {}", path.display()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Failed { source, .. } => Some(source),
            Self::ReadOnly(_)
            | Self::Denied(_)
            | Self::NotAFolder(_)
            | Self::NotAFile(_)
            | Self::Full(_)
            | Self::TooLarge(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt, chown};

    use super::*;
    use crate::storage::disk::{FILE_MODE, FOLDER_MODE};

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_written_is_read_and_belongs_to_its_owner_alone() {
        let temporary = tempfile::tempdir().unwrap();
        let storage = Storage::at(temporary.path().join("deep/onedoor"));
        assert_eq!(storage.read("a/b").unwrap(), None);
        storage.write("a/b", b"one").unwrap();
        storage.write("a/b", b"two").unwrap();
        assert_eq!(storage.read("a/b").unwrap().unwrap(), b"two");
        assert_eq!(mode(&storage.path("a")), FOLDER_MODE);
        assert_eq!(mode(&storage.path("a/b")), FILE_MODE);
        assert_eq!(names(&storage.path("a")), ["b"]);
    }

    #[test]
    fn what_root_makes_belongs_to_the_owner_of_the_storage() {
        const OWNER: u32 = 54321;
        let temporary = tempfile::tempdir().unwrap();
        let storage = Storage::at(temporary.path().to_owned());
        storage.write("of-root", b"").unwrap();
        let private = fs::Permissions::from_mode(FOLDER_MODE);
        fs::set_permissions(temporary.path(), private).unwrap();
        chown(temporary.path(), Some(OWNER), Some(OWNER)).expect("run the tests as root");
        storage.write("a/b/c", b"").unwrap();
        storage.write_once("d", b"").unwrap();
        storage.create_once("e", &[("f", b"")]).unwrap();
        for made in ["a", "a/b", "a/b/c", "d", "e", "e/f"] {
            let found = fs::metadata(storage.path(made)).unwrap();
            assert_eq!((found.uid(), found.gid()), (OWNER, OWNER), "{made}");
        }
        assert_eq!(fs::metadata(storage.path("of-root")).unwrap().uid(), 0);
        // Somebody else's folder that is open to all is no storage.
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(temporary.path(), open).unwrap();
        storage.write("onedoor/key", b"").unwrap();
        for made in ["onedoor", "onedoor/key"] {
            assert_eq!(fs::metadata(storage.path(made)).unwrap().uid(), 0, "{made}");
        }
    }

    #[test]
    fn what_is_created_once_is_never_overwritten() {
        let temporary = tempfile::tempdir().unwrap();
        let storage = Storage::at(temporary.path().join("onedoor"));
        let create = |bytes: &[u8]| storage.create_once("ca", &[("key", bytes)]).unwrap();
        assert_eq!(create(b"first"), Creation::Created);
        assert_eq!(create(b"second"), Creation::AlreadyThere);
        assert_eq!(storage.read("ca/key").unwrap().unwrap(), b"first");
        assert_eq!(mode(&storage.path("ca/key")), FILE_MODE);
        assert_eq!(names(&storage.path("")), ["ca"]);
    }

    #[test]
    fn a_file_that_is_written_once_is_never_overwritten() {
        let temporary = tempfile::tempdir().unwrap();
        let storage = Storage::at(temporary.path().to_owned());
        let write = |bytes: &[u8]| storage.write_once("a", bytes).unwrap();
        assert_eq!(write(b"first"), Creation::Created);
        assert_eq!(write(b"second"), Creation::AlreadyThere);
        assert_eq!(storage.read("a").unwrap().unwrap(), b"first");
        assert_eq!(mode(&storage.path("a")), FILE_MODE);
        assert_eq!(names(&storage.path("")), ["a"]);
    }

    #[test]
    fn a_file_in_the_place_of_the_folder_is_named() {
        let temporary = tempfile::NamedTempFile::new().unwrap();
        let storage = Storage::at(temporary.path().to_owned());
        let path = temporary.path().display().to_string();
        for error in [
            storage.write("a", b"").unwrap_err(),
            storage.write("a/b", b"").unwrap_err(),
            storage.create_once("ca", &[]).unwrap_err(),
            storage.read("a").unwrap_err(),
        ] {
            assert!(matches!(error, Error::NotAFolder(_)), "{error:?}");
            assert!(error.to_string().contains(&path), "{error}");
        }
    }

    #[test]
    fn a_folder_in_the_place_of_a_file_is_named() {
        let temporary = tempfile::tempdir().unwrap();
        let storage = Storage::at(temporary.path().to_owned());
        fs::create_dir(storage.path("a")).unwrap();
        assert!(matches!(storage.read("a"), Err(Error::NotAFile(_))));
        assert!(matches!(storage.write("a", b""), Err(Error::NotAFile(_))));
        assert_eq!(names(&storage.path("")), ["a"]);
    }

    #[test]
    fn a_file_too_large_is_refused() {
        let temporary = tempfile::tempdir().unwrap();
        let storage = Storage::at(temporary.path().to_owned());
        File::create(storage.path("a"))
            .unwrap()
            .set_len(FILE_BYTES_MAX + 1)
            .unwrap();
        assert!(matches!(storage.read("a"), Err(Error::TooLarge(_))));
    }

    #[test]
    fn a_fault_says_how_to_mend_it() {
        let error = |kind: ErrorKind| Error::new("/x/y".into(), kind.into()).to_string();
        for (kind, hint) in [
            (ErrorKind::ReadOnlyFilesystem, "mount it writable"),
            (ErrorKind::PermissionDenied, "chown"),
            (ErrorKind::StorageFull, "free some"),
        ] {
            let message = error(kind);
            assert!(
                message.contains(hint) && message.contains("/x/y"),
                "{message}"
            );
        }
    }
}
