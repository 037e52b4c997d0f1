//! The files of the repository.

use std::fs;
use std::path::{Path, PathBuf};

use super::NOT_OURS;

/// Paths from the repository's root, and their texts.
pub(super) fn rust_files() -> Vec<(String, String)> {
    let folders = ["src", "tests", "benches"].map(|folder| root().join(folder));
    let paths = folders
        .iter()
        .flat_map(|folder| files(folder))
        .filter(|path| path.extension().is_some_and(|e| e == "rs"));
    paths
        .map(|path| {
            (
                relative(&path),
                fs::read_to_string(&path).expect("a source file is UTF-8"),
            )
        })
        .collect()
}

pub(super) fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("the folder can be listed").path())
        .collect();
    paths.sort();
    paths.retain(|path| !NOT_OURS.iter().any(|name| path.ends_with(name)));
    paths
        .into_iter()
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

pub(super) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub(super) fn relative(path: &Path) -> String {
    path.strip_prefix(root())
        .unwrap_or(path)
        .display()
        .to_string()
}
