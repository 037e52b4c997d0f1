//! `add` on a name that was added: a deploy in one command.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread;

use super::said;
use crate::joining::{ask, site};
use crate::support::answer::{read_answer, send_get};
use crate::support::backend::{Backend, ok};
use crate::support::client::{get, roots, tls};
use crate::support::door::Door;
use crate::support::eventually;

/// Answers `/slow` once it is told to, and everything else at once.
fn slow(body: &'static str) -> (Backend, mpsc::Sender<()>) {
    let (release, held) = mpsc::channel();
    let held = Arc::new(Mutex::new(held));
    let backend = Backend::http(move |request| {
        if request.line().contains("/slow") {
            held.lock().unwrap().recv().unwrap();
        }
        ok(body)
    });
    (backend, release)
}

#[test]
fn the_new_target_takes_over_at_once_and_the_old_one_drains() {
    let (old, release) = slow("old");
    let new = Backend::saying("new");
    let own = Backend::saying("own");
    let door = Door::up(&site("own.test", &own));
    said(door.home(), &["add", "app.test", &old.address.to_string()]);
    assert_eq!(get(&door, "app.test", "/"), "old");
    let mut client = tls(&door, "app.test", &[]);
    send_get(&mut client, "app.test", "/slow");
    eventually("the slow request", || {
        let seen = old.seen();
        seen.iter()
            .any(|seen| seen.line().contains("/slow"))
            .then_some(())
    });
    let (to, was) = (new.address.to_string(), old.address.to_string());
    let out = thread::scope(|scope| {
        let home = door.home();
        let adding = scope.spawn(|| said(home, &["add", "app.test", &to, "--drain", "20s"]));
        let (address, roots) = (door.tls(), roots(&door));
        eventually("the switch", || {
            (ask(address, &roots, "app.test").ok()? == "new").then_some(())
        });
        let reached = old.seen().len();
        assert_eq!(get(&door, "app.test", "/"), "new");
        assert_eq!(old.seen().len(), reached);
        assert!(!adding.is_finished(), "it waits for the old target");
        release.send(()).unwrap();
        assert_eq!(read_answer(&mut client).unwrap().body, "old");
        adding.join().unwrap()
    });
    let expected = format!("leads to {to} now; {was} has drained\n");
    assert!(out.ends_with(&expected), "{out}");
}

#[test]
fn an_old_target_that_takes_longer_is_told_and_goes_on() {
    let (old, release) = slow("old");
    let new = Backend::saying("new");
    let own = Backend::saying("own");
    let door = Door::up(&site("own.test", &own));
    said(door.home(), &["add", "app.test", &old.address.to_string()]);
    let mut client = tls(&door, "app.test", &[]);
    send_get(&mut client, "app.test", "/slow");
    eventually("the slow request", || {
        (!old.seen().is_empty()).then_some(())
    });
    let to = new.address.to_string();
    let out = said(door.home(), &["add", "app.test", &to, "--drain", "1s"]);
    assert!(out.contains("still has exchanges after 1 s"), "{out}");
    assert_eq!(get(&door, "app.test", "/"), "new");
    release.send(()).unwrap();
    assert_eq!(read_answer(&mut client).unwrap().body, "old");
}

#[test]
fn a_target_that_only_starts_is_waited_for() {
    let own = Backend::saying("own");
    let door = Door::up(&site("own.test", &own));
    let (begin, begun) = mpsc::channel::<()>();
    let begun = Arc::new(Mutex::new(begun));
    let ready = Backend::http(move |request| {
        if request.line().contains("/up") && begun.lock().unwrap().try_recv().is_err() {
            return b"HTTP/1.1 503 Starting\r\nContent-Length: 0\r\n\r\n".to_vec();
        }
        ok("ready")
    });
    let to = ready.address.to_string();
    let out = thread::scope(|scope| {
        let home = door.home();
        let adding = scope.spawn(|| said(home, &["add", "app.test", &to, "--health", "/up"]));
        eventually("some looks", || (ready.seen().len() > 2).then_some(()));
        assert!(ask(door.tls(), &roots(&door), "app.test").is_err());
        begin.send(()).unwrap();
        adding.join().unwrap()
    });
    assert!(out.starts_with("https://app.test"), "{out}");
    assert_eq!(get(&door, "app.test", "/"), "ready");
}
