//! Certificates with short lives, renewed while clients come.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::{config, served, served_anew, site, turn, up_by};
use crate::support::client::try_tls;
use crate::support::door::{Door, Home};
use crate::support::false_clock::FalseClock;
use crate::support::pebble::{Pebble, Wanted};

const NAME: &str = "a.example.com";
const CLIENTS: usize = 2;

fn ca_for(validity: u64) -> Pebble {
    Pebble::with(&Wanted {
        validity,
        ..Wanted::default()
    })
}

/// Clients come one after the other, and none in vain, until `work` is done.
#[track_caller]
fn under_load(ca: &Pebble, work: impl FnOnce()) {
    let (address, roots, over) = (ca.tls(), ca.issued_roots(), AtomicBool::new(false));
    let handshakes = || {
        let mut done = 0;
        while !over.load(Ordering::Relaxed) {
            let shaken = try_tls(address, &roots, NAME, &["http/1.1"]);
            assert!(shaken.is_ok(), "after {done}: {shaken:?}");
            done += 1;
        }
        done
    };
    thread::scope(|scope| {
        let clients = [(); CLIENTS].map(|()| scope.spawn(handshakes));
        // Also when `work` panics, or the clients would come forever.
        let over = Over(&over);
        work();
        drop(over);
        for client in clients {
            assert!(client.join().unwrap() > 10);
        }
    });
}

struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn renewals_of_certificates_of_seconds_fail_no_handshake() {
    let ca = ca_for(18);
    let _door = Door::up(&config(&ca, "", &site(NAME)));
    let first = served(&ca, NAME);
    under_load(&ca, || {
        served_anew(&ca, NAME, &first);
    });
}

#[test]
fn renewals_of_certificates_of_ten_minutes_fail_no_handshake() {
    let ca = ca_for(600);
    let home = Home::new(&config(&ca, "", &site(NAME)));
    let clock = FalseClock::of(&home);
    let door = up_by(home, &clock);
    let first = served(&ca, NAME);
    under_load(&ca, || {
        turn(&clock, &door, "+6m");
        let second = served_anew(&ca, NAME, &first);
        turn(&clock, &door, "+12m");
        served_anew(&ca, NAME, &second);
    });
    assert_eq!(ca.issued(), 3);
}
