//! The control socket by curl: each documented route.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::joining::site;
use crate::support::backend::Backend;
use crate::support::client::{curl as visit, get};
use crate::support::door::Door;
use crate::support::eventually;

/// A request on the control socket: status and body.
#[track_caller]
fn curl(door: &Door, options: &[&str], target: &str) -> (u16, Value) {
    let output = command(door)
        .args(["--max-time", "20", "--write-out", "\n%{http_code}"])
        .args(options)
        .arg(format!("http://onedoor{target}"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{target}: {output:?}");
    let (body, status) = text.rsplit_once('\n').unwrap();
    let body = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {text}"));
    (status.parse().unwrap(), body)
}

fn command(door: &Door) -> Command {
    let mut command = Command::new("curl");
    let socket = door.home().control().join("control.sock");
    command.args(["--silent", "--show-error", "--unix-socket"]);
    command.arg(socket);
    command
}

#[test]
fn what_is_told_is_json() {
    let one = Backend::saying("one");
    let door = Door::up(&site("one.test", &one));
    let (status, health) = curl(&door, &[], "/v1/health");
    assert_eq!((status, &health["status"]), (200, &json!("ready")));
    let (status, told) = curl(&door, &[], "/v1/status");
    assert_eq!((status, &told["health"]["pid"]), (200, &json!(door.pid())));
    assert_eq!(told["sites"][0]["names"], json!(["one.test"]));
    let url = format!("url=https://one.test:{}/x?y&z", door.tls().port());
    let (status, told) = curl(&door, &["--get", "--data-urlencode", &url], "/v1/explain");
    assert_eq!((status, &told["site"]["what"]), (200, &json!("one.test")));
    let (status, told) = curl(&door, &[], "/v1/explain");
    assert_eq!((status, &told["error"]), (400, &json!("bad-request")));
    let (status, told) = curl(&door, &[], "/v1/nothing");
    assert_eq!((status, &told["error"]), (404, &json!("not-found")));
    let (status, told) = curl(&door, &["-X", "DELETE"], "/v1/status");
    assert_eq!(
        (status, &told["error"]),
        (405, &json!("method-not-allowed"))
    );
}

#[test]
fn lines_come_without_end() {
    let one = Backend::saying("one");
    let door = Door::up(&site("one.test", &one));
    let watched = door.home().path().join("watched");
    let file = std::fs::File::create(&watched).unwrap();
    let mut watching = command(&door)
        .args([
            "--no-buffer",
            "http://onedoor/v1/logs?host=one.test&form=json",
        ])
        .stdout(Stdio::from(file))
        .spawn()
        .unwrap();
    eventually("a line", || {
        get(&door, "one.test", "/seen");
        let text = door.home().read("watched");
        text.contains("/seen").then_some(())
    });
    assert!(watching.try_wait().unwrap().is_none());
    watching.kill().unwrap();
    watching.wait().unwrap();
}

#[test]
fn changes_say_what_they_are_based_on() {
    let (one, two) = (Backend::saying("one"), Backend::saying("two"));
    let door = Door::up(&site("one.test", &one));
    let (status, told) = curl(&door, &["-X", "POST"], "/v1/reload");
    assert_eq!((status, &told["error"]), (428, &json!("unconditional")));
    let stale = ["-X", "POST", "-H", "If-Match: \"4000\""];
    let (status, told) = curl(&door, &stale, "/v1/reload");
    assert_eq!((status, &told["error"]), (412, &json!("stale-revision")));
    assert_eq!(told["revision"], json!(door.revision()));
    let tag = format!("If-Match: \"{}\"", door.revision());
    let (status, told) = curl(&door, &["-X", "POST", "-H", &tag], "/v1/reload");
    assert_eq!(status, 200, "{told}");

    let lease = json!({
        "target": two.address.to_string(),
        "folder": "/srv",
        "wait_seconds": 10,
        "owner": {"pid": 1, "uid": 0, "command": "deploy", "folder": "/srv", "since": "2026-01-31T12:00:00Z"},
    });
    let lease = lease.to_string();
    let put = ["-X", "PUT", "--data", &lease];
    let (status, told) = curl(&door, &put, "/v1/leases/two.test");
    assert_eq!((status, &told["error"]), (428, &json!("unconditional")));
    let whatever = ["-H", "If-Match: *"];
    let (status, told) = curl(
        &door,
        &[&put[..], &whatever].concat(),
        "/v1/leases/two.test",
    );
    assert_eq!((status, &told["drained"]), (200, &json!(true)), "{told}");
    assert_eq!(get(&door, "two.test", "/"), "two");
    let delete = ["-X", "DELETE", "-H", "If-Match: *"];
    let (status, told) = curl(&door, &delete, "/v1/leases/two.test");
    assert_eq!(status, 200, "{told}");
    assert_eq!(told["revision"], json!(door.revision()));
    assert!(visit(&door, "two.test", "/", &[]).0 != 0);
}

#[test]
fn a_stop_is_asked_for_and_comes() {
    let one = Backend::saying("one");
    let mut door = Door::up(&site("one.test", &one));
    let (status, told) = curl(&door, &["-X", "POST"], "/v1/stop?extent=nobody");
    assert_eq!((status, &told["error"]), (400, &json!("bad-request")));
    let (status, told) = curl(&door, &["-X", "POST"], "/v1/stop?extent=door");
    assert_eq!((status, &told["stopping"]), (200, &json!(true)));
    assert!(door.ended().success());
}
