//! Guests that cannot take the door when it comes to them.

use std::net::{SocketAddr, TcpListener};
use std::time::Instant;

use rustix::process::Signal;

use super::{Loop, ask, follower, join, site};
use crate::support::backend::Backend;
use crate::support::client::roots;
use crate::support::door::Door;
use crate::support::eventually;

#[test]
fn a_frozen_guest_is_passed_over_and_joins_again_when_it_wakes() {
    let backend = Backend::saying("here");
    let mut first = Door::up(&site("one.test", &backend));
    let second = join(&first, &follower("two.test", &backend));
    let third = join(&first, &follower("three.test", &backend));
    let (address, roots) = (first.tls(), roots(&first));
    let client = Loop::begin(address, &roots, "three.test");
    client.more(20);
    second.signal(Signal::STOP);
    let begun = Instant::now();
    first.signal(Signal::TERM);
    assert!(first.ended().success());
    let taken = begun.elapsed();
    assert!(taken.as_millis() >= 2000, "it was asked first: {taken:?}");
    assert!(taken.as_millis() < 8000, "{taken:?}");
    client.more(20);
    assert_eq!(client.end().failures, Vec::<String>::new());
    assert_eq!(third.health()["pid"], third.pid());
    second.signal(Signal::CONT);
    let served = format!("served by pid {} now", third.pid());
    eventually("the sleeper at the heir", || {
        second.home().read("out").contains(&served).then_some(())
    });
    assert!(
        !second.said().contains("has the door now"),
        "{}",
        second.said()
    );
    for name in ["two.test", "three.test"] {
        assert_eq!(ask(address, &roots, name).unwrap(), "here");
    }
    // There is one holder, and its socket is where it was.
    for _ask in 0..10 {
        assert_eq!(third.health()["pid"], third.pid());
    }
    let mut third = third;
    third.signal(Signal::TERM);
    assert!(third.ended().success());
    assert_eq!(ask(address, &roots, "two.test").unwrap(), "here");
    assert_eq!(second.health()["pid"], second.pid());
}

#[test]
fn an_heir_with_a_broken_file_serves_what_it_served_before() {
    let backend = Backend::saying("here");
    let mut first = Door::up(&site("one.test", &backend));
    let mut second = join(&first, &follower("two.test", &backend));
    let (address, roots) = (first.tls(), roots(&first));
    let broken = "[sites]\n\"two.test\" = { too = 1 }\n";
    second.home().write("proxy.toml", broken);
    eventually("the problem", || {
        second
            .said()
            .contains("configuration refused")
            .then_some(())
    });
    first.signal(Signal::TERM);
    assert!(first.ended().success());
    assert_eq!(second.health()["pid"], second.pid());
    assert_eq!(ask(address, &roots, "two.test").unwrap(), "here");
    second
        .home()
        .write("proxy.toml", &follower("other.test", &backend));
    eventually("the mended file", || {
        ask(address, &roots, "other.test").ok()
    });
    second.signal(Signal::TERM);
    assert!(second.ended().success());
}

#[test]
fn an_heir_whose_file_asks_for_a_taken_port_serves_what_it_served_before() {
    let backend = Backend::saying("here");
    let mut first = Door::up(&site("one.test", &backend));
    let second = join(&first, &follower("two.test", &backend));
    let (address, roots) = (first.tls(), roots(&first));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap();
    let greedy = format!("listen = [\"{port}\"]\n{}", follower("two.test", &backend));
    second.home().write("proxy.toml", &greedy);
    eventually("the problem", || {
        second
            .said()
            .contains("configuration refused")
            .then_some(())
    });
    first.signal(Signal::TERM);
    assert!(first.ended().success());
    assert_eq!(second.health()["pid"], second.pid());
    assert_eq!(ask(address, &roots, "two.test").unwrap(), "here");
}

