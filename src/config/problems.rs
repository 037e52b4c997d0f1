//! The problems found so far: each once, however often its place is visited.

use std::collections::HashSet;

use super::document::Document;
use super::problem::{At, Problem, Severity};

/// Collects problems while a configuration is walked. Shared keys such as `defaults` are read once per site, reported once.
#[derive(Debug, Default)]
pub(super) struct Problems {
    list: Vec<Problem>,
    seen: HashSet<(&'static str, Option<At>)>,
    faulty: HashSet<u32>,
    hidden: Vec<At>,
}

impl Problems {
    pub(super) fn push(&mut self, problem: Problem) {
        let at = problem.at.as_ref().map(|(at, _)| *at);
        if at.is_some() && !self.seen.insert((problem.code, at)) {
            return;
        }
        if let (Severity::Error, Some(at)) = (problem.severity, at) {
            self.faulty.insert(at.file);
        }
        self.list.push(problem);
    }

    /// The common case: an error with a place, its label, and a way to mend it.
    pub(super) fn error(
        &mut self,
        code: &'static str,
        message: impl Into<String>,
        at: At,
        label: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.push(Problem::error(code, message).at(at, label).help(help));
    }

    pub(super) fn has_errors(&self) -> bool {
        self.list
            .iter()
            .any(|problem| problem.severity == Severity::Error)
    }

    /// What stands there is a secret, which no snippet may show.
    pub(super) fn hide(&mut self, at: At) {
        self.hidden.push(at);
    }

    pub(super) fn hidden(&self) -> &[At] {
        &self.hidden
    }

    /// Drops what only repeats the syntax errors of a document.
    pub(super) fn forget_echoes(&mut self, document: &Document<'_>) {
        self.list.retain(|problem| !document.is_echo(problem));
    }

    /// Whether an error points into this file.
    pub(super) fn is_faulty(&self, file: u32) -> bool {
        self.faulty.contains(&file)
    }

    /// In the order of the files and of the places in them; last what has no place.
    pub(super) fn into_sorted(mut self) -> Vec<Problem> {
        self.list.sort_by_key(|problem| match &problem.at {
            Some((at, _)) => (false, Some(*at)),
            None => (true, None),
        });
        self.list
    }
}
