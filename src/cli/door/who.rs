//! Who serves what, and since when, in words.

use jiff::Timestamp;

use crate::control::leases::{Kind, LeaseId};
use crate::control::owner::Owner;
use crate::control::status::{LeaseStatus, Status};

/// How long ago that was: `14 min ago`.
pub(super) fn ago(since: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(since).as_secs().max(0);
    let (number, unit) = match seconds {
        0..60 => (seconds, "s"),
        60..3600 => (seconds / 60, "min"),
        3600..86_400 => (seconds / 3600, "h"),
        86_400..172_800 => return "1 day ago".to_owned(),
        _ => (seconds / 86_400, "days"),
    };
    format!("{number} {unit} ago")
}

/// As one would ask for it: ``pid 4313 `onedoor up` in /src``.
pub(super) fn process(owner: &Owner) -> String {
    let Owner {
        pid,
        command,
        folder,
        ..
    } = owner;
    format!("pid {pid} `{command}` in {}", folder.display())
}

/// Where a lease comes from.
pub(super) fn origin(lease: &LeaseStatus, file: &str, now: Timestamp) -> String {
    match lease.kind {
        Kind::File => format!("file {file}"),
        Kind::Session => process(&lease.owner),
        Kind::Saved => {
            let since = ago(lease.owner.since, now);
            format!("saved {since} in {}", lease.owner.folder.display())
        }
    }
}

/// The same, short, as the owner of a name: `the file's`, `pid 4313's`.
pub(super) fn possessive(id: LeaseId, status: &Status) -> String {
    match lease(id, status) {
        Some(lease) => match lease.kind {
            Kind::File => "the file's".to_owned(),
            Kind::Session => format!("pid {}'s", lease.owner.pid),
            Kind::Saved => "a saved one".to_owned(),
        },
        None => "somebody's".to_owned(),
    }
}

pub(super) fn lease(id: LeaseId, status: &Status) -> Option<&LeaseStatus> {
    status.leases.iter().find(|lease| lease.lease == id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::door::samples::{NOW, door};

    #[test]
    fn times_are_relative() {
        #[track_caller]
        fn check(since: &str, expected: &str) {
            let now = "2026-01-31T12:00:00Z".parse().unwrap();
            assert_eq!(ago(since.parse().unwrap(), now), expected, "{since}");
        }
        check("2026-01-31T12:00:05Z", "0 s ago");
        check("2026-01-31T11:59:01Z", "59 s ago");
        check("2026-01-31T11:46:00Z", "14 min ago");
        check("2026-01-31T09:30:00Z", "2 h ago");
        check("2026-01-30T11:00:00Z", "1 day ago");
        check("2026-01-01T11:00:00Z", "30 days ago");
    }

    #[test]
    fn each_kind_of_lease_has_its_origin() {
        let door = door();
        let now = NOW.parse().unwrap();
        let told: Vec<String> = door
            .leases
            .iter()
            .map(|lease| origin(lease, &door.file, now))
            .collect();
        assert_eq!(
            told,
            [
                "file proxy.toml",
                "pid 4313 `onedoor up -c b.toml` in /src/b",
                "saved 2 days ago in /src/c"
            ]
        );
        assert_eq!(possessive(LeaseId(0), &door), "the file's");
        assert_eq!(possessive(LeaseId(1), &door), "pid 4313's");
        assert_eq!(possessive(LeaseId(9), &door), "somebody's");
    }
}
