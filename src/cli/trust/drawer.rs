//! The folder in which `trust` keeps what it did, held open. Root may work in the storage of somebody who can lay links in its way: of
//! the links on the way to the storage it follows root's own alone, of those in it none, and what it makes there is the owner's.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, Mode, OFlags, fstat, openat, renameat, statat, unlinkat};
use rustix::io::Errno;

use super::way::{Error, Missing, followed, give, reached};

/// More is not read back.
const FILE_BYTES_MAX: u64 = 1 << 20;
const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);

/// Names are of files in it.
#[derive(Debug)]
pub(super) struct Drawer {
    within: OwnedFd,
    folder: OwnedFd,
    path: PathBuf,
}

impl Drawer {
    /// The folder of this path, whose parent is the storage; none: it is not there.
    ///
    /// # Errors
    /// As for all that follows: when the system refuses, or a link is in root's way.
    pub(super) fn open(path: &Path) -> Result<Option<Self>, Error> {
        Self::at(path, Missing::Leave)
    }

    /// The same, made if it is not there.
    pub(super) fn make(path: &Path) -> Result<Self, Error> {
        let made = Self::at(path, Missing::Make)?;
        made.ok_or_else(|| Error::Failed(path.to_owned(), ErrorKind::NotFound.into()))
    }

    fn at(path: &Path, missing: Missing) -> Result<Option<Self>, Error> {
        let Some(folder) = reached(path, missing)? else {
            return Ok(None);
        };
        let within = reached(path.parent().unwrap_or(path), Missing::Leave)?;
        Ok(within.map(|within| Self {
            within,
            folder,
            path: path.to_owned(),
        }))
    }

