//! `onedoor doctor`: what it finds wrong with a machine, and that its remedies are ones.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::support::backend::Backend;
use crate::support::door::{Door, Home};
use crate::support::pebble::Pebble;
use crate::support::{eventually, free_port};

const HOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/hold_port.py");

#[test]
fn a_running_door_is_reached_and_found_well() {
    let door = Door::before(&Backend::saying("x"));
    let (code, findings) = examine(door.home());
    let control = of(&findings, "control");
    assert_eq!(control["status"], "ok");
    assert!(
        control["what"]
            .as_str()
            .unwrap()
            .contains(&door.pid().to_string())
    );
    for address in [door.tls(), door.plain()] {
        let reach = of(&findings, &format!("reach-{address}"));
        assert_eq!(reach["status"], "ok", "{reach}");
    }
    assert_eq!(of(&findings, "config")["status"], "ok");
    assert_eq!(of(&findings, "certificate-a.test")["status"], "ok");
    assert_eq!(of(&findings, "clock")["status"], "unknown");
    let storage = of(&findings, "storage");
    assert!(
        storage["what"]
            .as_str()
            .unwrap()
            .contains("is written and read"),
        "{storage}"
    );
    let entries = fs::read_dir(door.home().path().join("storage")).unwrap();
    let mut names = entries.map(|entry| entry.unwrap().file_name());
    assert!(names.all(|name| !name.to_string_lossy().contains("doctor")));
    assert_eq!(code, 0, "{findings:#?}");
}

#[test]
fn every_finding_has_the_same_shape() {
    let home = Home::new(&format!("limits.connections = 10\n{}", sites(1)));
    let (_code, findings) = examine(&home);
    assert_eq!(of(&findings, "descriptors")["status"], "ok");
    let keys = ["detail", "fix", "id", "status", "what"];
    let mut ids = Vec::new();
    for finding in &findings {
        let object = finding.as_object().unwrap();
        let mut known: Vec<&str> = object.keys().map(String::as_str).collect();
        known.sort_unstable();
        assert_eq!(known, keys);
        let status = finding["status"].as_str().unwrap();
        assert!(["ok", "warning", "problem", "unknown"].contains(&status));
        if status == "problem" {
            assert!(finding["fix"].is_string(), "{finding}");
        }
        ids.push(finding["id"].as_str().unwrap());
    }
    for port in ["80", "443"] {
        assert!(
            ids.contains(&format!("port-{port}-ipv4").as_str()),
            "{ids:?}"
        );
    }
    ids.sort_unstable();
    let all = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), all, "{ids:?}");
}

#[test]
fn whoever_holds_a_port_is_named_with_the_way_to_end_it() {
    let mut holder = Held::by_python();
    let home = Home::new(&sites(holder.port));
    let (code, findings) = examine(&home);
    assert_eq!(code, 1);
    let port = of(&findings, &format!("port-{}-ipv4", holder.port));
    let pid = holder.child.id();
    assert_eq!(port["status"], "problem");
    assert!(
        port["what"]
            .as_str()
            .unwrap()
            .contains(&format!("(pid {pid})")),
        "{port}"
    );
    assert!(
        port["detail"].as_str().unwrap().contains("hold_port.py"),
        "{port}"
    );
    // What it says is what works.
    assert_eq!(port["fix"], format!("kill {pid}"));
    let fixed = Command::new("sh")
        .args(["-c", &format!("kill {pid}")])
        .status();
    assert!(fixed.unwrap().success());
    holder.child.wait().unwrap();
    let (_code, findings) = examine(&home);
    let port = of(&findings, &format!("port-{}-ipv4", holder.port));
    assert_eq!(port["status"], "ok", "{port}");
}

