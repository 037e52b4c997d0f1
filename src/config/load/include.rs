//! What a file names besides itself: included files, secrets, variables; and what must be watched to notice changes.

use std::collections::BTreeSet;
use std::env::VarError;
use std::path::{Component, Path, PathBuf};

use glob::{MatchOptions, Pattern};

use crate::config::problem::{At, Located, Problem, Source};
use crate::config::problems::Problems;
use crate::config::read::{Files, Included, Unread};

/// The files, or folders, that the patterns of a file may name.
const INCLUDED_MAX: usize = 20_000;
/// The octets of a file with a secret, or with roots.
const KEPT_BYTES_MAX: u64 = 1 << 20;

const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// Finds files by glob patterns and remembers what was looked at.
#[derive(Debug)]
pub(super) struct Globs {
    main: PathBuf,
    files: BTreeSet<PathBuf>,
    /// Secrets and roots.
    kept: BTreeSet<PathBuf>,
    folders: BTreeSet<PathBuf>,
}

impl Globs {
    /// For the main file `main`, which no pattern includes.
    pub(super) fn beside(main: &Path) -> Self {
        Self {
            main: main.to_owned(),
            files: BTreeSet::new(),
            kept: BTreeSet::new(),
            folders: BTreeSet::new(),
        }
    }

    /// The files that were read, then the folders that were looked into.
    pub(super) fn watched(self) -> Vec<PathBuf> {
        let mut watched = vec![self.main];
        watched.extend(self.files);
        watched.extend(self.kept);
        watched.extend(self.folders);
        watched
    }

    fn one(&mut self, pattern: &Located<PathBuf>, problems: &mut Problems) -> Vec<Included> {
        if !has_wildcard(&pattern.value) {
            return self.file(&pattern.value, pattern.at).into_iter().collect();
        }
        let paths = match self.expand(&pattern.value, pattern.at) {
            Ok(paths) => paths,
            Err(problem) => {
                problems.push(*problem);
                return Vec::new();
            }
        };
        paths
            .into_iter()
            .filter(|path| path.is_file() && !same_file(path, &self.main))
            .collect::<Vec<_>>()
            .into_iter()
            .filter_map(|path| self.file(&path, pattern.at))
            .collect()
    }

    /// Reads a file, unless another pattern named it already.
    fn file(&mut self, path: &Path, at: At) -> Option<Included> {
        if !self.files.insert(path.to_owned()) {
            return None;
        }
        let (text, unreadable) = match super::text(path) {
            Ok(text) => (text, None),
            Err(error) => {
                let message = format!("cannot read {}: {error}", path.display());
                let problem = Problem::error("unreadable", message)
                    .at(at, "included here")
                    .help("its sites stay as they were, if they were there before");
                (String::new(), Some(problem))
            }
        };
        Some(Included {
            source: Source {
                path: path.to_owned(),
                text,
            },
            unreadable,
        })
    }

    fn expand(&mut self, pattern: &Path, at: At) -> Result<Vec<PathBuf>, Box<Problem>> {
        self.folders.insert(fixed_part(pattern));
        if let Some(parent) = pattern.parent().filter(|parent| has_wildcard(parent)) {
            let inner = matching(parent, at)?;
            self.folders
                .extend(inner.into_iter().filter(|path| path.is_dir()));
        }
        matching(pattern, at)
    }
}

impl Files for Globs {
    fn find(&mut self, patterns: &[Located<PathBuf>], problems: &mut Problems) -> Vec<Included> {
        patterns
            .iter()
            .flat_map(|pattern| self.one(pattern, problems))
            .collect()
    }

    fn content(&mut self, path: &Path) -> Result<Vec<u8>, Unread> {
        self.kept.insert(path.to_owned());
        super::bytes(path, KEPT_BYTES_MAX).map_err(|error| Unread::Because(error.to_string()))
    }

    fn variable(&mut self, name: &str) -> Result<String, Unread> {
        std::env::var(name).map_err(|error| {
            Unread::Because(match error {
                VarError::NotPresent => "it is not set".to_owned(),
                VarError::NotUnicode(_) => "it is not UTF-8".to_owned(),
            })
        })
    }
}

fn has_wildcard(path: &Path) -> bool {
    path.to_string_lossy().contains(['*', '?', '['])
}

/// The folder before the first component with a wildcard.
fn fixed_part(pattern: &Path) -> PathBuf {
    let fixed: PathBuf = pattern
        .components()
        .take_while(|component| !has_wildcard(Path::new(component)))
        .collect();
    if fixed.as_os_str().is_empty() {
        PathBuf::from(Component::CurDir.as_os_str())
    } else {
        fixed
    }
}

fn matching(pattern: &Path, at: At) -> Result<Vec<PathBuf>, Box<Problem>> {
    let text = pattern.to_string_lossy();
    let bad = |why: String| {
        let message = format!("`{text}` cannot be included");
        Box::new(Problem::error("bad-include", message).at(at, why))
    };
    Pattern::new(&text).map_err(|error| bad(error.msg.to_owned()))?;
    let found: Vec<PathBuf> = glob::glob_with(&text, OPTIONS)
        .map_err(|error| bad(error.msg.to_owned()))?
        .filter_map(Result::ok)
        .take(INCLUDED_MAX + 1)
        .collect();
    if found.len() > INCLUDED_MAX {
        return Err(bad(format!("this is more than {INCLUDED_MAX} files")));
    }
    Ok(found)
}

fn same_file(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        (Ok(_) | Err(_), _) => one == other,
    }
}
