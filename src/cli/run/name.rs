//! The host name under which a command is served: as it was wished, or made of where the command runs.

use std::fmt;
use std::path::Path;

use super::checkout::Worktree;
use crate::hostname::{HostName, InvalidHostName};

/// Where names go that say nothing else.
const SUFFIX: &str = "localhost";
/// Of a longer text the rest is left out (RFC 1035 section 2.3.4).
const LABEL_CHARS_MAX: usize = 63;

/// Why there is no name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Nameless {
    /// What was wished is no host name.
    Invalid { name: String, why: InvalidHostName },
    /// Nothing in the folder's name can be part of a host name.
    Folder,
}

/// A wish with a dot is the whole name; any other is a label under `localhost`, as is the folder's name without a wish. In a linked
/// worktree the branch becomes a label in front, and its top folder goes by the name of the repository.
///
/// # Errors
/// When the wish is no name, or none can be made.
pub(super) fn host(
    wished: Option<&str>,
    folder: &Path,
    worktree: Option<&Worktree>,
) -> Result<HostName, Nameless> {
    if let Some(whole) = wished.filter(|name| name.contains('.')) {
        return parse(whole, whole);
    }
    let own = match wished {
        Some(name) => name.to_owned(),
        None => of_folder(folder, worktree).ok_or(Nameless::Folder)?,
    };
    let branch = worktree.and_then(|worktree| worktree.branch.as_deref());
    let text = match branch.and_then(label) {
        Some(branch) => format!("{branch}.{own}.{SUFFIX}"),
        None => format!("{own}.{SUFFIX}"),
    };
    parse(&text, &own)
}

fn parse(text: &str, name: &str) -> Result<HostName, Nameless> {
    HostName::parse(text).map_err(|why| Nameless::Invalid {
        name: name.to_owned(),
        why,
    })
}

fn of_folder(folder: &Path, worktree: Option<&Worktree>) -> Option<String> {
    let repository = worktree
        .filter(|worktree| worktree.root == folder)
        .and_then(|worktree| worktree.repository.as_deref());
    let own = folder.file_name().map(|name| name.to_string_lossy());
    label(repository.or(own.as_deref())?)
}

/// One label made of any text: letters and digits of any script stay, what is between them becomes a hyphen.
fn label(text: &str) -> Option<String> {
    let lower = text.to_lowercase();
    let words = lower
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty());
    let joined = words.collect::<Vec<_>>().join("-");
    let mut label: String = joined.chars().take(LABEL_CHARS_MAX).collect();
    // In other scripts a letter may take several octets, or be none that a name may have.
    while HostName::parse(&format!("{label}.{SUFFIX}")).is_err() {
        label.pop()?;
        label.truncate(label.trim_end_matches('-').len());
    }
    Some(label)
}

impl fmt::Display for Nameless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid { name, .. } => write!(f, "`{name}` cannot be a host name"),
            Self::Folder => f.write_str(
                "no name can be made of this folder's: name it with `onedoor run NAME -- …`",
            ),
        }
    }
}

impl std::error::Error for Nameless {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Invalid { why, .. } => Some(why),
            Self::Folder => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[track_caller]
    fn check(wished: Option<&str>, folder: &str, worktree: Option<&Worktree>, expected: &str) {
        let host = host(wished, Path::new(folder), worktree).unwrap();
        assert_eq!(host.as_str(), expected);
    }

    fn worktree(root: &str, repository: &str, branch: Option<&str>) -> Worktree {
        Worktree {
            root: PathBuf::from(root),
            repository: Some(repository.to_owned()),
            branch: branch.map(str::to_owned),
        }
    }

    #[test]
    fn a_wish_is_a_label_or_the_whole_name() {
        check(Some("Shop"), "/srv/x", None, "shop.localhost");
        check(Some("my_shop"), "/srv/x", None, "my_shop.localhost");
        check(Some("shop.test"), "/srv/x", None, "shop.test");
        check(Some("a.b.example.com."), "/srv/x", None, "a.b.example.com");
        check(Some("bücher"), "/srv/x", None, "xn--bcher-kva.localhost");
    }

    #[test]
    fn a_wish_that_is_no_name_is_refused() {
        for bad in ["", "a b", "*.shop", "-a", "feature/x", "a..b"] {
            let refused = host(Some(bad), Path::new("/srv/x"), None).unwrap_err();
            assert!(matches!(refused, Nameless::Invalid { name, .. } if name == bad));
        }
    }

    #[test]
    fn folders_of_any_name_come_to_a_label() {
        check(None, "/src/shop", None, "shop.localhost");
        check(
            None,
            "/src/My Shop (v2).git",
            None,
            "my-shop-v2-git.localhost",
        );
        check(None, "/src/--_.app._--", None, "app.localhost");
        check(None, "/src/2024", None, "2024.localhost");
        check(None, "/src/xn--zz--zz", None, "xn-zz-zz.localhost");
        check(None, "/src/bücher", None, "xn--bcher-kva.localhost");
    }

    #[test]
    fn a_long_folder_is_cut_to_a_label() {
        let long = host(None, Path::new(&format!("/{}", "ab-".repeat(40))), None).unwrap();
        let label = long.as_str().strip_suffix(".localhost").unwrap();
        assert!(label.len() <= 63 && label.ends_with('b'), "{label}");
        let long = host(None, Path::new(&format!("/{}", "語".repeat(100))), None).unwrap();
        assert!(long.as_str().starts_with("xn--"), "{long}");
    }

    #[test]
    fn a_folder_without_letters_has_no_name() {
        for folder in ["/", "/srv/---", "/srv/…", ".."] {
            assert_eq!(host(None, Path::new(folder), None), Err(Nameless::Folder));
        }
    }

    #[test]
    fn a_branch_stands_in_front() {
        let tree = worktree("/src/shop-x", "shop", Some("Feature/X_1"));
        let tree = Some(&tree);
        check(None, "/src/shop-x", tree, "feature-x-1.shop.localhost");
        check(None, "/src/shop-x/web", tree, "feature-x-1.web.localhost");
        check(
            Some("api"),
            "/src/shop-x",
            tree,
            "feature-x-1.api.localhost",
        );
        check(Some("api.test"), "/src/shop-x", tree, "api.test");
    }

    #[test]
    fn a_branch_that_says_nothing_is_left_out() {
        for branch in [None, Some("---")] {
            let tree = worktree("/src/shop-x", "shop", branch);
            check(None, "/src/shop-x", Some(&tree), "shop.localhost");
        }
    }
}