#[test]
fn nginx_at_a_port_is_known_by_its_name() {
    let port = free_port();
    let nginx = Nginx::at(port);
    let (code, findings) = examine(&Home::new(&sites(port)));
    let found = of(&findings, &format!("port-{port}-ipv4"));
    assert_eq!((code, &found["status"]), (1, &"problem".into()));
    assert!(
        found["what"].as_str().unwrap().contains("held by nginx"),
        "{found}"
    );
    let fix = found["fix"].as_str().unwrap();
    assert!(fix.contains("nginx -s quit"), "{fix}");
    drop(nginx);
}

#[test]
fn a_storage_that_takes_nothing_is_a_problem() {
    let home = Home::new(&sites(1));
    home.write("storage", "a file where the folder belongs");
    let (code, findings) = examine(&home);
    let storage = of(&findings, "storage");
    assert_eq!((code, &storage["status"]), (1, &"problem".into()));
    assert!(storage["fix"].as_str().unwrap().starts_with("ls -ld "));
    assert_eq!(home.read("storage"), "a file where the folder belongs");
}

#[test]
fn a_bad_file_does_not_keep_the_rest_from_being_told() {
    let home = Home::new("htp = false\n[sites]\n\"a.test\" = { upstream = \"1\" }\n");
    let (code, findings) = examine(&home);
    assert_eq!(code, 2);
    let config = of(&findings, "config");
    assert_eq!(config["status"], "problem");
    assert!(
        config["what"].as_str().unwrap().contains("2 problems"),
        "{config}"
    );
    assert!(
        config["fix"]
            .as_str()
            .unwrap()
            .starts_with("onedoor check -c ")
    );
    for other in ["control", "storage", "descriptors", "port-443-ipv4"] {
        of(&findings, other);
    }
}

#[test]
fn a_killed_door_leaves_a_socket_that_is_told_of() {
    let home = Door::before(&Backend::saying("x")).kill();
    let (_code, findings) = examine(&home);
    let control = of(&findings, "control");
    assert_eq!(control["status"], "warning");
    let socket = home.path().join("control/control.sock");
    let fix = control["fix"].as_str().unwrap();
    assert_eq!(fix, format!("rm {}", socket.display()));
}

#[test]
fn a_ca_is_reached_or_it_is_a_problem() {
    let ca = Pebble::start();
    let config = |directory: &str| {
        format!(
            "listen = [\"{}\"]\nhttp = [\"{}\"]\nstorage = \"storage\"\n[acme]\ndirectory = \"{directory}\"\nroots = \"{}\"\nemail = \"ada@example.com\"\n[sites]\n\"a.example.com\" = \"1\"\n",
            ca.tls(),
            ca.plain(),
            ca.roots_file()
        )
    };
    let home = Home::new(&config(&ca.directory()));
    let (_code, findings) = examine(&home);
    let found = of(&findings, &format!("ca-{}", ca.directory()));
    assert_eq!(found["status"], "ok", "{found}");
    assert_eq!(of(&findings, "clock")["status"], "ok");
    assert_eq!(
        of(&findings, "certificate-a.example.com")["status"],
        "unknown"
    );
    let nowhere = format!("https://127.0.0.1:{}/dir", free_port());
    home.write("proxy.toml", &config(&nowhere));
    let (code, findings) = examine(&home);
    let found = of(&findings, &format!("ca-{nowhere}"));
    assert_eq!((code, &found["status"]), (1, &"problem".into()));
}

