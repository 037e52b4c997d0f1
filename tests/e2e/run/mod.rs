//! `onedoor run`: a command under a name for as long as it runs, its environment, its signals and its end.

mod vite;

use std::fs;
use std::net::TcpListener;
use std::ops::Deref;
use std::os::fd::OwnedFd;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::support::backend::Backend;
use crate::support::client::{curl, get};
use crate::support::door::{Door, Home};
use crate::support::{PATIENCE, eventually, free_port, peer, within};

const PEERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers");
const SETTINGS: &str = "listen = [\"127.0.0.1:0\"]\nhttp = false\ndrain = \"1s\"\n";

#[test]
fn a_server_is_reached_under_its_name_while_it_runs() {
    let home = home();
    home.write("site/index.html", "<p>made by python</p>\n");
    let serve = "cd site && exec python3 -m http.server $PORT --bind $HOST";
    let mut door = run(home, &["Shop", "--", "sh", "-c", serve]);
    let url = url(&door);
    assert_eq!(url, format!("https://shop.localhost:{}", door.tls().port()));
    assert!(door.said().contains("served by this onedoor"));
    assert_eq!(get(&door, "shop.localhost", "/"), "<p>made by python</p>\n");
    assert_eq!(door.ends_by(Signal::TERM), Some(143));
}

#[test]
fn the_environment_tells_how_it_is_reached_and_whom_to_trust() {
    let (home, backend) = (home(), Backend::saying("trusted"));
    home.write("serve", "env > fresh && mv fresh seen && exec sleep 60\n");
    let port = backend.address.port().to_string();
    let mut command = home.command();
    command
        .args([
            "run",
            "-c",
            "proxy.toml",
            "--wait",
            "0",
            "env",
            "--",
            "sh",
            "serve",
        ])
        .env("PORT", &port);
    for name in ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "CURL_CA_BUNDLE"] {
        command.env_remove(name);
    }
    command.env("REQUESTS_CA_BUNDLE", "/own.pem");
    let door = Running(Door::up_by(home, command));
    let url = url(&door);
    let seen = eventually("the environment", || {
        let seen = door.home().read("seen");
        (!seen.is_empty()).then_some(seen)
    });
    let value = |name: &str| {
        let mut lines = seen.lines().filter_map(|line| line.split_once('='));
        lines.find(|(own, _)| *own == name).map(|(_, value)| value)
    };
    assert_eq!(value("ONEDOOR_URL"), Some(url.as_str()));
    assert_eq!(value("HOST"), Some("127.0.0.1"));
    assert_ne!(value("PORT"), Some(port.as_str()));
    assert_eq!(value("NODE_EXTRA_CA_CERTS"), door.ca().to_str());
    assert_eq!(value("REQUESTS_CA_BUNDLE"), Some("/own.pem"));
    assert_eq!(value("NOTIFY_SOCKET"), None);
    let bundle = value("CURL_CA_BUNDLE").unwrap();
    assert_eq!(value("SSL_CERT_FILE"), Some(bundle));
    assert!(
        door.said()
            .contains("already set and left so: REQUESTS_CA_BUNDLE")
    );
    let trusting = Command::new("curl")
        .args([
            "--silent",
            "--show-error",
            "--max-time",
            "20",
            "--output",
            "/dev/null",
        ])
        .args(["--write-out", "%{http_code}", &url])
        .env("CURL_CA_BUNDLE", bundle)
        .env_remove("SSL_CERT_FILE")
        .output()
        .unwrap();
    // Nobody listens behind the door, but the door is trusted.
    assert_eq!(
        String::from_utf8_lossy(&trusting.stdout),
        "502",
        "{trusting:?}"
    );
}

#[test]
fn a_command_that_ends_early_ends_everything_with_its_code() {
    let home = home();
    let run =
        |command: &[&str]| home.run(&[&["run", "-c", "proxy.toml", "x", "--"], command].concat());
    let (code, out, err) = run(&["sh", "-c", "echo its own words; exit 7"]);
    assert_eq!((code, out.as_str()), (7, "its own words\n"), "{err}");
    assert!(
        err.contains("`sh` ended before anything listened on port"),
        "{err}"
    );
    assert_eq!(run(&["true"]).0, 0);
    assert_eq!(run(&["sh", "-c", "kill -9 $$"]).0, 137);
    let (code, _out, err) = run(&["no-such-command"]);
    assert_eq!(code, 127);
    assert!(err.contains("cannot run `no-such-command`"), "{err}");
    assert_eq!(run(&["/dev/null"]).0, 126);
}

