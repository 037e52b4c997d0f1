//! Holders and guests of other versions.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::thread;

use serde_json::json;

use super::raw::{Raw, wanted};
use super::{follower, refused, site};
use crate::support::backend::Backend;
use crate::support::client::get;
use crate::support::door::{Door, Home};

const OWN: &str = env!("CARGO_PKG_VERSION");

/// A holder that answers everybody with this.
fn holder_saying(home: &Home, answer: String) {
    let listener = UnixListener::bind(home.control().join("control.sock")).unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = [0; 1 << 16];
            // What it asks is the same for all.
            let _asked = stream.read(&mut head);
            let _told = stream.write_all(answer.as_bytes());
        }
    });
}

fn reply(status: &str, body: &serde_json::Value) -> String {
    let body = body.to_string();
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}")
}

#[test]
fn what_a_newer_holder_says_is_told_as_it_is() {
    let home = Home::new(&follower("a.test", &Backend::saying("one")));
    let text = "the running onedoor 9.0.0 speaks protocol 8 to 9: `onedoor restart`";
    let refusal =
        json!({ "error": "unsupported-protocol", "text": text, "exit": 1, "mood": "bad" });
    holder_saying(&home, reply("426 Upgrade Required", &refusal));
    let (code, err) = refused(&home, &["up"]);
    assert_eq!(code, 1, "{err}");
    assert!(err.contains(text), "{err}");
}

#[test]
fn a_holder_that_lets_in_and_speaks_otherwise_is_named() {
    let home = Home::new(&follower("a.test", &Backend::saying("one")));
    let welcome = json!({ "welcome": {
        "protocol": 2, "min": 2, "version": "9.1.0", "pid": 1, "lease": 1, "token": "t",
        "accepted": { "revision": 1, "table": "", "listeners": [] },
        "storage": "/x", "doorway": { "listen": [], "http": [] }, "local_ca": null,
    } });
    let head = "HTTP/1.1 101 Switching Protocols\r\nupgrade: onedoor-session\r\n\r\n";
    holder_saying(&home, format!("{head}{welcome}\n"));
    let (code, err) = refused(&home, &["up"]);
    assert_eq!(code, 1, "{err}");
    for words in ["9.1.0", OWN, "`onedoor restart`"] {
        assert!(err.contains(words), "{words}: {err}");
    }
}

#[test]
fn a_holder_from_before_joining_is_told() {
    let home = Home::new(&follower("a.test", &Backend::saying("one")));
    holder_saying(
        &home,
        reply("404 Not Found", &json!({ "error": "not-found" })),
    );
    let (code, err) = refused(&home, &["up"]);
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("too old to be joined"), "{err}");
}

#[test]
fn guests_of_other_versions_hear_both_and_the_way_out() {
    let backend = Backend::saying("one");
    let door = Door::up(&site("one.test", &backend));
    let sites = [format!("two.test={}", backend.address)];
    for (protocol, min, way_out) in [(9, 2, "onedoor restart"), (0, 0, "a newer one")] {
        let mut join = wanted(&sites);
        (join["protocol"], join["min"]) = (protocol.into(), min.into());
        join["version"] = "7.7.7".into();
        let refused = Raw::ask(door.home().control(), &join);
        let (status, refusal) = refused.map(drop).unwrap_err();
        assert_eq!(status, 426);
        let text = refusal["text"].as_str().unwrap();
        for words in ["7.7.7", OWN, way_out] {
            assert!(text.contains(words), "{words}: {text}");
        }
    }
    // One that still speaks ours, and says more than we know.
    let mut join = wanted(&sites);
    (join["protocol"], join["mood"]) = (9.into(), "good".into());
    join["offer"]["mood"] = "good".into();
    join["owner"]["mood"] = "good".into();
    let guest = Raw::ask(door.home().control(), &join).map_err(|(_status, why)| why);
    assert_eq!(guest.unwrap().welcome["protocol"], 1);
}

#[test]
fn a_refused_guest_changes_nothing() {
    let backend = Backend::saying("one");
    let door = Door::up(&site("one.test", &backend));
    let revision = door.revision();
    let mut join = wanted(&[]);
    join["min"] = 7.into();
    join["protocol"] = 7.into();
    assert!(Raw::ask(door.home().control(), &join).is_err());
    assert_eq!(door.revision(), revision);
    assert_eq!(get(&door, "one.test", "/"), "one");
}
