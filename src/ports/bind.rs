//! Binding listening sockets: each address once, exclusively, IPv4 and IPv6 as two sockets, all problems at once.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};

use crate::ports::entry::Entry;
use crate::ports::holder;
use crate::ports::passed::{Passed, PassedSocket};
use crate::ports::permission::Machine;
use crate::ports::probe::{self, Reach};
use crate::ports::problem::{PortProblem, Refusal, Refused};
use crate::ports::strict::{self, Listener, Next, Reuse};
use crate::system::System;

/// The longest accept queue asked for; the kernel's own limit may be lower.
pub const BACKLOG_MAX: i32 = 65_535;
/// Where Linux says its own limit.
const SOMAXCONN: &str = "/proc/sys/net/core/somaxconn";
/// How long a connection to this machine itself may take.
const LIVE_WAIT: Duration = Duration::from_millis(300);

/// A listening socket of ours: non-blocking, and closed when a program is executed.
#[derive(Debug)]
pub struct Bound {
    pub listener: TcpListener,
    /// As the kernel says it: with port 0, the port that was chosen.
    pub address: SocketAddr,
    pub origin: Origin,
}

/// Where a listening socket came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Bound by this process.
    Bound,
    /// Passed by a service manager, which keeps it when this process ends. It may be dual-stack: an IPv4 peer then has an
    /// IPv4-mapped address.
    Passed { name: Option<String> },
}

/// Everything that was asked for, listening.
#[derive(Debug)]
pub struct Opened {
    pub sockets: Vec<Bound>,
    pub notes: Vec<Note>,
}

/// What went otherwise than a reader of the configuration would expect, and is no problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// This machine has no IPv6; IPv4 serves the port alone.
    NoIpv6 { port: u16 },
    /// A service manager passed sockets that no address asked for.
    PassedUnused(Vec<PassedSocket>),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoIpv6 { port } => write!(
                f,
                "this machine has no IPv6: port {port} is served by IPv4 alone"
            ),
            Self::PassedUnused(sockets) => {
                f.write_str(
                    "passed by the service manager, but in no `listen` or `http`, and closed:",
                )?;
                for socket in sockets {
                    let name = socket.name.as_deref().unwrap_or("unnamed");
                    match socket.address {
                        Some(address) => write!(f, " {address} ({name})")?,
                        None => write!(f, " {name}")?,
                    }
                }
                Ok(())
            }
        }
    }
}

/// Binds every address, or none.
///
/// # Errors
/// Names every address that could not be bound, with who has it.
pub fn bind(addresses: &[SocketAddr]) -> Result<Opened, PortProblem> {
    open(addresses, &Entry::of, Passed::none())
}

/// Takes the sockets that were passed for these addresses, binds the others, or fails whole. An address that is asked for twice is
/// opened once, but for port 0, which is another port each time. `entry_of` says what asks for an address.
///
/// # Errors
/// Names every address that could not be bound, with who has it, and the passed sockets that fit none.
pub fn open(
    addresses: &[SocketAddr],
    entry_of: &dyn Fn(SocketAddr) -> Entry,
    passed: Passed,
) -> Result<Opened, PortProblem> {
    let taken = passed.take(&once(addresses));
    let mut sockets = taken.sockets;
    let mut notes = Vec::new();
    let mut refused = Vec::new();
    for &address in &taken.missing {
        match bind_strictly(address) {
            Ok(bound) => sockets.push(bound),
            Err(refusal) => refused.push(Refused {
                address,
                entry: entry_of(address),
                refusal,
            }),
        }
    }
    refused.retain(|one| match tolerated(one, &sockets) {
        Some(note) => {
            notes.push(note);
            false
        }
        None => true,
    });
    if !refused.is_empty() {
        return Err(PortProblem::new(refused, taken.unused, Machine::survey()));
    }
    if !taken.unused.is_empty() {
        notes.push(Note::PassedUnused(taken.unused));
    }
    Ok(Opened { sockets, notes })
}

fn once(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let mut once = Vec::with_capacity(addresses.len());
    for &address in addresses {
        if address.port() == 0 || !once.contains(&address) {
            once.push(address);
        }
    }
    once
}

/// A machine without IPv6 serves a bare port by IPv4 alone.
fn tolerated(refused: &Refused, sockets: &[Bound]) -> Option<Note> {
    let IpAddr::V6(ip) = refused.address.ip() else {
        return None;
    };
    let port = refused.address.port();
    let by_ipv4 = || {
        sockets.iter().any(|bound| {
            let ip = bound.address.ip();
            ip.is_ipv4() && ip.is_unspecified() && (bound.address.port() == port || port == 0)
        })
    };
    match refused.refusal {
        Refusal::FamilyMissing | Refusal::AddressMissing if ip.is_unspecified() && by_ipv4() => {
            Some(Note::NoIpv6 { port })
        }
        Refusal::FamilyMissing
        | Refusal::AddressMissing
        | Refusal::InUse(_)
        | Refusal::Shadowed(_)
        | Refusal::NotPermitted
        | Refusal::Failed(_) => None,
    }
}

