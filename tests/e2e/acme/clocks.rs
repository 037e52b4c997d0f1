//! The wall clock jumps while onedoor runs.

use super::{config, served, served_anew, shown, site, turn, up_by};
use crate::support::door::Home;
use crate::support::false_clock::FalseClock;
use crate::support::pebble::Pebble;
use crate::support::settled;

const NAME: &str = "a.example.com";

#[test]
fn eighty_days_forward_and_back_cost_the_one_renewal_that_was_due() {
    let ca = Pebble::start();
    let home = Home::new(&config(&ca, "", &site(NAME)));
    let clock = FalseClock::of(&home);
    let door = up_by(home, &clock);
    let issued = || settled(|| ca.issued() as u64);
    let old = served(&ca, NAME);
    turn(&clock, &door, "-80d");
    assert_eq!(issued(), 1);
    turn(&clock, &door, "+80d");
    served_anew(&ca, NAME, &old);
    assert_eq!(issued(), 2);
    for offset in ["+0", "-80d", "+80d", "+0"] {
        turn(&clock, &door, offset);
        assert_eq!(issued(), 2, "at {offset}");
        assert!(shown(&ca, NAME).is_some(), "at {offset}");
    }
}

#[test]
fn a_start_long_ago_orders_nothing_that_is_there() {
    let ca = Pebble::start();
    let home = Home::new(&config(&ca, "", &site(NAME)));
    let clock = FalseClock::of(&home);
    let door = up_by(home, &clock);
    let leaf = served(&ca, NAME);
    let home = door.leave();
    // As on a machine whose clock has no battery.
    clock.set("1970-01-01 00:01:00");
    let _door = up_by(home, &clock);
    assert_eq!(shown(&ca, NAME), Some(leaf));
    assert_eq!(settled(|| ca.issued() as u64), 1);
}
