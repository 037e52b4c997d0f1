//! What loading comes to: a configuration that may be served, or the reasons against it.

use std::path::PathBuf;

use super::Config;
use super::problem::{At, Problem, Severity, Sources};

/// A configuration that may be served.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub config: Config,
    pub sources: Sources,
    /// Errors of included files; each such file's sites are those of its last good version, if there was one.
    pub isolated: Vec<Problem>,
    pub warnings: Vec<Problem>,
    /// What to watch for changes: every file that was read, secrets too, and every folder that `include` looks into.
    pub watched: Vec<PathBuf>,
}

/// Why nothing may be served: every error and warning, in the order of the files.
#[derive(Debug, Clone)]
pub struct Refused {
    pub problems: Vec<Problem>,
    pub sources: Sources,
}

/// What is left of a reading once no text is borrowed.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) config: Config,
    pub(super) problems: Vec<Problem>,
    pub(super) isolated: Vec<Problem>,
    /// Where secrets stand in the texts.
    pub(super) hidden: Vec<At>,
    /// The first source that is an included file.
    pub(super) first_included: u32,
}

impl Read {
    /// Decides whether the configuration may be served: errors of included files are no reason against it.
    pub(super) fn sort_out(self, mut sources: Sources) -> Result<Loaded, Refused> {
        sources.hide(&self.hidden);
        let is_included = |at: &Option<(At, String)>| {
            at.as_ref()
                .is_some_and(|(at, _)| at.file >= self.first_included)
        };
        let is_fatal =
            |problem: &Problem| problem.severity == Severity::Error && !is_included(&problem.at);
        let mut isolated = self.isolated;
        if self.problems.iter().any(is_fatal) {
            let problems = self.problems.into_iter().chain(isolated).collect();
            return Err(Refused { problems, sources });
        }
        let (errors, warnings): (Vec<_>, Vec<_>) = self
            .problems
            .into_iter()
            .partition(|problem| problem.severity == Severity::Error);
        isolated.extend(errors);
        Ok(Loaded {
            config: self.config,
            sources,
            isolated,
            warnings,
            watched: Vec::new(),
        })
    }
}
