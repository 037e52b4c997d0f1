//! The keys of the files below a folder. Whatever is no object of ours is stepped over.

use std::fs::{self, DirEntry};
use std::io::ErrorKind;
use std::path::Path;

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
    let mut keys = Vec::new();
    let mut folders = Vec::new();
    match prefix.rsplit_once('/') {
        Some((base, _rest)) if Key::new(base).is_ok() => folders.push(base.to_owned()),
        // No key begins so.
        Some(_) => {}
        None => folders.push(String::new()),
    }
    if folders.is_empty() {
        return Ok(keys);
    }
    if root.exists() && !root.is_dir() {
        return Err(Error::NotAFolder(root.to_owned()).into());
    }
    let mut depth = 0;
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(root.join(&folder)) {
            Ok(entries) => entries,
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                continue;
            }
            Err(error) if depth == 0 => {
                return Err(Error::new(root.join(&folder), error).into());
            }
            Err(error) => {
                let path = root.join(&folder);
                tracing::warn!(path = %path.display(), %error, "stepped over a folder that cannot be read");
                continue;
            }
        };
        depth += 1;
        for entry in entries.flatten() {
            match look(&folder, &entry) {
                Found::Object(key) if key.as_str().starts_with(prefix) => keys.push(key),
                Found::Folder(path) if path.starts_with(prefix) || prefix.starts_with(&path) => {
                    folders.push(path);
                }
                Found::Object(_) | Found::Folder(_) | Found::Ours => {}
                Found::Foreign => {
                    let path = entry.path();
                    tracing::debug!(path = %path.display(), "stepped over a file that is not ours");
                }
            }
        }
        if keys.len() > KEYS_MAX {
            return Err(StoreError::TooMany(root.to_owned()));
        }
    }
    keys.sort_unstable();
    Ok(keys)
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
