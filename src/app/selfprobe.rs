//! Whether connections to our addresses still arrive here: another process can shadow an address after it was bound, by a more
//! specific one, and on macOS nobody is told.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpSocket;
use tokio::time::timeout;

use super::App;
use crate::config::Config;
use crate::door::Awaited;
use crate::ports::holder::{self, Fact, Process};
use crate::ports::strict::reachable_at;
use crate::routing::{Loopback, sockets_of};

/// How often is looked, where only this machine is served.
pub(super) const EVERY: Duration = Duration::from_secs(30);
/// How long a connection may take to arrive.
const PATIENCE: Duration = Duration::from_secs(1);
/// A door that is slow once is not shadowed.
const TRIES: usize = 2;

/// Makes connections to our own addresses.
#[derive(Debug)]
pub(super) struct SelfProbe {
    awaited: Arc<Awaited>,
    /// Whose listening is no surprise.
    own: u32,
    patience: Duration,
    shadows: Mutex<Vec<Shadow>>,
}

/// An address at which another process takes our connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shadow {
    pub(super) address: SocketAddr,
    /// None: the system does not say who it is.
    pub(super) by: Option<Box<Process>>,
}

enum Seen {
    Here,
    Elsewhere,
    /// There is no connection whose way could be followed.
    Unknown,
}

impl SelfProbe {
    pub(super) fn new(awaited: Arc<Awaited>) -> Self {
        Self {
            awaited,
            own: std::process::id(),
            patience: PATIENCE,
            shadows: Mutex::default(),
        }
    }

    /// The addresses, as they are listened on, at which our connections go to somebody else.
    pub(super) async fn look(&self, addresses: &[SocketAddr]) -> Vec<Shadow> {
        let mut shadows = Vec::new();
        for &address in addresses {
            let target = reachable_at(address);
            if self.is_missed(target).await {
                let own = self.own;
                let found = tokio::task::spawn_blocking(move || holder::stranger(target, own));
                let by = found.await.ok().flatten().map(Box::new);
                shadows.push(Shadow { address, by });
            }
        }
        shadows
    }

    /// Looks, and tells what changed since the last time.
    pub(super) async fn round(&self, addresses: &[SocketAddr]) {
        let now = self.look(addresses).await;
        let mut shadows = self.shadows.lock().unwrap_or_else(PoisonError::into_inner);
        for new in now
            .iter()
            .filter(|new| !shadows.iter().any(|old| old.is_still(new)))
        {
            tracing::warn!("{new}");
        }
        for old in shadows.iter() {
            if now.iter().all(|new| new.address != old.address) {
                tracing::info!("connections to {} arrive here again", old.address);
            }
        }
        *shadows = now;
    }

    /// What the last round found, in words.
    pub(super) fn shadowed(&self) -> Vec<String> {
        let shadows = self.shadows.lock().unwrap_or_else(PoisonError::into_inner);
        shadows.iter().map(ToString::to_string).collect()
    }

    async fn is_missed(&self, target: SocketAddr) -> bool {
        for _try in 0..TRIES {
            match self.seen(target).await {
                Seen::Here | Seen::Unknown => return false,
                Seen::Elsewhere => {}
            }
        }
        true
    }

    /// Bound before it connects, so that its address is known before it can arrive.
    async fn seen(&self, target: SocketAddr) -> Seen {
        let socket = if target.is_ipv4() {
            TcpSocket::new_v4()
        } else {
            TcpSocket::new_v6()
        };
        let bound = socket.and_then(|socket| {
            socket.bind(SocketAddr::new(target.ip(), 0))?;
            let from = socket.local_addr()?;
            Ok((socket, from))
        });
        let Ok((socket, from)) = bound else {
            return Seen::Unknown;
        };
        let Some(told) = self.awaited.expect(from) else {
            return Seen::Unknown;
        };
        let Ok(Ok(_stream)) = timeout(self.patience, socket.connect(target)).await else {
            return Seen::Unknown;
        };
        match timeout(self.patience, told).await {
            Ok(Ok(())) => Seen::Here,
            Ok(Err(_)) => Seen::Unknown,
            Err(_late) => Seen::Elsewhere,
        }
    }
}

impl Shadow {
    fn is_still(&self, other: &Self) -> bool {
        let pid = |shadow: &Self| shadow.by.as_ref().map(|process| process.pid);
        self.address == other.address && pid(self) == pid(other)
    }
}

impl App {
    /// Looks in the background, where it is worth the trouble: a door that others reach too is not a developer's.
    pub(super) fn look_for_shadows(&self) {
        // A full door accepts nobody, ourselves neither.
        if !serves_this_machine_alone(&self.loaded.config) || self.capacity.is_full() {
            return;
        }
        let listeners = self.listeners.addresses();
        let addresses: Vec<SocketAddr> =
            listeners.iter().map(|(address, _kind)| *address).collect();
        let probe = self.probe.clone();
        let round = async move { probe.round(&addresses).await };
        drop(self.shutdown.spawn_attendant(round));
    }

    /// Addresses at which another process takes our connections, in words.
    #[must_use]
    pub fn shadowed(&self) -> Vec<String> {
        self.probe.shadowed()
    }
}

fn serves_this_machine_alone(config: &Config) -> bool {
    sockets_of(config, Loopback::Direct)
        .iter()
        .all(|spec| spec.address.ip().is_loopback())
}

impl fmt::Display for Shadow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.address;
        let Some(process) = &self.by else {
            return write!(
                f,
                "connections to {address} do not arrive here: another process takes them, and the system does not say which"
            );
        };
        let (name, pid) = (&process.name, process.pid);
        write!(
            f,
            "connections to {address} go to {name} (pid {pid}) instead of here"
        )?;
        if let Fact::Known(command) = &process.command {
            write!(f, ", started as `{}`", command.join(" "))?;
        }
        write!(f, ": stop it with `kill {pid}`, or listen elsewhere")
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn probe(patience: Duration) -> SelfProbe {
        SelfProbe {
            awaited: Arc::default(),
            // So that this process counts as a stranger.
            own: 0,
            patience,
            shadows: Mutex::default(),
        }
    }

    #[tokio::test]
    async fn an_address_that_another_process_answers_is_shadowed_by_it() {
        let stranger = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = stranger.local_addr().unwrap();
        let probe = probe(Duration::from_millis(50));
        probe.round(&[address]).await;
        let told = probe.shadowed();
        let pid = std::process::id();
        assert!(told[0].contains(&format!("(pid {pid})")), "{told:?}");
        drop(stranger);
        probe.round(&[address]).await;
        assert_eq!(probe.shadowed(), [] as [String; 0]);
    }

    #[test]
    fn a_stranger_without_a_name_is_told_of_too() {
        let shadow = Shadow {
            address: "127.0.0.1:443".parse().unwrap(),
            by: None,
        };
        assert!(shadow.to_string().contains("another process takes them"));
    }

    #[test]
    fn a_door_for_others_is_not_looked_at() {
        #[track_caller]
        fn check(listen: &str, expected: bool) {
            let text = format!("listen = [{listen}]\nhttp = false\n[sites]\n\"a.test\" = \"1\"\n");
            let loaded = crate::config::read(std::path::Path::new("x"), &text).unwrap();
            assert_eq!(serves_this_machine_alone(&loaded.config), expected);
        }
        check("\"localhost:8443\", \"127.0.0.2:8443\"", true);
        check("\"localhost:8443\", 9443", false);
    }
}
