//! Doing what was printed, step by step, told as it is done.

use std::io::Write as _;
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

/// Runs its commands, up to the first that fails. What they say is shown only then. Those that read a certificate have this one: the
/// file may be another by now.
pub(super) fn run(step: &Step, certificate: &str) -> Ended {
    for line in &step.lines {
        if let Err(why) = run_line(line, certificate) {
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

fn run_line(line: &Line, certificate: &str) -> Result<(), String> {
    let Some((program, arguments)) = line.words.split_first() else {
        return Ok(());
    };
    // Whoever asks for a password opens the terminal itself.
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(match &line.input {
            Some(_file) => Stdio::piped(),
            None => Stdio::null(),
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    if let Some(mut input) = child.stdin.take() {
        // It is less than a pipe holds, so nobody waits. Whoever reads none of it says why.
        let _unread = input.write_all(certificate.as_bytes());
    }
    let output = child.wait_with_output();
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
