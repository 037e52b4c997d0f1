//! A disk that fills up, or takes nothing: what is served stays, what is written can be read.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::{config_on, served, served_anew, shown, site, turn, up_by};
use crate::support::door::{Door, Home};
use crate::support::eventually;
use crate::support::false_clock::FalseClock;
use crate::support::pebble::Pebble;
use crate::support::tmpfs::Tmpfs;

const NAME: &str = "a.example.com";
/// The disk is filled later and later in a renewal, which goes on each time where it was.
const MOMENTS: u32 = 12;
const STEP: Duration = Duration::from_millis(7);

/// Every file that is not hidden is whole JSON.
#[track_caller]
fn readable(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let (entry, name) = entry
            .map(|entry| (entry.path(), entry.file_name()))
            .unwrap();
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        } else if entry.is_dir() {
            readable(&entry);
        } else {
            let read = serde_json::from_slice::<serde_json::Value>(&fs::read(&entry).unwrap());
            assert!(read.is_ok(), "{}: {read:?}", entry.display());
        }
    }
}

/// How often it said that it cannot store something.
fn complaints(door: &Door) -> usize {
    door.said().matches("no space left").count()
}

#[test]
fn a_disk_that_fills_up_at_any_moment_of_a_renewal_costs_no_second_certificate() {
    let (ca, disk) = (Pebble::start(), Tmpfs::of_kib(512));
    let home = Home::new(&config_on(disk.path(), &ca, "", &site(NAME)));
    let clock = FalseClock::of(&home);
    let mut command = home.command();
    // It complains aloud only once, until something was stored again.
    command.arg("up").env("ONEDOOR_LOG", "onedoor=debug");
    clock.give_to(&mut command);
    let door = Door::up_by(home, command);
    let old = served(&ca, NAME);
    let mut leaf = old.clone();
    // Due after 60 of 90 days; each failure may ask for a day of rest.
    for (moment, day) in (0..MOMENTS).zip((63..).step_by(2)) {
        disk.free();
        let before = complaints(&door);
        turn(&clock, &door, &format!("+{day}d"));
        thread::park_timeout(STEP * moment);
        disk.fill();
        leaf = eventually("a complaint or a certificate", || {
            let now = shown(&ca, NAME).unwrap();
            (complaints(&door) > before || now != old).then_some(now)
        });
        readable(&disk.path().join("certs"));
        if leaf != old {
            break;
        }
    }
    disk.free();
    if leaf == old {
        turn(&clock, &door, "+88d");
        served_anew(&ca, NAME, &old);
    }
    assert_eq!(ca.issued(), 2);
    readable(&disk.path().join("certs"));
}

#[test]
fn a_first_order_waits_until_there_is_room() {
    let (ca, disk) = (Pebble::start(), Tmpfs::of_kib(256));
    disk.fill();
    let home = Home::new(&config_on(disk.path(), &ca, "", &site(NAME)));
    let clock = FalseClock::of(&home);
    let door = up_by(home, &clock);
    eventually("a complaint", || (complaints(&door) > 0).then_some(()));
    assert_eq!((ca.issued(), shown(&ca, NAME)), (0, None));
    disk.free();
    turn(&clock, &door, "+1m");
    served(&ca, NAME);
    assert_eq!(ca.issued(), 1);
}

#[test]
fn read_only_storage_serves_what_it_holds_and_orders_nothing() {
    let (ca, disk) = (Pebble::start(), Tmpfs::of_kib(256));
    let home = Home::new(&config_on(disk.path(), &ca, "", &site(NAME)));
    let clock = FalseClock::of(&home);
    let door = up_by(home, &clock);
    let old = served(&ca, NAME);
    let home = door.leave();
    disk.remount("ro");
    clock.set("+63d");
    let door = up_by(home, &clock);
    assert_eq!(shown(&ca, NAME).as_ref(), Some(&old));
    eventually("a complaint", || {
        door.said().contains("read-only").then_some(())
    });
    assert_eq!(ca.issued(), 1);
    disk.remount("rw");
    turn(&clock, &door, "+65d");
    served_anew(&ca, NAME, &old);
    assert_eq!(ca.issued(), 2);
}
