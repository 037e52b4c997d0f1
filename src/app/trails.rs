//! Where paths lead, and through which symbolic links: whoever swaps one of these swaps the file, though nothing happens to it.
//! Kubernetes mounts configuration that way, through a link `..data`.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

/// Links that one path is followed through, as the system's own limit is.
const LINKS_MAX: usize = 40;

/// Follows paths as they are now.
#[derive(Debug, Default)]
pub(super) struct Trails {
    /// The links on the way, each in a folder that is no link. Those in the root folder are the system's own and not among them.
    pub links: BTreeSet<PathBuf>,
    known: HashMap<PathBuf, PathBuf>,
    followed: usize,
}

impl Trails {
    /// Where an absolute path leads: no part of it but what is missing, or goes in circles, is a link.
    pub(super) fn end_of(&mut self, path: &Path) -> PathBuf {
        self.followed = 0;
        self.lead(path)
    }

    fn lead(&mut self, path: &Path) -> PathBuf {
        let (Some(parent), name) = (path.parent(), path.file_name()) else {
            return path.to_owned();
        };
        if let Some(known) = self.known.get(path) {
            return known.clone();
        }
        let folder = self.lead(parent);
        let Some(name) = name else {
            // It ends in `..`.
            return folder.parent().map(Path::to_owned).unwrap_or(folder);
        };
        let place = folder.join(name);
        let end = match fs::read_link(&place) {
            Ok(target) if self.followed < LINKS_MAX => {
                self.followed += 1;
                if folder.parent().is_some() {
                    self.links.insert(place);
                }
                self.lead(&folder.join(target))
            }
            Ok(_) | Err(_) => place,
        };
        self.known.insert(path.to_owned(), end.clone());
        end
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn every_link_on_the_way_is_named_in_a_real_folder() {
        let (folder, root) = folder();
        fs::create_dir_all(root.join("mount/..first/inner")).unwrap();
        symlink("..first", root.join("mount/..data")).unwrap();
        symlink("..data/inner", root.join("mount/inner")).unwrap();
        symlink(root.join("mount"), root.join("etc")).unwrap();
        let mut trails = Trails::default();
        let end = trails.end_of(&folder.path().join("etc/inner/../inner/proxy.toml"));
        assert_eq!(end, root.join("mount/..first/inner/proxy.toml"));
        let links = ["etc", "mount/..data", "mount/inner"].map(|link| root.join(link));
        let inside = |link: &&PathBuf| link.starts_with(&root);
        assert!(trails.links.iter().filter(inside).eq(&links), "{trails:?}");
    }

    #[test]
    fn links_in_circles_come_to_an_end() {
        let (_folder, root) = folder();
        symlink("b", root.join("a")).unwrap();
        symlink("a/more", root.join("b")).unwrap();
        let mut trails = Trails::default();
        assert!(trails.end_of(&root.join("a/file")).starts_with(&root));
        assert!(trails.links.contains(&root.join("a")));
        assert!(trails.links.contains(&root.join("b")));
    }

    #[test]
    fn what_is_missing_leads_to_where_it_would_be() {
        let (_folder, root) = folder();
        symlink("gone", root.join("link")).unwrap();
        let end = Trails::default().end_of(&root.join("link/file"));
        assert_eq!(end, root.join("gone/file"));
    }

    /// A folder, and where it really is.
    fn folder() -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        (folder, root)
    }
}
