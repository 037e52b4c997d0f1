//! The keys of the files below a folder. Whatever is no object of ours is stepped over.

use std::fs::{self, DirEntry};
use std::io;
use std::path::Path;

use super::folder::is_absence;
use super::{Key, StoreError, key};
use crate::storage::files::Error;

/// More keys are not listed.
const KEYS_MAX: usize = 1 << 20;

enum Found {
    Object(Key),
    Folder(String),
    /// Hidden, or of the stores themselves.
    Ours,
    Foreign,
}

/// In order, those that begin with `prefix`.
pub(super) fn keys(root: &Path, prefix: &str) -> Result<Vec<Key>, StoreError> {
    at_most(KEYS_MAX, root, prefix)
}

fn at_most(limit: usize, root: &Path, prefix: &str) -> Result<Vec<Key>, StoreError> {
    let base = match prefix.rsplit_once('/') {
        Some((base, _rest)) if Key::new(base).is_ok() => base,
        // No key begins so.
        Some(_) => return Ok(Vec::new()),
        None => "",
    };
    if root.exists() && !root.is_dir() {
        return Err(Error::NotAFolder(root.to_owned()).into());
    }
    let mut keys = Vec::new();
    let mut folders = vec![base.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in entries(root, &folder, base)? {
            match look(&folder, &entry) {
                Found::Object(key) if key.as_str().starts_with(prefix) => keys.push(key),
                Found::Folder(path) if path.starts_with(prefix) => folders.push(path),
                Found::Object(_) | Found::Folder(_) | Found::Ours => {}
                Found::Foreign => {
                    let path = entry.path();
                    tracing::debug!(path = %path.display(), "stepped over a file that is not ours");
                }
            }
            if keys.len() > limit {
                return Err(StoreError::TooMany(root.to_owned()));
            }
        }
    }
    keys.sort_unstable();
    Ok(keys)
}

/// Those of `folder`; none if it is not there. One below `base` that cannot be read does not keep the others from being listed.
fn entries(root: &Path, folder: &str, base: &str) -> Result<Vec<DirEntry>, Error> {
    let path = root.join(folder);
    let read = fs::read_dir(&path).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    match read {
        Ok(entries) => Ok(entries),
        Err(error) if is_absence(&error) => Ok(Vec::new()),
        Err(error) if folder == base => Err(Error::new(path, error)),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "stepped over a folder that cannot be read");
            Ok(Vec::new())
        }
    }
}

fn look(folder: &str, entry: &DirEntry) -> Found {
    let name = entry.file_name();
    let Some(name) = name.to_str() else {
        return Found::Foreign;
    };
    if name.starts_with('.') || (folder.is_empty() && name == key::RESERVED) {
        return Found::Ours;
    }
    let path = if folder.is_empty() {
        name.to_owned()
    } else {
        format!("{folder}/{name}")
    };
    let Ok(key) = Key::new(&path) else {
        return Found::Foreign;
    };
    match entry.file_type() {
        Ok(kind) if kind.is_file() => Found::Object(key),
        Ok(kind) if kind.is_dir() => Found::Folder(path),
        _ => Found::Foreign,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_keys_are_not_listed() {
        let temporary = tempfile::tempdir().unwrap();
        for name in ["a", "b"] {
            fs::File::create(temporary.path().join(name)).unwrap();
        }
        assert_eq!(at_most(2, temporary.path(), "").unwrap().len(), 2);
        let error = at_most(1, temporary.path(), "").unwrap_err();
        assert!(matches!(error, StoreError::TooMany(_)), "{error:?}");
        assert_eq!(at_most(1, temporary.path(), "b").unwrap().len(), 1);
    }
}
