//! Names that pass from one to another: by `--replace`, from the dead, from the holder's own file, and from what was added.

use std::net::SocketAddr;
use std::sync::Arc;

use rustix::process::Signal;
use rustls::RootCertStore;
use serde_json::Value;

use super::raw::{self, Raw};
use super::{ask, follower, join, refused, site};
use crate::support::backend::Backend;
use crate::support::client::{get, roots};
use crate::support::door::Door;
use crate::support::eventually;

/// Joins although somebody has the name.
#[track_caller]
fn replace(door: &Door, config: &str) -> Door {
    Door::up_in(door.home().beside(config), &["up", "--replace"])
}

#[track_caller]
fn answers(address: SocketAddr, roots: &Arc<RootCertStore>, name: &str, body: &str) {
    eventually("the other target", || {
        (ask(address, roots, name).ok()? == body).then_some(())
    });
}

/// The lease of a process.
fn lease_of(door: &Door, pid: u32) -> Value {
    let status = raw::status(door.home().control());
    let leases = status["leases"].as_array().unwrap().iter();
    let mut own = leases.filter(|lease| lease["owner"]["pid"] == pid);
    own.next().cloned().unwrap_or(Value::Null)
}

#[test]
fn a_killed_guests_names_are_free_for_others_at_once() {
    let (one, two) = (Backend::saying("one"), Backend::saying("two"));
    let first = Door::up(&site("one.test", &one));
    let second = join(&first, &follower("two.test", &one));
    let dead = second.pid();
    let _folder = second.kill();
    eventually("the loss", || {
        (lease_of(&first, dead)["presence"] == "away").then_some(())
    });
    let third = join(&first, &follower("two.test", &two));
    assert_eq!(ask(first.tls(), &roots(&first), "two.test").unwrap(), "two");
    let said = third.said();
    assert!(said.contains("note: took over what"), "{said}");
    let whose = format!("(pid {dead})");
    assert!(said.contains(&whose), "{said}");
    assert!(said.contains("its connection is gone"), "{said}");
}

#[test]
fn a_killed_replacer_gives_the_name_back() {
    let (one, two) = (Backend::saying("one"), Backend::saying("two"));
    let first = Door::up(&site("one.test", &one));
    let second = join(&first, &follower("two.test", &one));
    let (address, roots) = (first.tls(), roots(&first));
    let third = replace(&first, &follower("two.test", &two));
    assert_eq!(ask(address, &roots, "two.test").unwrap(), "two");
    assert_eq!(lease_of(&first, second.pid())["displaced"][0], "two.test");
    let _folder = third.kill();
    answers(address, &roots, "two.test", "one");
    eventually("word to the displaced", || {
        second.said().contains("yours again").then_some(())
    });
}

#[test]
fn replacers_of_replacers_end_in_any_order() {
    let all = ["one", "two", "three"].map(Backend::saying);
    let first = Door::up(&site("home.test", &all[0]));
    let (address, roots) = (first.tls(), roots(&first));
    for newest_first in [true, false] {
        let config = |index: usize| follower("x.test", &all[index]);
        let mut holder = join(&first, &config(0));
        let (mut middle, mut top) = (replace(&first, &config(1)), replace(&first, &config(2)));
        assert_eq!(ask(address, &roots, "x.test").unwrap(), "three");
        let end = |door: &mut Door| {
            door.signal(Signal::TERM);
            assert!(door.ended().success());
        };
        if newest_first {
            end(&mut top);
            answers(address, &roots, "x.test", "two");
            end(&mut middle);
        } else {
            end(&mut middle);
            eventually("the end of the lease", || {
                lease_of(&first, middle.pid()).is_null().then_some(())
            });
            assert_eq!(ask(address, &roots, "x.test").unwrap(), "three");
            end(&mut top);
        }
        answers(address, &roots, "x.test", "one");
        end(&mut holder);
        eventually("the end of the site", || {
            ask(address, &roots, "x.test").err()
        });
    }
}