#[test]
fn signals_are_the_commands() {
    let mut door = run(home(), &["x", "--", "python3", &format!("{PEERS}/heed.py")]);
    url(&door);
    for (signal, name) in [
        (Signal::HUP, "SIGHUP"),
        (Signal::USR1, "SIGUSR1"),
        (Signal::USR2, "SIGUSR2"),
        (Signal::QUIT, "SIGQUIT"),
        (Signal::INT, "SIGINT"),
    ] {
        door.signal(signal);
        heard(&door, name);
    }
    assert_eq!(door.health()["status"], "ready");
    assert_eq!(door.ends_by(Signal::TERM), Some(3));
    heard(&door, "SIGTERM");
}

#[test]
fn what_a_command_started_is_told_with_it() {
    let home = home();
    let peer = format!("{PEERS}/heed.py");
    home.write("serve", &format!("python3 {peer} &\nwait\nwait\nexit 5\n"));
    let mut door = run(home, &["x", "--", "sh", "serve"]);
    url(&door);
    assert_eq!(door.ends_by(Signal::TERM), Some(143));
    heard(&door, "SIGTERM");
}

#[test]
fn keys_at_a_terminal_reach_the_command_once() {
    let home = home();
    let script = json!([
        ["served by", "\u{3}"],
        ["heard SIGINT", "how often?\n"],
        ["interrupted 1 times", "\u{3}"],
        ["heard SIGINT", "\u{1c}"],
        ["heard SIGQUIT", "how often?\n"],
        ["interrupted 2 times", "\u{4}"],
    ]);
    let seen = peer::run(
        "terminal.py",
        &[
            &script.to_string(),
            "env",
            &format!("--chdir={}", home.path().display()),
            &format!("ONEDOOR_STORAGE={}", home.path().join("storage").display()),
            &format!("ONEDOOR_CONTROL={}", home.path().join("control").display()),
            env!("CARGO_BIN_EXE_onedoor"),
            "run",
            "-c",
            "proxy.toml",
            "x",
            "--",
            "python3",
            &format!("{PEERS}/heed.py"),
        ],
    );
    assert_eq!(seen["left"], json!([]), "{seen}");
    assert_eq!(seen["code"], 6, "{seen}");
}

#[test]
fn a_command_that_listens_elsewhere_is_found_out() {
    let home = home();
    // It does from its first moment, however long it takes to begin: it is given the socket.
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = elsewhere.local_addr().unwrap().port();
    let mut command = home.command();
    command.stdin(OwnedFd::from(elsewhere)).args([
        "run",
        "-c",
        "proxy.toml",
        "--wait",
        "1",
        "x",
        "--",
        "sleep",
        "60",
    ]);
    let door = Running(Door::up_by(home, command));
    url(&door);
    let said = door.said();
    assert!(
        said.contains("`sleep` still does not listen on port"),
        "{said}"
    );
    let hint = format!("onedoor run --port {port}");
    assert!(said.contains(&hint), "{said}");
    assert_eq!(curl(&door, "x.localhost", "/", &["--fail"]).0, 22);
}

#[test]
fn a_fixed_port_is_the_commands_or_nobodys() {
    let home = home();
    let port = free_port();
    let holder = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let port = port.to_string();
    let arguments = [
        "run",
        "-c",
        "proxy.toml",
        "--port",
        &port,
        "x",
        "--",
        "sh",
        "-c",
    ];
    let (code, _out, err) = home.run(&[&arguments[..], &["touch started"]].concat());
    assert_eq!(code, 4, "{err}");
    assert!(
        err.contains(&format!("pid {}", std::process::id())),
        "{err}"
    );
    assert!(!home.path().join("started").exists());
    drop(holder);
    let (code, out, err) = home.run(&[&arguments[..], &["echo $PORT"]].concat());
    assert_eq!((code, out.trim()), (0, port.as_str()), "{err}");
}