fn bind_strictly(address: SocketAddr) -> Result<Bound, Refusal> {
    let mut reuse = strict::first_attempt(System::HERE);
    let listener = loop {
        match attempt(address, reuse) {
            Ok(listener) => break listener,
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                match strict::after_in_use(reuse, live_listener(address)) {
                    Next::Retry(next) => reuse = next,
                    Next::GiveUp => return Err(Refusal::InUse(holder::find(address))),
                }
            }
            Err(error) => return Err(refusal(error)),
        }
    };
    let bound = listener.local_addr().map_err(Refusal::Failed)?;
    if let Some(target) = strict::self_probe(System::HERE, bound) {
        match probe::reach(&listener, target) {
            Reach::Ours | Reach::Unknown => {}
            Reach::Shadowed => return Err(Refusal::Shadowed(holder::find(target))),
        }
    }
    Ok(Bound {
        listener,
        address: bound,
        origin: Origin::Bound,
    })
}

fn attempt(address: SocketAddr, reuse: Reuse) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    match reuse {
        Reuse::Nothing => {}
        Reuse::Address => socket.set_reuse_address(true)?,
    }
    socket.bind(&address.into())?;
    socket.listen(backlog())?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn backlog() -> i32 {
    let limit = std::fs::read_to_string(SOMAXCONN).ok();
    limit
        .and_then(|text| text.trim().parse::<i32>().ok())
        .map_or(BACKLOG_MAX, |limit| limit.min(BACKLOG_MAX))
}

fn live_listener(address: SocketAddr) -> Listener {
    match TcpStream::connect_timeout(&strict::reachable_at(address), LIVE_WAIT) {
        Ok(_connected) => Listener::Alive,
        Err(_unreachable) if holder::listens(address) => Listener::Alive,
        Err(_unreachable) => Listener::Absent,
    }
}

fn refusal(error: io::Error) -> Refusal {
    match Errno::from_io_error(&error) {
        Some(Errno::ACCESS | Errno::PERM) => Refusal::NotPermitted,
        Some(Errno::ADDRNOTAVAIL) => Refusal::AddressMissing,
        Some(Errno::AFNOSUPPORT) => Refusal::FamilyMissing,
        Some(_) | None => Refusal::Failed(error),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};
    use std::process;

    use super::*;
    use crate::ports::entry::Key;
    use crate::ports::holder::Holder;

    #[test]
    fn a_free_address_is_bound_once_and_answers() {
        let opened = bind(&[loopback(0)]).unwrap();
        let address = opened.sockets[0].address;
        assert_ne!(address.port(), 0);
        TcpStream::connect(address).unwrap();
        assert!(bind(&[address]).is_err());
        drop(opened);
        assert_eq!(bind(&[address, address]).unwrap().sockets.len(), 1);
    }

    #[test]
    fn a_held_port_names_this_very_process() {
        let held = TcpListener::bind(loopback(0)).unwrap();
        let address = held.local_addr().unwrap();
        let problem = bind(&[address]).unwrap_err();
        assert_eq!(problem.exit_code(), 4);
        let [refused] = problem.refused() else {
            panic!("one address was asked for");
        };
        let Refusal::InUse(Holder::Process(process)) = &refused.refusal else {
            panic!("{refused:?}");
        };
        assert_eq!(process.pid, process::id());
    }

    #[test]
    fn both_families_are_two_sockets_on_one_port() {
        let Some(port) = port_free_in_both_families() else {
            return;
        };
        let both = [
            SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port),
            SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port),
        ];
        let opened = bind(&both).unwrap();
        let addresses: Vec<SocketAddr> = opened.sockets.iter().map(|one| one.address).collect();
        assert_eq!(addresses, both);
        let problem = bind(&both).unwrap_err();
        assert_eq!(problem.refused().len(), 2);
    }

    #[test]
    fn a_specific_address_does_not_slip_in_beside_a_wildcard() {
        let opened = bind(&[SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0)]).unwrap();
        let port = opened.sockets[0].address.port();
        assert_eq!(bind(&[loopback(port)]).unwrap_err().exit_code(), 4);
    }

    #[test]
    fn every_problem_is_named_and_nothing_stays_bound() {
        let held = TcpListener::bind(loopback(0)).unwrap();
        let nowhere = SocketAddr::new(Ipv4Addr::new(192, 0, 2, 1).into(), 0);
        let problem = bind(&[loopback(0), held.local_addr().unwrap(), nowhere]).unwrap_err();
        assert_eq!(problem.refused().len(), 2);
        assert!(matches!(
            problem.refused()[1].refusal,
            Refusal::AddressMissing
        ));
    }

    #[test]
    fn a_missing_ipv6_is_tolerated_only_beside_ipv4() {
        let opened = bind(&[SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0)]).unwrap();
        let port = opened.sockets[0].address.port();
        let refused = |ip: Ipv6Addr| Refused {
            address: SocketAddr::new(ip.into(), port),
            entry: Entry::new(Key::Listen, ""),
            refusal: Refusal::FamilyMissing,
        };
        let wildcard = refused(Ipv6Addr::UNSPECIFIED);
        assert_eq!(
            tolerated(&wildcard, &opened.sockets),
            Some(Note::NoIpv6 { port })
        );
        assert_eq!(tolerated(&wildcard, &[]), None);
        assert_eq!(
            tolerated(&refused(Ipv6Addr::LOCALHOST), &opened.sockets),
            None
        );
    }

    fn loopback(port: u16) -> SocketAddr {
        SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)
    }

    /// None where this machine has no IPv6.
    fn port_free_in_both_families() -> Option<u16> {
        for _attempt in 0..64 {
            let six = attempt(
                SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0),
                Reuse::Nothing,
            )
            .ok()?;
            let port = six.local_addr().unwrap().port();
            if attempt(
                SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port),
                Reuse::Nothing,
            )
            .is_ok()
            {
                return Some(port);
            }
        }
        panic!("no port is free in both families");
    }
}
