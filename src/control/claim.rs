//! The right to be the holder: an exclusive lock beside the control socket, and the socket itself.

use std::error::Error;
use std::fmt;
use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, ErrorKind, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt as _, FileTypeExt, OpenOptionsExt, PermissionsExt, chown};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process;
use std::time::Duration;

use crate::control::accounts::Accounts;
use crate::control::client;
use crate::control::place::{Place, Untrusted};

/// How long a holder that is only starting is waited for, to learn who it is.
pub const HOLDER_WAIT: Duration = Duration::from_secs(2);
/// A process number in the lock, with its line feed.
const NUMBER_BYTES_MAX: u64 = 11;

/// The lock, held until dropped. Dropping it removes the socket first.
#[derive(Debug)]
pub struct Claim {
    place: Place,
    lock: File,
    end: End,
    /// Whom the socket is opened to, besides its owner.
    group: Option<u32>,
}

/// What becomes of the socket when the claim is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Removed,
    /// An heir has the lock and answers there.
    PassedOn,
}

/// Why this process cannot be the holder.
#[derive(Debug)]
pub enum ClaimProblem {
    /// Another onedoor holds the lock; without a number, it did not say who it is in time.
    Held {
        pid: Option<u32>,
        place: Place,
    },
    Folder(Untrusted),
    /// This machine has no group of this name.
    NoGroup(String),
    /// What lies where the socket belongs is no socket.
    Occupied {
        path: PathBuf,
    },
    Failed {
        path: PathBuf,
        source: io::Error,
    },
}

impl Claim {
    /// Takes the lock in this folder, which is made if it is missing.
    ///
    /// # Errors
    /// [`ClaimProblem::Held`] when another process has it, which is asked for its number; else what is wrong with the folder.
    pub async fn take(place: &Place) -> Result<Self, ClaimProblem> {
        match Self::attempt(place)? {
            Some(claim) => Ok(claim),
            None => Err(ClaimProblem::Held {
                pid: client::holder(place, HOLDER_WAIT).await,
                place: place.clone(),
            }),
        }
    }

