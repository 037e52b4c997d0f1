//! The root of the CA as a file for people, on every machine that has it.

use std::fs;
use std::path::PathBuf;

use super::safe::{AUTHORITY, FOLDER, ROOT, ROOT_KEY, fingerprint};
use super::stored::Stored;
use crate::storage::files::{Error, Storage};

/// Where the folder is the store itself: the file for people is a copy of the CA that lies there, and of no other. Without that one
/// nothing is written: what is left of a CA may be all that there is, and makes way for nothing.
pub(super) fn mended(folder: &Storage, root: &str) -> Result<(), Error> {
    let stored = folder.read(AUTHORITY)?.as_deref().and_then(Stored::read);
    if stored.is_none_or(|stored| stored.root != root)
        || folder.read(ROOT)?.as_deref() == Some(root.as_bytes())
    {
        return Ok(());
    }
    folder.write(ROOT, root.as_bytes())
}

/// Beside a shared store: writes the file for people if it is not there or another; says where a CA of this machine's own went that was
/// in its place.
pub(super) fn written(folder: &Storage, root: &str) -> Result<Option<PathBuf>, Error> {
    let there = folder.read(ROOT)?;
    if there.as_deref() == Some(root.as_bytes()) {
        return Ok(None);
    }
    let own = match folder.read(AUTHORITY)? {
        Some(bytes) => Stored::read(&bytes).is_none_or(|own| own.root != root),
        None => there.is_some() && folder.exists(ROOT_KEY)?,
    };
    let mut aside = None;
    if own {
        let place = folder.path(&format!("{FOLDER}-{}", fingerprint(root.as_bytes())));
        let moved = fs::rename(folder.path(FOLDER), &place);
        moved.map_err(|source| Error::Failed {
            path: place.clone(),
            source,
        })?;
        aside = Some(place);
    }
    folder.write(ROOT, root.as_bytes())?;
    Ok(aside)
}
