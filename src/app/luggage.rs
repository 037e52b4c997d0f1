//! Files that a guest brought: kept in the holder's storage as long as its lease, for the guest's own paths need not be readable here.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest;

use super::strangers::Whose;
use crate::config::Loaded;
use crate::config::named::files_of;
use crate::config::offer::Offer;
use crate::control::leases::LeaseId;
use crate::control::place::Place;
use crate::storage::files::{Error, Storage};

/// The folder in the storage under which every door has its own, and in that every lease.
const FOLDER: &str = "guests";
/// Octets of a digest that tell doors apart.
const DOOR_BYTES: usize = 8;

/// Where a door keeps what its guests bring: several doors may share a storage, and count their leases alike.
pub(super) fn of_door(storage: &Storage, door: &Place) -> Storage {
    let folder = door.folder().as_os_str().as_bytes();
    let digest = digest::digest(&digest::SHA256, folder);
    let octets = digest.as_ref().iter().take(DOOR_BYTES);
    let name: String = octets.map(|octet| format!("{octet:02x}")).collect();
    Storage::at(storage.path(&format!("{FOLDER}/{name}")))
}

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
        storage: luggage,
        lease,
        revision,
    } = home;
    let home = format!("{lease}/{revision}");
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
            if let Err(error) = luggage.write(&kept, &contents.0) {
                problem = problem.or(Some(error));
            }
        }
        place.value = luggage.path(&format!("{home}/cert_dir"));
    }
    files_of(&mut loaded.config, &mut |path: &mut PathBuf| {
        number += 1;
        let name = path.file_name().map(|name| name.to_string_lossy());
        let kept = format!("{home}/{number}-{}", name.as_deref().unwrap_or("file"));
        let Some(contents) = offer.files.get(path) else {
            if whose == Whose::AnotherUsers {
                *path = luggage.path(&kept);
            }
            return;
        };
        match luggage.write(&kept, &contents.0) {
            Ok(()) => *path = luggage.path(&kept),
            Err(error) => problem = problem.take().or(Some(error)),
        }
    });
    problem.map_or(Ok(()), Err)
}

/// The revision of the files that a configuration names.
pub(super) fn revision_of(luggage: &Storage, lease: LeaseId, loaded: &Loaded) -> Option<u64> {
    let home = luggage.path(&lease.to_string());
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
pub(super) fn discard(luggage: &Storage, lease: LeaseId, keep: Option<u64>) {
    let home = luggage.path(&lease.to_string());
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

/// Removes what a holder left behind, but these revisions of these leases.
pub(super) fn discard_others(luggage: &Storage, kept: &BTreeMap<LeaseId, Option<u64>>) {
    let home = luggage.path("");
    let entries = match fs::read_dir(&home) {
        Ok(entries) => entries,
        Err(error) => return tell(&home, Err(error)),
    };
    for folder in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        let name = folder.file_name().and_then(|name| name.to_str());
        let lease = name.and_then(|name| name.parse().ok()).map(LeaseId);
        match lease.and_then(|lease| Some((lease, kept.get(&lease)?))) {
            Some((lease, revision)) => discard(luggage, lease, *revision),
            None => tell(&folder, remove(&folder)),
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::place::Wishes;

    #[test]
    fn doors_that_share_a_storage_keep_apart() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::at(folder.path().join("storage"));
        let place = |name: &str| {
            Place::choose(Wishes {
                explicit: Some(&folder.path().join(name)),
                runtime: None,
                state: folder.path(),
            })
        };
        let (one, two) = (
            of_door(&storage, &place("one")),
            of_door(&storage, &place("two")),
        );
        for door in [&one, &two] {
            door.write("1/2/1-key.pem", b"key").unwrap();
        }
        discard_others(&one, &BTreeMap::new());
        assert!(!one.exists("1").unwrap());
        assert!(two.exists("1/2/1-key.pem").unwrap());
    }

    #[test]
    fn what_nobody_needs_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let luggage = Storage::at(folder.path().join("door"));
        discard_others(&luggage, &BTreeMap::new());
        for name in ["1/2/cert", "1/3/cert", "2/2/cert", "4/2/cert"] {
            luggage.write(name, b"pem").unwrap();
        }
        let kept = BTreeMap::from([(LeaseId(1), Some(3)), (LeaseId(4), None)]);
        discard_others(&luggage, &kept);
        let there = |name| luggage.exists(name).unwrap();
        assert!(there("1/3/cert"));
        assert!(!there("1/2") && !there("2") && !there("4"));
    }
}
