//! What a strict bind means on each system, decided without touching a socket, so that every system's rules are tested on any.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::system::System;

/// The socket option of one attempt; `SO_REUSEPORT` is deliberately absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reuse {
    Nothing,
    /// `SO_REUSEADDR`.
    Address,
}

/// Whether anybody listens where a bind was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listener {
    Alive,
    Absent,
}

/// What follows a bind that was refused because the address is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    Retry(Reuse),
    GiveUp,
}

/// Linux lets `SO_REUSEADDR` pass over connections in TIME_WAIT only; elsewhere it also lets a second listener in beside a less or
/// more specific one, so the first attempt does without.
#[must_use]
pub fn first_attempt(system: System) -> Reuse {
    match system {
        System::Linux => Reuse::Address,
        System::Darwin | System::OtherUnix => Reuse::Nothing,
    }
}

/// Without a live listener the address is held by our own previous life's connections, and `SO_REUSEADDR` is safe.
#[must_use]
pub fn after_in_use(attempted: Reuse, listener: Listener) -> Next {
    match (attempted, listener) {
        (Reuse::Nothing, Listener::Absent) => Next::Retry(Reuse::Address),
        (Reuse::Nothing, Listener::Alive)
        | (Reuse::Address, Listener::Alive | Listener::Absent) => Next::GiveUp,
    }
}

/// Where a connection to a listener on `bound` is made from this machine.
#[must_use]
pub fn reachable_at(bound: SocketAddr) -> SocketAddr {
    let ip = match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    SocketAddr::new(ip, bound.port())
}

/// Where to prove, after a bind, that connections arrive at the new socket; none where the kernel already refuses every overlap.
#[must_use]
pub fn self_probe(system: System, bound: SocketAddr) -> Option<SocketAddr> {
    match system {
        System::Linux => None,
        System::Darwin | System::OtherUnix => Some(reachable_at(bound)),
    }
}

/// Whether a listener on `held` keeps `wanted` from being bound: the same port, and an address of one contains the other's.
/// An IPv6 wildcard may be dual-stack, and only its owner knows, so it counts against IPv4 too.
#[must_use]
pub fn overlaps(held: SocketAddr, wanted: SocketAddr) -> bool {
    if held.port() != wanted.port() {
        return false;
    }
    let (held, wanted) = (held.ip().to_canonical(), wanted.ip());
    match (held, wanted) {
        (IpAddr::V6(held), IpAddr::V4(_)) => held.is_unspecified(),
        (IpAddr::V4(_), IpAddr::V6(_)) => false,
        (IpAddr::V4(_), IpAddr::V4(_)) | (IpAddr::V6(_), IpAddr::V6(_)) => {
            held == wanted || held.is_unspecified() || wanted.is_unspecified()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linux_binds_with_reuse_address_and_never_retries() {
        assert_eq!(first_attempt(System::Linux), Reuse::Address);
        assert_eq!(after_in_use(Reuse::Address, Listener::Alive), Next::GiveUp);
        assert_eq!(after_in_use(Reuse::Address, Listener::Absent), Next::GiveUp);
    }

    #[test]
    fn darwin_retries_only_where_nobody_listens() {
        assert_eq!(first_attempt(System::Darwin), Reuse::Nothing);
        assert_eq!(after_in_use(Reuse::Nothing, Listener::Alive), Next::GiveUp);
        assert_eq!(
            after_in_use(Reuse::Nothing, Listener::Absent),
            Next::Retry(Reuse::Address)
        );
    }

    #[test]
    fn darwin_probes_a_wildcard_through_loopback() {
        let probe = |bound: &str| self_probe(System::Darwin, at(bound));
        assert_eq!(probe("0.0.0.0:443"), Some(at("127.0.0.1:443")));
        assert_eq!(probe("[::]:443"), Some(at("[::1]:443")));
        assert_eq!(probe("192.0.2.1:443"), Some(at("192.0.2.1:443")));
        assert_eq!(self_probe(System::Linux, at("0.0.0.0:443")), None);
    }

    #[test]
    fn an_address_overlaps_what_contains_it() {
        #[track_caller]
        fn check(held: &str, wanted: &str, expected: bool) {
            assert_eq!(overlaps(at(held), at(wanted)), expected, "{held} {wanted}");
        }
        check("0.0.0.0:443", "127.0.0.1:443", true);
        check("127.0.0.1:443", "0.0.0.0:443", true);
        check("127.0.0.1:443", "192.0.2.1:443", false);
        check("127.0.0.1:443", "127.0.0.1:444", false);
        check("[::]:443", "0.0.0.0:443", true);
        check("[::1]:443", "0.0.0.0:443", false);
        check("0.0.0.0:443", "[::]:443", false);
        check("[::ffff:127.0.0.1]:443", "0.0.0.0:443", true);
    }

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }
}
