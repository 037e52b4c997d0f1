//! Certificates that live for seconds, renewed while clients come.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::{config, served, served_anew, site};
use crate::support::client::try_tls;
use crate::support::door::Door;
use crate::support::pebble::{Pebble, Wanted};

const NAME: &str = "a.example.com";

#[test]
fn renewals_under_load_fail_no_handshake() {
    let ca = Pebble::with(&Wanted {
        validity: 8,
        ..Wanted::default()
    });
    let _door = Door::up(&config(&ca, "", &site(NAME)));
    let first = served(&ca, NAME);
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
        let clients = [scope.spawn(handshakes), scope.spawn(handshakes)];
        let second = served_anew(&ca, NAME, &first);
        served_anew(&ca, NAME, &second);
        over.store(true, Ordering::Relaxed);
        for client in clients {
            assert!(client.join().unwrap() > 10);
        }
    });
}
