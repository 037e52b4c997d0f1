//! What people are told of an event: JSON with a sentence in it.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::event::{Event, Upstream};
use crate::certs::utc::{second, stamp};

const DAY: i64 = 86_400;

/// An event that somebody is to be told, and when that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub event: Event,
    pub at: SystemTime,
    /// What was told before and is over by this.
    pub ends: Vec<&'static str>,
}

impl Told {
    /// The JSON that is told: the event's own fields, `at`, `text` for a person (which chat services show), `ends`, and `days_left`
    /// where there is an end.
    #[must_use]
    pub fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Letter<'a> {
            #[serde(flatten)]
            event: &'a Event,
            #[serde(serialize_with = "stamp")]
            at: SystemTime,
            text: String,
            #[serde(skip_serializing_if = "Option::is_none")]
            days_left: Option<i64>,
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            ends: &'a [&'static str],
        }
        let not_after = self.event.not_after();
        let days_left = not_after.map(|end| days_between(self.at, end));
        let letter = Letter {
            event: &self.event,
            at: self.at,
            text: self.event.text(days_left),
            days_left,
            ends: &self.ends,
        };
        serde_json::to_string(&letter).unwrap_or_else(|_unreachable| {
            // Every field is a string, a number or a list of them; a bare name is still better than nothing.
            let name = BTreeMap::from([("event", self.event.name())]);
            serde_json::to_string(&name).unwrap_or_default()
        })
    }
}

/// Whole days, rounded down; negative once it is over.
fn days_between(now: SystemTime, end: SystemTime) -> i64 {
    let whole = |span: Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    match end.duration_since(now) {
        Ok(left) => whole(left) / DAY,
        Err(over) => -1 - whole(over.duration()) / DAY,
    }
}

impl Event {
    fn not_after(&self) -> Option<SystemTime> {
        match self {
            Self::Renewed { not_after, .. } | Self::Expiring { not_after, .. } => Some(*not_after),
            Self::Failed { not_after, .. } => *not_after,
            Self::QuotaLow { .. }
            | Self::QuotaRefilled { .. }
            | Self::StorageEphemeral { .. }
            | Self::StorageKept { .. }
            | Self::StorageUnreachable { .. }
            | Self::StorageReachable { .. }
            | Self::UpstreamDown { .. }
            | Self::UpstreamUp { .. }
            | Self::ConfigRefused { .. }
            | Self::ConfigAccepted => None,
        }
    }

    /// One sentence for a person.
    fn text(&self, days_left: Option<i64>) -> String {
        let left = match days_left {
            Some(days) if days < 0 => "the certificate has expired".to_owned(),
            Some(1) => "the certificate holds one more day".to_owned(),
            Some(days) => format!("the certificate holds {days} more days"),
            None => "there is no certificate".to_owned(),
        };
        match self {
            Self::Renewed { certificate, .. } => {
                format!("{certificate} has a new certificate: {left}")
            }
            Self::Failed {
                certificate,
                problem,
                next_try,
                ..
            } => format!(
                "{certificate} could not be ordered: {problem}; {left}; next try {}",
                second(*next_try)
            ),
            Self::Expiring { certificate, .. } => format!("{certificate} is expiring: {left}"),
            Self::QuotaLow {
                bucket, left, of, ..
            } => format!("{left} of {of} are left: {bucket}"),
            Self::QuotaRefilled { bucket } => format!("enough is left again: {bucket}"),
            Self::StorageEphemeral { storage, kind } => format!(
                "{storage} is lost with this container or machine ({kind}): mount a volume there"
            ),
            Self::StorageKept { storage } => format!("{storage} outlives this process now"),
            Self::StorageUnreachable { storage, problem } => {
                format!("{storage} cannot be used: {problem}")
            }
            Self::StorageReachable { storage } => format!("{storage} can be used again"),
            Self::UpstreamDown { upstream, problem } => {
                format!("{} is down: {problem}{}", upstream.target, sites(upstream))
            }
            Self::UpstreamUp { upstream } => {
                format!("{} is up again{}", upstream.target, sites(upstream))
            }
            Self::ConfigRefused { problem } => {
                format!("the configuration is refused, the old one stays in service: {problem}")
            }
            Self::ConfigAccepted => "the configuration is in service".to_owned(),
        }
    }
}

