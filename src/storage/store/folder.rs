//! A folder of files as a store: one object per file, compared and replaced under a lock that all processes share.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::task;

use super::generations::Generations;
use super::leases::{Leases, Sharing};
use super::lock::{self, LOCK_WAIT};
use super::{Backend, Claim, Hold, Key, Object, Pending, StoreError, Version, When, key, listing};
use crate::clock::Clock;
use crate::storage::disk::{self, Staged};
use crate::storage::files::Error;

/// Hidden, hence no key.
const LOCK_NAME: &str = ".lock";
/// A temporary file of this age was left by a process that was killed.
const TEMPORARY_AGE_MAX: Duration = Duration::from_secs(3600);
/// How often a folder is created anew that others, who find it empty, remove.
const ATTEMPTS: usize = 5;

#[derive(Debug)]
pub(super) struct Folder {
    root: Arc<Root>,
    leases: Leases,
}

impl Folder {
    pub(super) fn at(path: PathBuf, clock: Clock) -> Self {
        Self::shared_as(path, clock, super::leases::sharing_of)
    }

    /// `sharing` says what kind of leases fits the folder.
    pub(super) fn shared_as(path: PathBuf, clock: Clock, sharing: fn(&Path) -> Sharing) -> Self {
        let root = Arc::new(Root { path, clock });
        Self {
            leases: Leases::new(Arc::clone(&root), sharing),
            root,
        }
    }
}

impl Backend for Folder {
    fn get<'a>(&'a self, key: &'a Key) -> Pending<'a, Option<Object>> {
        let key = key.clone();
        self.root.apart(move |root| root.read(&key))
    }

    fn put<'a>(
        &'a self,
        key: &'a Key,
        bytes: &'a [u8],
        when: &'a When,
        claim: Option<&'a Claim>,
    ) -> Pending<'a, Version> {
        let (key, bytes, when) = (key.clone(), bytes.to_vec(), when.clone());
        let claim = claim.cloned();
        self.root
            .apart(move |root| root.put(&key, &bytes, &when, claim.as_ref()))
    }

    fn delete<'a>(
        &'a self,
        key: &'a Key,
        when: &'a When,
        claim: Option<&'a Claim>,
    ) -> Pending<'a, ()> {
        let (key, when, claim) = (key.clone(), when.clone(), claim.cloned());
        self.root
            .apart(move |root| root.delete(&key, &when, claim.as_ref()))
    }

    fn list<'a>(&'a self, prefix: &'a str) -> Pending<'a, Vec<Key>> {
        let prefix = prefix.to_owned();
        self.root
            .apart(move |root| listing::keys(&root.path, &prefix))
    }

    fn lease<'a>(&'a self, name: &'a Key, time: Duration) -> Pending<'a, Option<Box<dyn Hold>>> {
        Box::pin(self.leases.take(name.clone(), time))
    }

    fn shown<'a>(&'a self, prefix: &'a str) -> Pending<'a, BTreeMap<Key, Box<str>>> {
        let prefix = prefix.to_owned();
        self.root.apart(move |root| root.shown(&prefix))
    }

    fn is_shared(&self) -> bool {
        false
    }
}

/// The folder itself. All its methods wait for the disk on the thread that calls them, but for [`Root::apart`].
#[derive(Debug)]
pub(super) struct Root {
    pub(super) path: PathBuf,
    pub(super) clock: Clock,
}

