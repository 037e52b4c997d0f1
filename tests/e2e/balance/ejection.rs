//! Targets whose exchanges fail are left out for a while, are tried again, and come back.

use std::io::{BufReader, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::{counted, door, get, list, turns};
use crate::support::backend::{Backend, ok, read_request};
use crate::support::eventually;
use crate::support::wire::Wire;

/// Takes each request and goes away, until it is well.
struct Moody {
    backend: Backend,
    well: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
}

impl Moody {
    fn new() -> Self {
        let well = Arc::new(AtomicBool::new(false));
        let asked = Arc::new(AtomicUsize::new(0));
        let (is_well, counts) = (well.clone(), asked.clone());
        let backend = Backend::raw(move |mut stream: TcpStream| {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            while read_request(&mut reader).is_some() {
                counts.fetch_add(1, Ordering::SeqCst);
                if !is_well.load(Ordering::SeqCst) || stream.write_all(&ok("moody")).is_err() {
                    return;
                }
            }
        });
        Self {
            backend,
            well,
            asked,
        }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// Requests that may not be sent twice: each that fails is answered so.
fn post(wire: &mut Wire) -> u16 {
    wire.ask("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\n\r\nx")
        .status()
}

#[test]
fn failures_leave_a_target_out() {
    let good = Backend::saying("good");
    let bad = Moody::new();
    let to = list(&[good.address, bad.backend.address]);
    let door = door(&format!(
        "{to}, eject = {{ fails = 3, within = \"1h\", for = \"1h\" }}"
    ));
    let mut wire = Wire::plain(&door);
    let failed = (0..40).filter(|_turn| post(&mut wire) == 502).count();
    assert_eq!((failed, bad.asked()), (3, 3));
    let said = door.said();
    assert_eq!(said.matches("left out").count(), 1, "{said}");
}

#[test]
fn a_target_that_answers_again_comes_back_slowly() {
    let good = Backend::saying("good");
    let bad = Moody::new();
    let to = list(&[good.address, bad.backend.address]);
    let door = door(&format!("{to}, eject = {{ fails = 1, for = \"200ms\" }}"));
    let mut wire = Wire::plain(&door);
    eventually("it is left out", || (post(&mut wire) == 502).then_some(()));
    bad.well.store(true, Ordering::SeqCst);
    eventually("it answers again", || {
        (get(&mut wire, "").text() == "moody").then_some(())
    });
    assert_eq!(door.said().matches("answers again").count(), 1);
    // Half of all is its share in the end, ten seconds from now.
    let first = turns(&door, 20);
    assert!(first["good"] > 10, "{first:?}");
}

#[test]
fn statuses_and_clients_faults_leave_nobody_out() {
    let refusing = Backend::http(|_seen| {
        b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 3\r\n\r\nbad".to_vec()
    });
    let good = Backend::saying("good");
    let to = list(&[good.address, refusing.address]);
    let door = door(&format!("{to}, eject = {{ fails = 1, for = \"1h\" }}"));
    for _client in 0..6 {
        // A client that leaves in the middle of its body.
        let mut wire = Wire::plain(&door);
        wire.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 9\r\n\r\nx");
    }
    // They had turns of their own, which are not to come between those of the others.
    eventually("the end of those who left", || {
        (door.home().read("out").matches(" POST ").count() == 6).then_some(())
    });
    let mut wire = Wire::plain(&door);
    let mut answers: Vec<String> = (0..10).map(|_turn| get(&mut wire, "").text()).collect();
    answers.sort_unstable();
    assert_eq!(answers, [["bad"; 5], ["good"; 5]].concat());
}

#[test]
fn when_all_are_left_out_all_are_tried() {
    let bad = [Moody::new(), Moody::new()];
    let to = list(&bad.each_ref().map(|bad| bad.backend.address));
    let door = door(&format!("{to}, eject = {{ fails = 1, for = \"1h\" }}"));
    let mut wire = Wire::plain(&door);
    for _turn in 0..10 {
        assert_eq!(post(&mut wire), 502);
    }
    assert_eq!(bad[0].asked() + bad[1].asked(), 10);
    assert!(bad.iter().all(|bad| bad.asked() >= 4));
    for bad in &bad {
        bad.well.store(true, Ordering::SeqCst);
    }
    eventually("one is well and asked alone or with the other", || {
        (turns(&door, 4) == counted([("moody", 4)])).then_some(())
    });
}
