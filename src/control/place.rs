//! Where the control socket lies, and whether that folder may be trusted.

use std::error::Error;
use std::fmt;
use std::fs::{self, DirBuilder, Metadata, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use super::accounts::Accounts;

/// The longest path of a socket, with its final zero: `sun_path` of macOS and the BSDs, the shortest there is; Linux has four more.
pub const SOCKET_PATH_BYTES_MAX: usize = 104;
const SOCKET: &str = "control.sock";
const LOCK: &str = "lock";
/// Under it other doors have their folders, by name.
const INSTANCES: &str = "instances";
/// The permission bits that let others change what lies there, or users in who are in no group of it.
const STRANGERS: u32 = 0o027;
/// Those that let its group in.
const GROUP: u32 = 0o050;
const MODE_OF_OWNER: u32 = 0o700;
const MODE_OF_GROUP: u32 = 0o750;

/// The folder of a control socket. Two processes that are given the same wishes find the same one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    folder: PathBuf,
}

/// What the command line and the environment say about the folder.
#[derive(Debug, Clone, Copy)]
pub struct Wishes<'a> {
    /// `--control` or `ONEDOOR_CONTROL`.
    pub explicit: Option<&'a Path>,
    /// `XDG_RUNTIME_DIR`.
    pub runtime: Option<&'a Path>,
    /// The state folder, which always is.
    pub state: &'a Path,
}

/// Why a folder is not trusted with the control socket.
#[derive(Debug)]
pub enum Untrusted {
    NoFolder {
        folder: PathBuf,
    },
    /// With the user's name, or what there is of it.
    Owner {
        folder: PathBuf,
        owner: String,
    },
    Open {
        folder: PathBuf,
        mode: u32,
    },
    Failed {
        folder: PathBuf,
        source: io::Error,
    },
}

impl Place {
    /// A runtime folder counts if it is absolute and ours: after `su` or `sudo` the variable may still name another user's.
    #[must_use]
    pub fn choose(wishes: Wishes<'_>) -> Self {
        let uid = rustix::process::geteuid().as_raw();
        let ours = |folder: &&Path| {
            folder.is_absolute() && fs::metadata(folder).is_ok_and(|found| found.uid() == uid)
        };
        choose(
            Wishes {
                runtime: wishes.runtime.filter(ours),
                ..wishes
            },
            uid,
        )
    }

    /// The folder of another door beside this one.
    #[must_use]
    pub fn instance(&self, name: &str) -> Self {
        fitting(
            self.folder.join(INSTANCES).join(name),
            rustix::process::geteuid().as_raw(),
        )
    }

    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.join(SOCKET)
    }

    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.folder.join(LOCK)
    }

    /// Makes the folder if it is missing, and looks at it as [`Self::verify`] does.
    ///
    /// # Errors
    /// When the folder cannot be made, belongs to someone else, or lets someone else in.
    pub fn prepare(&self) -> Result<(), Untrusted> {
        let made = DirBuilder::new()
            .recursive(true)
            .mode(MODE_OF_OWNER)
            .create(&self.folder);
        match made {
            Ok(()) => self.verify(),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => self.verify(),
            Err(source) => Err(self.failed(source)),
        }
    }

    /// The folder is one, is no link, is ours, and nobody else changes what lies there; its group may enter at most, and finds a
    /// socket that is closed to it unless [`Self::open_to`] was said.
    ///
    /// # Errors
    /// Says which of these is not so; a missing folder is `Failed` with `NotFound`.
    pub fn verify(&self) -> Result<(), Untrusted> {
        self.judge(&self.found()?, rustix::process::geteuid().as_raw())
    }

    /// The user whose process may be believed here: ourselves, or whoever opened a folder of theirs to a group.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub fn owner(&self) -> Result<u32, Untrusted> {
        let (found, own) = (self.found()?, rustix::process::geteuid().as_raw());
        let is_open = found.mode() & GROUP == GROUP;
        let owner = if is_open { found.uid() } else { own };
        self.judge(&found, owner).map(|()| owner)
    }

    /// Lets a group in, which is the owner's right.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn open_to(&self, gid: u32) -> Result<(), Untrusted> {
        self.verify()?;
        chown(&self.folder, None, Some(gid))
            .and_then(|()| fs::set_permissions(&self.folder, Permissions::from_mode(MODE_OF_GROUP)))
            .map_err(|source| self.failed(source))
    }

    fn found(&self) -> Result<Metadata, Untrusted> {
        fs::symlink_metadata(&self.folder).map_err(|source| self.failed(source))
    }

    fn judge(&self, found: &Metadata, uid: u32) -> Result<(), Untrusted> {
        let folder = self.folder.clone();
        if !found.is_dir() {
            return Err(Untrusted::NoFolder { folder });
        }
        if found.uid() != uid {
            let owner = Accounts::read().user(found.uid());
            return Err(Untrusted::Owner { folder, owner });
        }
        if found.mode() & STRANGERS != 0 {
            let mode = found.mode() & 0o7777;
            return Err(Untrusted::Open { folder, mode });
        }
        Ok(())
    }

    fn failed(&self, source: io::Error) -> Untrusted {
        Untrusted::Failed {
            folder: self.folder.clone(),
            source,
        }
    }
}

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFolder { folder } => {
                write!(f, "the control folder `{}` is no folder", folder.display())
            }
            Self::Owner { folder, owner } => write!(
                f,
                "the control folder `{}` belongs to {owner}",
                folder.display()
            ),
            Self::Open { folder, mode } => write!(
                f,
                "the control folder `{0}` lets others in (mode {mode:04o}): `chmod 700 {0}`",
                folder.display()
            ),
            Self::Failed { folder, .. } => {
                write!(f, "cannot use the control folder `{}`", folder.display())
            }
        }
    }
}

