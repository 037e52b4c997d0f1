//! The sockets that are listened on, and which `listen` words each of them stands for.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::start::LOOPBACK;
use crate::config::Config;
use crate::config::listen::Listen;
use crate::door::Handle;
use crate::door::accept::{Acceptor, Capacity};
use crate::ports::bind::{self, Bound, Note, Origin};
use crate::ports::entry::{Entry, Key};
use crate::ports::passed::Passed;
use crate::ports::problem::PortProblem;
use crate::ports::strict;
use crate::routing::{Kind, SocketSpec, specs_of};

/// Sockets that are bound, and accepted on once started.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    open: BTreeMap<SocketSpec, Listening>,
}

#[derive(Debug)]
struct Listening {
    address: SocketAddr,
    origin: Origin,
    listener: Arc<TcpListener>,
    acceptor: Option<Acceptor>,
}

impl Listening {
    fn new(bound: Bound) -> Self {
        let Bound {
            listener,
            address,
            origin,
        } = bound;
        Self {
            address,
            origin,
            listener: Arc::new(listener),
            acceptor: None,
        }
    }
}

impl Listeners {
    /// Goes on with sockets that another process passed on.
    #[must_use]
    pub(super) fn inherit(sockets: Vec<(SocketSpec, Bound)>) -> Self {
        let mut listeners = Self::default();
        for (spec, bound) in sockets {
            listeners.put(spec, bound);
        }
        listeners
    }

    /// Every socket once more, for an heir, with the words it stands for and whether a service manager keeps it.
    ///
    /// # Errors
    /// When the system has no descriptor left.
    pub(super) fn duplicates(&self) -> io::Result<Vec<(SocketSpec, Origin, OwnedFd)>> {
        let again = |(spec, listening): (&SocketSpec, &Listening)| {
            let socket = listening.listener.try_clone()?;
            Ok((*spec, listening.origin.clone(), socket.into()))
        };
        self.open.iter().map(again).collect()
    }

    /// Binds what is wanted by the configuration and not there yet; nothing is accepted on the new ones until [`Listeners::accept`].
    ///
    /// # Errors
    /// Nothing was bound then.
    pub(super) fn bind(
        &self,
        wanted: &[SocketSpec],
        config: &Config,
        passed: Passed,
    ) -> Result<(Self, Vec<Note>), PortProblem> {
        let missing: Vec<SocketSpec> = wanted
            .iter()
            .filter(|spec| !self.open.contains_key(spec))
            .copied()
            .collect();
        let addresses: Vec<SocketAddr> = missing.iter().map(|spec| spec.address).collect();
        let opened = bind::open(&addresses, &|address| entry_of(config, address), passed)?;
        let mut open = BTreeMap::new();
        for bound in opened.sockets {
            if let Some(spec) = missing
                .iter()
                .find(|spec| !open.contains_key(*spec) && stands_for(&bound, spec))
            {
                open.insert(*spec, Listening::new(bound));
            }
        }
        Ok((Self { open }, opened.notes))
    }

    /// As [`Self::bind`], where a socket that is not wanted any more may stand in the way of a wanted one: it is closed first, for no
    /// system lets `0.0.0.0` in beside `127.0.0.1`.
    ///
    /// # Errors
    /// What was closed is bound again then, and accepted on after the next [`Self::accept`].
    pub(super) fn bind_instead(
        &mut self,
        wanted: &[SocketSpec],
        config: &Config,
    ) -> Result<(Self, Vec<Note>), PortProblem> {
        let closed = self.make_room(wanted);
        self.bind(wanted, config, Passed::none())
            .inspect_err(|_problem| {
                for (spec, address) in closed {
                    match bind::bind(&[address]) {
                        Ok(opened) => opened
                            .sockets
                            .into_iter()
                            .for_each(|bound| self.put(spec, bound)),
                        Err(lost) => tracing::error!(%lost, "the old socket is gone"),
                    }
                }
            })
    }

    fn make_room(&mut self, wanted: &[SocketSpec]) -> Vec<(SocketSpec, SocketAddr)> {
        let missing: Vec<SocketAddr> = wanted
            .iter()
            .filter(|spec| !self.open.contains_key(spec))
            .map(|spec| spec.address)
            .collect();
        let in_the_way = |spec: &SocketSpec, listening: &Listening| {
            let overlaps = |new: &SocketAddr| strict::overlaps(listening.address, *new);
            !wanted.contains(spec)
                && listening.origin == Origin::Bound
                && missing.iter().any(overlaps)
        };
        let closing = self
            .open
            .extract_if(.., |spec, listening| in_the_way(spec, listening));
        closing
            .map(|(spec, listening)| (spec, listening.address))
            .collect()
    }

    fn put(&mut self, spec: SocketSpec, bound: Bound) {
        self.open.insert(spec, Listening::new(bound));
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

    /// Where a socket is that was asked for by itself.
    #[must_use]
    pub(super) fn address_of(&self, spec: &SocketSpec) -> Option<SocketAddr> {
        self.open.get(spec).map(|listening| listening.address)
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

/// The widest entry of the configuration that asks for an address.
fn entry_of(config: &Config, address: SocketAddr) -> Entry {
    let asks = |listen: &&Listen| {
        // What is spoken there has no say in the address.
        specs_of(**listen, Kind::Tls, LOOPBACK).any(|spec| spec.address == address)
    };
    let plain = config.http.iter().filter(asks).min();
    let all = config.sites.iter().flat_map(|site| site.listen.iter());
    match (plain, all.filter(asks).min()) {
        (Some(listen), _) => Entry::new(Key::Http, &listen.to_string()),
        (None, Some(listen)) => Entry::new(Key::Listen, &listen.to_string()),
        (None, None) => Entry::of(address),
    }
}

/// A dual-stack socket that a service manager passed stands for the IPv4 wildcard too; the first word takes it.
fn stands_for(bound: &Bound, spec: &SocketSpec) -> bool {
    let (have, want) = (bound.address, spec.address);
    let same_port = want.port() == 0 || want.port() == have.port();
    let dual =
        matches!(bound.origin, Origin::Passed { .. }) && have.ip() == IpAddr::from([0_u16; 8]);
    same_port && (have.ip() == want.ip() || (dual && want.ip().is_unspecified()))
}
