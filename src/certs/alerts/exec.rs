//! Tells an event to a program: JSON on its standard input, the event's name in `ONEDOOR_EVENT`. No shell is asked.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use super::outbox::Letter;

/// The program, and whatever it started in its process group, is killed after this time.
pub const EXEC_TIMEOUT: Duration = Duration::from_secs(30);
/// What is kept, for our log, of what a program writes. The rest is read and thrown away.
pub const OUTPUT_BYTES_MAX: usize = 4_096;

/// The variable with the event's name.
const EVENT_VARIABLE: &str = "ONEDOOR_EVENT";
/// What the service manager means for us alone.
const OURS: &[&str] = &[
    "NOTIFY_SOCKET",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
];

/// A program and its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    pub path: PathBuf,
    pub arguments: Vec<String>,
}

/// Why a program did not take an event.
#[derive(Debug)]
pub enum ExecError {
    NotStarted(io::Error),
    /// It ended otherwise than with success, and wrote this.
    Failed(ExitStatus, String),
    TimedOut,
    /// The system lost it.
    Lost(io::Error),
}

impl Program {
    /// Runs the program and waits until it and its output have ended.
    ///
    /// # Errors
    /// When it cannot be run, does not end in time, or does not end with success.
    pub async fn tell(&self, letter: &Letter) -> Result<(), ExecError> {
        self.tell_until(letter, tokio::time::sleep(EXEC_TIMEOUT))
            .await
    }

    async fn tell_until(
        &self,
        letter: &Letter,
        end: impl Future<Output = ()>,
    ) -> Result<(), ExecError> {
        let mut child = self.start(letter).map_err(ExecError::NotStarted)?;
        let ended = tokio::select! {
            ended = attend(&mut child, letter) => Some(ended),
            () = end => None,
        };
        match ended {
            Some(Ok((status, _output))) if status.success() => Ok(()),
            Some(Ok((status, output))) => Err(ExecError::Failed(status, output)),
            Some(Err(error)) => {
                kill(&child);
                Err(ExecError::Lost(error))
            }
            None => {
                kill(&child);
                // It was killed, so this does not wait for long.
                let _status = child.wait().await;
                Err(ExecError::TimedOut)
            }
        }
    }

    fn start(&self, letter: &Letter) -> io::Result<Child> {
        let mut command = Command::new(&self.path);
        for variable in OURS {
            command.env_remove(variable);
        }
        command
            .args(&self.arguments)
            .env(EVENT_VARIABLE, letter.name)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
    }
}

/// Feeds a program, reads all that it writes, and waits for its end.
async fn attend(child: &mut Child, letter: &Letter) -> io::Result<(ExitStatus, String)> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async {
        if let Some(mut stdin) = stdin {
            // A program need not read what it is told.
            let _unread = stdin.write_all(letter.json.as_bytes()).await;
        }
    };
    let ((), out, err, status) =
        tokio::join!(feed, beginning(stdout), beginning(stderr), child.wait());
    let wrote = [out, err].concat();
    let wrote = String::from_utf8_lossy(&wrote).trim().to_owned();
    Ok((status?, wrote))
}

/// The first octets of a stream, which is read to its end.
async fn beginning(stream: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut kept = Vec::new();
    let Some(mut stream) = stream else {
        return kept;
    };
    let mut buffer = [0; 1_024];
    loop {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return kept,
            Ok(read) => {
                let room = OUTPUT_BYTES_MAX.saturating_sub(kept.len()).min(read);
                kept.extend_from_slice(&buffer[..room]);
            }
        }
    }
}

/// Kills a program that was not waited for yet, with its whole group: else its number may be somebody else's by now.
fn kill(child: &Child) {
    let number = child.id().and_then(|id| i32::try_from(id).ok());
    if let Some(group) = number.and_then(Pid::from_raw) {
        // It may have ended just now.
        let _gone = kill_process_group(group, Signal::KILL);
    }
}

