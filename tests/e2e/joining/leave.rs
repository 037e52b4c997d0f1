//! The holder leaves, and the door stays.

use std::fs;

use rustix::process::Signal;

use super::{Loop, ask, follower, join, site};
use crate::support::backend::Backend;
use crate::support::client::roots;
use crate::support::door::Door;
use crate::support::eventually;

#[test]
fn the_oldest_guest_goes_on_with_the_door_and_nobody_is_refused() {
    let (one, two, three) = (
        Backend::saying("one"),
        Backend::saying("two"),
        Backend::saying("three"),
    );
    let mut first = Door::up(&site("one.test", &one));
    let second = join(&first, &follower("two.test", &two));
    let third = join(&first, &follower("three.test", &three));
    let (address, roots) = (first.tls(), roots(&first));
    let client = Loop::begin(address, &roots, "two.test");
    client.more(200);
    first.signal(Signal::TERM);
    assert!(first.ended().success());
    client.more(200);
    let seen = client.end();
    assert!(seen.tried >= 400);
    assert_eq!(seen.failures, Vec::<String>::new());
    assert_eq!(ask(address, &roots, "two.test").unwrap(), "two");
    assert_eq!(ask(address, &roots, "three.test").unwrap(), "three");
    assert!(ask(address, &roots, "one.test").is_err());
    assert_eq!(second.health()["pid"], second.pid());
    let word = format!("served by pid {} now", second.pid());
    eventually("word to the third", || {
        third.home().read("out").contains(&word).then_some(())
    });
}

#[test]
fn the_door_goes_from_hand_to_hand_until_the_last_one_leaves_with_it() {
    let backend = Backend::saying("here");
    let names = ["a.test", "b.test", "c.test", "d.test"];
    let first = Door::up(&site(names[0], &backend));
    let (address, roots) = (first.tls(), roots(&first));
    let mut doors = vec![];
    for name in &names[1..] {
        doors.push(join(&first, &follower(name, &backend)));
    }
    let client = Loop::begin(address, &roots, names[3]);
    let mut first = first;
    first.signal(Signal::INT);
    assert!(first.ended().success());
    for mut door in doors.drain(..2) {
        let pid = door.pid();
        eventually("the holder", || {
            (door.try_health()?["pid"] == pid).then_some(())
        });
        client.more(20);
        door.signal(Signal::INT);
        assert!(door.ended().success());
    }
    client.more(20);
    assert_eq!(client.end().failures, Vec::<String>::new());
    let mut last = doors.remove(0);
    assert_eq!(ask(address, &roots, names[3]).unwrap(), "here");
    last.signal(Signal::TERM);
    assert!(last.ended().success());
    assert!(ask(address, &roots, names[3]).is_err());
    assert!(!first.home().control().join("control.sock").exists());
}

#[test]
fn an_heir_whose_file_is_broken_serves_on_as_before() {
    let (one, two) = (Backend::saying("one"), Backend::saying("two"));
    let mut first = Door::up(&site("one.test", &one));
    let second = join(&first, &follower("two.test", &two));
    let (address, roots) = (first.tls(), roots(&first));
    fs::write(second.home().path().join("proxy.toml"), "[sites\n").unwrap();
    first.signal(Signal::TERM);
    assert!(first.ended().success());
    assert_eq!(ask(address, &roots, "two.test").unwrap(), "two");
    assert_eq!(second.health()["pid"], second.pid());
    eventually("word of it", || {
        second.said().contains("stays in service").then_some(())
    });
}

#[test]
fn the_end_of_the_door_ends_every_guest() {
    let backend = Backend::saying("here");
    let mut first = Door::up(&site("a.test", &backend));
    let mut guests: Vec<Door> = ["b.test", "c.test", "d.test"]
        .iter()
        .map(|name| join(&first, &follower(name, &backend)))
        .collect();
    let (code, _out, err) = first.home().run(&["stop", "--all"]);
    assert_eq!(code, 0, "{err}");
    assert!(first.ended().success());
    for guest in &mut guests {
        assert!(guest.ended().success(), "{}", guest.said());
        assert!(
            guest.said().contains("the door was stopped"),
            "{}",
            guest.said()
        );
    }
    assert!(!first.home().control().join("control.sock").exists());
}

#[test]
fn everybody_who_is_told_at_once_goes() {
    let backend = Backend::saying("here");
    let first = Door::up(&site("a.test", &backend));
    let mut all: Vec<Door> = ["b.test", "c.test", "d.test"]
        .iter()
        .map(|name| join(&first, &follower(name, &backend)))
        .collect();
    all.push(first);
    for door in &all {
        door.signal(Signal::TERM);
    }
    for door in &mut all {
        door.ended();
    }
}
