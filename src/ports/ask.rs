//! Asking a program of the system what only it may say. Only for errors and diagnoses: it costs a process.

use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// How long a program may take.
const ANSWER_WAIT: Duration = Duration::from_secs(2);
/// More of an answer is not read.
const ANSWER_OCTETS_MAX: u64 = 64 << 20;

/// What the program says on standard output; none when there is no such program, or it fails, or takes too long.
pub(super) fn ask(program: &str, arguments: &[&str]) -> Option<Vec<u8>> {
    ask_within(program, arguments, ANSWER_WAIT)
}

fn ask_within(program: &str, arguments: &[&str], wait: Duration) -> Option<Vec<u8>> {
    let mut child = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let output = child.stdout.take()?;
    let (answer, answered) = mpsc::sync_channel(1);
    thread::spawn(move || {
        let mut octets = Vec::new();
        let read = output.take(ANSWER_OCTETS_MAX).read_to_end(&mut octets);
        // Whoever asked may have given up.
        let _given_up = answer.send(read.map(|_length| octets));
    });
    let answer = answered.recv_timeout(wait);
    if answer.is_err() {
        // It may have ended just now.
        let _gone = child.kill();
    }
    let ended = child.wait().ok()?;
    answer
        .ok()?
        .ok()
        .filter(|octets| ended.success() && !octets.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_fails_or_is_missing_says_nothing() {
        assert_eq!(ask("/bin/sh", &["-c", "printf x"]), Some(b"x".to_vec()));
        assert_eq!(ask("/bin/sh", &["-c", "printf x; exit 1"]), None);
        assert_eq!(ask("/nowhere/at/all", &[]), None);
    }

    #[test]
    fn a_program_that_takes_too_long_is_ended() {
        let wait = Duration::from_millis(20);
        assert_eq!(ask_within("/bin/sh", &["-c", "exec sleep 60"], wait), None);
    }
}
