//! Verbs that only look.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::{json, refused, said};
use crate::joining::{follower, join, site};
use crate::support::backend::Backend;
use crate::support::client::get;
use crate::support::door::{Door, Home};
use crate::support::eventually;

#[test]
fn a_guest_is_seen_with_its_sites() {
    let (one, two) = (Backend::saying("one"), Backend::saying("two"));
    let first = Door::up(&site("one.test", &one));
    let second = join(&first, &follower("two.test", &two));
    let port = first.tls().port();
    let out = said(first.home(), &["ls"]);
    let row = out.lines().find(|line| line.contains("two.test")).unwrap();
    let folder = second.home().path().display().to_string();
    for word in [
        format!("https://two.test:{port} "),
        two.address.to_string(),
        format!("pid {} ", second.pid()),
        folder.clone(),
    ] {
        assert!(row.contains(&word), "{word}: {row}");
    }
    let row = out.lines().find(|line| line.contains("one.test")).unwrap();
    assert!(row.contains("file ") && row.contains("proxy.toml"), "{row}");
    let listed = json(first.home(), &["ls", "--json"]);
    assert_eq!(listed["sites"].as_array().unwrap().len(), 2);

    // Whoever asks in the guest's folder asks the same door.
    let out = said(second.home(), &["status"]);
    for word in [
        format!("(pid {}) is ready", first.pid()),
        format!("pid {} ", second.pid()),
        folder,
        "serves two.test".to_owned(),
    ] {
        assert!(out.contains(&word), "{word}: {out}");
    }
    let status = json(first.home(), &["status", "--json"]);
    assert_eq!(status["health"]["pid"], first.pid());
    assert_eq!(status["holder"]["pid"], first.pid());
    let leases = status["leases"].as_array().unwrap();
    let guest = leases.iter().find(|lease| lease["kind"] == "session");
    assert_eq!(guest.unwrap()["owner"]["pid"], second.pid());
}

#[test]
fn an_override_is_seen_as_one() {
    let (one, two) = (Backend::saying("one"), Backend::saying("two"));
    let first = Door::up(&site("one.test", &one));
    let home = first.home().beside(&follower("one.test", &two));
    let second = Door::up_in(home, &["up", "--replace"]);
    let out = said(first.home(), &["ls"]);
    assert!(out.contains("overrides the file's"), "{out}");
    let displaced = format!("displaced by pid {}", second.pid());
    assert!(out.contains(&displaced), "{out}");
    let out = said(first.home(), &["status"]);
    assert!(out.contains("one.test overrides the file's"), "{out}");
}

#[test]
fn scripts_get_one_fact() {
    let one = Backend::saying("one");
    let first = Door::up(&site("shop.test", &one));
    let home = first.home();
    let url = format!("https://shop.test:{}\n", first.tls().port());
    assert_eq!(said(home, &["get", "shop.test"]), url);
    assert_eq!(said(home, &["get", "--url", "SHOP.test."]), url);
    let port = format!("{}\n", one.address.port());
    assert_eq!(said(home, &["get", "shop.test", "--port"]), port);
    let site = json(home, &["get", "shop.test", "--json"]);
    assert_eq!(site["names"][0], "shop.test");
    let err = refused(home, &["get", "shpo.test"], 1);
    assert!(err.starts_with("error[unknown-name]: "), "{err}");
    assert!(err.contains("did you mean `shop.test`?"), "{err}");
    refused(home, &["get", "shop.test", "--port", "--url"], 2);
    refused(home, &["get", "not a name"], 2);
}

#[test]
fn where_nobody_is_it_is_said_what_to_do() {
    let home = Home::new("[sites]\n\"a.localhost\" = 3000\n");
    for arguments in [
        &["ls"][..],
        &["status", "--json"],
        &["get", "a.localhost"],
        &["open", "a.localhost"],
        &["logs"],
        &["explain", "https://a.localhost"],
        &["reload"],
        &["restart"],
        &["stop"],
    ] {
        let err = refused(&home, arguments, 1);
        assert!(err.contains("no onedoor is running here"), "{err}");
        assert!(err.contains("onedoor up"), "{err}");
    }
}

