//! `onedoor service`: files for systemd and launchd, judged by their own tools, and put there and taken away again.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::door::Home;

const SITES: &str = r#"
    listen = ["localhost:8443", "9443"]
    http = ["127.0.0.1:8080"]
    [sites]
    "a.test" = "1"
"#;
/// Notes what it is told, and does what the file `answer` says.
const SYSTEMCTL: &str = "#!/bin/sh\necho \"$@\" >>\"$HOME/told\"\ncase \"$*\" in *enable*--now*) [ ! -e \"$HOME/broken\" ];; esac\n";

#[test]
fn systemd_accepts_the_units() {
    for scope in ["--system", "--user"] {
        let home = Home::new(SITES);
        let files = printed(&home, &["service", "install", "--print", scope]);
        let names: Vec<&str> = files.iter().map(|(name, _text)| name.as_str()).collect();
        assert_eq!(names, ["onedoor.service", "onedoor.socket"]);
        for (name, text) in &files {
            home.write(name, text);
        }
        let mut verify = Command::new("systemd-analyze");
        verify
            .args(["verify", "--man=no", "--recursive-errors=no"])
            .args((scope == "--user").then_some("--user"))
            .args(names)
            .env("XDG_RUNTIME_DIR", home.path())
            .current_dir(home.path());
        let output = verify
            .output()
            .expect("systemd-analyze is missing: run tests/run");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{scope}: {said}");
        assert!(!said.contains("onedoor."), "{scope}: {said}");
    }
}

#[test]
fn the_ports_of_the_file_are_the_sockets_of_the_unit() {
    let home = Home::new(SITES);
    let files = printed(&home, &["service", "install", "--print", "--system"]);
    let streams: Vec<&str> = files[1]
        .1
        .lines()
        .filter_map(|line| line.strip_prefix("ListenStream="))
        .collect();
    assert_eq!(
        streams,
        ["9443", "127.0.0.1:8080", "127.0.0.1:8443", "[::1]:8443"]
    );
}

#[test]
fn a_property_list_is_one_for_other_readers_too() {
    let home = Home::new(SITES);
    let arguments = [
        "service",
        "install",
        "--print",
        "--user",
        "--manager",
        "launchd",
    ];
    let files = printed(&home, &arguments);
    assert_eq!(files[0].0, "onedoor.plist");
    home.write("onedoor.plist", &files[0].1);
    let script = "import json, plistlib, sys; print(json.dumps(plistlib.load(sys.stdin.buffer)))";
    let output = Command::new("python3")
        .args(["-c", script])
        .stdin(fs::File::open(home.path().join("onedoor.plist")).unwrap())
        .stderr(Stdio::inherit())
        .output()
        .expect("python3 is missing: run tests/run");
    assert!(output.status.success());
    let list: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(list["Label"], "onedoor");
    let arguments = list["ProgramArguments"].as_array().unwrap();
    assert_eq!(arguments[1..3], ["up", "-c"]);
    assert_eq!(
        arguments[3],
        home.path().join("proxy.toml").to_str().unwrap()
    );
    let sockets = list["Sockets"]["Listeners"].as_array().unwrap();
    let nodes: Vec<String> = sockets
        .iter()
        .map(|socket| format!("{}:{}", socket["SockNodeName"], socket["SockServiceName"]))
        .collect();
    assert!(nodes.contains(&r#""::":"9443""#.to_owned()), "{nodes:?}");
}

#[test]
fn a_service_comes_and_goes_without_a_trace() {
    let home = with_systemctl();
    let folder = home.path().join(".config/systemd/user");
    let (code, out, err) = run(&home, "install");
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    for name in ["onedoor.service", "onedoor.socket"] {
        let file = folder.join(name);
        assert!(
            out.contains(&format!("wrote {}\n", file.display())),
            "{out}"
        );
        assert!(file.exists());
    }
    assert!(out.contains("ran systemctl --user enable --now onedoor.socket onedoor.service\n"));
    assert_eq!(run(&home, "status").0, 0);
    let (code, out, _err) = run(&home, "install");
    assert_eq!(code, 0);
    assert!(
        out.contains("it was installed before: `systemctl --user restart"),
        "{out}"
    );
    let (code, out, err) = run(&home, "uninstall");
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    let told = home.read("told");
    assert!(
        told.contains("--user disable --now onedoor.service onedoor.socket\n"),
        "{told}"
    );
    assert!(told.ends_with("--user daemon-reload\n"), "{told}");
    let (code, out, _err) = run(&home, "uninstall");
    assert_eq!((code, out.as_str()), (0, "nothing is installed\n"));
    assert_eq!(run(&home, "status").0, 1);
}

#[test]
fn what_somebody_else_wrote_is_left_alone() {
    let home = with_systemctl();
    let foreign = ".config/systemd/user/onedoor.socket";
    home.write(foreign, "[Socket]\nListenStream=1\n");
    for verb in ["install", "uninstall"] {
        let (code, _out, err) = run(&home, verb);
        assert_eq!(code, 1);
        assert!(err.contains("onedoor did not write it"), "{err}");
    }
    assert_eq!(home.read(foreign), "[Socket]\nListenStream=1\n");
    assert!(
        !home
            .path()
            .join(".config/systemd/user/onedoor.service")
            .exists()
    );
    assert!(!home.path().join("told").exists());
}

#[test]
fn a_manager_that_is_missing_or_refuses_leaves_nothing_behind() {
    let home = with_systemctl();
    let folder = home.path().join(".config/systemd/user");
    home.write("broken", "");
    let (code, _out, err) = run(&home, "install");
    assert_eq!(code, 1);
    assert!(
        err.contains("enable --now onedoor.socket onedoor.service` failed"),
        "{err}"
    );
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    fs::remove_file(home.path().join("bin/systemctl")).unwrap();
    let (code, out, err) = run(&home, "install");
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("there is no `systemctl` here"), "{err}");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
}

#[test]
fn a_port_that_changes_cannot_be_kept() {
    let home = Home::new("listen = [\"localhost:0\"]\nhttp = false\n[sites]\n\"a.test\" = \"1\"\n");
    let (code, _out, err) = home.run(&["service", "install", "--print"]);
    assert_eq!(code, 2);
    assert!(err.contains("port 0"), "{err}");
}

fn with_systemctl() -> Home {
    let home = Home::new(SITES);
    home.write("bin/systemctl", SYSTEMCTL);
    let program = home.path().join("bin/systemctl");
    fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
    home
}

/// With a `PATH` where there is only what the test put there.
fn run(home: &Home, verb: &str) -> (i32, String, String) {
    let mut command = home.command();
    command
        .args(["service", verb, "--user"])
        .env("HOME", home.path())
        .env("PATH", home.path().join("bin"))
        .env_remove("XDG_CONFIG_HOME");
    Home::end_of(&mut command)
}

/// The files' names and texts.
#[track_caller]
fn printed(home: &Home, arguments: &[&str]) -> Vec<(String, String)> {
    let (code, out, err) = home.run(arguments);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    let pieces = out.split("==> ").skip(1);
    let files = pieces.map(|piece| {
        let (path, text) = piece.split_once(" <==\n").unwrap();
        let name = Path::new(path).file_name().unwrap();
        (name.to_str().unwrap().to_owned(), text.to_owned())
    });
    files.collect()
}
