//! Processes we start: pinned to a core, ended with us even if we are killed, stopped for certain.

use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::cpu;

const POLL: Duration = Duration::from_millis(5);
const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// A running server; dropping it ends it and its children.
#[derive(Debug)]
pub(crate) struct Child {
    process: std::process::Child,
}

/// A command whose process is sent SIGTERM when the thread that started it ends, however that comes about.
pub(crate) fn bound_to_us(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM"]).arg(program.as_ref());
    command.stdin(Stdio::null());
    command
}

/// The same, on one core.
pub(crate) fn pinned(core: usize, program: &Path) -> Command {
    let mut command = bound_to_us("taskset");
    command.arg("-c").arg(core.to_string()).arg(program);
    command
}

impl Child {
    /// Starts `command` with its output in the files `stdout.log` and `stderr.log` of `directory`.
    ///
    /// # Errors
    /// The program or the files cannot be opened.
    pub(crate) fn start(mut command: Command, directory: &Path) -> Result<Self> {
        command.current_dir(directory);
        command.stdout(File::create(directory.join("stdout.log"))?);
        command.stderr(File::create(directory.join("stderr.log"))?);
        let process = command
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        Ok(Self { process })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// # Errors
    /// It is not running any more.
    pub(crate) fn still_runs(&mut self) -> Result<()> {
        match self.process.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("the process has ended: {status}"),
        }
    }

    fn ended_within(&mut self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if !matches!(self.process.try_wait(), Ok(None)) {
                return true;
            }
            std::thread::sleep(POLL);
        }
        false
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !matches!(self.process.try_wait(), Ok(None)) {
            return;
        }
        let family = cpu::tree(self.pid());
        signal(self.pid(), Signal::TERM);
        if !self.ended_within(STOP_PATIENCE) {
            family.into_iter().for_each(|pid| signal(pid, Signal::KILL));
            self.ended_within(STOP_PATIENCE);
        }
    }
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // Gone already is as good.
        let _gone = kill_process(pid, signal);
    }
}

/// Runs a program to its end and gives what it printed; its output must fit a pipe.
///
/// # Errors
/// It cannot start, fails, or is not done in time (then it is killed).
pub(crate) fn output_within(mut command: Command, patience: Duration) -> Result<String> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let process = command
        .spawn()
        .with_context(|| format!("cannot start {command:?}"))?;
    let mut child = Child { process };
    ensure!(
        child.ended_within(patience),
        "not done after {patience:?}: {command:?}"
    );
    let mut text = String::new();
    for stream in [
        child.process.stdout.take().map(boxed),
        child.process.stderr.take().map(boxed),
    ] {
        stream.context("no pipe")?.read_to_string(&mut text)?;
    }
    let status = child.process.wait()?;
    ensure!(status.success(), "{status} from {command:?}: {text}");
    Ok(text)
}

fn boxed(stream: impl std::io::Read + 'static) -> Box<dyn std::io::Read> {
    Box::new(stream)
}
