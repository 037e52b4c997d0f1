//! Whether connections arrive at a socket of ours: connect to it, and see whether that very connection comes out of it.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// How long the connection may take to arrive.
pub const PROBE_WAIT: Duration = Duration::from_secs(1);
/// How many strangers' connections are looked through, and closed, before ours must have come.
pub const PROBE_ACCEPTS_MAX: usize = 64;
const ACCEPT_INTERVAL: Duration = Duration::from_millis(1);

/// Where a connection to our address went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    Ours,
    /// Another socket took it: one with a more specific address, or an older one.
    Shadowed,
    /// Nothing can be said: the address could not be connected to at all.
    Unknown,
}

/// Connects to `target` and waits for the connection on `listener`, which must be non-blocking and not yet served by anyone.
/// The kernel completes the connection before anyone accepts it, so a queue that stays without it is not the one it went to.
pub fn reach(listener: &TcpListener, target: SocketAddr) -> Reach {
    let Ok(probe) = TcpStream::connect_timeout(&target, PROBE_WAIT) else {
        return Reach::Unknown;
    };
    let Ok(expected) = probe.local_addr() else {
        return Reach::Unknown;
    };
    let begun = Instant::now();
    let mut strangers = 0;
    while strangers < PROBE_ACCEPTS_MAX && begun.elapsed() < PROBE_WAIT {
        match listener.accept() {
            Ok((_stream, peer)) if peer == expected => return Reach::Ours,
            Ok(_stranger) => strangers += 1,
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(ACCEPT_INTERVAL),
            Err(_broken) => strangers += 1,
        }
    }
    Reach::Shadowed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_arrives_is_ours() {
        let listener = listener();
        let address = listener.local_addr().unwrap();
        assert_eq!(reach(&listener, address), Reach::Ours);
    }

    #[test]
    fn a_connection_behind_strangers_is_still_found() {
        let listener = listener();
        let address = listener.local_addr().unwrap();
        let _strangers = [
            TcpStream::connect(address).unwrap(),
            TcpStream::connect(address).unwrap(),
        ];
        assert_eq!(reach(&listener, address), Reach::Ours);
    }

    #[test]
    fn a_connection_that_goes_elsewhere_shows_the_shadow() {
        let shadow = listener();
        assert_eq!(
            reach(&listener(), shadow.local_addr().unwrap()),
            Reach::Shadowed
        );
    }

    #[test]
    fn a_closed_address_says_nothing() {
        let gone = listener().local_addr().unwrap();
        assert_eq!(reach(&listener(), gone), Reach::Unknown);
    }

    fn listener() -> TcpListener {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        listener
    }
}
