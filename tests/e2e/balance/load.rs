//! A target dies and returns under load, and no idempotent request fails.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{get, list};
use crate::support::door::Door;
use crate::support::eventually;
use crate::support::mortal::Mortal;
use crate::support::wire::Wire;

const CLIENTS: usize = 4;
/// Between two changes: enough for many requests.
const SPELL: Duration = Duration::from_millis(600);

#[test]
fn no_idempotent_request_fails_when_a_target_dies_and_returns() {
    let mut targets = ["one", "two", "three"].map(Mortal::saying);
    let to = list(&targets.each_ref().map(|target| target.address));
    let door = Door::serving(
        "workers = 2",
        &format!("\"a.test\" = {{ tls = \"off\", {to}, eject = {{ for = \"300ms\" }} }}"),
    );
    let ends = AtomicBool::new(false);
    let answered = AtomicUsize::new(0);
    thread::scope(|scope| {
        let client = || {
            let mut wire = Wire::plain(&door);
            while !ends.load(Ordering::SeqCst) {
                let answer = get(&mut wire, "");
                assert_eq!(answer.status(), 200, "{}", answer.text());
                answered.fetch_add(1, Ordering::SeqCst);
            }
        };
        let clients: Vec<_> = (0..CLIENTS).map(|_client| scope.spawn(client)).collect();
        let all_live = || clients.iter().all(|client| !client.is_finished());
        for _time in 0..2 {
            under_load(SPELL, &answered, all_live);
            targets[1].die();
            under_load(SPELL, &answered, all_live);
            let before = targets[1].served();
            targets[1].rise();
            eventually("it serves again", || {
                (targets[1].served() > before || !all_live()).then_some(())
            });
        }
        ends.store(true, Ordering::SeqCst);
    });
}

/// Lets clients ask for a while, and at least some requests each.
fn under_load(time: Duration, answered: &AtomicUsize, all_live: impl Fn() -> bool) {
    let (since, before) = (Instant::now(), answered.load(Ordering::SeqCst));
    eventually("requests under load", || {
        let asked = answered.load(Ordering::SeqCst) - before;
        let is_over = since.elapsed() >= time && asked >= CLIENTS * 10;
        (is_over || !all_live()).then_some(())
    });
}
