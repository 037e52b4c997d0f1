//! Files that a guest brought: kept in the holder's storage as long as its lease, for the guest's own paths need not be readable here.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::strangers::Whose;
use crate::config::Loaded;
use crate::config::named::files_of;
use crate::config::offer::Offer;
use crate::control::leases::LeaseId;
use crate::storage::files::{Error, Storage};

/// The folder in the storage under which every lease has its own.
const FOLDER: &str = "guests";

/// Where the files of one offer are kept. The revision keeps what is in service untouched.
#[derive(Debug, Clone, Copy)]
pub(super) struct Home<'a> {
    pub(super) storage: &'a Storage,
    pub(super) lease: LeaseId,
    pub(super) revision: u64,
}

/// Writes what the configuration names into the storage and points it there. What another user's guest names and did not send is looked
/// for nowhere else.
///
/// # Errors
/// When the storage does not take it; what was written is of no use then.
pub(super) fn unpack(
    home: Home<'_>,
    offer: &Offer,
    loaded: &mut Loaded,
    whose: Whose,
) -> Result<(), Error> {
    let Home {
        storage,
        lease,
        revision,
    } = home;
    let home = format!("{FOLDER}/{lease}/{revision}");
    let mut problem = None;
    let mut number = 0;
    let folder = loaded
        .config
        .cert_dir
        .as_ref()
        .map(|found| found.value.clone());
    if let (Some(from), Some(place)) = (&folder, &mut loaded.config.cert_dir) {
        for (name, contents) in offer.within(from) {
            let kept = format!("{home}/cert_dir/{}", name.display());
            if let Err(error) = storage.write(&kept, &contents.0) {
                problem = problem.or(Some(error));
            }
        }
        place.value = storage.path(&format!("{home}/cert_dir"));
    }
    files_of(&mut loaded.config, &mut |path: &mut PathBuf| {
        number += 1;
        let name = path.file_name().map(|name| name.to_string_lossy());
        let kept = format!("{home}/{number}-{}", name.as_deref().unwrap_or("file"));
        let Some(contents) = offer.files.get(path) else {
            if whose == Whose::AnotherUsers {
                *path = storage.path(&kept);
            }
            return;
        };
        match storage.write(&kept, &contents.0) {
            Ok(()) => *path = storage.path(&kept),
            Err(error) => problem = problem.take().or(Some(error)),
        }
    });
    problem.map_or(Ok(()), Err)
}

/// The revision of the files that a configuration names.
pub(super) fn revision_of(storage: &Storage, lease: LeaseId, loaded: &Loaded) -> Option<u64> {
    let home = storage.path(&format!("{FOLDER}/{lease}"));
    let mut config = loaded.config.clone();
    let mut revision = None;
    let look = |path: &Path| {
        let first = path.strip_prefix(&home).ok()?.components().next()?;
        first.as_os_str().to_str()?.parse().ok()
    };
    if let Some(folder) = &config.cert_dir {
        revision = look(&folder.value);
    }
    files_of(&mut config, &mut |path| {
        revision = revision.or_else(|| look(path))
    });
    revision
}

/// Removes what earlier offers of a lease brought; all of it without a `revision` to keep.
pub(super) fn discard(storage: &Storage, lease: LeaseId, keep: Option<u64>) {
    let home = storage.path(&format!("{FOLDER}/{lease}"));
    let kept = keep.map(|revision| home.join(revision.to_string()));
    let removed = match &kept {
        None => remove(&home),
        Some(kept) => fs::read_dir(&home).and_then(|entries| {
            entries
                .filter_map(Result::ok)
                .map(|entry| entry.path())
                .filter(|path| path != kept)
                .try_for_each(|path| remove(&path))
        }),
    };
    tell(&home, removed);
}

/// Removes what a holder left behind that did not end in order.
pub(super) fn discard_all(storage: &Storage) {
    let home = storage.path(FOLDER);
    tell(&home, remove(&home));
}

/// Removes what belongs to no lease any more: an heir needs none of its own.
pub(super) fn discard_others(storage: &Storage, kept: &[LeaseId]) {
    let home = storage.path(FOLDER);
    let names: Vec<String> = kept.iter().map(ToString::to_string).collect();
    let is_kept = |path: &Path| {
        let name = path.file_name().map(|name| name.to_string_lossy());
        name.is_some_and(|name| names.iter().any(|kept| *kept == name))
    };
    let removed = fs::read_dir(&home).and_then(|entries| {
        entries
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .filter(|path| !is_kept(path))
            .try_for_each(|path| remove(&path))
    });
    tell(&home, removed);
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        ended => ended,
    }
}

fn tell(folder: &Path, removed: io::Result<()>) {
    if let Err(error) = removed
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(folder = %folder.display(), %error, "what guests brought was not removed");
    }
}
