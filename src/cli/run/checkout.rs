//! What git says of a folder: whether it lies in a linked worktree, of which repository, and on which branch. Submodules and the main
//! worktree are none.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// The octets of a file of git's that are read; branches have short names.
const GIT_FILE_BYTES_MAX: u64 = 4096;

/// A worktree that `git worktree add` made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Worktree {
    /// Its top folder.
    pub(super) root: PathBuf,
    /// What the main worktree's folder is called.
    pub(super) repository: Option<String>,
    /// None while no branch is checked out.
    pub(super) branch: Option<String>,
}

/// The linked worktree that `folder`, an absolute path, lies in.
pub(super) fn worktree(folder: &Path) -> Option<Worktree> {
    let root = folder
        .ancestors()
        .find(|above| above.join(".git").exists())?;
    let pointer = root.join(".git");
    if pointer.is_dir() {
        return None;
    }
    let place = root.join(place(&read(&pointer).ok()?)?);
    let common = common(&place)?;
    let head = read(&place.join("HEAD")).unwrap_or_default();
    Some(Worktree {
        root: root.to_owned(),
        repository: repository(common),
        branch: branch(&head).map(str::to_owned),
    })
}

fn read(path: &Path) -> io::Result<String> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut text = String::new();
    File::open(path)?
        .take(GIT_FILE_BYTES_MAX)
        .read_to_string(&mut text)?;
    Ok(text)
}

/// Where a `.git` file points to (gitrepository-layout).
fn place(pointer: &str) -> Option<&Path> {
    let path = pointer.strip_prefix("gitdir:")?.trim();
    (!path.is_empty()).then(|| Path::new(path))
}

/// The repository's own folder, of a worktree's place in it; a submodule's place is below `modules`.
fn common(place: &Path) -> Option<&Path> {
    let worktrees = place.parent()?;
    let linked = worktrees.file_name()? == "worktrees";
    linked.then(|| worktrees.parent())?
}

/// Of `shop/.git` and of `shop.git`: `shop`.
fn repository(common: &Path) -> Option<String> {
    let own = common.file_name()?.to_str()?;
    if own.starts_with('.') {
        let above = common.parent()?.file_name()?.to_str()?;
        return Some(above.to_owned());
    }
    Some(own.strip_suffix(".git").unwrap_or(own).to_owned())
}

/// The branch that a HEAD names; repositories with another store of references have a placeholder there.
fn branch(head: &str) -> Option<&str> {
    let branch = head
        .strip_prefix("ref:")?
        .trim()
        .strip_prefix("refs/heads/")?;
    (branch != ".invalid").then_some(branch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_is_read_with_its_line_end() {
        assert_eq!(
            place("gitdir: /src/shop/.git/worktrees/x\n"),
            Some(Path::new("/src/shop/.git/worktrees/x"))
        );
        assert_eq!(place("gitdir: ../a b\r\n"), Some(Path::new("../a b")));
        assert_eq!(place("gitdir:\n"), None);
        assert_eq!(place("something else"), None);
    }

    #[test]
    fn only_worktrees_are_linked() {
        let check = |place: &'static str| common(Path::new(place));
        assert_eq!(
            check("/src/shop/.git/worktrees/x"),
            Some(Path::new("/src/shop/.git"))
        );
        assert_eq!(check("/src/shop/.git/modules/x"), None);
        assert_eq!(check("/elsewhere/shop.git"), None);
        assert_eq!(check("/"), None);
    }

    #[test]
    fn a_repository_is_called_as_its_folder_is() {
        let check = |common: &str| repository(Path::new(common));
        assert_eq!(check("/src/shop/.git").as_deref(), Some("shop"));
        assert_eq!(check("/src/shop/.bare").as_deref(), Some("shop"));
        assert_eq!(check("/src/shop.git").as_deref(), Some("shop"));
        assert_eq!(check("/src/shop").as_deref(), Some("shop"));
        assert_eq!(check("/.git"), None);
    }

    #[test]
    fn a_head_without_a_branch_names_none() {
        assert_eq!(branch("ref: refs/heads/feature/x\n"), Some("feature/x"));
        assert_eq!(branch("ref: refs/heads/.invalid\n"), None);
        assert_eq!(branch("ref: refs/remotes/origin/x\n"), None);
        assert_eq!(branch("36eddd74e2f0e5ba8ba8d1d1b7a6d6f5c6d5c4b3\n"), None);
        assert_eq!(branch(""), None);
    }

    #[test]
    fn a_worktree_is_found_from_below_and_the_main_one_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path();
        let place = top.join("shop/.git/worktrees/x");
        for path in [&place, &top.join("tree/packages/web")] {
            fs::create_dir_all(path).unwrap();
        }
        write(&place.join("HEAD"), "ref: refs/heads/x\n");
        write(&top.join("tree/.git"), "gitdir: ../shop/.git/worktrees/x\n");
        let found = worktree(&top.join("tree/packages/web")).unwrap();
        assert_eq!(found.root, top.join("tree"));
        assert_eq!(found.repository.as_deref(), Some("shop"));
        assert_eq!(found.branch.as_deref(), Some("x"));
        assert_eq!(worktree(&top.join("shop")), None);
    }

    fn write(path: &Path, text: &str) {
        use std::io::Write as _;
        let mut file = File::create(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }
}