    /// Takes the lock if nobody has it.
    ///
    /// # Errors
    /// What is wrong with the folder.
    pub fn attempt(place: &Place) -> Result<Option<Self>, ClaimProblem> {
        place.prepare().map_err(ClaimProblem::Folder)?;
        let path = place.lock();
        let failed = |source| ClaimProblem::Failed {
            path: path.clone(),
            source,
        };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let lock = options.mode(0o600).open(&path).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {
                // Who waits does without it.
                let _written = lock.write_all_at(name_of(process::id()).as_bytes(), 0);
                Ok(Some(Self {
                    place: place.clone(),
                    lock,
                    end: End::Removed,
                    group: None,
                }))
            }
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    /// Goes on with a lock that another process took and passed on: it belongs to the open file, not to who opened it (flock(2)).
    /// Until [`Claim::keep`] the socket is the other's.
    #[must_use]
    pub fn inherit(place: Place, lock: File) -> Self {
        Self {
            place,
            lock,
            end: End::PassedOn,
            group: None,
        }
    }

    /// The former holder gave it to us and to nobody else.
    pub fn keep(&mut self) {
        self.end = End::Removed;
    }

    /// Whether the former holder wrote us into the lock: for an heir that never heard its last word.
    #[must_use]
    pub fn names_us(&self) -> bool {
        let mut name = [0; NAME_LENGTH];
        let read = self.lock.read_exact_at(&mut name, 0);
        read.is_ok() && name == *name_of(process::id()).as_bytes()
    }

    /// Lets the members of a group reach the socket that will be opened.
    ///
    /// # Errors
    /// When there is no such group, or the system refuses.
    pub fn open_to(&mut self, group: &str) -> Result<(), ClaimProblem> {
        let gid = Accounts::read().group(group);
        let gid = gid.ok_or_else(|| ClaimProblem::NoGroup(group.to_owned()))?;
        self.place.open_to(gid).map_err(ClaimProblem::Folder)?;
        self.group = Some(gid);
        Ok(())
    }

    /// The process that has the lock, as it says itself.
    #[must_use]
    pub fn holder(place: &Place) -> Option<u32> {
        let mut number = String::new();
        let lock = File::open(place.lock()).ok()?;
        lock.take(NUMBER_BYTES_MAX)
            .read_to_string(&mut number)
            .ok()?;
        number.trim().parse().ok()
    }

    /// The lock once more, for an heir.
    ///
    /// # Errors
    /// When the system has no descriptor left.
    pub fn lock(&self) -> io::Result<OwnedFd> {
        Ok(self.lock.try_clone()?.into())
    }

    /// From now on this process has the lock and the socket, and nobody else who was asked.
    ///
    /// # Errors
    /// When the lock cannot be written; then nobody has it but us.
    pub fn pass_on(&mut self, heir: u32) -> io::Result<()> {
        self.lock.write_all_at(name_of(heir).as_bytes(), 0)?;
        self.end = End::PassedOn;
        Ok(())
    }

    #[must_use]
    pub fn is_passed_on(&self) -> bool {
        self.end == End::PassedOn
    }

    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Opens the control socket, non-blocking and for its owner, or the group that was let in; what a dead holder left is removed.
    ///
    /// # Errors
    /// When something else than a socket lies there, or the system refuses.
    pub fn listen(&self) -> Result<UnixListener, ClaimProblem> {
        let path = self.place.socket();
        let failed = |source| ClaimProblem::Failed {
            path: path.clone(),
            source,
        };
        match fs::symlink_metadata(&path) {
            Ok(found) if found.file_type().is_socket() => fs::remove_file(&path).map_err(failed)?,
            Ok(_other) => return Err(ClaimProblem::Occupied { path }),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        let listener = UnixListener::bind(&path).map_err(failed)?;
        let mode = match self.group {
            None => 0o600,
            Some(gid) => {
                chown(&path, None, Some(gid)).map_err(failed)?;
                0o660
            }
        };
        fs::set_permissions(&path, Permissions::from_mode(mode)).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        Ok(listener)
    }
}

/// Octets of a process number in the lock: always as many, so that a shorter one covers a longer one.
const NAME_LENGTH: usize = 11;

fn name_of(pid: u32) -> String {
    format!("{pid:>10}\n")
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.end == End::PassedOn {
            return;
        }
        let path = self.place.socket();
        let ours = fs::symlink_metadata(&path).is_ok_and(|found| found.file_type().is_socket());
        if ours {
            // What stays behind is stale, and the next holder removes it.
            let _removed = fs::remove_file(&path);
        }
    }
}

impl fmt::Display for ClaimProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held {
                pid: Some(pid),
                place,
            } => write!(
                f,
                "another onedoor (pid {pid}) is in charge of `{}`",
                place.folder().display()
            ),
            Self::Held { pid: None, place } => write!(
                f,
                "another onedoor is in charge of `{}` and does not answer",
                place.folder().display()
            ),
            Self::Folder(_) => f.write_str("the control socket cannot be opened safely"),
            Self::NoGroup(group) => write!(
                f,
                "`control.group`: this machine has no group `{group}` (`groupadd {group}` makes one)"
            ),
            Self::Occupied { path } => write!(f, "`{}` is no socket: move it away", path.display()),
            Self::Failed { path, .. } => write!(f, "cannot use `{}`", path.display()),
        }
    }
}

