//! What is done, as a shell would be told: exactly these commands are printed, and exactly these are run.

use std::path::{Path, PathBuf};

use super::place::Laid;
use super::store::Owner;
use crate::ports::permission::quoted;

/// A program and its arguments, found by its name or its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) words: Vec<String>,
    /// What it reads.
    pub(super) input: Option<PathBuf>,
}

/// What is done for one store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) store: String,
    pub(super) lines: Vec<Line>,
    /// What lies where then, or lay there.
    pub(super) laid: Vec<Laid>,
}

/// Who runs the commands, and as whom it can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Person {
    User {
        /// None: nothing here makes a command root's.
        sudo: Option<String>,
    },
    /// Root, for itself.
    Root,
    /// Root, called by `sudo` by somebody whose stores are meant.
    RootFor {
        /// The words that make a command that user's.
        by: Vec<String>,
    },
}

impl Line {
    pub(super) fn new(words: &[&str]) -> Self {
        Self {
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            input: None,
        }
    }

    pub(super) fn of(words: &[String]) -> Self {
        Self {
            words: words.to_vec(),
            input: None,
        }
    }

    pub(super) fn words(mut self, words: &[&str]) -> Self {
        self.words
            .extend(words.iter().map(|word| (*word).to_owned()));
        self
    }

    pub(super) fn path(mut self, path: &Path) -> Self {
        self.words.push(path.display().to_string());
        self
    }

    pub(super) fn reading(mut self, file: &Path) -> Self {
        self.input = Some(file.to_owned());
        self
    }

    pub(super) fn shell(&self) -> String {
        let words = self.words.iter().map(|word| quoted(Path::new(word)));
        let mut text = words.collect::<Vec<String>>().join(" ");
        if let Some(input) = &self.input {
            text.push_str(&format!(" < {}", quoted(input)));
        }
        text
    }

    fn behind(mut self, prefix: &[String]) -> Self {
        self.words.splice(0..0, prefix.iter().cloned());
        self
    }
}

impl Person {
    /// The command as root's; as it is, if nothing here makes it so.
    pub(super) fn as_root(&self, line: Line) -> Line {
        match self {
            Self::User { sudo: Some(sudo) } => line.behind(std::slice::from_ref(sudo)),
            Self::User { sudo: None } | Self::Root | Self::RootFor { .. } => line,
        }
    }

    pub(super) fn may_be_root(&self) -> bool {
        *self != Self::User { sudo: None }
    }

    pub(super) fn line_of(&self, owner: Owner, line: Line) -> Line {
        match owner {
            Owner::Us => line,
            Owner::Root => self.as_root(line),
        }
    }

    /// The command as the one's whose browsers are meant.
    pub(super) fn as_owner(&self, line: Line) -> Line {
        match self {
            Self::RootFor { by, .. } => line.behind(by),
            Self::User { .. } | Self::Root => line,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_told_as_a_shell_takes_it() {
        let line = Line::new(&["certutil", "-t", "C,,", "-n", "it's ours"])
            .reading(Path::new("/a b/root.crt"));
        assert_eq!(
            line.shell(),
            r"certutil -t 'C,,' -n 'it'\''s ours' < '/a b/root.crt'"
        );
    }

    #[test]
    fn a_command_is_made_root_s_or_its_owner_s() {
        let line = || Line::new(&["x"]);
        let sudo = Some("sudo".to_owned());
        let user = Person::User { sudo };
        assert_eq!(user.as_root(line()).shell(), "sudo x");
        assert_eq!(user.as_owner(line()).shell(), "x");
        let by = ["sudo", "-u", "ana"].map(str::to_owned).to_vec();
        let root = Person::RootFor { by };
        assert_eq!(root.as_root(line()).shell(), "x");
        assert_eq!(root.as_owner(line()).shell(), "sudo -u ana x");
        assert!(!Person::User { sudo: None }.may_be_root());
    }
}