#[test]
fn the_holders_own_name_needs_replace_and_shows_in_status() {
    let (one, two) = (Backend::saying("one"), Backend::saying("two"));
    let first = Door::up(&site("one.test", &one));
    let (address, roots) = (first.tls(), roots(&first));
    let home = first.home().beside(&follower("one.test", &two));
    let (code, err) = refused(&home, &["up"]);
    assert_eq!(code, 3, "{err}");
    let whose = format!("(pid {})", first.pid());
    for word in [&whose, "its own configuration", "--replace", "started"] {
        assert!(err.contains(word), "{word}: {err}");
    }
    let mut second = replace(&first, &follower("one.test", &two));
    assert_eq!(ask(address, &roots, "one.test").unwrap(), "two");
    let status = raw::status(first.home().control());
    assert_eq!(status["leases"][0]["kind"], "file", "{status}");
    assert_eq!(status["leases"][0]["displaced"][0], "one.test", "{status}");
    assert_eq!(status["sites"][0]["overrides"], 0, "{status}");
    let (code, out, err) = first.home().run(&["status"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("one.test"), "{out}");
    second.signal(Signal::INT);
    second.ended();
    answers(address, &roots, "one.test", "one");
}

#[test]
fn a_wildcard_and_an_exact_name_are_no_conflict() {
    let (one, two) = (Backend::saying("one"), Backend::saying("two"));
    let first = Door::up(&site("one.test", &one));
    let (address, roots) = (first.tls(), roots(&first));
    let _wide = join(&first, &follower("*.x.test", &one));
    let mut exact = join(&first, &follower("a.x.test", &two));
    assert_eq!(ask(address, &roots, "a.x.test").unwrap(), "two");
    assert_eq!(ask(address, &roots, "b.x.test").unwrap(), "one");
    let home = first.home().beside(&follower("*.x.test", &two));
    let (code, err) = refused(&home, &["up"]);
    assert_eq!(code, 3, "{err}");
    exact.signal(Signal::TERM);
    exact.ended();
    answers(address, &roots, "a.x.test", "one");
}

#[test]
fn what_the_holders_file_claims_anew_waits_for_the_guest() {
    let (one, two) = (Backend::saying("one"), Backend::saying("two"));
    let first = Door::up(&site("one.test", &one));
    let (address, roots) = (first.tls(), roots(&first));
    let mut second = join(&first, &follower("two.test", &two));
    first.reload(&site("two.test", &one));
    assert_eq!(get(&first, "two.test", "/"), "two");
    second.signal(Signal::TERM);
    second.ended();
    answers(address, &roots, "two.test", "one");
    let said = first.said();
    let waits = format!("(pid {}) until that ends", second.pid());
    assert!(said.contains(&waits), "{said}");
}

#[test]
fn what_was_added_and_what_a_guest_has_are_kept_apart() {
    let (one, two) = (Backend::saying("one"), Backend::saying("two"));
    let first = Door::up(&site("one.test", &one));
    let (address, roots) = (first.tls(), roots(&first));
    let target = two.address.to_string();
    let mut second = join(&first, &follower("two.test", &one));
    let (code, _out, err) = first.home().run(&["add", "two.test", &target]);
    assert_eq!(code, 3, "{err}");
    assert!(err.contains(&format!("kill {}", second.pid())), "{err}");
    assert_eq!(ask(address, &roots, "two.test").unwrap(), "one");
    let (code, _out, err) = first.home().run(&["add", "--replace", "two.test", &target]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(ask(address, &roots, "two.test").unwrap(), "two");
    let home = first.home().beside(&follower("two.test", &one));
    second.signal(Signal::TERM);
    second.ended();
    let (code, err) = refused(&home, &["up"]);
    assert_eq!(code, 3, "{err}");
    assert!(err.contains("onedoor rm two.test"), "{err}");
    let mut third = replace(&first, &follower("two.test", &one));
    assert_eq!(ask(address, &roots, "two.test").unwrap(), "one");
    third.signal(Signal::TERM);
    third.ended();
    answers(address, &roots, "two.test", "two");
    let (code, _out, err) = first.home().run(&["rm", "two.test"]);
    assert_eq!(code, 0, "{err}");
    eventually("the end of the site", || {
        ask(address, &roots, "two.test").err()
    });
    drop(Raw::join(
        first.home().control(),
        &[format!("two.test={target}")],
    ));
}
