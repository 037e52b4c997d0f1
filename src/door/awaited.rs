//! Connections that this process makes to its own door, to see whether they arrive: known by the address they come from, which the
//! kernel vouches for, so that neither a name nor a line in a log is spent on them.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Connections that are awaited at once.
pub const AWAITED_MAX: usize = 256;

/// What is awaited at this moment. Mostly nothing, and then an arrival costs one look at a number.
#[derive(Debug, Default)]
pub struct Awaited {
    count: AtomicUsize,
    peers: Mutex<Vec<(SocketAddr, oneshot::Sender<()>)>>,
}

impl Awaited {
    /// Resolves when a connection from `peer` has been accepted. To be called before the connection is made; none if too many
    /// are awaited.
    pub fn expect(&self, peer: SocketAddr) -> Option<oneshot::Receiver<()>> {
        let mut peers = self.peers();
        // Nobody waits for those any more.
        peers.retain(|(_peer, tell)| !tell.is_closed());
        let told = (peers.len() < AWAITED_MAX).then(|| {
            let (tell, told) = oneshot::channel();
            peers.push((canonical(peer), tell));
            told
        });
        self.count.store(peers.len(), Ordering::Release);
        told
    }

    /// Whether this arrival is one of ours; then whoever awaits it is told.
    pub(super) fn arrived(&self, peer: SocketAddr) -> bool {
        if self.count.load(Ordering::Acquire) == 0 {
            return false;
        }
        let peer = canonical(peer);
        let mut peers = self.peers();
        let Some(index) = peers.iter().position(|(known, _tell)| *known == peer) else {
            return false;
        };
        let (_peer, tell) = peers.swap_remove(index);
        self.count.store(peers.len(), Ordering::Release);
        // Whoever waited has given up if it is gone, and the arrival is still not a client's.
        let _gone = tell.send(());
        true
    }

    fn peers(&self) -> MutexGuard<'_, Vec<(SocketAddr, oneshot::Sender<()>)>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Without what differs between the two ends: the scope, and the form of an IPv4 address on a dual-stack socket.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_awaited_connection_is_known_once_in_either_form() {
        let awaited = Awaited::default();
        let mut told = awaited.expect(at("127.0.0.1:4000")).unwrap();
        assert!(!awaited.arrived(at("127.0.0.1:4001")));
        assert!(awaited.arrived(at("[::ffff:127.0.0.1]:4000")));
        assert_eq!(told.try_recv(), Ok(()));
        assert!(!awaited.arrived(at("127.0.0.1:4000")));
    }

    #[test]
    fn what_nobody_waits_for_any_more_makes_room() {
        let awaited = Awaited::default();
        let port = |index: usize| 1000 + u16::try_from(index).unwrap();
        let all: Vec<_> = (0..AWAITED_MAX)
            .map(|index| awaited.expect(SocketAddr::from(([127, 0, 0, 1], port(index)))))
            .collect();
        assert!(all.iter().all(Option::is_some));
        assert!(awaited.expect(at("127.0.0.1:1")).is_none());
        drop(all);
        assert!(awaited.expect(at("127.0.0.1:1")).is_some());
        assert!(!awaited.arrived(at("127.0.0.1:1000")));
    }

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }
}