#[test]
fn the_way_of_a_request_is_explained() {
    let (one, two) = (Backend::saying("one"), Backend::saying("two"));
    let first = Door::up(&site("one.test", &one));
    let second = join(&first, &follower("two.test", &two));
    let url = format!("https://two.test:{}/x", first.tls().port());
    let out = said(first.home(), &["explain", &url]);
    for word in [
        "listener ".to_owned(),
        "certificate  local CA".to_owned(),
        "site         two.test".to_owned(),
        format!("target       {}", two.address),
        format!("served by    pid {} ", second.pid()),
    ] {
        assert!(out.contains(&word), "{word}: {out}");
    }
    let told = json(first.home(), &["explain", &url, "--json"]);
    assert_eq!(told["url"], url);
    assert_eq!(told["owner"]["pid"], second.pid());
    let err = refused(first.home(), &["explain", "nonsense://"], 2);
    assert!(err.starts_with("error["), "{err}");
}

/// Ends a loop, however the test goes on.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn lines_of_one_host_come_from_whoever_serves_it() {
    let (one, two) = (Backend::saying("one"), Backend::saying("two"));
    let first = Door::up(&site("one.test", &one));
    let _second = join(&first, &follower("two.test", &two));
    let mut command = first.home().command();
    command.args(["logs", "two.test", "--json"]);
    let logs = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut logs = logs.spawn().unwrap();
    let mut lines = BufReader::new(logs.stdout.take().unwrap()).lines();
    let heard = AtomicBool::new(false);
    thread::scope(|scope| {
        let _done = Done(&heard);
        // Nobody says when the watching begins.
        scope.spawn(|| {
            while !heard.load(Ordering::Relaxed) {
                get(&first, "one.test", "/of-one");
                get(&first, "two.test", "/of-two");
            }
        });
        for _line in 0..2 {
            let line = lines.next().unwrap().unwrap();
            let record: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert!(line.contains("/of-two"), "{line}");
            let host = record["host"].as_str().unwrap();
            assert!(host.starts_with("two.test"), "{line}");
        }
    });
    drop(lines);
    // The reader is gone: the next line is the last.
    let status = eventually("the end of the verb", || {
        get(&first, "two.test", "/last");
        logs.try_wait().unwrap()
    });
    assert!(status.success(), "{status}");
    let mut err = String::new();
    std::io::Read::read_to_string(&mut logs.stderr.take().unwrap(), &mut err).unwrap();
    assert_eq!(err, "");
}

#[test]
fn lines_end_with_the_door() {
    let one = Backend::saying("one");
    let first = Door::up(&site("one.test", &one));
    let mut command = first.home().command();
    command.arg("logs");
    let logs = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut logs = logs.spawn().unwrap();
    let mut lines = BufReader::new(logs.stdout.take().unwrap()).lines();
    let heard = AtomicBool::new(false);
    thread::scope(|scope| {
        let _done = Done(&heard);
        scope.spawn(|| {
            while !heard.load(Ordering::Relaxed) {
                get(&first, "one.test", "/");
            }
        });
        lines.next().unwrap().unwrap();
    });
    let _home = first.leave();
    for line in lines {
        line.unwrap();
    }
    let output = logs.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(err, "the door has ended\n");
}

#[test]
fn a_browser_is_given_the_url() {
    let one = Backend::saying("one");
    let first = Door::up(&site("one.test", &one));
    let url = format!("https://one.test:{}\n", first.tls().port());
    let open = |browser: &str| {
        let mut command = first.home().command();
        command.args(["open", "one.test"]).env("BROWSER", browser);
        Home::end_of(command.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY"))
    };
    let (code, out, err) = open("echo opened");
    assert_eq!(
        (code, &*out, &*err),
        (0, &*format!("{url}opened {url}"), "")
    );
    let (code, out, err) = open("");
    assert_eq!((code, &*out), (0, &*url));
    assert!(err.contains("open the URL yourself"), "{err}");
    let (code, out, err) = open("false");
    assert_eq!((code, &*out), (1, &*url), "{err}");
}