#[test]
fn a_browsers_data_base_trusts_the_root_once_it_is_in_it() {
    let door = Door::before(&Backend::saying("x"));
    // The root comes with the first handshake that needs it, or earlier.
    eventually("the root", || door.ca().exists().then_some(()));
    let folder = door.home().path().join(".pki/nssdb");
    fs::create_dir_all(&folder).unwrap();
    let certutil = |what: &[&str]| {
        let done = Command::new("certutil")
            .args(what)
            .arg("-d")
            .arg(format!("sql:{}", folder.display()))
            .status()
            .expect("certutil is missing: run tests/run");
        assert!(done.success());
    };
    certutil(&["-N", "--empty-password"]);
    let id = format!("trust-nss-{}", folder.display());
    let (_code, findings) = examine(door.home());
    let trust = of(&findings, &id);
    assert_eq!(trust["status"], "warning", "{trust}");
    assert_eq!(trust["fix"], "onedoor trust");
    let root = door.ca().display().to_string();
    certutil(&["-A", "-t", "C,,", "-n", "by any name", "-i", &root]);
    let (_code, findings) = examine(door.home());
    assert_eq!(of(&findings, &id)["status"], "ok");
    assert_eq!(of(&findings, "trust-system")["status"], "warning");
}

#[test]
fn people_read_words_and_remedies() {
    let holder = Held::by_python();
    let home = Home::new(&sites(holder.port));
    let (code, out, _err) = run(&home, &[]);
    assert_eq!(code, 1);
    let line = format!("✗ problem  127.0.0.1:{}: held by ", holder.port);
    assert!(out.contains(&line), "{out}");
    let pid = holder.child.id();
    assert!(
        out.contains(&format!("\n             fix:  kill {pid}\n")),
        "{out}"
    );
    let last = out.lines().last().unwrap();
    assert!(last.starts_with("1 problem, "), "{out}");
}

fn sites(port: u16) -> String {
    format!("listen = [\"127.0.0.1:{port}\"]\nhttp = false\n[sites]\n\"a.localhost\" = \"1\"\n")
}

/// With a home of its own, so that no browser of this machine is looked at.
fn run(home: &Home, arguments: &[&str]) -> (i32, String, String) {
    let mut command = home.command();
    command
        .arg("doctor")
        .args(arguments)
        .env("HOME", home.path());
    Home::end_of(&mut command)
}

#[track_caller]
fn examine(home: &Home) -> (i32, Vec<Value>) {
    let (code, out, err) = run(home, &["--json"]);
    let findings = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}"));
    (code, findings)
}

#[track_caller]
fn of<'a>(findings: &'a [Value], id: &str) -> &'a Value {
    let found = findings.iter().find(|finding| finding["id"] == id);
    found.unwrap_or_else(|| panic!("no {id} in {findings:#?}"))
}

struct Held {
    child: Child,
    port: u16,
}

impl Held {
    fn by_python() -> Self {
        let mut child = Command::new("python3")
            .args([HOLDER, "--port", &free_port().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is missing: run tests/run");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let port = line.trim().parse().unwrap();
        Self { child, port }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

struct Nginx {
    child: Child,
    _folder: Home,
}

impl Nginx {
    fn at(port: u16) -> Self {
        let folder = Home::new("");
        let path = folder.path().display().to_string();
        folder.write(
            "nginx.conf",
            &format!(
                "daemon off; pid {path}/pid; error_log {path}/error.log;\nevents {{}}\nhttp {{ access_log off; client_body_temp_path {path}/b; proxy_temp_path {path}/p; fastcgi_temp_path {path}/f; uwsgi_temp_path {path}/u; scgi_temp_path {path}/s; server {{ listen 127.0.0.1:{port}; }} }}\n"
            ),
        );
        let child = Command::new("nginx")
            .args(["-p", &path, "-e", "error.log", "-c"])
            .arg(folder.path().join("nginx.conf"))
            .env(
                "PATH",
                format!("{}:/usr/sbin", std::env::var("PATH").unwrap()),
            )
            .spawn()
            .expect("nginx is missing: run tests/run");
        let nginx = Self {
            child,
            _folder: folder,
        };
        eventually("nginx listens", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).ok()
        });
        nginx
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // It ends its workers when it is asked to.
        if let Ok(pid) = i32::try_from(self.child.id())
            && let Some(pid) = rustix::process::Pid::from_raw(pid)
        {
            let _gone = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _reaped = self.child.wait();
    }
}
