use std::collections::BTreeSet;
use std::time::UNIX_EPOCH;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::certs::ledger::limits::Limits;
use crate::certs::ledger::{Ledger, Purpose};

fn start() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_795_309_323)
}

/// The shortest and the longest wait, in percent of what is expected.
#[track_caller]
fn check(class: Class, count: u32, retry_after: Option<Duration>, expected: Duration, from: u32) {
    let wait = |random| {
        let at = next_try(class, count, retry_after, None, start(), random);
        at.duration_since(start()).unwrap()
    };
    assert_eq!(wait(0), expected / 100 * from);
    let longest = wait(u64::MAX);
    assert!(longest < expected / 100 * 120 && longest > expected / 100 * 119);
}

#[test]
fn validations_wait_longer_each_time_and_at_last_a_day() {
    for (count, minutes) in [(0, 1), (1, 1), (2, 10), (3, 100)] {
        check(Class::Validation, count, None, MINUTE * minutes, 80);
        check(Class::Transient, count, None, MINUTE * minutes, 80);
    }
    for count in [4, 5, u32::MAX] {
        check(Class::Validation, count, None, DAY, 100);
    }
}

#[test]
fn the_authority_is_obeyed_for_up_to_a_day() {
    check(Class::Limited, 1, Some(HOUR), HOUR, 100);
    check(Class::Limited, 1, Some(Duration::ZERO), MINUTE, 100);
    check(Class::Limited, 1, Some(Duration::MAX), DAY, 100);
    check(Class::Limited, 1, None, DAY, 100);
    check(Class::Transient, 1, Some(HOUR * 2), HOUR * 2, 100);
    check(Class::Validation, 1, Some(Duration::MAX), DAY, 100);
}

#[test]
fn what_needs_somebody_is_tried_daily() {
    check(Class::Human, 1, None, DAY, 100);
    check(Class::Human, 1, Some(MINUTE), DAY, 100);
}

#[test]
fn near_the_end_tries_are_hourly_and_no_faster() {
    let validity = Validity {
        not_before: start(),
        not_after: start() + DAY * 90,
    };
    let wait = |count, day, random| {
        let now = start() + DAY * day;
        let at = next_try(Class::Validation, count, None, Some(&validity), now, random);
        at.duration_since(now).unwrap()
    };
    assert!(wait(9, 80, 0) == DAY);
    for day in [81, 89, 98] {
        assert_eq!(wait(3, day, 0), HOUR);
        assert_eq!(wait(9, day, 0), HOUR);
    }
    assert_eq!(wait(9, 99, 0), DAY);
}

#[test]
fn another_configuration_begins_anew() {
    let failure = Failure {
        class: Class::Validation,
        retry_after: None,
        detail: "no such name",
        tried: "a",
    };
    let first = Failures::after(None, failure, None, start(), 0);
    let second = Failures::after(Some(&first), failure, None, start(), 0);
    assert_eq!((first.count, second.count), (1, 2));
    let changed = Failure {
        tried: "b",
        ..failure
    };
    assert_eq!(
        Failures::after(Some(&second), changed, None, start(), 0).count,
        1
    );
    let stored = serde_json::to_string(&second).unwrap();
    assert_eq!(serde_json::from_str::<Failures>(&stored).unwrap(), second);
}

#[test]
fn a_wait_written_by_a_clock_far_ahead_is_over() {
    let failure = Failure {
        class: Class::Human,
        retry_after: None,
        detail: "paused",
        tried: "",
    };
    let failures = Failures::after(None, failure, None, start() + DAY * 80, u64::MAX);
    assert_eq!(failures.due(start()), start());
    let failures = Failures::after(None, failure, None, start(), u64::MAX);
    assert_eq!(failures.due(start()), failures.retry_at);
}

proptest! {
    #[test]
    fn a_name_that_always_fails_is_not_worn_out(randoms in vec(any::<u64>(), 100), production in any::<bool>()) {
        let url = if production { "https://acme-v02.api.letsencrypt.org/directory" } else { "https://ca.internal/" };
        let limits = Limits::of(url);
        let name = "www.example.com".to_owned();
        let names = BTreeSet::from([name.clone()]);
        let mut ledger = Ledger::default();
        let mut failures: Option<Failures> = None;
        let mut tries = Vec::new();
        let mut now = start();
        for random in randoms {
            if now >= start() + DAY * 90 {
                break;
            }
            prop_assert!(ledger.admit(limits, &names, Purpose::New, now).is_ok());
            tries.push(now);
            ledger.authorization_failed(limits, &name, now);
            ledger.not_issued(limits, &names, now, now);
            let failure = Failure { class: Class::Validation, retry_after: None, detail: "no such name", tried: "" };
            let next = Failures::after(failures.as_ref(), failure, None, now, random);
            now = next.due(now);
            failures = Some(next);
        }
        prop_assert!(now >= start() + DAY * 90, "all numbers were used up");
        prop_assert!(tries.len() <= 4 + 90);
        prop_assert!(tries.windows(5).all(|five| five[4] >= five[0] + HOUR));
    }
}