    /// None: there is no such file.
    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let at = |error: io::Error| Error::Failed(self.path.join(name), error);
        // Opening a named pipe would wait for its writer.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | followed();
        let file = match openat(&self.folder, name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return Err(Error::Link(self.path.join(name))),
            Err(error) => return Err(at(error.into())),
        };
        if !file.metadata().map_err(at)?.is_file() {
            return Err(at(ErrorKind::IsADirectory.into()));
        }
        let mut bytes = Vec::new();
        let read = file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
        read.map_err(at)?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(at(ErrorKind::FileTooLarge.into()));
        }
        Ok(Some(bytes))
    }

    /// In place of what was there, whole or not at all.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let temporary = format!(".{name}.{:016x}.tmp", fastrand::u64(..));
        let written = self.write_new(&temporary, bytes).and_then(|()| {
            renameat(&self.folder, &temporary, &self.folder, name)?;
            rustix::fs::fsync(&self.folder)?;
            Ok(())
        });
        written.map_err(|error| {
            // It is ours alone and of no more use.
            let _gone = unlinkat(&self.folder, &temporary, AtFlags::empty());
            Error::Failed(self.path.join(name), error)
        })
    }

    fn write_new(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = openat(&self.folder, name, flags | OFlags::NOFOLLOW, FILE_MODE)?;
        give(&file, &fstat(&self.folder)?)?;
        let mut file = File::from(file);
        file.write_all(bytes)?;
        file.sync_all()
    }

    /// Gives what has this name, if anything has, the first of these names that is free.
    pub(super) fn set_aside<'a>(
        &self,
        name: &str,
        names: impl Iterator<Item = &'a str>,
    ) -> Result<Option<PathBuf>, Error> {
        for free in names {
            match statat(&self.folder, free, AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => {}
                Ok(_taken) => continue,
                Err(error) => return Err(Error::of(&self.path.join(free), error)),
            }
            return match renameat(&self.folder, name, &self.folder, free) {
                Ok(()) => Ok(Some(self.path.join(free))),
                Err(Errno::NOENT) => Ok(None),
                Err(error) => Err(Error::of(&self.path.join(name), error)),
            };
        }
        Err(Error::of(&self.path.join(name), Errno::EXIST))
    }

    /// Removes the files whose names are such, and the folder if it is empty then.
    pub(super) fn clear(self, is_such: impl Fn(&str) -> bool) -> Result<(), Error> {
        let at = |error: Errno| Error::of(&self.path, error);
        for entry in Dir::read_from(&self.folder).map_err(at)? {
            let entry = entry.map_err(at)?;
            let Ok(name) = entry.file_name().to_str() else {
                continue;
            };
            if [".", ".."].contains(&name) {
                continue;
            }
            if is_such(name) || (name.starts_with('.') && name.ends_with(".tmp")) {
                self.remove(name)?;
            }
        }
        if let Some(name) = self.path.file_name() {
            // Whatever else lies in it stays.
            let _left = unlinkat(&self.within, Path::new(name), AtFlags::REMOVEDIR);
        }
        Ok(())
    }

    /// It may be gone already.
    pub(super) fn remove(&self, name: &str) -> Result<(), Error> {
        match unlinkat(&self.folder, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(Error::of(&self.path.join(name), error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, chown, lchown, symlink};

    use tempfile::TempDir;

    use super::*;

    const ANA: u32 = 54321;

    /// Of a user `ana`, and beside it something of root's.
    fn storage() -> (TempDir, PathBuf, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let (storage, other) = (folder.path().join("storage"), folder.path().join("other"));
        fs::create_dir(&storage).unwrap();
        let own = Drawer::make(&other).unwrap();
        own.write("a", b"root's").unwrap();
        chown(&storage, Some(ANA), Some(ANA)).expect("run the tests as root");
        (folder, storage, other)
    }

    fn of_ana(target: &Path, link: &Path) {
        symlink(target, link).unwrap();
        lchown(link, Some(ANA), Some(ANA)).unwrap();
    }

    #[test]
    fn what_is_written_is_read_until_it_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/storage/trust");
        assert!(Drawer::open(&path).unwrap().is_none());
        let drawer = Drawer::make(&path).unwrap();
        drawer.write("a", b"one").unwrap();
        drawer.write("a", b"two").unwrap();
        assert_eq!(drawer.read("a").unwrap().unwrap(), b"two");
        assert_eq!(drawer.read("b").unwrap(), None);
        assert_eq!(fs::read_dir(&path).unwrap().count(), 1);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(path.join("a")).unwrap().mode() & 0o777, 0o600);
        let names = ["a", "b"];
        let aside = drawer.set_aside("a", names.into_iter()).unwrap();
        assert_eq!(aside.unwrap(), path.join("b"));
        drawer.clear(|name| name == "a").unwrap();
        assert!(path.join("b").exists());
        let drawer = Drawer::open(&path).unwrap().unwrap();
        drawer.clear(|name| name == "b").unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn what_root_makes_is_the_owner_s() {
        let (_folder, storage, _other) = storage();
        let path = storage.join("trust");
        Drawer::make(&path).unwrap().write("a", b"x").unwrap();
        for made in [path.join("a"), path] {
            assert_eq!(fs::metadata(made).unwrap().uid(), ANA);
        }
    }

    #[test]
    fn root_follows_no_link_of_another_on_its_way() {
        let (folder, storage, other) = storage();
        let refused = |path: &Path, link: &Path| {
            for error in [Drawer::make(path), Drawer::open(path).map(Option::unwrap)] {
                let error = error.unwrap_err();
                assert!(matches!(&error, Error::Link(at) if at == link), "{error:?}");
            }
        };
        let (drawer, way) = (storage.join("trust"), folder.path().join("way"));
        of_ana(&other, &drawer);
        refused(&drawer, &drawer);
        of_ana(&storage, &way);
        refused(&way.join("trust"), &way);
        of_ana(&way, &folder.path().join("round"));
        assert_eq!(fs::read_dir(&other).unwrap().count(), 1);
        assert_eq!(fs::metadata(other.join("a")).unwrap().uid(), 0);
        // Its own it follows, as those of systemd below /var/lib.
        fs::remove_file(&drawer).unwrap();
        fs::remove_file(&way).unwrap();
        symlink("./storage", &way).unwrap();
        Drawer::make(&way.join("trust")).unwrap();
        assert!(drawer.is_dir());
    }

    #[test]
    fn no_link_in_the_folder_is_followed() {
        let (_folder, storage, other) = storage();
        let path = storage.join("trust");
        let drawer = Drawer::make(&path).unwrap();
        of_ana(&other.join("a"), &path.join("a"));
        assert!(matches!(drawer.read("a"), Err(Error::Link(_))));
        drawer.write("a", b"ana's").unwrap();
        assert_eq!(fs::read(other.join("a")).unwrap(), b"root's");
        assert_eq!(fs::metadata(other.join("a")).unwrap().uid(), 0);
        of_ana(&other.join("a"), &path.join("b"));
        drawer.clear(|_name| true).unwrap();
        assert!(!path.exists() && other.join("a").exists());
    }

    #[test]
    fn a_ring_of_links_and_a_pipe_end() {
        let folder = tempfile::tempdir().unwrap();
        symlink("ring", folder.path().join("ring")).unwrap();
        let ring = folder.path().join("ring/storage/trust");
        assert!(matches!(Drawer::make(&ring), Err(Error::Link(_))));
        let drawer = Drawer::make(&folder.path().join("trust")).unwrap();
        let pipe = folder.path().join("trust/pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        assert!(matches!(drawer.read("pipe"), Err(Error::Failed(..))));
    }
}