impl fmt::Display for ExecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted(_) => f.write_str("the program could not be started"),
            Self::Failed(status, wrote) if wrote.is_empty() => {
                write!(f, "the program failed: {status}")
            }
            Self::Failed(status, wrote) => write!(f, "the program failed: {status}: {wrote}"),
            Self::TimedOut => f.write_str("the program took too long and was killed"),
            Self::Lost(_) => f.write_str("the program was lost"),
        }
    }
}

impl std::error::Error for ExecError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NotStarted(error) | Self::Lost(error) => Some(error),
            Self::Failed(..) | Self::TimedOut => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn shell(script: &str) -> Program {
        Program {
            path: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
        }
    }

    fn letter() -> Letter {
        Letter {
            name: "quota.low",
            json: r#"{"event":"quota.low"}"#.into(),
        }
    }

    #[tokio::test]
    async fn a_program_gets_the_event_and_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("told");
        let mut program = shell(r#"printf '%s ' "$ONEDOOR_EVENT" > "$1"; cat >> "$1""#);
        program.arguments.push("sh".into());
        program.arguments.push(file.to_str().unwrap().into());
        program.tell(&letter()).await.unwrap();
        let told = fs::read_to_string(file).unwrap();
        assert_eq!(told, r#"quota.low {"event":"quota.low"}"#);
    }

    #[tokio::test]
    async fn arguments_are_not_for_a_shell() {
        let program = Program {
            path: "test".into(),
            arguments: vec!["$(exit)".into(), "=".into(), "$(exit)".into()],
        };
        program.tell(&letter()).await.unwrap();
    }

    #[tokio::test]
    async fn a_failure_says_how_it_ended_and_what_was_written() {
        let error = shell("echo lost the mail >&2; exit 3")
            .tell(&letter())
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "the program failed: exit status: 3: lost the mail"
        );
        let gone = Program {
            path: "/nonexistent/program".into(),
            arguments: vec![],
        };
        let error = gone.tell(&letter()).await.unwrap_err();
        assert!(matches!(error, ExecError::NotStarted(_)), "{error:?}");
    }

    #[tokio::test]
    async fn much_output_neither_stops_a_program_nor_is_kept() {
        let script = "head -c 1000000 /dev/zero | tr '\\0' x; exit 1";
        let error = shell(script).tell(&letter()).await.unwrap_err();
        let ExecError::Failed(_, wrote) = error else {
            panic!("{error:?}");
        };
        assert_eq!(wrote.len(), OUTPUT_BYTES_MAX);
    }

    #[tokio::test]
    async fn a_program_that_does_not_read_is_no_failure() {
        let mut long = letter();
        long.json = "x".repeat(1 << 20);
        shell("exit 0").tell(&long).await.unwrap();
    }

    #[tokio::test]
    async fn what_takes_too_long_is_killed_with_all_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("alive");
        let path = fifo.to_str().unwrap().to_owned();
        let made = Command::new("mkfifo").arg(&path).status().await.unwrap();
        assert!(made.success());
        // Both keep the pipe open for as long as they live.
        let mut program = shell(r#"exec 3>"$1"; sleep 600 & sleep 600"#);
        program.arguments.push("sh".into());
        program.arguments.push(path);
        let (begun, begin) = tokio::sync::oneshot::channel();
        let open = tokio::task::spawn_blocking(move || {
            let mut pipe = fs::File::open(fifo).unwrap();
            begun.send(()).unwrap();
            io::Read::read_to_end(&mut pipe, &mut Vec::new()).unwrap()
        });
        let end = async { begin.await.unwrap() };
        let error = program.tell_until(&letter(), end).await.unwrap_err();
        assert!(matches!(error, ExecError::TimedOut), "{error:?}");
        let end = tokio::time::timeout(Duration::from_secs(20), open).await;
        assert_eq!(end.expect("nobody is left").unwrap(), 0);
    }
}