fn sites(upstream: &Upstream) -> String {
    if upstream.sites.is_empty() {
        return String::new();
    }
    format!(" ({})", upstream.sites.join(", "))
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use serde_json::{Value, json};

    use super::*;
    use crate::certs::alerts::event::{Bucket, FailureKind, Left};

    fn at(days: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_800_000_000 + days * 86_400)
    }

    fn value(event: Event, now: SystemTime) -> Value {
        let told = Told {
            event,
            at: now,
            ends: vec!["certificate.expiring"],
        };
        serde_json::from_str(&told.to_json()).unwrap()
    }

    #[test]
    fn a_failure_says_what_the_ca_said_and_how_long_there_is() {
        let event = Event::Failed {
            certificate: "a.test".into(),
            names: vec!["a.test".into()],
            ca: "https://ca.test/dir".into(),
            kind: FailureKind::Validation,
            problem: "no route to host".into(),
            failures: 3,
            next_try: at(1),
            not_after: Some(at(9)),
        };
        assert_eq!(
            value(event, at(0)),
            json!({
                "event": "certificate.failed",
                "certificate": "a.test",
                "names": ["a.test"],
                "ca": "https://ca.test/dir",
                "kind": "validation",
                "problem": "no route to host",
                "failures": 3,
                "next_try": "2027-01-16T08:00:00Z",
                "not_after": "2027-01-24T08:00:00Z",
                "at": "2027-01-15T08:00:00Z",
                "days_left": 9,
                "ends": ["certificate.expiring"],
                "text": "a.test could not be ordered: no route to host; the certificate holds 9 more days; next try 2027-01-16T08:00:00Z",
            })
        );
    }

    fn upstream() -> Upstream {
        Upstream {
            target: "localhost:3000".into(),
            check: "GET /up".into(),
            sites: vec!["a.test".into(), "b.test".into()],
        }
    }

    #[test]
    fn a_target_that_is_down_says_why_and_for_whom() {
        let event = Event::UpstreamDown {
            upstream: upstream(),
            problem: "answers 500 under /up".into(),
        };
        let told = value(event, at(0));
        assert_eq!(
            told["text"],
            "localhost:3000 is down: answers 500 under /up (a.test, b.test)"
        );
        assert_eq!(told["check"], "GET /up");
        let up = Event::UpstreamUp {
            upstream: upstream(),
        };
        assert_eq!(
            value(up, at(0))["text"],
            "localhost:3000 is up again (a.test, b.test)"
        );
    }

    #[test]
    fn the_name_in_the_json_is_the_name_of_the_event() {
        let bucket = Bucket {
            ca: "c".into(),
            limit: "l".into(),
            subject: "s".into(),
        };
        let (certificate, names) = ("a.test".to_owned(), vec![]);
        let storage = "/data".to_owned();
        let all = [
            Event::Renewed {
                certificate: certificate.clone(),
                names: vec![],
                ca: String::new(),
                not_after: at(1),
            },
            Event::Failed {
                certificate: certificate.clone(),
                names: vec![],
                ca: String::new(),
                kind: FailureKind::Human,
                problem: String::new(),
                failures: 1,
                next_try: at(1),
                not_after: None,
            },
            Event::Expiring {
                certificate,
                names,
                left: Left::Tenth,
                not_after: at(1),
            },
            Event::QuotaLow {
                bucket: bucket.clone(),
                left: 1,
                of: 5,
                refills_at: at(1),
            },
            Event::QuotaRefilled { bucket },
            Event::StorageEphemeral {
                storage: storage.clone(),
                kind: "tmpfs".into(),
            },
            Event::StorageKept {
                storage: storage.clone(),
            },
            Event::StorageUnreachable {
                storage: storage.clone(),
                problem: String::new(),
            },
            Event::StorageReachable { storage },
            Event::UpstreamDown {
                upstream: upstream(),
                problem: String::new(),
            },
            Event::UpstreamUp {
                upstream: upstream(),
            },
            Event::ConfigRefused {
                problem: String::new(),
            },
            Event::ConfigAccepted,
        ];
        let names: Vec<&str> = all.iter().map(Event::name).collect();
        assert_eq!(names, Event::NAMES);
        for event in all {
            let name = event.name();
            let value = value(event, at(0));
            assert_eq!(value["event"], name);
            assert!(value["text"].is_string());
        }
    }

    #[test]
    fn days_are_whole_and_negative_once_it_is_over() {
        assert_eq!(days_between(at(0), at(2)), 2);
        assert_eq!(days_between(at(0) + Duration::from_secs(1), at(2)), 1);
        assert_eq!(days_between(at(2), at(2)), 0);
        assert_eq!(days_between(at(3), at(2)), -2);
    }

    #[test]
    fn times_outside_the_calendar_are_cut() {}
}
