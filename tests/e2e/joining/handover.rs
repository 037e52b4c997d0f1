//! What clients see of a hand-over, measured.

use std::fs;
use std::time::Duration;

use rustix::process::Signal;

use super::{Loop, ask, follower, join, site};
use crate::support::backend::Backend;
use crate::support::client::roots;
use crate::support::door::Door;
use crate::support::{eventually, takes_less};

/// Connections in all, and how many of them come before the hand-over begins.
const CONNECTIONS: usize = 2000;
const BEFORE: usize = 600;
/// How long nobody may be answered.
const GAP_MAX: Duration = Duration::from_secs(1);

#[test]
fn two_thousand_connections_over_a_hand_over_are_all_served() {
    let backend = Backend::saying("here");
    let first = Door::up(&site("one.test", &backend));
    let heirs = ["four.test", "five.test", "six.test", "seven.test"]
        .map(|name| join(&first, &follower(name, &backend)));
    let second = join(&first, &follower("two.test", &backend));
    let _third = join(&first, &follower("three.test", &backend));
    let (address, roots) = (first.tls(), roots(&first));
    let names = ["two.test", "three.test", "two.test", "three.test"];
    let clients = Loop::begin_all(address, &roots, &names);
    clients.more(BEFORE);
    // The oldest first. All of them meet in the folder of the first, which is to stay.
    let mut gone = vec![];
    let mut holders = std::iter::once(first).chain(heirs);
    takes_less(GAP_MAX, "the gap of a hand-over", || {
        let mut holder = holders.next().unwrap();
        clients.mark();
        holder.signal(Signal::TERM);
        assert!(holder.ended().success(), "{}", holder.said());
        clients.more(CONNECTIONS - BEFORE);
        gone.push(holder);
        println!("the measured gap of a hand-over: {:?}", clients.longest());
        clients.longest()
    });
    let seen = clients.end();
    assert_eq!(seen.failures, Vec::<String>::new());
    assert!(seen.tried >= CONNECTIONS);
    let heir = holders.next().unwrap_or(second);
    assert_eq!(heir.health()["pid"], heir.pid());
}

#[test]
fn who_trusted_the_first_door_trusts_its_heir() {
    let backend = Backend::saying("here");
    let mut first = Door::up(&site("one.test", &backend));
    let second = join(&first, &follower("two.test", &backend));
    let (address, roots) = (first.tls(), roots(&first));
    let root = fs::read(first.ca()).unwrap();
    first.signal(Signal::TERM);
    assert!(first.ended().success());
    assert_eq!(ask(address, &roots, "two.test").unwrap(), "here");
    assert_eq!(fs::read(first.ca()).unwrap(), root);
    // A site that comes now is issued by the same authority, in the same place.
    let third = join(&second, &follower("three.test", &backend));
    assert_eq!(ask(address, &roots, "three.test").unwrap(), "here");
    let nothing = second.home().path().join("storage/local-ca");
    assert!(!nothing.exists(), "no authority of the heir's own");
    drop(third);
}

#[test]
fn each_terminal_has_its_lines_after_a_hand_over_too() {
    let backend = Backend::saying("here");
    let mut first = Door::up(&site("one.test", &backend));
    let second = join(&first, &follower("two.test", &backend));
    let third = join(&first, &follower("three.test", &backend));
    let (address, roots) = (first.tls(), roots(&first));
    first.signal(Signal::TERM);
    assert!(first.ended().success());
    eventually("the third at the second", || {
        let served = format!("served by pid {} now", second.pid());
        third.home().read("out").contains(&served).then_some(())
    });
    for (name, door) in [("two.test", &second), ("three.test", &third)] {
        assert_eq!(ask(address, &roots, name).unwrap(), "here");
        eventually("the line", || {
            // The table names each site once, the line of a request once more.
            (door.home().read("out").matches("GET").count() == 1).then_some(())
        });
        assert!(door.home().read("out").contains(name));
    }
}
