//! Why a verb came to nothing: what a person reads, and the number that a script sees.

use std::error::Error;

use crate::app::kept::NotKept;
use crate::cli::Exit;
use crate::control::claim::ClaimProblem;
use crate::control::client::{NotDone, Unhealthy};
use crate::control::session::message::Refusal;

/// The end of a verb that did not do what it was asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// For standard error, each line ended.
    pub(super) text: String,
    pub(super) exit: Exit,
}

impl Failure {
    /// One with a code, a sentence, and more lines below it.
    pub(super) fn new(code: &str, sentence: &str, ways: &str) -> Self {
        Self {
            text: format!("error[{code}]: {sentence}\n{ways}"),
            exit: Exit::Failed,
        }
    }

    /// An error with its causes, one below the other.
    pub(super) fn of(code: &str, error: &dyn Error) -> Self {
        let mut failure = Self::new(code, &error.to_string(), "");
        let mut cause = error.source();
        while let Some(inner) = cause {
            failure.text.push_str(&format!("  because: {inner}\n"));
            cause = inner.source();
        }
        failure
    }

    /// The person was told already.
    pub(super) fn told(exit: Exit) -> Self {
        Self {
            text: String::new(),
            exit,
        }
    }

    fn refused(refusal: &Refusal) -> Self {
        let Refusal { error, text, exit } = refusal;
        let text = text.trim_end_matches('\n');
        let text = if text.starts_with("error") {
            format!("{text}\n")
        } else {
            format!("error[{error}]: {text}\n")
        };
        Self {
            text,
            exit: exit_of(*exit),
        }
    }
}

const NOBODY: &str = "\
  try:  onedoor up                     serves the sites of proxy.toml
        onedoor app.localhost=3000     serves one site, without a file
        --instance NAME                asks another door
";

impl From<Unhealthy> for Failure {
    fn from(unhealthy: Unhealthy) -> Self {
        match &unhealthy {
            Unhealthy::NobodyThere => Self::new("not-running", &unhealthy.to_string(), NOBODY),
            Unhealthy::NotReady(_)
            | Unhealthy::NotOurs(_)
            | Unhealthy::TimedOut
            | Unhealthy::Failed(_) => Self::of("control", &unhealthy),
        }
    }
}

impl From<NotDone> for Failure {
    fn from(not_done: NotDone) -> Self {
        match not_done {
            NotDone::Refused(refusal) => Self::refused(&refusal),
            NotDone::Unhealthy(unhealthy) => unhealthy.into(),
        }
    }
}

impl From<NotKept> for Failure {
    fn from(error: NotKept) -> Self {
        Self::of("not-kept", &error)
    }
}

impl From<ClaimProblem> for Failure {
    fn from(error: ClaimProblem) -> Self {
        Self::of("control", &error)
    }
}

/// The exit code that a refusal names: never that of a success.
fn exit_of(code: u8) -> Exit {
    match code {
        0 => Exit::Failed,
        code => Exit::As(code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(refusal: &Refusal, expected: &str, exit: Exit) {
        let failure = Failure::from(NotDone::Refused(refusal.clone()));
        assert_eq!(failure.text, expected);
        assert_eq!(failure.exit, exit);
    }

    #[test]
    fn what_the_holder_refuses_is_printed_as_it_is() {
        let conflict = Refusal {
            error: "name-conflict".to_owned(),
            text: "error[name-conflict]: `a.test` is served already\n  try:  --replace\n"
                .to_owned(),
            exit: 3,
        };
        check(&conflict, &conflict.text, Exit::As(3));
        check(
            &Refusal::busy(),
            "error[busy]: the running onedoor is busy: try again\n",
            Exit::As(1),
        );
        let unknown = Refusal {
            exit: 0,
            ..conflict
        };
        check(&unknown, &unknown.text, Exit::Failed);
    }

    #[test]
    fn nobody_there_comes_with_ways_out() {
        let failure = Failure::from(Unhealthy::NobodyThere);
        let first = failure.text.lines().next();
        assert_eq!(
            first,
            Some("error[not-running]: no onedoor is running here")
        );
        assert!(failure.text.contains("onedoor up"));
        assert_eq!(failure.exit, Exit::Failed);
    }
}
