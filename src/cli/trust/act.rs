//! Doing what was printed, step by step, told as it is done.

use std::fs::File;
use std::process::{Command, Stdio};

use super::step::{Line, Step};
use crate::cli::say;

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Well,
    /// It stopped at a command that failed, which was told.
    Early,
}

/// Runs its commands, up to the first that fails. What they say is shown only then.
pub(super) fn run(step: &Step) -> Ended {
    for line in &step.lines {
        if let Err(why) = run_line(line) {
            say::err(&format!(
                "error[trust]: {}: `{}` failed\n",
                step.store,
                line.shell()
            ));
            for line in why.lines() {
                say::err(&format!("  it said:  {line}\n"));
            }
            return Ended::Early;
        }
    }
    Ended::Well
}

fn run_line(line: &Line) -> Result<(), String> {
    let Some((program, arguments)) = line.words.split_first() else {
        return Ok(());
    };
    let input = match &line.input {
        Some(file) => {
            let opened = File::open(file);
            opened
                .map_err(|error| format!("{}: {error}", file.display()))?
                .into()
        }
        None => Stdio::null(),
    };
    // Whoever asks for a password opens the terminal itself.
    let mut command = Command::new(program);
    let output = command.args(arguments).stdin(input).output();
    let output = output.map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stderr, output.stdout].concat();
    let said = String::from_utf8_lossy(&said).trim().to_owned();
    Err(if said.is_empty() {
        output.status.to_string()
    } else {
        said
    })
}
