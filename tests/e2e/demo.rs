//! `onedoor demo`, as a newcomer meets it.

use std::fs;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use crate::support::door::{Door, Home};
use crate::support::eventually;

#[test]
fn the_demo_tries_itself_and_leaves_nothing() {
    let home = Home::new("");
    let temporary = home.path().join("temporary");
    fs::create_dir(&temporary).unwrap();
    let output = home
        .command()
        .args(["demo", "--once"])
        .env("TMPDIR", &temporary)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{text}{error}");
    for seen in [
        "hello.localhost   200 HTTP/2.0  says `Hello from behind the door.`",
        "echo.localhost    101 HTTP/1.1  echoes `a frame there and back`",
        "ticks.localhost   200 HTTP/2.0  streams 6 events, the first after ",
        "certificate by CN=onedoor local intermediate",
    ] {
        assert!(text.contains(seen), "{text}{error}");
    }
    assert_eq!(error, "");
    assert_untouched(&home);
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0);
}

#[test]
fn every_printed_line_works_as_pasted() {
    let mut door = Door::up_in(Home::new(""), &["demo"]);
    let (lines, folder) = guide(&door);
    assert_eq!(lines.len(), 3, "{lines:?}");
    let [hello, echo, ticks] = [0, 1, 2].map(|line| paste(&lines[line]));
    assert!(hello.starts_with("HTTP/2 200"), "{hello}");
    assert!(hello.contains("You asked https for hello.localhost"));
    assert!(echo.starts_with("HTTP/1.1 101"), "{echo}");
    assert!(echo.contains("hello from a WebSocket"), "{echo}");
    assert_eq!(ticks.matches("data: event ").count(), 6, "{ticks}");
    assert!(Path::new(&folder).is_dir());
    door.signal(Signal::INT);
    assert!(door.ended().success());
    assert!(!Path::new(&folder).exists());
    assert_untouched(door.home());
}

#[test]
fn two_demos_do_not_meet_and_say_why_they_are_where_they_are() {
    let doors = [0, 1].map(|_| Door::up_in(Home::new(""), &["demo"]));
    let ports = doors.each_ref().map(|door| {
        let (lines, _folder) = guide(door);
        assert!(paste(&lines[0]).contains("Hello from behind the door."));
        let said = door.said();
        let port = port(&lines[0]);
        let reason = "not on 127.0.0.1:443: ";
        assert_eq!(said.contains(reason), port != "443", "{said}");
        port
    });
    assert_ne!(ports[0], ports[1]);
}

/// The lines to paste, and the folder that is promised to go.
fn guide(door: &Door) -> (Vec<String>, String) {
    let promise = "Ctrl-C ends it and removes ";
    let said = eventually("the demo's guide", || {
        Some(door.said()).filter(|said| said.contains("; requests show below"))
    });
    let lines = said.lines().filter(|line| line.starts_with("curl "));
    let folder = said.split(promise).nth(1).unwrap();
    (
        lines.map(str::to_owned).collect(),
        folder.split(';').next().unwrap().to_owned(),
    )
}

/// Of `--resolve HOST:PORT:ADDRESS`.
fn port(line: &str) -> String {
    let resolve = line.split("--resolve ").nth(1).unwrap();
    resolve.split(':').nth(1).unwrap().to_owned()
}

/// What a shell prints for a line that must succeed.
#[track_caller]
fn paste(line: &str) -> String {
    let output = Command::new("sh").args(["-c", line]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}\n{text}{error}");
    text
}

/// Neither the storage nor the control socket of this user's other onedoors.
#[track_caller]
fn assert_untouched(home: &Home) {
    assert!(!home.path().join("storage").exists());
    let control = home.path().join("control");
    assert_eq!(fs::read_dir(control).unwrap().count(), 0);
}
