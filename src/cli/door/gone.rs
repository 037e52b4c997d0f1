//! Waiting for a process of somebody else to end.

use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

/// How often it is looked where the system does not tell.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Whether the process ends within this time. It blocks its thread: nothing else is to be done meanwhile.
pub(super) fn gone(pid: u32, within: Duration) -> bool {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return true;
    };
    told(pid, within).unwrap_or_else(|| looked(pid, within))
}

/// By the system itself, which tells of the end even if nobody has asked for the exit code yet. None: it cannot.
#[cfg(target_os = "linux")]
fn told(pid: Pid, within: Duration) -> Option<bool> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::process::{PidfdFlags, pidfd_open};

    let process = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(process) => process,
        Err(Errno::SRCH) => return Some(true),
        Err(_unable) => return None,
    };
    let end = Instant::now() + within;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).ok()?;
        let mut asked = [PollFd::new(&process, PollFlags::IN)];
        match poll(&mut asked, Some(&left)) {
            Ok(ready) => return Some(ready > 0),
            Err(Errno::INTR) => {}
            Err(_unable) => return None,
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn told(_pid: Pid, _within: Duration) -> Option<bool> {
    None
}

fn looked(pid: Pid, within: Duration) -> bool {
    let end = Instant::now() + within;
    loop {
        // Another user's process is there all the same.
        if test_kill_process(pid) == Err(Errno::SRCH) {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        thread::sleep(LOOK_INTERVAL);
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_process_is_gone_once_it_ended() {
        let cat = Command::new("cat").stdin(Stdio::piped()).spawn();
        let mut cat = cat.unwrap();
        assert!(!gone(cat.id(), Duration::ZERO));
        let pid = Pid::from_child(&cat);
        assert!(!looked(pid, Duration::ZERO));
        drop(cat.stdin.take());
        assert!(gone(cat.id(), Duration::from_secs(20)));
        cat.wait().unwrap();
        assert!(gone(cat.id(), Duration::ZERO));
        assert!(looked(pid, Duration::ZERO));
        assert!(gone(0, Duration::ZERO));
    }
}
