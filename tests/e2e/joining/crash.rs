//! The holder dies where it stands.

use std::time::Instant;

use rustix::process::Signal;

use super::{ask, follower, join, site};
use crate::support::backend::Backend;
use crate::support::client::roots;
use crate::support::door::Door;
use crate::support::eventually;

#[test]
fn after_a_kill_the_guests_serve_again() {
    let backend = Backend::saying("here");
    // A port that everybody names: nobody is left who could pass a socket on.
    let port = crate::support::free_port();
    let named =
        |name: &str| site(name, &backend).replace("127.0.0.1:0", &format!("127.0.0.1:{port}"));
    let mut first = Door::up(&named("one.test"));
    let guests =
        ["two.test", "three.test", "four.test"].map(|name| (name, join(&first, &named(name))));
    let (address, roots) = (first.tls(), roots(&first));
    first.signal(Signal::KILL);
    let _killed = first.ended();
    let begun = Instant::now();
    for (name, _guest) in &guests {
        eventually("the guest's site", || ask(address, &roots, name).ok());
    }
    let gap = begun.elapsed();
    // A second is what it takes on a machine that does nothing else: `crowd` holds it to that.
    assert!(gap.as_millis() < 5000, "{gap:?}");
    println!("served again {gap:?} after the holder was killed");
    let holder = eventually("a holder", || guests[0].1.try_health())["pid"].clone();
    assert!(guests.iter().any(|(_name, guest)| holder == guest.pid()));
}

#[test]
fn a_guest_that_dies_is_missed_within_its_grace() {
    let backend = Backend::saying("here");
    let first = Door::up(&site("one.test", &backend));
    let second = join(&first, &follower("two.test", &backend));
    let (address, roots) = (first.tls(), roots(&first));
    let home = second.kill();
    // The same work begun again has its names at once.
    let again = Door::up_in(home, &["up"]);
    assert_eq!(ask(address, &roots, "two.test").unwrap(), "here");
    drop(again);
    eventually("the end of the grace", || {
        ask(address, &roots, "two.test").err()
    });
    assert_eq!(ask(address, &roots, "one.test").unwrap(), "here");
}

#[test]
fn a_socket_that_a_dead_holder_left_is_no_obstacle() {
    let backend = Backend::saying("here");
    let home = Door::up(&site("one.test", &backend)).kill();
    assert!(home.control().join("control.sock").exists());
    let again = Door::up_in(home, &["up"]);
    assert_eq!(
        ask(again.tls(), &roots(&again), "one.test").unwrap(),
        "here"
    );
}
