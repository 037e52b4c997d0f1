//! The command as a process: started, given the signals that we get, and outlived.

use std::ffi::OsString;
use std::future::poll_fn;
use std::io::{self, ErrorKind, IsTerminal as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::task::Poll;

use rustix::process::{Pid, Signal, getpgrp, kill_process, kill_process_group};
use rustix::termios::tcgetpgrp;
use tokio::process::{Child as Process, Command};
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

/// Added to the number of the signal that a command died of, as shells do.
const DIED: u8 = 128;
/// What shells end with when there is no such command, or it is none.
const NOT_FOUND: u8 = 127;
const NOT_EXECUTABLE: u8 = 126;

/// Variables of ours that are not for the command.
const NOT_HANDED_ON: [&str; 2] = ["NOTIFY_SOCKET", "ONEDOOR_SUCCEED"];

/// A running command. It goes on when this is dropped.
#[derive(Debug)]
pub(super) struct Child {
    process: Process,
    pid: Pid,
    enclosure: Enclosure,
}

/// Who gets a signal together with the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Enclosure {
    /// At a terminal the command is in our process group, so that it may read from there; Ctrl-C reaches it by itself.
    Ours,
    /// Elsewhere it has one of its own, and what it started is told with it.
    Own,
}

impl Child {
    /// Starts a command with these variables beside our own.
    ///
    /// # Errors
    /// As the system says it.
    pub(super) fn start(
        command: &[OsString],
        variables: &[(&'static str, OsString)],
    ) -> io::Result<Self> {
        let (program, arguments) = command.split_first().ok_or(ErrorKind::InvalidInput)?;
        let enclosure = Enclosure::fitting();
        let mut command = Command::new(program);
        command.args(arguments).envs(variables.iter().cloned());
        for name in NOT_HANDED_ON {
            command.env_remove(name);
        }
        if enclosure == Enclosure::Own {
            command.process_group(0);
        }
        let process = command.spawn()?;
        let number = process.id().and_then(|id| i32::try_from(id).ok());
        let pid = number.and_then(Pid::from_raw).ok_or(ErrorKind::NotFound)?;
        Ok(Self {
            process,
            pid,
            enclosure,
        })
    }

    /// The process group that the command is in.
    pub(super) fn group(&self) -> Pid {
        match self.enclosure {
            Enclosure::Ours => getpgrp(),
            Enclosure::Own => self.pid,
        }
    }

    /// Hands signals on until the command ends.
    ///
    /// # Errors
    /// When the system cannot say how it ended.
    pub(super) async fn end(&mut self, signals: &mut Signals) -> io::Result<ExitStatus> {
        loop {
            let signal = tokio::select! {
                biased;
                status = self.process.wait() => return status,
                signal = signals.next() => signal,
            };
            self.tell(signal);
        }
    }

    fn tell(&self, signal: Signal) {
        // It may have ended a moment ago.
        let _gone = match self.enclosure {
            Enclosure::Ours if is_typed(signal) && at_foreground() => return,
            Enclosure::Ours => kill_process(self.pid, signal),
            Enclosure::Own => kill_process_group(self.pid, signal),
        };
    }
}

impl Enclosure {
    fn fitting() -> Self {
        let terminal =
            io::stdin().is_terminal() || io::stdout().is_terminal() || io::stderr().is_terminal();
        if terminal { Self::Ours } else { Self::Own }
    }
}

/// Signals that a terminal sends to everybody in its foreground when a key is pressed.
fn is_typed(signal: Signal) -> bool {
    signal == Signal::INT || signal == Signal::QUIT
}

/// Whether the terminal counts us to its foreground, so that keys reach the command without us.
fn at_foreground() -> bool {
    let ours = |group: rustix::io::Result<Pid>| group.is_ok_and(|group| group == getpgrp());
    ours(tcgetpgrp(io::stdin())) || ours(tcgetpgrp(io::stdout())) || ours(tcgetpgrp(io::stderr()))
}

/// The signals that are the command's. While this lives none of them ends us.
#[derive(Debug)]
pub(super) struct Signals(Vec<(Signal, Stream)>);

impl Signals {
    /// # Errors
    /// When the system gives none.
    pub(super) fn new() -> io::Result<Self> {
        let all = [
            Signal::INT,
            Signal::TERM,
            Signal::HUP,
            Signal::QUIT,
            Signal::USR1,
            Signal::USR2,
        ];
        let heard = all.map(|one| Ok((one, signal(SignalKind::from_raw(one.as_raw()))?)));
        Ok(Self(heard.into_iter().collect::<io::Result<_>>()?))
    }

    async fn next(&mut self) -> Signal {
        poll_fn(|context| {
            let mut streams = self.0.iter_mut();
            let come = streams
                .find_map(|(one, stream)| stream.poll_recv(context).is_ready().then_some(*one));
            come.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// One that came while there was no command to hand it to.
    pub(super) async fn missed(&mut self) -> Option<Signal> {
        tokio::select! {
            biased;
            signal = self.next() => Some(signal),
            () = std::future::ready(()) => None,
        }
    }
}

/// What to end with after a command that ended so.
pub(super) fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| {
        let signal = status.signal()?;
        Some(signal + i32::from(DIED))
    });
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// What to end with after a signal that came before the command was started.
pub(super) fn code_of(signal: Signal) -> u8 {
    u8::try_from(signal.as_raw()).map_or(1, |number| number | DIED)
}

/// What to end with when a command could not be started.
pub(super) fn code_without(error: &io::Error) -> u8 {
    if error.kind() == ErrorKind::NotFound {
        NOT_FOUND
    } else {
        NOT_EXECUTABLE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_ends_us_as_it_would_end_a_shell() {
        assert_eq!(code(ExitStatus::from_raw(0)), 0);
        assert_eq!(code(ExitStatus::from_raw(7 << 8)), 7);
        assert_eq!(code(ExitStatus::from_raw(255 << 8)), 255);
        assert_eq!(code(ExitStatus::from_raw(15)), 143);
        assert_eq!(code(ExitStatus::from_raw(9)), 137);
        assert_eq!(code_of(Signal::INT), 130);
        assert_eq!(code_without(&ErrorKind::NotFound.into()), 127);
        assert_eq!(code_without(&ErrorKind::PermissionDenied.into()), 126);
    }

    #[tokio::test]
    async fn a_command_is_waited_for_with_its_variables() {
        let mut signals = Signals::new().unwrap();
        let script = "exit $((PORT - 4000))";
        let command = ["sh", "-c", script].map(OsString::from);
        let mut child = Child::start(&command, &[("PORT", "4007".into())]).unwrap();
        let status = child.end(&mut signals).await.unwrap();
        assert_eq!(code(status), 7);
    }

    #[tokio::test]
    async fn a_missing_command_says_so() {
        let missing = Child::start(&["/nowhere/at-all".into()], &[]).unwrap_err();
        assert_eq!(code_without(&missing), 127);
        assert!(Child::start(&[], &[]).is_err());
    }
}
