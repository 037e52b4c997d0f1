//! After a hand-over the first process may not end: a terminal, a container or a supervisor waits for it. It stays as an attendant
//! that holds nothing, passes signals on to whoever serves now, and ends as that one ends.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use rustix::process::{Pid, Signal, getppid, kill_process};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use super::handover::successor_of;

/// Set for a process whose parent attends it.
const ATTENDED: &str = "ONEDOOR_ATTENDED";

/// Signals that whoever serves is to hear.
const PASSED_ON: [(SignalKind, Signal); 4] = [
    (SignalKind::terminate(), Signal::TERM),
    (SignalKind::interrupt(), Signal::INT),
    (SignalKind::hangup(), Signal::HUP),
    (SignalKind::user_defined1(), Signal::USR1),
];

/// Whether our parent starts successors for us.
pub(super) fn is_attended() -> bool {
    let parent = getppid().map(|parent| parent.as_raw_nonzero().to_string());
    std::env::var(ATTENDED)
        .ok()
        .is_some_and(|attendant| Some(attendant) == parent)
}

/// Asks it to.
pub(super) fn ask_attendant() -> io::Result<()> {
    let parent = getppid().ok_or_else(|| io::Error::other("the attendant is gone"))?;
    Ok(kill_process(parent, Signal::USR2)?)
}

/// This program once more, from the file it was started from, which may be a newer one by now.
pub(super) fn program() -> io::Result<Command> {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let mut program = std::process::Command::new(executable()?);
    program
        .args(arguments)
        .env(ATTENDED, std::process::id().to_string());
    Ok(successor_of(program))
}

/// Linux says ` (deleted)` behind the name of a file that was replaced; the new one has the name.
fn executable() -> io::Result<std::path::PathBuf> {
    let path = std::env::current_exe()?;
    let text = path.to_string_lossy();
    Ok(match text.strip_suffix(" (deleted)") {
        Some(name) => name.into(),
        None => path,
    })
}

/// Waits until nobody serves any more whom it knows; returns the last one's exit code.
///
/// # Errors
/// When the system does not let us hear signals.
pub async fn attend(first: Child) -> io::Result<u8> {
    let mut successors = signal(SignalKind::user_defined2())?;
    let mut passed_on = Vec::new();
    for (kind, number) in PASSED_ON {
        passed_on.push((signal(kind)?, number));
    }
    let mut current = first;
    let mut former: Option<Child> = None;
    loop {
        let heard = async {
            let mut any = Vec::new();
            for (heard, number) in &mut passed_on {
                let number = *number;
                any.push(Box::pin(async move {
                    heard.recv().await;
                    number
                }));
            }
            first_of(any).await
        };
        tokio::select! {
            ended = current.wait() => match former.take() {
                // The new one failed, and the old one goes on.
                Some(old) => current = old,
                None => return Ok(code(ended?)),
            },
            _ended = end_of(former.as_mut()) => former = None,
            number = heard => pass_on(&current, number),
            _some = successors.recv() => match program().and_then(|mut program| program.spawn()) {
                Ok(next) => former = Some(std::mem::replace(&mut current, next)),
                Err(error) => tracing::error!(%error, "no successor was started"),
            },
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

async fn first_of<T>(mut futures: Vec<std::pin::Pin<Box<impl Future<Output = T>>>>) -> T {
    std::future::poll_fn(|context| {
        for future in &mut futures {
            if let std::task::Poll::Ready(value) = future.as_mut().poll(context) {
                return std::task::Poll::Ready(value);
            }
        }
        std::task::Poll::Pending
    })
    .await
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
