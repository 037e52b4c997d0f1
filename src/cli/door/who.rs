//! Who serves what, and since when, in words.

use jiff::Timestamp;

use crate::control::leases::{Kind, LeaseId, ago};
use crate::control::owner::Owner;
use crate::control::status::{LeaseStatus, Status};

/// As one would ask for it: ``pid 4313 `onedoor up` in /src``.
pub(super) fn process(owner: &Owner) -> String {
    let Owner { pid, command, .. } = owner;
    let (command, folder) = (printable(command), folder(owner));
    format!("pid {pid} `{command}` in {folder}")
}

/// The folder that somebody works in.
pub(super) fn folder(owner: &Owner) -> String {
    printable(&owner.folder.display().to_string())
}

/// What another process says of itself must not move the cursor of whoever reads it.
pub(super) fn printable(text: &str) -> String {
    let shown = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().map(shown).collect()
}

/// Where a lease comes from.
pub(super) fn origin(lease: &LeaseStatus, file: &str, now: Timestamp) -> String {
    match lease.kind {
        Kind::File => format!("file {file}"),
        Kind::Session => process(&lease.owner),
        Kind::Saved => {
            let since = ago(lease.owner.since, now);
            format!("saved {since} in {}", folder(&lease.owner))
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

/// To the second: more is of no use to a person.
pub(super) fn whole(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

pub(super) fn lease(id: LeaseId, status: &Status) -> Option<&LeaseStatus> {
    status.leases.iter().find(|lease| lease.lease == id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::door::samples::{NOW, door};

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
        let mut rogue = door.leases[1].owner.clone();
        rogue.command = "up\x1b[2J\n".to_owned();
        let told = process(&rogue);
        assert_eq!(told, "pid 4313 `up\u{fffd}[2J\u{fffd}` in /src/b");
        assert_eq!(possessive(LeaseId(0), &door), "the file's");
        assert_eq!(possessive(LeaseId(1), &door), "pid 4313's");
        assert_eq!(possessive(LeaseId(9), &door), "somebody's");
    }
}
