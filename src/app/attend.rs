//! After a hand-over the first process may not end: a terminal, a container or a supervisor waits for it. It stays as an attendant
//! that holds nothing, passes signals on to whoever serves now, and ends as that one ends.

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use rustix::process::{Pid, Signal, getppid, kill_process};
use tokio::process::{Child, Command};
use tokio::signal::unix::SignalKind;

use super::handover::successor_of;
use super::{Farewell, Signals};
use crate::control::readiness;

/// Set for a process whose parent attends it.
const ATTENDED: &str = "ONEDOOR_ATTENDED";

/// Asks an attendant for a successor, and says to whoever asked that there is none. Ignored where nobody listens to it.
const ATTENDANCE_NUMBER: Signal = Signal::URG;
pub(super) const ATTENDANCE: SignalKind = SignalKind::from_raw(ATTENDANCE_NUMBER.as_raw());

/// Whether our parent starts successors for us.
pub(super) fn is_attended() -> bool {
    let parent = getppid().map(|parent| parent.as_raw_nonzero().to_string());
    std::env::var(ATTENDED)
        .ok()
        .is_some_and(|attendant| Some(attendant) == parent)
        // Who told a service manager about us does not stay for us.
        && !readiness::is_heard()
}

/// Asks it to.
pub(super) fn ask_attendant() -> io::Result<()> {
    let parent = getppid().ok_or_else(|| io::Error::other("the attendant is gone"))?;
    Ok(kill_process(parent, ATTENDANCE_NUMBER)?)
}

/// This program once more, from the file it was started from, which may be a newer one by now.
pub(super) fn program() -> io::Result<Command> {
    let mut arguments = std::env::args_os();
    let mut program = std::process::Command::new(executable()?);
    if let Some(name) = arguments.next() {
        program.arg0(name);
    }
    program
        .args(arguments)
        // A terminal's Ctrl-C reaches its foreground alone, and is passed on once.
        .process_group(0)
        .env(ATTENDED, std::process::id().to_string());
    Ok(successor_of(program))
}

/// Where we were started from by name: what lies there now, whatever became of the file that we are.
fn named(name: &OsStr) -> Option<PathBuf> {
    let name = Path::new(name);
    if name.components().count() > 1 {
        return Some(std::env::current_dir().ok()?.join(name));
    }
    let folders = std::env::var_os("PATH")?;
    let mut places = std::env::split_paths(&folders).map(|folder| folder.join(name));
    places.find(|place| place.is_file())
}

fn executable() -> io::Result<PathBuf> {
    let name = std::env::args_os().next();
    if let Some(place) = name
        .and_then(|name| named(&name))
        .filter(|place| place.is_file())
    {
        return Ok(place);
    }
    // Linux says ` (deleted)` behind the name of a file that was replaced; the new one has the name.
    let path = std::env::current_exe()?;
    let text = path.to_string_lossy();
    Ok(match text.strip_suffix(" (deleted)") {
        Some(name) => name.into(),
        None => path,
    })
}

/// Waits until nobody serves any more whom it knows; returns the last one's exit code.
pub(super) async fn attend(first: Child, signals: Signals) -> u8 {
    let Signals {
        mut reload,
        mut reopen,
        mut restart,
        mut attendance,
        farewell: Farewell {
            mut terminate,
            mut interrupt,
        },
    } = signals;
    let mut current = first;
    let mut former: Option<Child> = None;
    loop {
        let number = tokio::select! {
            ended = current.wait() => match former.take() {
                // The new one failed and the old one goes on, or that one still drains.
                Some(old) => {
                    current = old;
                    ATTENDANCE_NUMBER
                }
                None => return ended.map_or(1, code),
            },
            () = end_of(former.as_mut()) => {
                former = None;
                continue;
            }
            _some = attendance.recv() => match program().and_then(|mut program| program.spawn()) {
                Ok(next) => {
                    former = Some(std::mem::replace(&mut current, next));
                    continue;
                }
                Err(error) => {
                    tracing::error!(%error, "no successor was started");
                    ATTENDANCE_NUMBER
                }
            },
            _some = reload.recv() => Signal::HUP,
            _some = reopen.recv() => Signal::USR1,
            // It asks us then.
            _some = restart.recv() => Signal::USR2,
            _some = terminate.recv() => Signal::TERM,
            _some = interrupt.recv() => Signal::INT,
        };
        pass_on(&current, number);
        if let (Signal::TERM | Signal::INT, Some(former)) = (number, &former) {
            // It may be the one that serves still.
            pass_on(former, number);
        }
    }
}

async fn end_of(child: Option<&mut Child>) {
    match child {
        // It drained, or broke: the current one counts.
        Some(child) => drop(child.wait().await),
        None => std::future::pending().await,
    }
}

fn pass_on(child: &Child, number: Signal) {
    let pid = child
        .id()
        .and_then(|pid| i32::try_from(pid).ok())
        .and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // It may just have ended; then we are about to.
        let _gone = kill_process(pid, number);
    }
}

/// As a shell tells it: 128 and the signal for a process that a signal ended.
#[must_use]
pub fn code(status: ExitStatus) -> u8 {
    let signalled = status.signal().map(|number| 128 + number);
    let code = status.code().or(signalled).unwrap_or(1);
    u8::try_from(code).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_for_where_a_shell_finds_it() {
        let found = named("sh".as_ref()).unwrap();
        assert!(found.is_absolute() && found.ends_with("sh"), "{found:?}");
        assert_eq!(named("no-such-program-anywhere".as_ref()), None);
        let here = std::env::current_dir().unwrap();
        assert_eq!(named("./onedoor".as_ref()), Some(here.join("./onedoor")));
        assert_eq!(named("/bin/sh".as_ref()), Some("/bin/sh".into()));
    }

    #[test]
    fn an_end_by_a_signal_is_told_as_a_shell_tells_it() {
        assert_eq!(code(ExitStatus::from_raw(0)), 0);
        assert_eq!(code(ExitStatus::from_raw(3 << 8)), 3);
        assert_eq!(code(ExitStatus::from_raw(9)), 137);
    }
}