impl Error for Untrusted {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Failed { source, .. } => Some(source),
            Self::NoFolder { .. } | Self::Owner { .. } | Self::Open { .. } => None,
        }
    }
}

fn choose(wishes: Wishes<'_>, uid: u32) -> Place {
    let folder = match (wishes.explicit, wishes.runtime) {
        (Some(folder), _) => folder.to_owned(),
        (None, Some(runtime)) => runtime.join("onedoor"),
        (None, None) => wishes.state.join("control"),
    };
    fitting(folder, uid)
}

/// A path that is too long for a socket is replaced by a short one.
fn fitting(folder: PathBuf, uid: u32) -> Place {
    let wished = Place { folder };
    let octets = wished.socket().as_os_str().len();
    if octets < SOCKET_PATH_BYTES_MAX {
        return wished;
    }
    let hash = fnv1a(wished.folder.as_os_str().as_bytes());
    Place {
        folder: PathBuf::from(format!("/tmp/onedoor-{uid}-{hash:016x}")),
    }
}

/// The same in every version and on every machine, which no hasher of the library promises.
fn fnv1a(octets: &[u8]) -> u64 {
    octets.iter().fold(0xcbf2_9ce4_8422_2325, |hash, octet| {
        (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn the_nearest_wish_wins() {
        #[track_caller]
        fn check(explicit: Option<&str>, runtime: Option<&str>, expected: &str) {
            let place = choose(
                Wishes {
                    explicit: explicit.map(Path::new),
                    runtime: runtime.map(Path::new),
                    state: Path::new("/var/lib/onedoor"),
                },
                1000,
            );
            assert_eq!(place.socket(), Path::new(expected));
        }
        check(Some("/a"), Some("/run/user/1000"), "/a/control.sock");
        check(
            None,
            Some("/run/user/1000"),
            "/run/user/1000/onedoor/control.sock",
        );
        check(None, None, "/var/lib/onedoor/control/control.sock");
    }

    #[test]
    fn another_users_runtime_folder_does_not_count() {
        let wishes = Wishes {
            explicit: None,
            runtime: Some(Path::new("/nonexistent/runtime")),
            state: Path::new("/s"),
        };
        assert_eq!(Place::choose(wishes).folder(), Path::new("/s/control"));
    }

    #[test]
    fn a_long_path_becomes_a_short_one_that_is_always_the_same() {
        let long = PathBuf::from(format!("/{}", "x".repeat(SOCKET_PATH_BYTES_MAX)));
        let wishes = Wishes {
            explicit: Some(&long),
            runtime: None,
            state: Path::new("/s"),
        };
        let place = choose(wishes, 1000);
        assert!(place.folder().starts_with("/tmp"));
        assert!(place.socket().as_os_str().len() < SOCKET_PATH_BYTES_MAX);
        assert_eq!(place, choose(wishes, 1000));
        assert_ne!(place, choose(wishes, 1001));
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn a_missing_folder_is_made_for_the_owner_alone() {
        let root = tempfile::tempdir().unwrap();
        let place = at(root.path().join("a/b"));
        place.prepare().unwrap();
        let mode = fs::metadata(place.folder()).unwrap().mode();
        assert_eq!(mode & 0o777, 0o700);
        place.prepare().unwrap();
    }

    #[test]
    fn a_folder_that_lets_others_in_is_refused() {
        let root = tempfile::tempdir().unwrap();
        for mode in [0o755, 0o770, 0o701] {
            fs::set_permissions(root.path(), Permissions::from_mode(mode)).unwrap();
            let place = at(root.path().to_owned());
            let refused = place.prepare().unwrap_err();
            assert!(
                refused.to_string().contains(&format!("mode 0{mode:o}")),
                "{refused}"
            );
            assert!(place.owner().is_err());
        }
    }

    #[test]
    fn a_link_or_a_file_is_no_folder() {
        let root = tempfile::tempdir().unwrap();
        let (real, link) = (root.path().join("real"), root.path().join("link"));
        at(real.clone()).prepare().unwrap();
        symlink(&real, &link).unwrap();
        assert!(matches!(at(link).verify(), Err(Untrusted::NoFolder { .. })));
    }

    #[test]
    fn another_owners_folder_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let found = fs::metadata(root.path()).unwrap();
        let refused = at(root.path().to_owned()).judge(&found, found.uid() + 1);
        assert!(matches!(refused, Err(Untrusted::Owner { .. })));
    }

    fn at(folder: PathBuf) -> Place {
        Place { folder }
    }
}
