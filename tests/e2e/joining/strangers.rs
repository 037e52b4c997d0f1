//! The control socket: where it lies, who gets through to it, and what is in its way.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use super::{follower, join, refused, site};
use crate::support::backend::Backend;
use crate::support::client::{get, roots};
use crate::support::door::{Door, Home};
use crate::support::eventually;

/// `nobody`, on every system.
pub(super) const NOBODY: u32 = 65_534;
/// What whoever asks may wait at most for a holder that does nothing.
const FROZEN_MAX: Duration = Duration::from_secs(30);
/// What curl ends with where nobody answers: it is not let in, or is cut off as soon as it is, or after it asked.
const UNANSWERED: [i32; 3] = [7, 52, 56];

/// Folders that every user finds.
pub(super) struct Commons(TempDir);

impl Commons {
    pub(super) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        Self(folder)
    }

    /// Where a door for this machine has its control socket.
    pub(super) fn control(&self) -> PathBuf {
        self.0.path().join("control")
    }

    /// onedoor as `nobody`, with this folder as its whole world.
    pub(super) fn as_nobody(&self, home: &Home) -> Command {
        let program = self.0.path().join("onedoor");
        if !program.exists() {
            // The folder of the build may be closed to others.
            fs::copy(env!("CARGO_BIN_EXE_onedoor"), &program).unwrap();
        }
        for entry in [home.path().to_owned(), home.path().join("proxy.toml")] {
            chown(entry, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let arguments = drop_rights();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        home.command_of("setpriv", &arguments, &program)
    }
}

fn drop_rights() -> Vec<String> {
    assert!(
        rustix::process::geteuid().is_root(),
        "another user is needed here: run the tests as root"
    );
    let number = NOBODY.to_string();
    ["--reuid", &number, "--regid", &number, "--clear-groups"]
        .map(str::to_owned)
        .to_vec()
}

/// What a bare client of `nobody` ends with, and what it gets.
pub(super) fn nobody_asks(control: &Path) -> (i32, String) {
    let mut command = Command::new("setpriv");
    command.args(drop_rights());
    command.args(["curl", "--silent", "--include", "--max-time", "10"]);
    command
        .arg("--unix-socket")
        .arg(control.join("control.sock"));
    command.arg("http://onedoor/v1/health");
    let (code, out, _err) = Home::end_of(command.stdin(Stdio::null()));
    (code, out)
}

/// Whether the file system lets `nobody` connect.
fn nobody_may_write(socket: &Path) -> bool {
    let mut command = Command::new("setpriv");
    command.args(drop_rights()).args(["test", "-w"]).arg(socket);
    command.status().unwrap().success()
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o777
}

#[test]
fn another_users_process_is_turned_away_and_told_whose_it_is() {
    let (backend, commons) = (Backend::saying("one"), Commons::new());
    let control = commons.control();
    let door = Door::up_in(
        Home::with_control(&site("one.test", &backend), &control),
        &["up"],
    );
    assert_eq!(mode(&control), 0o700);
    assert_eq!(mode(&control.join("control.sock")), 0o600);
    assert_eq!(mode(&control.join("lock")), 0o600);
    let home = Home::with_control(&follower("two.test", &backend), &control);
    for arguments in [&["up"][..], &["status"], &["stop"]] {
        let (code, _out, err) = Home::end_of(commons.as_nobody(&home).args(arguments));
        assert_eq!(code, 1, "{arguments:?}: {err}");
        assert!(err.contains("belongs to `root`"), "{arguments:?}: {err}");
        let folder = control.display().to_string();
        assert!(err.contains(&folder), "{arguments:?}: {err}");
    }
    let socket = control.join("control.sock");
    assert!(!nobody_may_write(&socket));
    // Even where the file system lets them through.
    fs::set_permissions(&control, Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&socket, Permissions::from_mode(0o666)).unwrap();
    assert!(nobody_may_write(&socket));
    let (code, said) = nobody_asks(&control);
    assert!(
        UNANSWERED.contains(&code) && said.is_empty(),
        "{code}: {said}"
    );
    assert_eq!(get(&door, "one.test", "/"), "one");
}

#[test]
fn what_is_no_socket_stays_and_is_told() {
    let backend = Backend::saying("one");
    let home = Home::new(&site("one.test", &backend));
    let socket = home.control().join("control.sock");
    let elsewhere = home.path().join("elsewhere");
    fs::write(&elsewhere, "precious").unwrap();
    symlink(&elsewhere, &socket).unwrap();
    let told = format!("`{}` is no socket: move it away", socket.display());
    let (code, err) = refused(&home, &["up"]);
    assert_eq!(code, 1, "{err}");
    assert!(err.contains(&told), "{err}");
    assert!(socket.is_symlink());
    fs::remove_file(&socket).unwrap();
    fs::rename(&elsewhere, &socket).unwrap();
    let (code, err) = refused(&home, &["up"]);
    assert_eq!(code, 1, "{err}");
    assert!(err.contains(&told), "{err}");
    assert_eq!(fs::read_to_string(&socket).unwrap(), "precious");
}

#[test]
fn the_runtime_folder_of_the_session_is_where_doors_meet() {
    let backend = Backend::saying("one");
    let home = Home::new(&site("one.test", &backend));
    let runtime = TempDir::new().unwrap();
    let there = |home: &Home| {
        let mut command = home.command();
        command
            .env_remove("ONEDOOR_CONTROL")
            .env("XDG_RUNTIME_DIR", runtime.path());
        command
    };
    let mut command = there(&home);
    command.arg("up");
    let mut first = Door::up_by(home, command);
    let control = runtime.path().join("onedoor");
    assert_eq!(mode(&control), 0o700);
    assert_eq!(mode(&control.join("control.sock")), 0o600);
    let home = Home::new(&follower("two.test", &backend));
    let mut command = there(&home);
    command.arg("up");
    let second = Door::up_by(home, command);
    let word = format!("served by pid {}\n", first.pid());
    assert!(second.said().contains(&word), "{}", second.said());
    first.signal(Signal::TERM);
    assert!(first.ended().success());
}

#[test]
fn a_path_that_is_too_long_for_a_socket_is_replaced_by_the_same_short_one() {
    let backend = Backend::saying("one");
    let parent = TempDir::new().unwrap();
    let control = parent.path().join("deep".repeat(40));
    let home = Home::with_control(&site("one.test", &backend), &control);
    let mut first = home.command();
    let mut first = first
        .arg("up")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let short = eventually("the short folder", || folder_of(first.id()));
    eventually("the socket", || {
        short.join("control.sock").exists().then_some(())
    });
    let second = Home::with_control(&follower("two.test", &backend), &control);
    let second = Door::up_in(second, &["up"]);
    let word = format!("served by pid {}\n", first.id());
    assert!(second.said().contains(&word), "{}", second.said());
    drop(second);
    first.kill().unwrap();
    first.wait().unwrap();
    fs::remove_dir_all(short).unwrap();
}

/// The folder for sockets with long paths whose lock a process has.
fn folder_of(pid: u32) -> Option<PathBuf> {
    let ours = |entry: &fs::DirEntry| {
        let lock = fs::read_to_string(entry.path().join("lock"));
        lock.is_ok_and(|number| number.trim() == pid.to_string())
    };
    let folders = fs::read_dir("/tmp").unwrap().filter_map(Result::ok);
    folders.into_iter().find(ours).map(|entry| entry.path())
}

#[test]
fn a_holder_that_never_answers_is_named_and_not_waited_for_forever() {
    let backend = Backend::saying("one");
    let first = Door::up(&site("one.test", &backend));
    let _roots = roots(&first);
    first.signal(Signal::STOP);
    let home = first.home().beside(&follower("two.test", &backend));
    let begun = Instant::now();
    let told = fs::File::create(home.path().join("err")).unwrap();
    let mut second = home
        .command()
        .arg("up")
        .stdout(Stdio::null())
        .stderr(told)
        .spawn()
        .unwrap();
    let word = format!("waiting for pid {}, which has the door\n", first.pid());
    eventually("word of the wait", || {
        home.read("err").contains(&word).then_some(())
    });
    assert!(begun.elapsed() < FROZEN_MAX / 3, "{:?}", begun.elapsed());
    let ended = second.wait().unwrap();
    assert!(begun.elapsed() < FROZEN_MAX, "{:?}", begun.elapsed());
    assert_eq!(ended.code(), Some(1));
    let err = home.read("err");
    let pid = first.pid();
    for line in [
        &format!("error[control]: the onedoor (pid {pid}) in charge of `"),
        &format!("kill -CONT {pid} "),
        &format!("kill -9 {pid} "),
        "onedoor up --instance NAME   serves beside it",
    ] {
        assert!(err.contains(line), "{line}: {err}");
    }
    first.signal(Signal::CONT);
    let third = join(&first, &follower("two.test", &backend));
    assert_eq!(get(&first, "two.test", "/"), "one");
    drop(third);
}
