//! The sockets that are listened on, and which `listen` words each of them stands for.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;

use crate::door::Handle;
use crate::door::accept::{Acceptor, Capacity};
use crate::ports::bind::{self, Bound, Note};
use crate::ports::passed::Passed;
use crate::ports::problem::PortProblem;
use crate::routing::{Kind, SocketSpec};

/// Sockets that are bound, and accepted on once started.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    open: BTreeMap<SocketSpec, Listening>,
}

#[derive(Debug)]
struct Listening {
    address: SocketAddr,
    listener: Arc<TcpListener>,
    acceptor: Option<Acceptor>,
}

impl Listeners {
    /// Binds what is wanted and not there yet; nothing is accepted on the new ones until [`Listeners::accept`].
    ///
    /// # Errors
    /// Nothing was bound then.
    pub(super) fn bind(
        &self,
        wanted: &[SocketSpec],
        passed: Passed,
    ) -> Result<(Self, Vec<Note>), PortProblem> {
        let missing: Vec<SocketSpec> = wanted
            .iter()
            .filter(|spec| !self.open.contains_key(spec))
            .copied()
            .collect();
        let addresses: Vec<SocketAddr> = missing.iter().map(|spec| spec.address).collect();
        let opened = bind::open(&addresses, passed)?;
        let mut open = BTreeMap::new();
        for bound in opened.sockets {
            if let Some(spec) = missing
                .iter()
                .find(|spec| !open.contains_key(*spec) && stands_for(&bound, spec))
            {
                let Bound {
                    listener, address, ..
                } = bound;
                open.insert(
                    *spec,
                    Listening {
                        address,
                        listener: Arc::new(listener),
                        acceptor: None,
                    },
                );
            }
        }
        Ok((Self { open }, opened.notes))
    }

    /// Takes over what another set bound.
    pub(super) fn take_in(&mut self, other: Self) {
        self.open.extend(other.open);
    }

    /// Stops listening on whatever is not wanted any more.
    pub(super) fn retain(&mut self, wanted: &[SocketSpec]) {
        self.open.retain(|spec, _listening| wanted.contains(spec));
    }

    /// Begins to accept on every socket that is not accepted on yet.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn accept(
        &mut self,
        workers: &Arc<[Handle]>,
        capacity: &Arc<Capacity>,
    ) -> io::Result<()> {
        for (spec, listening) in &mut self.open {
            if listening.acceptor.is_none() {
                let listener = listening.listener.clone();
                listening.acceptor = Some(Acceptor::start(
                    listener,
                    *spec,
                    workers.clone(),
                    capacity.clone(),
                )?);
            }
        }
        Ok(())
    }

    /// Where clients reach us, in a stable order.
    #[must_use]
    pub(super) fn addresses(&self) -> Vec<(SocketAddr, Kind)> {
        self.open
            .iter()
            .map(|(spec, listening)| (listening.address, spec.kind))
            .collect()
    }

    /// The actual port of a TLS socket that asked for port 0; any other port is itself.
    #[must_use]
    pub(super) fn port_of(&self, other: &Self, port: u16) -> u16 {
        let sockets = self.open.iter().chain(&other.open);
        let actual = || {
            sockets
                .filter(|(spec, _listening)| spec.kind == Kind::Tls && spec.address.port() == 0)
                .map(|(_spec, listening)| listening.address.port())
                .next()
        };
        if port == 0 {
            actual().unwrap_or(port)
        } else {
            port
        }
    }
}

/// A dual-stack socket that a service manager passed stands for the IPv4 wildcard too; the first word takes it.
fn stands_for(bound: &Bound, spec: &SocketSpec) -> bool {
    let (have, want) = (bound.address, spec.address);
    let same_port = want.port() == 0 || want.port() == have.port();
    let dual = matches!(bound.origin, bind::Origin::Passed { .. })
        && have.ip() == IpAddr::from([0_u16; 8]);
    same_port && (have.ip() == want.ip() || (dual && want.ip().is_unspecified()))
}