impl Root {
    /// Does `work` on a thread that may wait for the disk.
    pub(super) fn apart<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Arc<Self>) -> Result<T, StoreError> + Send + 'static,
    ) -> Pending<'static, T> {
        let root = Arc::clone(self);
        Box::pin(async move {
            let path = root.path.clone();
            let working = task::spawn_blocking(move || work(&root));
            working.await.unwrap_or_else(|stopped| {
                let source = io::Error::other(stopped);
                Err(Error::Failed { path, source }.into())
            })
        })
    }

    /// Nobody else writes until it is dropped.
    pub(super) fn lock(&self) -> Result<File, StoreError> {
        disk::create_folders(&self.path)?;
        lock::wait(&self.path.join(LOCK_NAME), LOCK_WAIT)
    }

    pub(super) fn generations(&self, name: &Key) -> Generations {
        Generations::at(self.path.join(key::RESERVED).join(format!("{name}.lease")))
    }

    fn place(&self, key: &Key) -> PathBuf {
        self.path.join(key.as_str())
    }

    fn read(&self, key: &Key) -> Result<Option<Object>, StoreError> {
        let path = self.place(key);
        match disk::read(&path) {
            Ok(bytes) => Ok(bytes.map(Object::new)),
            Err(source) if fs::symlink_metadata(&path).is_ok() => Err(StoreError::Damaged {
                key: key.clone(),
                source,
            }),
            // Another object stands where the folder of this one would be.
            Err(Error::NotAFolder(_)) if self.path.is_dir() => Ok(None),
            Err(Error::NotAFolder(_)) => Err(Error::NotAFolder(self.path.clone()).into()),
            Err(error) => Err(error.into()),
        }
    }

    /// Every write makes a new file, which shows.
    fn shown(&self, prefix: &str) -> Result<BTreeMap<Key, Box<str>>, StoreError> {
        let mut shown = BTreeMap::new();
        for key in listing::keys(&self.path, prefix)? {
            // What is gone by now was removed.
            if let Ok(found) = fs::symlink_metadata(self.place(&key)) {
                let (inode, octets) = (found.ino(), found.size());
                let changed = (found.ctime(), found.ctime_nsec());
                shown.insert(key, format!("{inode} {octets} {changed:?}").into());
            }
        }
        Ok(shown)
    }

    fn put(
        &self,
        key: &Key,
        bytes: &[u8],
        when: &When,
        claim: Option<&Claim>,
    ) -> Result<Version, StoreError> {
        let mut attempts_left = ATTEMPTS;
        loop {
            attempts_left -= 1;
            match self.attempt_to_put(key, bytes, when, claim) {
                Err(StoreError::Unusable(Error::Failed { source, .. }))
                    if source.kind() == ErrorKind::NotFound && attempts_left > 0 => {}
                Err(error) => {
                    // Its folders may have been made for nothing.
                    self.remove_empty_folders(&self.place(key));
                    return Err(error);
                }
                Ok(version) => return Ok(version),
            }
        }
    }

    fn attempt_to_put(
        &self,
        key: &Key,
        bytes: &[u8],
        when: &When,
        claim: Option<&Claim>,
    ) -> Result<Version, StoreError> {
        let path = self.place(key);
        let folder = path.parent().unwrap_or(&self.path);
        disk::create_folders(folder)?;
        // What takes long comes before the lock.
        let staged = Staged::write(path.clone(), bytes)?;
        let lock = self.lock()?;
        self.admit(claim)?;
        self.compare(key, when)?;
        staged.put_in_place()?;
        drop(lock);
        self.sync(folder)?;
        self.sweep(folder);
        Ok(Version::of(bytes))
    }

    fn delete(&self, key: &Key, when: &When, claim: Option<&Claim>) -> Result<(), StoreError> {
        let path = self.place(key);
        let lock = self.lock()?;
        self.admit(claim)?;
        self.compare(key, when)?;
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_file() => {
                fs::remove_file(&path).map_err(|error| Error::new(path.clone(), error))?;
            }
            Ok(_) => {
                return Err(StoreError::Damaged {
                    key: key.clone(),
                    source: Error::NotAFile(path),
                });
            }
            Err(error) if is_absence(&error) => return Ok(()),
            Err(error) => return Err(Error::new(path, error).into()),
        }
        drop(lock);
        let folder = path.parent().unwrap_or(&self.path);
        self.sync(folder)?;
        self.sweep(folder);
        self.remove_empty_folders(&path);
        Ok(())
    }

    fn admit(&self, claim: Option<&Claim>) -> Result<(), StoreError> {
        claim.map_or(Ok(()), |claim| self.generations(&claim.name).confirm(claim))
    }

    /// Well if the object is as `when` demands. The lock must be held.
    fn compare(&self, key: &Key, when: &When) -> Result<(), StoreError> {
        let path = self.place(key);
        match when {
            When::Always => Ok(()),
            When::Absent => match fs::symlink_metadata(&path) {
                Ok(_) => Err(StoreError::Conflict),
                Err(error) if is_absence(&error) => Ok(()),
                Err(error) => Err(Error::new(path, error).into()),
            },
            When::Is(version) => match self.read(key)? {
                Some(object) if object.version == *version => Ok(()),
                Some(_) | None => Err(StoreError::Conflict),
            },
        }
    }

    fn sync(&self, folder: &Path) -> Result<(), StoreError> {
        match disk::sync_folder(folder) {
            // What was written was deleted since, and the empty folder with it.
            Err(error) if error.kind() == ErrorKind::NotFound && self.path.is_dir() => Ok(()),
            synced => Ok(synced.map_err(|error| Error::new(folder.to_owned(), error))?),
        }
    }

    /// Removes what writers that were killed have left, as far as that can be done.
    fn sweep(&self, folder: &Path) {
        let Ok(entries) = fs::read_dir(folder) else {
            return;
        };
        let now = self.clock.now();
        for entry in entries.flatten() {
            let temporary = entry.file_name().to_str().is_some_and(disk::is_temporary);
            let is_old = || {
                let found = entry.metadata().ok().filter(fs::Metadata::is_file);
                found
                    .and_then(|found| found.modified().ok())
                    .and_then(|written| now.duration_since(written).ok())
                    .is_some_and(|age| age > TEMPORARY_AGE_MAX)
            };
            if temporary && is_old() {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    fn remove_empty_folders(&self, below: &Path) {
        let parents = below.ancestors().skip(1);
        for folder in parents.take_while(|folder| *folder != self.path) {
            if fs::remove_dir(folder).is_err() {
                return;
            }
        }
    }
}

/// Also where another object stands in the place of the folder.
pub(super) fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}
