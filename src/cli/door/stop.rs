//! `onedoor stop`: the running onedoor ends, and whoever is to goes on with the door.

use std::time::Duration;

use super::failure::Failure;
use super::gone::gone;
use super::who::process;
use crate::app::banner::counted;
use crate::cli::place::ControlArguments;
use crate::cli::say;
use crate::control::client;
use crate::control::command::Extent;
use crate::control::leases::{Kind, Presence};
use crate::control::status::{LeaseStatus, Status};

/// How long a process may drain before nobody waits for it any more.
const DRAIN_TIME: Duration = Duration::from_secs(600);

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    control: ControlArguments,
    /// End its guests too, so that nobody goes on with the door
    #[arg(long)]
    all: bool,
}

pub(super) async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let extent = if arguments.all {
        Extent::Door
    } else {
        Extent::Holder
    };
    let place = super::place(&arguments.control);
    let status = super::status(&place).await?;
    client::stop(&place, extent, super::TELL_TIME).await?;
    say::out(&plan(&status, extent));
    let pid = status.health.pid;
    if !gone(pid, DRAIN_TIME) {
        let sentence = format!("pid {pid} still drains after {} s", DRAIN_TIME.as_secs());
        let way = format!("  try:  kill {pid}     cuts what is left\n");
        return Err(Failure::new("still-draining", &sentence, &way));
    }
    say::out(&format!("pid {pid} has ended\n"));
    Ok(())
}

/// What becomes of the door.
fn plan(status: &Status, extent: Extent) -> String {
    let mut guests: Vec<&LeaseStatus> = status
        .leases
        .iter()
        .filter(|lease| lease.kind == Kind::Session && lease.presence == Presence::Connected)
        .collect();
    guests.sort_by_key(|guest| guest.lease);
    let end = match (guests.first(), extent) {
        (Some(heir), Extent::Holder) => {
            let heir = process(&heir.owner);
            format!("{heir} goes on with the door")
        }
        (Some(_guest), Extent::Door) => {
            let guests = counted(guests.len(), "guest");
            format!("{guests} too, and nobody goes on with the door")
        }
        (None, Extent::Holder | Extent::Door) => "nobody goes on with the door".to_owned(),
    };
    let (pid, connections) = (status.health.pid, status.connections);
    let drains = match connections {
        0 => String::new(),
        number => format!(", which drains {}", counted(number, "connection")),
    };
    format!("stopping pid {pid}{drains}; {end}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::door::samples::{door, owner};
    use crate::control::leases::LeaseId;

    #[track_caller]
    fn check(status: &Status, extent: Extent, expected: &str) {
        assert_eq!(plan(status, extent), expected);
    }

    #[test]
    fn the_oldest_guest_that_is_there_goes_on() {
        let mut door = door();
        door.connections = 0;
        let younger = LeaseStatus {
            lease: LeaseId(5),
            owner: owner(4315, "onedoor up", "/src/e", "2026-01-31T11:00:00Z"),
            ..door.leases[1].clone()
        };
        door.leases.insert(0, younger);
        check(
            &door,
            Extent::Holder,
            "stopping pid 4312; pid 4313 `onedoor up -c b.toml` in /src/b goes on with the door\n",
        );
        door.leases[2].presence = Presence::Away;
        check(
            &door,
            Extent::Holder,
            "stopping pid 4312; pid 4315 `onedoor up` in /src/e goes on with the door\n",
        );
    }

    #[test]
    fn the_end_of_a_door_is_said() {
        let mut door = door();
        check(
            &door,
            Extent::Door,
            "stopping pid 4312, which drains 12 connections; 1 guest too, and nobody goes on with the door\n",
        );
        door.leases.retain(|lease| lease.kind != Kind::Session);
        check(
            &door,
            Extent::Holder,
            "stopping pid 4312, which drains 12 connections; nobody goes on with the door\n",
        );
    }
}
