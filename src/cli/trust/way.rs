//! The way to a folder in which root works and whose owner can lay links. Of those before the storage root follows its own alone, and what
//! it makes is the owner's.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, Stat, fchown, fstat, mkdirat, open, openat, readlinkat, statat,
};
use rustix::io::Errno;
use rustix::process::{Gid, Uid, geteuid};

/// As the system has it.
const LINKS_MAX: usize = 40;
const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);
const FOLDER_MODE: Mode = Mode::RWXU;

/// Names the path at fault.
#[derive(Debug)]
pub(super) enum Error {
    /// Somebody else's, on a way that root goes.
    Link(PathBuf),
    Failed(PathBuf, io::Error),
}

/// What becomes of a folder that is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    Make,
    Leave,
}

/// Whether this is root, and the folder of this path another's.
pub(super) fn is_of_another(path: &Path) -> Result<bool, Error> {
    if !geteuid().is_root() {
        return Ok(false);
    }
    let found = reached(path, Missing::Leave)?;
    let owner = found.map(|folder| fstat(&folder)).transpose();
    let owner = owner.map_err(|error| Error::of(path, error))?;
    Ok(owner.is_some_and(|found| found.st_uid != 0))
}

/// The folder of this path. Root looks at every link before it follows it; nobody else has more rights than whoever made one.
pub(super) fn reached(path: &Path, missing: Missing) -> Result<Option<OwnedFd>, Error> {
    let failed = |error| Error::Failed(path.to_owned(), error);
    if geteuid().is_root() {
        return walked(&std::path::absolute(path).map_err(failed)?, missing);
    }
    if missing == Missing::Make {
        let mut builder = std::fs::DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(path);
        made.map_err(failed)?;
    }
    match open(path, FOLDER.difference(OFlags::NOFOLLOW), Mode::empty()) {
        Ok(folder) => Ok(Some(folder)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(Error::of(path, error)),
    }
}

fn walked(path: &Path, missing: Missing) -> Result<Option<OwnedFd>, Error> {
    let top = || open("/", FOLDER, Mode::empty()).map_err(|error| Error::of(path, error));
    let (mut here, mut way) = (top()?, PathBuf::from("/"));
    let mut steps = steps(path);
    let mut links_left = LINKS_MAX;
    while let Some(step) = steps.pop() {
        let (name, place) = (Path::new(&step), way.join(&step));
        let Some(link) = link(&here, name) else {
            match entered(&here, name, missing) {
                Ok(Some(next)) => (here, way) = (next, place),
                Ok(None) => return Ok(None),
                Err(error) => return Err(Error::of(&place, error)),
            }
            continue;
        };
        links_left -= 1;
        if links_left == 0 || link.st_uid != 0 {
            return Err(Error::Link(place));
        }
        let target = readlinkat(&here, name, Vec::new());
        let target = target.map_err(|error| Error::of(&place, error))?;
        let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
        if target.is_absolute() {
            (here, way) = (top()?, PathBuf::from("/"));
        }
        steps.extend(self::steps(&target));
    }
    Ok(Some(here))
}

/// The last first.
fn steps(path: &Path) -> Vec<OsString> {
    let steps = path.components().rev();
    let named = steps.filter(|step| matches!(step, Component::Normal(_) | Component::ParentDir));
    named.map(|step| step.as_os_str().to_owned()).collect()
}

fn link(within: &OwnedFd, name: &Path) -> Option<Stat> {
    let found = statat(within, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    (FileType::from_raw_mode(found.st_mode) == FileType::Symlink).then_some(found)
}

/// A folder in another; what is made belongs to whoever that belongs to.
fn entered(within: &OwnedFd, name: &Path, missing: Missing) -> Result<Option<OwnedFd>, Errno> {
    match openat(within, name, FOLDER, Mode::empty()) {
        Err(Errno::NOENT) if missing == Missing::Make => {}
        Err(Errno::NOENT) => return Ok(None),
        found => return found.map(Some),
    }
    let is_ours = match mkdirat(within, name, FOLDER_MODE) {
        Ok(()) => true,
        Err(Errno::EXIST) => false,
        Err(error) => return Err(error),
    };
    let made = openat(within, name, FOLDER, Mode::empty())?;
    if is_ours {
        give(&made, &fstat(within)?)?;
    }
    Ok(Some(made))
}

/// What opens a file that somebody may have laid a link in place of: root follows none.
pub(super) fn followed() -> OFlags {
    if geteuid().is_root() {
        OFlags::NOFOLLOW
    } else {
        OFlags::empty()
    }
}

/// Only root gives anything away.
pub(super) fn give(made: impl AsFd, like: &Stat) -> Result<(), Errno> {
    if !geteuid().is_root() || like.st_uid == 0 {
        return Ok(());
    }
    let (owner, group) = (Uid::from_raw(like.st_uid), Gid::from_raw(like.st_gid));
    fchown(made, Some(owner), Some(group))
}

impl Error {
    pub(super) fn of(path: &Path, error: Errno) -> Self {
        Self::Failed(path.to_owned(), error.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link(path) => write!(
                f,
                "{} is a link of another user, and root would follow it to wherever that one likes: put what it leads to in its place, or run this as that user",
                path.display()
            ),
            Self::Failed(path, _error) => write!(f, "cannot use {}", path.display()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Link(_path) => None,
            Self::Failed(_path, error) => Some(error),
        }
    }
}
