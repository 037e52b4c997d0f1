//! A program of the operator's that changes the record, called as by the `exec` provider of lego.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::error::DnsError;

/// How long a program usually gets: some wait for the record themselves.
pub const PATIENCE: Duration = Duration::from_secs(300);
/// How much of what it says is kept; the rest is read and dropped.
const OUTPUT_BYTES_MAX: usize = 4096;
/// How long its output is read after its end, if something it started keeps it open.
const AFTERWARDS: Duration = Duration::from_secs(1);

#[derive(Debug, Clone)]
pub struct ExecOptions {
    pub program: PathBuf,
    /// Before the verb.
    pub arguments: Vec<String>,
    /// [`PATIENCE`], if nothing is known.
    pub patience: Duration,
}

/// A program, called without a shell as `PROGRAM present NAME. VALUE`, its own arguments first, and `PROGRAM cleanup NAME. VALUE`. It shall leave other values
/// at the name alone.
#[derive(Debug)]
pub struct Exec(ExecOptions);

/// A program that did not do its work.
#[derive(Debug)]
pub struct Failure {
    pub program: PathBuf,
    pub verb: &'static str,
    pub record: String,
    pub ending: Ending,
    /// The beginning of its output.
    pub said: String,
}

/// How a program ended that did not do its work.
#[derive(Debug)]
pub enum Ending {
    NotStarted(io::Error),
    /// It was killed, with all it started.
    TimedOut(Duration),
    Exited(ExitStatus),
}

impl Exec {
    #[must_use]
    pub fn new(options: ExecOptions) -> Self {
        Self(options)
    }

    pub(super) async fn present(&self, record: &str, value: &str) -> Result<(), DnsError> {
        self.run("present", record, value).await
    }

    pub(super) async fn cleanup(&self, record: &str, value: &str) -> Result<(), DnsError> {
        self.run("cleanup", record, value).await
    }

    async fn run(&self, verb: &'static str, record: &str, value: &str) -> Result<(), DnsError> {
        let mut said = Vec::new();
        let ended = match self.start([verb, record, value]) {
            Ok((group, output)) => self.end(group, output, &mut said).await,
            Err(error) => Err(Ending::NotStarted(error)),
        };
        ended.map_err(|ending| {
            DnsError::Program(Failure {
                program: self.0.program.clone(),
                verb,
                record: record.into(),
                ending,
                said: String::from_utf8_lossy(&said).into_owned(),
            })
        })
    }

    /// Both outputs go into one pipe, so that their order is kept.
    fn start(&self, arguments: [&str; 3]) -> io::Result<(Group, pipe::Receiver)> {
        let (output, input) = io::pipe()?;
        let child = Command::new(&self.0.program)
            .args(&self.0.arguments)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(input.try_clone()?)
            .stderr(input)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let output = pipe::Receiver::from_owned_fd(OwnedFd::from(output))?;
        Ok((Group(child), output))
    }

    async fn end(
        &self,
        mut group: Group,
        mut output: pipe::Receiver,
        said: &mut Vec<u8>,
    ) -> Result<(), Ending> {
        let patience = self.0.patience;
        let ended = timeout(patience, async {
            tokio::select! {
                status = group.0.wait() => status,
                () = keep_beginning(&mut output, said) => group.0.wait().await,
            }
        });
        let status = match ended.await {
            Ok(Ok(status)) => status,
            Ok(Err(error)) => return Err(Ending::NotStarted(error)),
            Err(_elapsed) => return Err(Ending::TimedOut(patience)),
        };
        // What it left in the pipe; whoever still holds it is not waited for.
        let _rest = timeout(AFTERWARDS, keep_beginning(&mut output, said)).await;
        if status.success() {
            Ok(())
        } else {
            Err(Ending::Exited(status))
        }
    }
}

/// A program and what it started, all ended when dropped before its own end.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        // Without an id it was waited for, and the number may be somebody else's by now.
        let id = self.0.id().and_then(|id| i32::try_from(id).ok());
        if let Some(leader) = id.and_then(Pid::from_raw) {
            let _gone = kill_process_group(leader, Signal::KILL);
        }
    }
}

async fn keep_beginning(output: &mut pipe::Receiver, said: &mut Vec<u8>) {
    let mut buffer = vec![0; OUTPUT_BYTES_MAX];
    while let Ok(length @ 1..) = output.read(&mut buffer).await {
        let room = OUTPUT_BYTES_MAX - said.len();
        said.extend(&buffer[..length.min(room)]);
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let program = self.program.display();
        let (verb, record, ending) = (self.verb, &self.record, &self.ending);
        write!(f, "`{program} {verb} {record} …` {ending}")?;
        match self.said.trim() {
            "" => f.write_str(", and said nothing"),
            said => write!(f, ", and said: {said}"),
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted(error) => write!(f, "could not be started: {error}"),
            Self::TimedOut(patience) => {
                write!(f, "was killed after {} s", patience.as_secs_f32())
            }
            Self::Exited(status) => write!(f, "ended with {status}"),
        }
    }
}
