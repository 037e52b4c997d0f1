//! The port that a command is to listen on: one that nobody has, on both loopback addresses. It is given back before the command
//! starts, so somebody may be faster; then the command says so.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;

use crate::ports::bind::bind;
use crate::ports::holder::Holder;
use crate::ports::problem::{PortProblem, Refusal, Refused};

/// Below what systems take for outgoing connections, so that none of those is in the way a moment later.
const PREFERRED: Range<u16> = 4000..5000;
/// Browsers and Node refuse to connect to these (Fetch standard, section "port blocking").
const UNSAFE: [u16; 2] = [4045, 4190];
const TRIES_MAX: u16 = 64;

/// A port that is free, near the place in the preferred range that `start` picks; one that the system chooses if those are not. None
/// on a machine that has no port left.
pub(super) fn free(start: u16) -> Option<u16> {
    let size = PREFERRED.end - PREFERRED.start;
    let near = (0..TRIES_MAX).map(|step| PREFERRED.start + (start % size + step) % size);
    near.filter(|port| !UNSAFE.contains(port))
        .find(|port| taken(*port).is_none())
        .or_else(any)
}

fn any() -> Option<u16> {
    let chosen = (0..TRIES_MAX).map_while(|_try| {
        let opened = bind(&[SocketAddr::from((Ipv4Addr::LOCALHOST, 0))]).ok()?;
        opened.sockets.first().map(|bound| bound.address.port())
    });
    chosen.into_iter().find(|port| taken(*port).is_none())
}

/// Who keeps a command from listening on this port. What else may keep it, such as a missing right, the command finds out by itself.
pub(super) fn taken(port: u16) -> Option<PortProblem> {
    let loopbacks = [
        SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        SocketAddr::from((Ipv6Addr::LOCALHOST, port)),
    ];
    let problem = bind(&loopbacks).err()?;
    let in_use = problem.refused().iter().any(|one| match one.refusal {
        Refusal::InUse(_) | Refusal::Shadowed(_) => true,
        Refusal::NotPermitted
        | Refusal::AddressMissing
        | Refusal::FamilyMissing
        | Refusal::Failed(_) => false,
    });
    in_use.then_some(problem)
}

/// What a person reads about a port that they asked for.
pub(super) fn explain(port: u16, problem: &PortProblem) -> String {
    let mut text = format!("error[port-in-use]: the command cannot have port {port}\n");
    for (address, reason) in problem.reasons() {
        // Writing into a string cannot fail.
        let _written = writeln!(text, "  {address}   {reason}");
    }
    let mut ways = vec![("leave --port out".to_owned(), "any free port")];
    let holders: BTreeSet<u32> = problem.refused().iter().filter_map(holder).collect();
    ways.extend(
        holders
            .iter()
            .map(|pid| (format!("kill {pid}"), "stops it")),
    );
    for (index, (way, effect)) in ways.iter().enumerate() {
        let label = if index == 0 { "try:" } else { "" };
        let _written = writeln!(text, "  {label:5} {way:16}   {effect}");
    }
    text
}

fn holder(refused: &Refused) -> Option<u32> {
    match &refused.refusal {
        Refusal::InUse(Holder::Process(process)) | Refusal::Shadowed(Holder::Process(process)) => {
            Some(process.pid)
        }
        Refusal::InUse(Holder::Unseen(_) | Holder::Nobody(_))
        | Refusal::Shadowed(Holder::Unseen(_) | Holder::Nobody(_))
        | Refusal::NotPermitted
        | Refusal::AddressMissing
        | Refusal::FamilyMissing
        | Refusal::Failed(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_free_port_can_be_listened_on() {
        let port = free(fastrand::u16(..)).unwrap();
        assert!(PREFERRED.contains(&port) && !UNSAFE.contains(&port));
    }

    #[test]
    fn a_port_that_is_held_on_either_family_is_taken() {
        for loopback in ["127.0.0.1:0", "[::1]:0"] {
            let holder = TcpListener::bind(loopback).unwrap();
            let port = holder.local_addr().unwrap().port();
            let problem = taken(port).unwrap();
            let text = explain(port, &problem);
            assert!(
                text.contains(&format!("kill {}", std::process::id())),
                "{text}"
            );
        }
    }

    #[test]
    fn whoever_holds_it_on_both_families_is_named_once() {
        let holders = (0..100).find_map(|_try| {
            let one = TcpListener::bind("127.0.0.1:0").ok()?;
            let port = one.local_addr().ok()?.port();
            let other = TcpListener::bind(("::1", port)).ok()?;
            Some((one, other, port))
        });
        let (_one, _other, port) = holders.unwrap();
        let text = explain(port, &taken(port).unwrap());
        assert_eq!(text.matches("kill ").count(), 1, "{text}");
    }

    #[test]
    fn a_port_of_the_systems_choice_is_free() {
        let port = any().unwrap();
        assert!(port >= 1024, "{port}");
    }

    #[test]
    fn a_search_goes_on_behind_what_is_taken() {
        let holder = (0..100).find_map(|_try| {
            let port = free(fastrand::u16(..))?;
            TcpListener::bind(("127.0.0.1", port)).ok()
        });
        let held = holder.as_ref().unwrap().local_addr().unwrap().port();
        let next = free(held - PREFERRED.start).unwrap();
        assert_ne!(next, held);
    }
}
