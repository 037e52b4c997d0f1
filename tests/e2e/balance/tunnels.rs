//! Connections that are carried and not understood are shared out as requests are.

use std::io::Write as _;

use super::{counted, list};
use crate::support::backend::Backend;
use crate::support::client::{read_all, tls};
use crate::support::door::Door;

/// Says its name to whoever connects.
fn named(name: &'static str) -> Backend {
    Backend::raw(move |mut stream| {
        // The client may be gone.
        let _said = stream.write_all(name.as_bytes());
    })
}

fn tcp(keys: &str) -> Door {
    Door::serving(
        "workers = 1",
        &format!("\"a.test\" = {{ {} }}", keys.replacen("to =", "tcp =", 1)),
    )
}

fn connections(door: &Door, turns: usize) -> std::collections::BTreeMap<String, usize> {
    let mut counted = std::collections::BTreeMap::new();
    for _turn in 0..turns {
        let name = read_all(&mut tls(door, "a.test", &[]));
        *counted.entry(name).or_default() += 1;
    }
    counted
}

#[test]
fn connections_go_in_turn() {
    let targets = ["one", "two"].map(named);
    let door = tcp(&list(&targets.each_ref().map(|target| target.address)));
    assert_eq!(connections(&door, 6), counted([("one", 3), ("two", 3)]));
}

#[test]
fn connections_of_an_address_go_to_its_target() {
    let targets = ["one", "two", "three"].map(named);
    let to = list(&targets.each_ref().map(|target| target.address));
    let door = tcp(&format!("{to}, balance = \"ip_hash\""));
    assert_eq!(connections(&door, 6).len(), 1);
}

#[test]
fn a_target_that_takes_no_connection_is_left_out() {
    let one = named("one");
    let mut dead = crate::support::mortal::Mortal::saying("dead");
    dead.die();
    let to = list(&[one.address, dead.address]);
    let door = tcp(&format!(
        "{to}, eject = {{ within = \"1h\", for = \"1h\" }}"
    ));
    assert_eq!(connections(&door, 20), counted([("one", 20)]));
    let said = door.said();
    assert_eq!(said.matches("no connection").count(), 3, "{said}");
    assert_eq!(said.matches("left out").count(), 1, "{said}");
}
