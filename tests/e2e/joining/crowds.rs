//! Too much of everything: guests, names, octets, offers, lines, and a thousand who come and go.

use std::fs;
use std::path::Path;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::raw::{self, Raw, wanted};
use super::{ask, follower, join, site};
use crate::support::backend::Backend;
use crate::support::client::{get, roots};
use crate::support::door::Door;
use crate::support::{PATIENCE, eventually, settled, within};

/// All that a door takes.
const SESSIONS_MAX: usize = 256;
const CLAIMS_MAX: usize = 10_000;
/// Who comes and goes, by hand and as real processes.
const VISITS: usize = 1000;
const PROCESSES: usize = 20;
/// Visits before memory is looked at first: pools and tables have their size then.
const WARM_UP: usize = 200;
/// What allocators keep of it.
const GROWTH_MAX: u64 = 4 << 20;

fn one(number: usize) -> Vec<String> {
    vec![format!("n{number}.test=127.0.0.1:1")]
}

/// Leases but the holder's own.
fn guests(control: &Path) -> usize {
    let status = raw::status(control);
    let leases = status["leases"].as_array().unwrap().iter();
    leases.filter(|lease| lease["kind"] != "file").count()
}

#[test]
fn a_full_door_says_so_and_serves_on() {
    let backend = Backend::saying("one");
    let door = Door::up(&site("one.test", &backend));
    let control = door.home().control();
    let mut crowd = Vec::new();
    let (status, refusal) = loop {
        match Raw::ask(control, &wanted(&one(crowd.len()))) {
            Ok(guest) => crowd.push(guest),
            Err(refused) => break refused,
        }
        assert!(crowd.len() <= SESSIONS_MAX);
    };
    // The holder's own file is a lease too.
    assert!(crowd.len() >= SESSIONS_MAX - 1, "{}", crowd.len());
    assert_eq!(
        (status, &refusal["error"]),
        (503, &json!("too-many-leases"))
    );
    let text = refusal["text"].as_str().unwrap();
    assert!(text.contains("end one of them"), "{text}");
    let home = door.home().beside(&follower("late.test", &backend));
    let (code, _out, err) = home.run(&["up"]);
    assert_eq!(code, 1, "{err}");
    assert!(err.contains(text.trim_end()), "{err}");
    assert_eq!(get(&door, "one.test", "/"), "one");
    crowd.pop().unwrap().leave();
    let _late = eventually("room", || {
        Raw::ask(control, &wanted(&one(SESSIONS_MAX))).ok()
    });
}

#[test]
fn more_names_than_a_lease_takes_are_refused() {
    let backend = Backend::saying("one");
    let door = Door::up(&site("one.test", &backend));
    let sites = (0..=CLAIMS_MAX).map(|number| format!("n{number}.test=1"));
    let sites: Vec<String> = sites.collect();
    let refused = Raw::ask(door.home().control(), &wanted(&sites));
    let (status, refusal) = refused.map(drop).unwrap_err();
    assert_eq!(
        (status, &refusal["error"]),
        (503, &json!("too-many-leases"))
    );
    let text = refusal["text"].as_str().unwrap();
    assert!(text.contains("10001 names"), "{text}");
    assert_eq!(get(&door, "one.test", "/"), "one");
}

#[test]
fn an_offer_that_is_too_large_is_refused_on_both_sides() {
    let backend = Backend::saying("one");
    let door = Door::up(&site("one.test", &backend));
    let mut large = wanted(&one(1));
    large["offer"]["main"] = json!({ "path": "/x.toml", "text": "#".repeat(25 << 20) });
    let refused = Raw::ask(door.home().control(), &large);
    let (status, refusal) = refused.map(drop).unwrap_err();
    assert_eq!((status, &refusal["exit"]), (409, &json!(2)));
    let text = refusal["text"].as_str().unwrap();
    assert!(text.contains("error[offer-too-large]"), "{text}");
    let home = door.home().beside(&follower("two.test", &backend));
    let padding = "#".repeat(25 << 20);
    home.write("proxy.toml", &(follower("two.test", &backend) + &padding));
    let (code, _out, err) = home.run(&["up"]);
    assert_eq!(code, 2, "{err}");
    assert!(err.len() < 4096, "{} octets", err.len());
    assert_eq!(get(&door, "one.test", "/"), "one");
}

#[test]
fn a_flood_of_offers_is_answered_one_by_one() {
    let backend = Backend::saying("one");
    let door = Door::up(&site("one.test", &backend));
    let mut guest = Raw::join(door.home().control(), &one(0));
    let offers = 50;
    for number in 0..offers {
        guest.offer(&one(number % 2));
    }
    for _offer in 0..offers {
        guest.told_of("accepted");
    }
    let other = join(&door, &follower("two.test", &backend));
    assert_eq!(get(&door, "two.test", "/"), "one");
    drop(other);
    guest.leave();
}

#[test]
fn a_guest_that_reads_nothing_is_let_go_and_others_go_on() {
    let backend = Backend::saying("one");
    let door = Door::up(&site("one.test", &backend));
    let target = format!("slow.test={}", backend.address);
    let guest = Raw::join(door.home().control(), &[target]);
    let (address, roots) = (door.tls(), roots(&door));
    let long = format!("/{}", "x".repeat(8000));
    let mut stream = crate::support::client::try_tls(address, &roots, "slow.test", &[]).unwrap();
    for _request in 0..200 {
        crate::support::answer::get_on(&mut stream, "slow.test", &long);
    }
    assert_eq!(ask(address, &roots, "one.test").unwrap(), "one");
    // What it is told may wait for ten seconds.
    within(2 * PATIENCE, "the end of the lease", || {
        (guests(door.home().control()) == 0).then_some(())
    });
    drop(guest);
}

#[test]
fn a_thousand_who_come_and_go_leave_nothing_behind() {
    let backend = Backend::saying("one");
    let door = Door::up(&site("one.test", &backend));
    let control = door.home().control();
    let visit = |number: usize| Raw::join(control, &one(number % 7)).leave();
    (0..WARM_UP).for_each(visit);
    let memory = || settled(|| door.resident());
    eventually("the last one's end", || {
        (guests(control) == 0).then_some(())
    });
    let (before, open) = (memory(), door.descriptors());
    (0..VISITS).for_each(visit);
    for number in 0..PROCESSES {
        let mut guest = join(&door, &follower(&format!("p{number}.test"), &backend));
        guest.signal(if number % 2 == 0 {
            Signal::TERM
        } else {
            Signal::INT
        });
        assert!(guest.ended().success());
    }
    eventually("the last one's end", || {
        (guests(control) == 0).then_some(())
    });
    eventually("the descriptors", || {
        (door.descriptors() <= open).then_some(())
    });
    let after = memory();
    println!(
        "{VISITS} joins and leaves: {} KiB before, {} KiB after; {open} descriptors before, {} after",
        before >> 10,
        after >> 10,
        door.descriptors()
    );
    assert!(after < before + GROWTH_MAX, "{before} to {after}");
    let luggage = fs::read_dir(door.home().path().join("storage/guests"));
    assert_eq!(luggage.map_or(0, Iterator::count), 0);
    assert_eq!(raw::status(control)["leases"], Value::Array(Vec::new()));
}
