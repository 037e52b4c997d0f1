//! What is wrong with a configuration, and where: problems with spans, and the sources they point into.

use std::path::PathBuf;

/// A place in one of the [`Sources`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct At {
    /// Index into [`Sources`].
    pub file: u32,
    /// Octet offsets.
    pub start: u32,
    pub end: u32,
}

/// A value and where it was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located<T> {
    pub value: T,
    pub at: At,
}

/// One thing that is wrong, with all a person needs to mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub severity: Severity,
    /// Stable and lower-case with hyphens: `unknown-key`.
    pub code: &'static str,
    /// One sentence, no full stop.
    pub message: String,
    /// Where, and what is said beside the underlined text; none when no file says it (a command-line argument).
    pub at: Option<(At, String)>,
    /// Other places that belong to it (`first here`).
    pub also: Vec<(At, String)>,
    /// How to mend it.
    pub help: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    Error,
    Warning,
}

/// The texts a configuration was read from, for snippets.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    pub files: Vec<Source>,
}

/// One file's name and text; the command line is a source too, named `<arguments>`.
#[derive(Debug, Clone)]
pub struct Source {
    pub path: PathBuf,
    pub text: String,
}
