//! A process that is killed again and again asks for nothing twice.

use std::thread;
use std::time::Duration;

use super::{config, served, site};
use crate::support::door::{Door, Home};
use crate::support::pebble::Pebble;

const RESTARTS: usize = 50;
/// Longer than the orders of all names take.
const LIFE_MAX: u64 = 300;

#[test]
fn fifty_kills_at_random_moments_cost_one_certificate_a_name() {
    let names = ["a.example.com", "b.example.com", "c.example.com"];
    let ca = Pebble::start();
    let mut home = Home::new(&config(&ca, "", &names.map(site).concat()));
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for restart in 0..RESTARTS {
        let door = Door::up_in(home, &["up"]);
        // First too short for anything to be done, then longer and longer.
        let longest = LIFE_MAX * (restart as u64 + 1) / RESTARTS as u64;
        thread::park_timeout(Duration::from_millis(random.u64(0..=longest)));
        home = door.kill();
    }
    let _door = Door::up_in(home, &["up"]);
    for name in names {
        served(&ca, name);
    }
    assert_eq!(ca.issued(), names.len());
}
