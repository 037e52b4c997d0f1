//! What is wrong with a configuration, and where: problems with spans, and the sources they point into.

mod json;
mod render;

use std::path::{Path, PathBuf};

pub use json::to_json;
pub use render::{Color, render};

/// A place in one of the [`Sources`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct At {
    /// Index into [`Sources`].
    pub file: u32,
    /// Octet offsets.
    pub start: u32,
    pub end: u32,
}

impl At {
    /// The octets `range` of file `file`; offsets past the last one that fits are cut.
    #[must_use]
    pub fn new(file: u32, range: std::ops::Range<usize>) -> Self {
        let fit = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
        Self {
            file,
            start: fit(range.start),
            end: fit(range.end),
        }
    }
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

impl Problem {
    /// An error without a place yet.
    #[must_use]
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            message: message.into(),
            at: None,
            also: Vec::new(),
            help: None,
        }
    }

    /// A warning without a place yet.
    #[must_use]
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(code, message)
        }
    }

    /// Says where, and what stands beside the underlined text.
    #[must_use]
    pub fn at(mut self, at: At, label: impl Into<String>) -> Self {
        self.at = Some((at, label.into()));
        self
    }

    /// Adds another place that belongs to it.
    #[must_use]
    pub fn also(mut self, at: At, label: impl Into<String>) -> Self {
        self.also.push((at, label.into()));
        self
    }

    /// Says how to mend it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
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

impl Sources {
    /// The source that `at` points into.
    #[must_use]
    pub fn source(&self, at: At) -> Option<&Source> {
        self.files.get(usize::try_from(at.file).ok()?)
    }

    /// The file that names `at`, if it is one of these.
    #[must_use]
    pub fn path(&self, at: At) -> Option<&Path> {
        self.source(at).map(|source| source.path.as_path())
    }

    /// Puts asterisks in place of what stands there; offsets stay what they are.
    pub(super) fn hide(&mut self, places: &[At]) {
        for at in places {
            let Ok(index) = usize::try_from(at.file) else {
                continue;
            };
            if let Some(source) = self.files.get_mut(index) {
                source.hide(*at);
            }
        }
    }
}

/// One file's name and text, secrets hidden; the command line is a source too, named `<arguments>`.
#[derive(Debug, Clone)]
pub struct Source {
    pub path: PathBuf,
    pub text: String,
}

impl Source {
    fn hide(&mut self, at: At) {
        let fit = |offset: u32| usize::try_from(offset).unwrap_or(usize::MAX);
        let range = fit(at.start)..fit(at.end);
        let Some(shown) = self.text.get(range.clone()) else {
            return;
        };
        let hidden: String = shown
            .chars()
            .map(|c| match c {
                '\n' | '\r' => c.to_string(),
                c => "*".repeat(c.len_utf8()),
            })
            .collect();
        self.text.replace_range(range, &hidden);
    }
}