#[test]
fn a_change_that_the_holder_never_heard_of_reaches_its_heir() {
    let backend = Backend::saying("here");
    let mut first = Door::up(&site("one.test", &backend));
    let second = join(&first, &follower("two.test", &backend));
    let third = join(&first, &follower("three.test", &backend));
    let (address, roots) = (first.tls(), roots(&first));
    // It hears of neither before it goes.
    first.signal(Signal::STOP);
    second
        .home()
        .write("proxy.toml", &follower("new2.test", &backend));
    third
        .home()
        .write("proxy.toml", &follower("new3.test", &backend));
    first.signal(Signal::TERM);
    first.signal(Signal::CONT);
    assert!(first.ended().success());
    for name in ["new2.test", "new3.test"] {
        eventually("the change", || ask(address, &roots, name).ok());
    }
}

#[test]
fn an_heir_whose_log_cannot_be_opened_goes_on_as_a_guest() {
    let backend = Backend::saying("here");
    let mut first = Door::up(&site("one.test", &backend));
    let logged = format!(
        "log.access = \"logs/access\"\n{}",
        follower("two.test", &backend)
    );
    let home = first.home().beside(&logged);
    home.write("logs/none", "");
    let second = Door::up_in(home, &["up"]);
    let third = join(&first, &follower("three.test", &backend));
    let (address, roots) = (first.tls(), roots(&first));
    let logs = second.home().path().join("logs");
    std::fs::rename(&logs, second.home().path().join("moved")).unwrap();
    leave_to(&mut first, &second, &third);
    assert_eq!(ask(address, &roots, "two.test").unwrap(), "here");
    assert_eq!(ask(address, &roots, "three.test").unwrap(), "here");
}

#[test]
fn the_last_one_that_cannot_take_the_door_says_why_and_ends() {
    let backend = Backend::saying("here");
    let mut first = Door::up(&site("one.test", &backend));
    let logged = format!(
        "log.access = \"logs/access\"\n{}",
        follower("two.test", &backend)
    );
    let home = first.home().beside(&logged);
    home.write("logs/none", "");
    let mut second = Door::up_in(home, &["up"]);
    let (address, roots) = (first.tls(), roots(&first));
    let logs = second.home().path().join("logs");
    std::fs::rename(&logs, second.home().path().join("moved")).unwrap();
    first.signal(Signal::TERM);
    assert!(first.ended().success());
    assert_eq!(second.ended().code(), Some(2), "{}", second.said());
    assert!(ask(address, &roots, "two.test").is_err());
}

/// The first one leaves, the second cannot take the door, the third does.
#[track_caller]
fn leave_to(first: &mut Door, second: &Door, third: &Door) {
    first.signal(Signal::TERM);
    assert!(first.ended().success());
    assert_eq!(third.health()["pid"], third.pid());
    assert!(
        first.said().contains("did not take the door"),
        "{}",
        first.said()
    );
    let served = format!("served by pid {} now", third.pid());
    eventually("the second at the third", || {
        second.home().read("out").contains(&served).then_some(())
    });
}

/// A taken port is no reason either: whoever wants it is asked for it when it has the door, not before.
#[test]
fn an_heir_keeps_the_ports_of_the_door_whatever_its_own_file_says() {
    let backend = Backend::saying("here");
    let mut first = Door::up(&site("one.test", &backend));
    let address = SocketAddr::from(([127, 0, 0, 1], crate::support::free_port()));
    let own = format!(
        "listen = [\"{address}\"]\nhttp = false\n{}",
        follower("two.test", &backend)
    );
    let second = join(&first, &own);
    let roots = roots(&first);
    assert_eq!(ask(address, &roots, "two.test").unwrap(), "here");
    let client = Loop::begin(address, &roots, "two.test");
    client.more(20);
    first.signal(Signal::TERM);
    assert!(first.ended().success());
    client.more(20);
    assert_eq!(client.end().failures, Vec::<String>::new());
    assert!(TcpListener::bind(address).is_err());
    assert_eq!(second.health()["pid"], second.pid());
}