impl Error for ClaimProblem {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Folder(untrusted) => Some(untrusted),
            Self::Failed { source, .. } => Some(source),
            Self::Held { .. } | Self::NoGroup(_) | Self::Occupied { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::net::UnixStream;
    use std::path::Path;

    use tokio::sync::watch;

    use super::*;
    use crate::control::health::Health;
    use crate::control::place::Wishes;
    use crate::control::server::{self, Sources};
    use crate::shutdown::Shutdown;

    #[tokio::test]
    async fn a_second_claim_is_refused_with_the_pid_of_the_first() {
        let root = tempfile::tempdir().unwrap();
        let place = place(root.path());
        let claim = Claim::take(&place).await.unwrap();
        let (health, told) =
            watch::channel(Health::starting("2026-01-31T12:00:00Z".parse().unwrap()));
        let shutdown = Shutdown::new();
        let sources = Sources::of(told);
        server::start(claim.listen().unwrap(), sources, &shutdown).unwrap();
        let refused = Claim::take(&place).await.unwrap_err();
        let ClaimProblem::Held { pid, .. } = refused else {
            panic!("{refused}");
        };
        assert_eq!(pid, Some(health.borrow().pid));
        shutdown.cut_off();
        drop(claim);
        Claim::take(&place).await.unwrap();
    }

    #[tokio::test]
    async fn a_silent_holder_is_not_waited_for_forever() {
        let root = tempfile::tempdir().unwrap();
        let place = place(root.path());
        let _claim = Claim::take(&place).await.unwrap();
        let refused = Claim::take(&place).await.unwrap_err();
        assert!(matches!(refused, ClaimProblem::Held { pid: None, .. }));
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_ours_is_removed_at_the_end() {
        let root = tempfile::tempdir().unwrap();
        let place = place(root.path());
        place.prepare().unwrap();
        drop(UnixListener::bind(place.socket()).unwrap());
        assert!(place.socket().exists());
        let claim = Claim::take(&place).await.unwrap();
        let _listener = claim.listen().unwrap();
        UnixStream::connect(place.socket()).unwrap();
        assert_eq!(fs::metadata(place.socket()).unwrap().mode() & 0o777, 0o600);
        drop(claim);
        assert!(!place.socket().exists());
    }

    #[tokio::test]
    async fn an_heir_leaves_the_socket_alone_until_the_lock_is_its_own() {
        let root = tempfile::tempdir().unwrap();
        let place = place(root.path());
        let mut claim = Claim::take(&place).await.unwrap();
        let _listener = claim.listen().unwrap();
        let heir = || Claim::inherit(place.clone(), File::from(claim.lock().unwrap()));
        // Both are this process here: another one's number stands for the holder's.
        claim.lock.write_all_at(name_of(1).as_bytes(), 0).unwrap();
        assert!(!heir().names_us());
        assert!(place.socket().exists());
        let (mut chosen, other) = (heir(), heir());
        claim.pass_on(process::id()).unwrap();
        drop(claim);
        drop(other);
        assert!(chosen.names_us());
        assert!(place.socket().exists());
        assert!(Claim::attempt(&place).unwrap().is_none());
        chosen.keep();
        drop(chosen);
        assert!(!place.socket().exists());
        assert!(Claim::attempt(&place).unwrap().is_some());
    }

    #[tokio::test]
    async fn a_file_in_the_sockets_place_is_not_removed() {
        let root = tempfile::tempdir().unwrap();
        let place = place(root.path());
        place.prepare().unwrap();
        File::create(place.socket()).unwrap();
        let claim = Claim::take(&place).await.unwrap();
        assert!(matches!(claim.listen(), Err(ClaimProblem::Occupied { .. })));
        drop(claim);
        assert!(place.socket().exists());
    }

    #[tokio::test]
    async fn an_open_folder_is_refused() {
        let root = tempfile::tempdir().unwrap();
        fs::set_permissions(root.path(), Permissions::from_mode(0o755)).unwrap();
        let wishes = Wishes {
            explicit: Some(root.path()),
            runtime: None,
            state: root.path(),
        };
        let refused = Claim::take(&Place::choose(wishes)).await;
        assert!(matches!(
            refused,
            Err(ClaimProblem::Folder(Untrusted::Open { .. }))
        ));
    }

    fn place(root: &Path) -> Place {
        Place::choose(Wishes {
            explicit: None,
            runtime: None,
            state: root,
        })
    }
}
