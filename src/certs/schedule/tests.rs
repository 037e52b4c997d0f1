use std::time::UNIX_EPOCH;

use super::*;

fn start() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_795_309_323)
}

fn lasting(life: Duration) -> Validity {
    Validity {
        not_before: start(),
        not_after: start() + life,
    }
}

fn salts() -> impl Iterator<Item = Vec<u8>> {
    (0..500_u32).map(|n| n.to_be_bytes().to_vec())
}

fn window(from: Duration, to: Duration) -> Window {
    Window {
        start: start() + from,
        end: start() + to,
    }
}

const TEN_MINUTES: Duration = Duration::from_secs(600);

/// Without a window: between these shares of the life, in percent, and spread over them.
#[track_caller]
fn check(life: Duration, from: u32, to: u32) {
    let validity = lasting(life);
    let points: Vec<SystemTime> = salts()
        .map(|salt| renewal_point(&validity, None, &salt))
        .collect();
    let (first, last) = (points.iter().min().unwrap(), points.iter().max().unwrap());
    assert!(*first >= start() + life / 100 * from);
    assert!(*last <= start() + life / 100 * to);
    assert!(last.duration_since(*first).unwrap() > life / 100 * 5);
}

#[test]
fn without_a_window_it_is_two_thirds_of_the_life_or_half_of_a_short_one() {
    check(TEN_MINUTES, 47, 53);
    check(DAY * 6, 47, 53);
    check(HOUR * 160, 47, 53);
    check(DAY * 45, 63, 70);
    check(DAY * 90, 63, 70);
}

#[test]
fn the_point_lies_in_the_window_and_not_at_its_end() {
    for (life, from, to) in [
        (HOUR * 160, HOUR * 78, HOUR * 82),
        (DAY * 45, DAY * 29, DAY * 30),
        (DAY * 90, DAY * 59, DAY * 61),
    ] {
        let window = window(from, to);
        let points = salts().map(|salt| renewal_point(&lasting(life), Some(&window), &salt));
        let points: Vec<SystemTime> = points.collect();
        assert!(points.iter().all(|at| window.contains(*at)));
        let last = *points.iter().max().unwrap();
        assert!(
            last < window.end - TEN_MINUTES && last > window.end - (to - from) / 50 - TEN_MINUTES
        );
        assert!(*points.iter().min().unwrap() < window.start + (to - from) / 50);
    }
}

#[test]
fn a_window_of_seconds_is_still_hit() {
    let window = window(Duration::from_secs(300), Duration::from_secs(312));
    let validity = lasting(TEN_MINUTES);
    for salt in salts() {
        assert!(window.contains(renewal_point(&validity, Some(&window), &salt)));
    }
}

#[test]
fn a_window_in_the_past_means_now() {
    let window = Window {
        start: start() - HOUR,
        end: start() - HOUR / 2,
    };
    assert!(renewal_point(&lasting(DAY * 90), Some(&window), b"x") < start());
    assert!(!window.contains(start()));
}

#[test]
fn a_window_that_ends_before_it_begins_is_not_used() {
    let validity = lasting(DAY * 90);
    for (from, to) in [(30, 30), (40, 30)] {
        let window = window(DAY * from, DAY * to);
        assert_eq!(
            renewal_point(&validity, Some(&window), b"x"),
            renewal_point(&validity, None, b"x")
        );
    }
}

#[test]
fn a_window_after_the_end_does_not_let_the_certificate_expire() {
    let validity = lasting(DAY * 90);
    let window = window(DAY * 100, DAY * 101);
    assert_eq!(
        renewal_point(&validity, Some(&window), b"x"),
        start() + DAY * 81
    );
}

#[test]
fn the_point_never_changes() {
    let validity = lasting(DAY * 90);
    let at = renewal_point(&validity, None, b"www.example.com 01ab");
    assert_eq!(at.duration_since(start()).unwrap(), NEVER_CHANGES);
    assert_ne!(at, renewal_point(&validity, None, b"www.example.com 01ac"));
}

const NEVER_CHANGES: Duration = Duration::from_nanos(5_352_545_654_296_875);

#[test]
fn a_clock_before_the_beginning_makes_nothing_urgent() {
    let validity = lasting(DAY * 90);
    assert!(!is_urgent(&validity, UNIX_EPOCH));
    assert!(!is_urgent(&validity, start() - DAY));
    assert_eq!(expiring(&validity, UNIX_EPOCH), None);
    assert!(!is_urgent(&validity, start() + DAY * 80));
    assert!(is_urgent(&validity, start() + DAY * 81));
    assert!(is_urgent(&validity, start() + DAY * 900));
}

#[test]
fn a_validity_that_ends_before_it_begins_is_urgent_and_harmless() {
    let validity = Validity {
        not_before: start(),
        not_after: start() - DAY,
    };
    assert!(renewal_point(&validity, None, b"x") <= start());
    assert!(is_urgent(&validity, start()));
    assert_eq!(expiring(&validity, start()), Some(Expiring::Fiftieth));
}

#[test]
fn each_threshold_is_told_once() {
    for life in [TEN_MINUTES, DAY * 6, DAY * 45, DAY * 90] {
        let validity = lasting(life);
        let mut told = Vec::new();
        for step in 0..=1_100 {
            let now = start() + life / 1_000 * step;
            told.extend(newly_expiring(&validity, told.last().copied(), now));
        }
        assert_eq!(told, Expiring::ALL);
        assert_eq!(
            newly_expiring(&validity, None, validity.not_after),
            Some(Expiring::Fiftieth)
        );
    }
}

#[test]
fn the_window_is_asked_for_within_a_minute_and_a_day() {
    let validity = lasting(DAY * 90);
    let pause =
        |poll| next_poll(&validity, poll, start()).map(|at| at.duration_since(start()).unwrap());
    let answered = |retry_after| pause(Poll::Answered { retry_after });
    assert_eq!(answered(Duration::ZERO), Some(MINUTE));
    assert_eq!(answered(HOUR * 6), Some(HOUR * 6));
    assert_eq!(answered(Duration::MAX), Some(DAY));
    assert_eq!(pause(Poll::Refused), Some(HOUR * 6));
    let unanswered = |times| pause(Poll::Unanswered { times });
    assert_eq!(unanswered(0), Some(MINUTE));
    assert_eq!(unanswered(3), Some(MINUTE * 4));
    assert_eq!(unanswered(u32::MAX), Some(HOUR * 6));
    assert_eq!(
        next_poll(&validity, Poll::Refused, validity.not_after - HOUR),
        None
    );
}
