//! What is news, and what was told already.

use super::*;
use crate::certs::alerts::event::FailureKind;

const HOUR: Duration = Duration::from_secs(3_600);

fn noon() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn failed(certificate: &str, kind: FailureKind) -> Event {
    Event::Failed {
        certificate: certificate.into(),
        names: vec![certificate.into()],
        ca: "ca".into(),
        kind,
        problem: "no".into(),
        failures: 1,
        next_try: noon(),
        not_after: None,
    }
}

fn expiring(left: Left) -> Event {
    Event::Expiring {
        certificate: "a.test".into(),
        names: vec![],
        left,
        not_after: noon(),
    }
}

fn renewed(not_after: SystemTime) -> Event {
    Event::Renewed {
        certificate: "a.test".into(),
        names: vec![],
        ca: "ca".into(),
        not_after,
    }
}

fn unreachable() -> Event {
    Event::StorageUnreachable {
        storage: "/data".into(),
        problem: "full".into(),
    }
}

/// What a process that starts anew reads back.
fn restarted(notices: &Notices) -> Notices {
    serde_json::from_str(&serde_json::to_string(notices).unwrap()).unwrap()
}

#[test]
fn a_trouble_is_told_once_however_often_the_process_starts() {
    let mut notices = Notices::default();
    let event = failed("a.test", FailureKind::Validation);
    assert!(notices.offer(event.clone(), noon()).is_some());
    for hour in 1..24 {
        notices = restarted(&notices);
        assert_eq!(notices.offer(event.clone(), noon() + HOUR * hour), None);
    }
    assert!(notices.offer(event.clone(), noon() + HOUR * 24).is_some());
    assert_eq!(notices.offer(event, noon() + HOUR * 25), None);
    let other = failed("b.test", FailureKind::Validation);
    assert!(notices.offer(other, noon() + HOUR * 25).is_some());
}

#[test]
fn another_kind_of_failure_is_news() {
    let mut notices = Notices::default();
    let mut offer = |kind| notices.offer(failed("a.test", kind), noon()).is_some();
    assert!(offer(FailureKind::Transient));
    assert!(offer(FailureKind::Human));
    assert!(!offer(FailureKind::Human));
}

#[test]
fn each_stage_of_an_expiry_is_told_once_and_never_backwards() {
    let mut notices = Notices::default();
    let mut days = 0;
    let mut offer = |left| {
        days += 2;
        let now = noon() + HOUR * 24 * days;
        notices.offer(expiring(left), now).is_some()
    };
    assert!(offer(Left::Third));
    assert!(!offer(Left::Third));
    assert!(offer(Left::Fiftieth));
    assert!(!offer(Left::Tenth));
}

#[test]
fn a_renewal_says_what_it_ends_and_is_told_once() {
    let mut notices = Notices::default();
    notices.offer(failed("a.test", FailureKind::Limited), noon());
    notices.offer(expiring(Left::Third), noon());
    let told = notices.offer(renewed(noon() + HOUR), noon()).unwrap();
    assert_eq!(told.ends, ["certificate.failed", "certificate.expiring"]);
    let mut notices = restarted(&notices);
    assert_eq!(notices.offer(renewed(noon() + HOUR), noon()), None);
    let next = notices.offer(renewed(noon() + HOUR * 2), noon()).unwrap();
    assert!(next.ends.is_empty());
    assert!(notices.offer(expiring(Left::Third), noon()).is_some());
}

#[test]
fn the_end_of_what_was_never_told_is_no_news() {
    let mut notices = Notices::default();
    let reachable = Event::StorageReachable {
        storage: "/data".into(),
    };
    assert_eq!(notices.offer(reachable.clone(), noon()), None);
    assert!(notices.offer(unreachable(), noon()).is_some());
    let told = notices.offer(reachable.clone(), noon()).unwrap();
    assert_eq!(told.ends, ["storage.unreachable"]);
    assert_eq!(notices.offer(reachable, noon()), None);
    assert_eq!(notices.standing(), 0);
}

#[test]
fn what_was_retracted_or_forgotten_is_news_again() {
    let mut notices = Notices::default();
    let told = notices.offer(unreachable(), noon()).unwrap();
    notices.retract(&told);
    assert!(notices.offer(unreachable(), noon()).is_some());
    let event = failed("a.test", FailureKind::Human);
    assert!(notices.offer(event.clone(), noon()).is_some());
    notices.forget("a.test");
    assert!(notices.offer(event, noon()).is_some());
}

#[test]
fn a_clock_that_goes_back_does_not_silence_anything() {
    let mut notices = Notices::default();
    assert!(notices.offer(unreachable(), noon() + HOUR * 48).is_some());
    assert!(notices.offer(unreachable(), noon()).is_some());
}

#[test]
fn what_is_remembered_is_bounded_and_the_newest_stays() {
    let mut notices = Notices::default();
    for index in 0..=STANDING_MAX {
        let now = noon() + Duration::from_millis(10) * u32::try_from(index).unwrap();
        let event = failed(&format!("h{index}.test"), FailureKind::Human);
        assert!(notices.offer(event, now).is_some());
    }
    assert_eq!(notices.standing(), STANDING_MAX);
    let newest = failed(&format!("h{STANDING_MAX}.test"), FailureKind::Human);
    assert_eq!(notices.offer(newest, noon() + HOUR), None);
    for index in 0..=RENEWED_MAX {
        notices.offer(
            Event::Renewed {
                certificate: format!("h{index}.test"),
                names: vec![],
                ca: String::new(),
                not_after: noon(),
            },
            noon(),
        );
    }
    assert_eq!(notices.renewed.len(), RENEWED_MAX);
    assert!(serde_json::to_string(&notices).unwrap().len() < 1 << 20);
}

#[test]
fn a_state_of_another_version_is_read() {
    let text = r#"{"standing": {"storage.unreachable /data": {"told_at": 1800000000, "new": 1}}, "more": []}"#;
    let mut notices: Notices = serde_json::from_str(text).unwrap();
    assert_eq!(notices.offer(unreachable(), noon() + HOUR), None);
    assert_eq!(
        serde_json::from_str::<Notices>("{}").unwrap(),
        Notices::default()
    );
}