#[test]
fn a_door_that_cannot_open_starts_no_command() {
    let home = home();
    let touch = ["--", "touch", "started"];
    let (code, _out, err) = home.run(&[&["run", "-c", "proxy.toml", "a b"], &touch[..]].concat());
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("`a b` cannot be a host name"), "{err}");
    let public = ["run", "-c", "proxy.toml", "shop.example.com"];
    let (code, _out, err) = home.run(&[&public[..], &touch[..]].concat());
    assert_eq!(code, 2, "{err}");
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap();
    home.write(
        "proxy.toml",
        &format!("listen = [\"{address}\"]\nhttp = false\n"),
    );
    let (code, _out, err) = home.run(&[&["run", "-c", "proxy.toml", "x"], &touch[..]].concat());
    assert_eq!(code, 4, "{err}");
    assert!(!home.path().join("started").exists());
}

#[test]
fn a_folder_gives_its_name_and_a_worktree_its_branch() {
    let home = home();
    home.write(
        "shop/.git/worktrees/tree/HEAD",
        "ref: refs/heads/Feature/X\n",
    );
    home.write("tree/.git", "gitdir: ../shop/.git/worktrees/tree\n");
    for (folder, host) in [("shop", "shop"), ("tree", "feature-x.shop")] {
        let mut command = home.command();
        command.current_dir(home.path().join(folder)).args([
            "run",
            "-c",
            "../proxy.toml",
            "--",
            "sh",
            "-c",
            "echo $ONEDOOR_URL",
        ]);
        let (code, out, err) = Home::end_of(&mut command);
        assert_eq!(code, 0, "{err}");
        assert!(
            out.starts_with(&format!("https://{host}.localhost:")),
            "{out}"
        );
    }
}

#[test]
fn sites_of_a_file_are_served_too_and_until_the_end() {
    let (home, backend) = (home(), Backend::saying("from the file"));
    let sites = format!("{SETTINGS}[sites]\n\"a.test\" = \"{}\"\n", backend.address);
    home.write("proxy.toml", &sites);
    let peer = format!("{PEERS}/heed.py");
    let mut door = run(home, &["x", "--", "python3", &peer]);
    url(&door);
    assert_eq!(get(&door, "a.test", "/"), "from the file");
    door.signal(Signal::INT);
    heard(&door, "SIGINT");
    assert_eq!(get(&door, "a.test", "/"), "from the file");
    assert_eq!(door.ends_by(Signal::TERM), Some(3));
}

fn home() -> Home {
    Home::new(SETTINGS)
}

/// A door with a command behind it, which is gone when this is dropped: killing the door alone would leave it behind.
struct Running(Door);

impl Deref for Running {
    type Target = Door;

    fn deref(&self) -> &Door {
        &self.0
    }
}

impl Running {
    #[track_caller]
    fn ends_by(&mut self, signal: Signal) -> Option<i32> {
        self.0.signal(signal);
        self.0.ended().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let stat = format!("/proc/{}/stat", self.0.pid());
        let runs = || fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
        if runs() {
            self.0.signal(Signal::TERM);
        }
        let begun = Instant::now();
        while runs() && begun.elapsed() < PATIENCE {
            thread::park_timeout(Duration::from_millis(5));
        }
    }
}

/// `onedoor run` with the settings of the folder.
#[track_caller]
fn run(home: Home, arguments: &[&str]) -> Running {
    let all = [&["run", "-c", "proxy.toml"], arguments].concat();
    Running(Door::up_in(home, &all))
}

/// What it says once the command accepts, or is waited for no longer.
#[track_caller]
fn url(door: &Door) -> String {
    // Some commands are slow to begin.
    within(3 * PATIENCE, "the URL", || {
        let said = door.home().read("err");
        let line = said.lines().find(|line| line.contains("served by"))?;
        line.split(' ').next().map(str::to_owned)
    })
}

#[track_caller]
fn heard(door: &Door, signal: &str) {
    eventually(signal, || {
        let said = door.home().read("out");
        said.contains(&format!("heard {signal}")).then_some(())
    });
}
