//! Two terminals, one door.

use std::net::TcpStream;

use rustix::process::Signal;

use super::{follower, join, refused, site};
use crate::support::backend::Backend;
use crate::support::client::{curl, get};
use crate::support::door::Door;
use crate::support::eventually;

#[test]
fn a_second_terminal_joins_the_first() {
    let (one, two) = (Backend::saying("one"), Backend::saying("two"));
    let first = Door::up(&site("one.test", &one));
    let second = join(&first, &follower("two.test", &two));
    assert_eq!(get(&first, "one.test", "/"), "one");
    assert_eq!(get(&first, "two.test", "/"), "two");
    let out = second.home().read("out");
    assert!(out.contains("two.test"), "{out}");
    assert!(!out.contains("one.test"), "{out}");
    assert!(
        out.contains(&format!("served by pid {}\n", first.pid())),
        "{out}"
    );
}

#[test]
fn each_terminal_shows_the_lines_of_its_own_sites() {
    let (one, two) = (Backend::saying("one"), Backend::saying("two"));
    let first = Door::up(&site("one.test", &one));
    let second = join(&first, &follower("two.test", &two));
    get(&first, "one.test", "/only-first");
    get(&first, "two.test", "/only-second");
    eventually("the guest's line", || {
        second
            .home()
            .read("out")
            .contains("/only-second")
            .then_some(())
    });
    eventually("the holder's line", || {
        first
            .home()
            .read("out")
            .contains("/only-first")
            .then_some(())
    });
    assert!(!second.home().read("out").contains("/only-first"));
    assert!(!first.home().read("out").contains("/only-second"));
}

#[test]
fn the_end_of_a_guest_is_the_end_of_its_sites_alone() {
    let (one, two) = (Backend::saying("one"), Backend::saying("two"));
    let first = Door::up(&site("one.test", &one));
    for signal in [Signal::INT, Signal::TERM] {
        let mut second = join(&first, &follower("two.test", &two));
        assert_eq!(get(&first, "two.test", "/"), "two");
        second.signal(signal);
        assert!(second.ended().success());
        eventually("the end of the site", || {
            (curl(&first, "two.test", "/", &[]).0 != 0).then_some(())
        });
        assert_eq!(get(&first, "one.test", "/"), "one");
    }
}

#[test]
fn a_guest_with_ports_of_its_own_opens_them_at_the_holder() {
    let (one, two) = (Backend::saying("one"), Backend::saying("two"));
    let first = Door::up(&site("one.test", &one));
    let before = first.listeners("tls").len();
    let config = site("two.test", &two).replace("127.0.0.1:0", "127.0.0.2:0");
    let mut second = join(&first, &config);
    let address = first
        .listeners("tls")
        .into_iter()
        .find(|known| known.ip().to_string() == "127.0.0.2")
        .unwrap();
    assert!(TcpStream::connect(address).is_ok());
    second.signal(Signal::TERM);
    second.ended();
    eventually("the end of the port", || TcpStream::connect(address).err());
    eventually("the listeners of before", || {
        (first.listeners("tls").len() == before).then_some(())
    });
}

#[test]
fn no_join_refuses_and_says_the_ways_out() {
    let one = Backend::saying("one");
    let first = Door::up(&site("one.test", &one));
    let home = first.home().beside(&follower("two.test", &one));
    let (code, err) = refused(&home, &["up", "--no-join"]);
    assert_eq!(code, 1, "{err}");
    let sentence = format!("error[control]: another onedoor (pid {}) ", first.pid());
    assert!(err.contains(&sentence), "{err}");
    assert!(err.contains("onedoor up --instance NAME"), "{err}");
}

#[test]
fn an_instance_is_a_door_of_its_own() {
    let (one, two) = (Backend::saying("one"), Backend::saying("two"));
    let first = Door::up(&site("one.test", &one));
    let home = first.home().beside(&site("two.test", &two));
    let second = Door::up_in(home, &["up", "--instance", "other"]);
    let out = second.home().read("out");
    assert!(!out.contains("served by pid"), "{out}");
    assert!(curl(&first, "two.test", "/", &[]).0 != 0);
}

#[test]
fn a_guest_with_a_broken_file_hears_it_in_its_own_terminal() {
    let one = Backend::saying("one");
    let first = Door::up(&site("one.test", &one));
    let home = first
        .home()
        .beside("[sites]\n\"two.test\" = { too = 3000 }\n");
    let (code, err) = refused(&home, &["up"]);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("too"), "{err}");
    let home = first.home().beside(
        "[sites]\n\"two.example.com\" = { to = \"3000\", cert = \"none.pem\", key = \"none.key\" }\n",
    );
    let (code, err) = refused(&home, &["up"]);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("none.pem"), "{err}");
    assert_eq!(get(&first, "one.test", "/"), "one");
}
