//! Where a client of a URL arrives. What a name resolves to is not known here: it is taken to be an address of this machine, and of
//! several the first that somebody is served at.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::asked::AskedUrl;
use crate::config::Config;
use crate::config::listen::{Listen, ListenHost};
use crate::routing::{Kind, Routes, Socket, SocketSpec};

/// A connection as it would be accepted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival<'a> {
    pub(super) listener: SocketAddr,
    pub(super) local: IpAddr,
    /// The names that are looked at.
    pub(super) socket: &'a Socket,
}

/// Why there is no arrival.
#[derive(Debug)]
pub(super) enum Missed {
    /// No socket has the port.
    Unheard,
    /// The port speaks something else.
    Speaks(SocketAddr, Kind),
    /// A connection is closed at once: nobody is served at the address.
    Unserved(SocketAddr),
}

pub(super) fn arrive<'a>(
    asked: &AskedUrl,
    routes: &'a Routes,
    listeners: &[(SocketAddr, Kind)],
    config: &Config,
) -> Result<Arrival<'a>, Missed> {
    let reached = || {
        listeners.iter().filter_map(|(address, kind)| {
            let locals = locals(*address, asked, config);
            (address.port() == asked.port && !locals.is_empty())
                .then_some((*address, *kind, locals))
        })
    };
    let mut first = None;
    for (listener, _kind, locals) in reached().filter(|(_, kind, _)| *kind == asked.kind()) {
        for local in locals {
            let Some(arrival) = accepted(routes, listener, local, asked.kind()) else {
                continue;
            };
            if arrival.socket.find(local, asked.host.as_str()).is_some() {
                return Ok(arrival);
            }
            first.get_or_insert(arrival);
        }
    }
    first.ok_or_else(|| {
        let unserved = reached().find(|(_, kind, _)| *kind == asked.kind());
        match (unserved, reached().next()) {
            (Some((listener, ..)), _) => Missed::Unserved(listener),
            (None, Some((listener, kind, _))) => Missed::Speaks(listener, kind),
            (None, None) => Missed::Unheard,
        }
    })
}

/// As a worker takes it in.
fn accepted(
    routes: &Routes,
    listener: SocketAddr,
    local: IpAddr,
    kind: Kind,
) -> Option<Arrival<'_>> {
    let spec = routes.narrowest(spec_of(routes, listener, kind)?, local);
    let socket = routes.socket(spec).filter(|socket| socket.admits(local))?;
    Some(Arrival {
        listener,
        local,
        socket,
    })
}

/// The words that a listening socket stands for: its own address, or its port was chosen by the system, or a service manager's dual-stack
/// socket stands for both families.
fn spec_of(routes: &Routes, listener: SocketAddr, kind: Kind) -> Option<SocketSpec> {
    let specs = || {
        let sockets = routes.sockets().iter().map(|socket| socket.spec);
        sockets.filter(move |spec| spec.kind == kind)
    };
    let (ip, port) = (listener.ip(), listener.port());
    specs()
        .find(|spec| spec.address == listener)
        .or_else(|| specs().find(|spec| spec.address.ip() == ip && spec.address.port() == 0))
        .or_else(|| {
            specs().find(|spec| {
                ip.is_unspecified()
                    && spec.address.ip().is_unspecified()
                    && spec.address.port() == port
            })
        })
}

/// The addresses at which the URL's connection may arrive on a socket.
fn locals(listener: SocketAddr, asked: &AskedUrl, config: &Config) -> Vec<IpAddr> {
    let ip = listener.ip();
    let takes =
        |local: IpAddr| ip == local || (ip.is_unspecified() && ip.is_ipv4() == local.is_ipv4());
    if let Some(named) = asked.host.ip() {
        return Some(named)
            .into_iter()
            .filter(|named| takes(*named))
            .collect();
    }
    let loopback = [
        IpAddr::from(Ipv4Addr::LOCALHOST),
        IpAddr::from(Ipv6Addr::LOCALHOST),
    ];
    let sites = config.sites.iter().flat_map(|site| site.listen.iter());
    let mut locals: Vec<IpAddr> = Vec::new();
    let named = sites.chain(&config.http).filter_map(address_of);
    let own = Some(ip).filter(|ip| !ip.is_unspecified());
    for local in loopback.into_iter().chain(own).chain(named) {
        if takes(local) && !locals.contains(&local) {
            locals.push(local);
        }
    }
    locals
}

fn address_of(listen: &Listen) -> Option<IpAddr> {
    match listen.host {
        ListenHost::Any | ListenHost::Loopback => None,
        ListenHost::Address(ip) => Some(ip).filter(|ip| !ip.is_unspecified()),
    }
}
