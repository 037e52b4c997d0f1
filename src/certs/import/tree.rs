//! A tree of files as it was read, so that what is in it can be recognised without touching a disk.

use std::collections::BTreeMap;
use std::fmt;

/// The files below one folder, or one file; paths have `/` between their parts and begin with none.
#[derive(Clone, Default)]
pub struct Tree {
    /// What was read, as people name it: a folder, or an archive.
    base: String,
    files: BTreeMap<String, Content>,
    /// What was left out, for people.
    remarks: Vec<String>,
}

/// What is known of one file.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    Bytes(Vec<u8>),
    /// Why there are none, in words that follow on a path.
    Unreadable(String),
}

impl Tree {
    #[must_use]
    pub fn new(base: String) -> Self {
        Self {
            base,
            ..Self::default()
        }
    }

    /// Puts a file there; the first of two at one path stays.
    pub fn insert(&mut self, path: String, content: Content) {
        self.files.entry(path).or_insert(content);
    }

    pub fn remark(&mut self, remark: String) {
        self.remarks.push(remark);
    }

    #[must_use]
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// A path as people find it.
    #[must_use]
    pub fn place(&self, path: &str) -> String {
        match (self.base.as_str(), path) {
            (base, "") => base.to_owned(),
            ("", path) => path.to_owned(),
            ("/", path) => format!("/{path}"),
            (base, path) => format!("{base}/{path}"),
        }
    }

    /// Of all files together.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let lengths = self.files.values().map(|content| match content {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::Unreadable(_) => 0,
        });
        lengths.sum()
    }

    /// In the order of their paths.
    pub fn files(&self) -> impl Iterator<Item = (&str, &Content)> {
        self.files
            .iter()
            .map(|(path, content)| (path.as_str(), content))
    }

    /// The files below a folder, with their paths below it, in their order.
    pub fn below<'a>(
        &'a self,
        folder: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a Content)> + use<'a> {
        let start = folder.to_owned();
        self.files
            .range(start..)
            .take_while(move |(path, _)| path.starts_with(folder))
            .filter_map(move |(path, content)| Some((beneath(folder, path)?, content)))
    }

    /// The names of folders directly in a folder, in their order.
    #[must_use]
    pub fn folders<'a>(&'a self, folder: &'a str) -> Vec<&'a str> {
        let mut found: Vec<&str> = self
            .below(folder)
            .filter_map(|(path, _)| Some(path.split_once('/')?.0))
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Every folder that has files anywhere below it, the whole tree (an empty path) first.
    #[must_use]
    pub fn all_folders(&self) -> Vec<&str> {
        let mut found = vec![""];
        for path in self.files.keys() {
            found.extend(path.match_indices('/').map(|(at, _)| &path[..at]));
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    #[must_use]
    pub fn content(&self, path: &str) -> Option<&Content> {
        self.files.get(path)
    }

    #[must_use]
    pub fn has(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }
}

/// Joins parts of a path; an empty folder is the whole tree.
#[must_use]
pub fn join(folder: &str, path: &str) -> String {
    match folder {
        "" => path.to_owned(),
        folder => format!("{folder}/{path}"),
    }
}

/// The folder that a file is in and the file's name.
#[must_use]
pub fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// The path below `folder`; none if it is not there.
#[must_use]
pub fn beneath<'a>(folder: &str, path: &'a str) -> Option<&'a str> {
    match folder {
        "" => Some(path),
        folder => path.strip_prefix(folder)?.strip_prefix('/'),
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tree")
            .field("base", &self.base)
            .field("files", &self.files.keys())
            .field("remarks", &self.remarks)
            .finish()
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "{} octets", bytes.len()),
            Self::Unreadable(why) => f.write_str(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(paths: &[&str]) -> Tree {
        let mut tree = Tree::new("/base".to_owned());
        for path in paths {
            tree.insert((*path).to_owned(), Content::Bytes(Vec::new()));
        }
        tree
    }

    #[test]
    fn a_folder_holds_its_own_and_no_neighbours() {
        let tree = tree(&["a/x", "a-b/y", "a/c/z", "ab"]);
        let below: Vec<&str> = tree.below("a").map(|(path, _)| path).collect();
        assert_eq!(below, ["c/z", "x"]);
        assert_eq!(tree.folders(""), ["a", "a-b"]);
        assert_eq!(tree.folders("a"), ["c"]);
        assert_eq!(tree.all_folders(), ["", "a", "a-b", "a/c"]);
        assert_eq!(tree.below("").count(), 4);
    }

    #[test]
    fn places_are_what_people_type() {
        assert_eq!(tree(&[]).place("a/x"), "/base/a/x");
        assert_eq!(tree(&[]).place(""), "/base");
        assert_eq!(Tree::new("/".to_owned()).place("etc"), "/etc");
        assert_eq!(split("a/b/c"), ("a/b", "c"));
        assert_eq!(join("", "c"), "c");
    }
}
