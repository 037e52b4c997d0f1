//! A holder and its guests end in every order, by every signal: whoever is left is served.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{ask, join, site};
use crate::support::backend::Backend;
use crate::support::client::roots;
use crate::support::door::Door;
use crate::support::{PATIENCE, eventually, free_port, takes_less};

/// How long the sites of those who are left may be missed after somebody was killed.
const GAP_MAX: Duration = Duration::from_secs(1);

/// Whom a signal is for.
#[derive(Debug, Clone, Copy)]
enum Whom {
    Holder,
    OldestGuest,
    YoungestGuest,
}

use Whom::{Holder, OldestGuest, YoungestGuest};

/// Those of three guests and their holder who end, one after another; one is left.
const ORDERS: [[(Signal, Whom); 3]; 8] = [
    [
        (Signal::INT, Holder),
        (Signal::INT, Holder),
        (Signal::INT, Holder),
    ],
    [
        (Signal::TERM, Holder),
        (Signal::TERM, YoungestGuest),
        (Signal::KILL, Holder),
    ],
    [
        (Signal::KILL, Holder),
        (Signal::KILL, Holder),
        (Signal::KILL, Holder),
    ],
    [
        (Signal::KILL, OldestGuest),
        (Signal::INT, Holder),
        (Signal::KILL, OldestGuest),
    ],
    [
        (Signal::TERM, OldestGuest),
        (Signal::KILL, Holder),
        (Signal::TERM, Holder),
    ],
    [
        (Signal::INT, YoungestGuest),
        (Signal::TERM, Holder),
        (Signal::INT, OldestGuest),
    ],
    [
        (Signal::KILL, YoungestGuest),
        (Signal::KILL, Holder),
        (Signal::INT, YoungestGuest),
    ],
    [
        (Signal::KILL, Holder),
        (Signal::INT, OldestGuest),
        (Signal::TERM, Holder),
    ],
];

#[test]
fn three_guests_and_their_holder_end_in_every_order() {
    for order in ORDERS {
        let mut crowd = Crowd::of(4);
        for (signal, whom) in order {
            crowd.end(signal, whom);
        }
        assert_eq!(crowd.here.len(), 1);
    }
}

#[test]
fn ten_guests_and_their_holder_end_in_every_order() {
    let mut crowd = Crowd::of(11);
    let signals = [Signal::KILL, Signal::INT, Signal::TERM];
    let whom = [Holder, YoungestGuest, Holder, OldestGuest];
    for (signal, whom) in signals.iter().cycle().zip(whom.iter().cycle()).take(10) {
        crowd.end(*signal, *whom);
    }
    assert_eq!(crowd.here.len(), 1);
}

#[test]
fn a_crash_is_mended_within_a_second() {
    for guests in [5, 10] {
        let mut crowd = Crowd::of(guests + 1);
        takes_less(GAP_MAX, "the gap of a crash", || {
            let gap = crowd.end(Signal::KILL, Holder);
            println!("the measured gap of a crash with {guests} guests: {gap:?}");
            gap
        });
    }
}

/// Doors that all name one port, the oldest first.
struct Crowd {
    here: Vec<(String, Door)>,
    gone: Vec<(String, Door)>,
    address: std::net::SocketAddr,
    roots: std::sync::Arc<rustls::RootCertStore>,
}

impl Crowd {
    fn of(number: usize) -> Self {
        let backend = Backend::saying("here");
        let port = format!("127.0.0.1:{}", free_port());
        let file = |name: &str| site(name, &backend).replace("127.0.0.1:0", &port);
        let name = |number: usize| format!("door{number}.test");
        let first = Door::up(&file(&name(0)));
        let (address, roots) = (first.tls(), roots(&first));
        let mut here = vec![(name(0), first)];
        for number in 1..number {
            let door = join(&here[0].1, &file(&name(number)));
            here.push((name(number), door));
        }
        Self {
            here,
            gone: Vec::new(),
            address,
            roots,
        }
    }

    /// Ends one and looks at all. How long it took until every site of those who are left answered.
    #[track_caller]
    fn end(&mut self, signal: Signal, whom: Whom) -> Duration {
        let place = self.place_of(whom);
        let (name, mut door) = self.here.remove(place);
        door.signal(signal);
        let begun = Instant::now();
        if signal == Signal::KILL {
            self.all_answer();
        }
        let gap = begun.elapsed();
        let ended = door.ended();
        assert!(signal == Signal::KILL || ended.success(), "{}", door.said());
        self.gone.push((name, door));
        self.all_answer();
        self.the_gone_are_gone(signal, whom);
        gap
    }

    #[track_caller]
    fn place_of(&self, whom: Whom) -> usize {
        let holder = eventually("one holder", || {
            let pid = self.here[0].1.try_health()?["pid"].clone();
            self.here.iter().position(|(_name, door)| pid == door.pid())
        });
        let mut guests = (0..self.here.len()).filter(|place| *place != holder);
        match whom {
            Holder => holder,
            OldestGuest => guests.next().unwrap(),
            YoungestGuest => guests.next_back().unwrap(),
        }
    }

    /// Each in its turn, and again until it does.
    #[track_caller]
    fn all_answer(&self) {
        for (name, door) in &self.here {
            let begun = Instant::now();
            while let Err(error) = ask(self.address, &self.roots, name) {
                let said = door.said();
                assert!(begun.elapsed() < PATIENCE, "{name}: {error}\n{said}");
                std::thread::yield_now();
            }
        }
    }

    /// A guest that was killed keeps its sites for its grace, in case it comes back.
    #[track_caller]
    fn the_gone_are_gone(&self, signal: Signal, whom: Whom) {
        for (name, _door) in &self.gone {
            eventually(
                &format!("the end of {name} by {signal:?} to {whom:?}"),
                || ask(self.address, &self.roots, name).err(),
            );
        }
    }
}
