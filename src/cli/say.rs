//! Speaking to the person at the terminal.

use std::io::{IsTerminal as _, Write as _};

use crate::causes;
use crate::config::Refused;
use crate::config::problem::{Color, Problem, Sources, render};

/// To standard output. A reader that is gone is no fault of ours.
pub(super) fn out(text: &str) {
    let mut out = std::io::stdout().lock();
    let _gone = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// To standard error.
pub(super) fn err(text: &str) {
    let mut err = std::io::stderr().lock();
    let _gone = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}

/// An error with its causes, one below the other.
pub(super) fn error(code: &str, error: &(dyn std::error::Error + 'static)) {
    err(&format!("error[{code}]: {}\n", below(error)));
}

/// What hinders nothing, with its causes and what is done instead.
pub(super) fn warning(code: &str, error: &(dyn std::error::Error + 'static), instead: &str) {
    err(&format!(
        "warning[{code}]: {}\n  note: {instead}\n",
        below(error)
    ));
}

fn below(error: &(dyn std::error::Error + 'static)) -> String {
    causes::each(error).join("\n  because: ")
}

/// Asks the person at the terminal, if there is one.
pub(super) fn is_agreed(question: &str) -> bool {
    if !std::io::stdin().is_terminal() {
        return false;
    }
    err(&format!("{question} [y/N] "));
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    read.is_ok() && ["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str())
}

/// Snippets of what is wrong.
pub(super) fn problems(problems: &[Problem], sources: &Sources) {
    if !problems.is_empty() {
        err(render(problems, sources, color()).trim_end());
        err("\n");
    }
}

/// Why a configuration is refused.
pub(super) fn refused(refused: &Refused) {
    problems(&refused.problems, &refused.sources);
}

fn color() -> Color {
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    if wanted && std::io::stderr().is_terminal() {
        Color::Always
    } else {
        Color::Never
    }
}
