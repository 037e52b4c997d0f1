//! Left out, tried again and back: by the clock of the test.

use super::*;
use crate::config::target::{Address, Scheme, Target};

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn standing() -> Standing {
    Standing::new(Instant::now())
}

/// A failure of an exchange that took no time.
fn fail(standing: &Standing, now: Duration) -> Turn {
    standing.failed(&Eject::default(), now, now, || "it was refused".to_owned())
}

#[test]
fn failures_within_the_time_leave_it_out_and_say_so_once() {
    let standing = standing();
    assert_eq!(standing.left_out(at(1)), None);
    assert_eq!(fail(&standing, at(1)), Turn::Unchanged);
    assert_eq!(fail(&standing, at(2)), Turn::Unchanged);
    assert!(standing.is_open(at(2)));
    assert_eq!(fail(&standing, at(3)), Turn::Ejected);
    assert_eq!(fail(&standing, at(3)), Turn::Unchanged);
    assert!(!standing.is_open(at(12)));
    assert!(standing.is_open(at(13)));
    let words = "left out for 8 s more, its exchanges failed: it was refused";
    assert_eq!(standing.left_out(at(5)).as_deref(), Some(words));
    let words = "being tried again after its exchanges failed: it was refused";
    assert_eq!(standing.left_out(at(13)).as_deref(), Some(words));
}

#[test]
fn failures_that_lie_far_apart_are_forgiven() {
    let standing = standing();
    for seconds in [1, 7, 12, 18, 23, 29] {
        assert_eq!(fail(&standing, at(seconds)), Turn::Unchanged);
    }
    assert_eq!(fail(&standing, at(30)), Turn::Ejected);
}

#[test]
fn a_trial_that_fails_leaves_it_out_again_at_once() {
    let standing = standing();
    for _failure in 0..3 {
        fail(&standing, at(1));
    }
    assert!(standing.is_open(at(11)));
    standing.chosen(at(11));
    assert!(!standing.is_open(at(11)));
    assert_eq!(fail(&standing, at(11)), Turn::Unchanged);
    assert!(!standing.is_open(at(20)));
    assert!(standing.is_open(at(21)));
}

#[test]
fn one_that_hangs_is_tried_ever_less_often() {
    let standing = standing();
    for _failure in 0..3 {
        fail(&standing, at(1));
    }
    let mut trials = Vec::new();
    for second in 11..140 {
        if standing.is_open(at(second)) {
            standing.chosen(at(second));
            trials.push(second - 11);
        }
    }
    assert_eq!(trials, [0, 1, 2, 4, 8, 16, 32, 64, 96, 128]);
}

#[test]
fn an_answer_brings_it_back_but_not_one_to_an_older_request() {
    let standing = standing();
    for _failure in 0..3 {
        fail(&standing, at(5));
    }
    assert_eq!(standing.succeeded(at(4), at(6)), Turn::Unchanged);
    assert!(!standing.is_open(at(6)));
    assert_eq!(standing.succeeded(at(15), at(16)), Turn::Returned);
    assert_eq!(standing.succeeded(at(15), at(16)), Turn::Unchanged);
    assert!(standing.is_open(at(16)));
    assert_eq!(standing.returned(), Some(at(16)));
    // An exchange that hung since before says nothing of now.
    let late = || standing.failed(&Eject::default(), at(4), at(17), String::new);
    assert!((0..5).all(|_failure| late() == Turn::Unchanged));
}

#[test]
fn more_failures_than_are_remembered_cannot_be_waited_for() {
    let standing = standing();
    let eject = Eject {
        fails: std::num::NonZeroU32::MAX,
        ..Eject::default()
    };
    let fail = |_failure| standing.failed(&eject, at(1), at(1), String::new);
    let turns: Vec<Turn> = (0..FAILURES_MAX).map(fail).collect();
    assert_eq!(turns.last(), Some(&Turn::Ejected));
    assert_eq!(standing.failures().moments.len(), FAILURES_MAX);
}

#[test]
fn coming_up_again_is_a_return() {
    let standing = standing();
    standing.set_up(true);
    assert_eq!(standing.returned(), None);
    standing.set_up(false);
    assert_eq!(standing.returned(), None);
    standing.note_down("it is gone");
    assert_eq!(standing.down().as_deref(), Some("it is gone"));
    standing.set_up(true);
    assert!(standing.returned().is_some());
    assert_eq!(standing.down(), None);
}

#[test]
fn one_that_is_left_out_is_remembered_when_nobody_holds_it() {
    let standings = Standings::default();
    let endpoint = |port| {
        Endpoint::of(Arc::new(Target {
            scheme: Scheme::Http,
            address: Address::Loopback { port },
        }))
    };
    for _failure in 0..3 {
        fail(&standings.of(&endpoint(1), None), standings.elapsed());
    }
    drop(standings.of(&endpoint(2), None));
    drop(standings.of(&endpoint(3), None));
    let known = standings.known.lock().unwrap();
    assert_eq!(known.len(), 2);
    assert!(known.contains_key(&(endpoint(1), None)));
}
