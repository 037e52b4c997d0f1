//! Which sockets a configuration needs, and which names are served on each.
//!
//! An address that another socket's wildcard covers gets no socket of its own: the wildcard's arrivals are told apart by their
//! local address. So `443` and `127.0.0.1:443` may stand side by side.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use super::{Entry, NameTable, Site};
use crate::config::Config;
use crate::config::listen::{Listen, ListenHost};
use crate::config::site::Service;
use crate::system::System;

/// What is spoken on a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Tls,
    Plain,
}

/// How `localhost:` is bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loopback {
    /// On the loopback addresses themselves.
    Direct,
    /// On the wildcard, where arrivals at other addresses are dropped: macOS lets an unprivileged process bind low ports on the wildcard only.
    Guarded,
}

impl Loopback {
    #[must_use]
    pub const fn on(system: System) -> Self {
        match system {
            System::Darwin => Self::Guarded,
            System::Linux | System::OtherUnix => Self::Direct,
        }
    }
}

/// A socket as it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SocketSpec {
    pub address: SocketAddr,
    pub kind: Kind,
}

/// A socket and the names served on it.
#[derive(Debug)]
pub struct Socket {
    pub spec: SocketSpec,
    layers: Box<[Layer]>,
}

/// The names that one `listen` entry gave to a socket.
#[derive(Debug)]
struct Layer {
    /// Only for arrivals at this address; none: for all.
    only: Option<IpAddr>,
    names: Arc<NameTable>,
}

impl Socket {
    /// Exact names of all layers first, then wildcards, then catch-alls; `unknown` is not looked at.
    #[must_use]
    pub fn find(&self, local: IpAddr, name: &str) -> Option<Entry> {
        let layers = || {
            self.layers
                .iter()
                .filter(|layer| layer.admits(local))
                .map(|layer| &layer.names)
        };
        layers()
            .find_map(|names| names.exact(name))
            .or_else(|| layers().find_map(|names| names.wildcard(name)))
            .or_else(|| layers().find_map(|names| names.catch_all()))
    }

    /// Whether this machine alone is served, by a socket that the network reaches too.
    #[must_use]
    pub fn guards(&self) -> bool {
        let local = |layer: &Layer| layer.only.is_some_and(|only| only.is_loopback());
        self.spec.address.ip().is_unspecified() && self.layers.iter().all(local)
    }

    /// Whether anybody is served at the local address of an arrival.
    #[must_use]
    pub fn admits(&self, local: IpAddr) -> bool {
        self.layers.iter().any(|layer| layer.admits(local))
    }
}

impl Layer {
    fn admits(&self, local: IpAddr) -> bool {
        self.only.is_none_or(|only| only == local)
    }
}

/// The sockets that a configuration needs, the fewest that cover all it asks for, in a stable order.
#[must_use]
pub fn sockets_of(config: &Config, loopback: Loopback) -> Vec<SocketSpec> {
    let mut wanted: Vec<SocketSpec> = Vec::new();
    for (listen, kind) in listens(config) {
        wanted.extend(specs_of(listen, kind, loopback));
    }
    wanted.sort_unstable();
    wanted.dedup();
    let all = wanted.clone();
    wanted.retain(|spec| !all.iter().any(|other| covers(*other, *spec)));
    wanted
}

/// The sockets that one `listen` entry asks for; a wildcard may stand in for them.
pub fn specs_of(
    listen: Listen,
    kind: Kind,
    loopback: Loopback,
) -> impl Iterator<Item = SocketSpec> {
    let places = places(listen, loopback).into_iter();
    places.map(move |place| SocketSpec {
        address: place.address,
        kind,
    })
}

pub(super) fn compile(config: &Config, sites: &[Arc<Site>], loopback: Loopback) -> Box<[Socket]> {
    let tables = tables(config, sites);
    let socket = |spec: SocketSpec| {
        let mut layers: Vec<Layer> = Vec::new();
        for ((listen, kind), names) in &tables {
            for place in places(*listen, loopback) {
                let own = SocketSpec {
                    address: place.address,
                    kind: *kind,
                };
                if own == spec || covers(spec, own) {
                    let only = place
                        .only
                        .or_else(|| (own != spec).then(|| own.address.ip()));
                    layers.push(Layer {
                        only,
                        names: names.clone(),
                    });
                }
            }
        }
        layers.sort_by_key(|layer| layer.only.is_none());
        Socket {
            spec,
            layers: layers.into(),
        }
    };
    sockets_of(config, loopback)
        .into_iter()
        .map(socket)
        .collect()
}

/// Every distinct `listen` entry with what is spoken there, whether or not a site uses it.
fn listens(config: &Config) -> Vec<(Listen, Kind)> {
    let mut all: Vec<(Listen, Kind)> = config
        .http
        .iter()
        .map(|listen| (*listen, Kind::Plain))
        .collect();
    for site in &config.sites {
        let kind = kind_of(&site.service);
        all.extend(site.listen.iter().map(|listen| (*listen, kind)));
        if all.len() > 4096 {
            all.sort_unstable();
            all.dedup();
        }
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// The names of every `listen` entry. Plain sockets also know the names of TLS sites, to send their clients to `https`, unless a plain
/// site has the name there.
fn tables(config: &Config, sites: &[Arc<Site>]) -> BTreeMap<(Listen, Kind), Arc<NameTable>> {
    let mut tables: BTreeMap<(Listen, Kind), NameTable> = config
        .http
        .iter()
        .map(|listen| ((*listen, Kind::Plain), NameTable::default()))
        .collect();
    let mut insert = |number: u32, listens: &[Listen], kind: Kind| {
        let numbered = usize::try_from(number).ok();
        let found = numbered.and_then(|index| Some((config.sites.get(index)?, sites.get(index)?)));
        let Some((site, compiled)) = found else {
            return;
        };
        for listen in listens {
            let table = tables.entry((*listen, kind)).or_default();
            for (slot, pattern) in (compiled.first_slot..).zip(&site.names) {
                table.insert(pattern, Entry { site: number, slot });
            }
        }
    };
    for (number, site) in (0_u32..).zip(&config.sites) {
        insert(number, &site.listen, kind_of(&site.service));
    }
    for (number, site) in (0_u32..).zip(&config.sites) {
        if kind_of(&site.service) == Kind::Tls {
            insert(number, &config.http, Kind::Plain);
        }
    }
    tables
        .into_iter()
        .map(|(key, table)| (key, Arc::new(table)))
        .collect()
}

/// What a site's clients speak.
#[must_use]
pub fn kind_of(service: &Service) -> Kind {
    match service {
        Service::Plain(_) => Kind::Plain,
        Service::Secure(..) | Service::Passthrough(_) | Service::Tcp(..) => Kind::Tls,
    }
}

struct Place {
    address: SocketAddr,
    /// Set where the socket takes in more than was asked for.
    only: Option<IpAddr>,
}

fn places(listen: Listen, loopback: Loopback) -> Vec<Place> {
    const ANY: [IpAddr; 2] = [
        IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    ];
    const LOCAL: [IpAddr; 2] = [
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::LOCALHOST),
    ];
    let at = |ip: IpAddr, only| Place {
        address: SocketAddr::new(ip, listen.port),
        only,
    };
    match (listen.host, loopback) {
        (ListenHost::Any, _) => ANY.map(|ip| at(ip, None)).into(),
        (ListenHost::Loopback, Loopback::Direct) => LOCAL.map(|ip| at(ip, None)).into(),
        (ListenHost::Loopback, Loopback::Guarded) => ANY
            .into_iter()
            .zip(LOCAL)
            .map(|(any, local)| at(any, Some(local)))
            .collect(),
        (ListenHost::Address(ip), _) => vec![at(ip, None)],
    }
}

/// Whether `wide` takes in every arrival of `narrow`. Port 0 is a different port each time.
pub(super) fn covers(wide: SocketSpec, narrow: SocketSpec) -> bool {
    let (wide_at, narrow_at) = (wide.address, narrow.address);
    wide.kind == narrow.kind
        && wide_at.port() == narrow_at.port()
        && wide_at.port() != 0
        && wide_at.is_ipv4() == narrow_at.is_ipv4()
        && wide_at.ip().is_unspecified()
        && !narrow_at.ip().is_unspecified()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::read;
    use crate::routing::Routes;

    const ALONE: &str = r#"
        listen = ["localhost:443"]
        http = false
        [sites]
        "a.test" = "3000"
    "#;

    #[test]
    fn localhost_is_bound_on_the_wildcard_where_low_ports_are_free_there_only() {
        #[track_caller]
        fn check(system: System, expected: [&str; 2]) {
            let config = read(Path::new("proxy.toml"), ALONE).unwrap().config;
            let addresses: Vec<String> = sockets_of(&config, Loopback::on(system))
                .iter()
                .map(|spec| spec.address.to_string())
                .collect();
            assert_eq!(addresses, expected);
        }
        check(System::Darwin, ["0.0.0.0:443", "[::]:443"]);
        check(System::Linux, ["127.0.0.1:443", "[::1]:443"]);
        check(System::OtherUnix, ["127.0.0.1:443", "[::1]:443"]);
    }

    #[test]
    fn a_guarded_wildcard_serves_this_machine_alone() {
        let routes = routes(ALONE, Loopback::Guarded);
        for socket in routes.sockets() {
            assert!(socket.guards());
            let local: IpAddr = match socket.spec.address.ip() {
                IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            };
            assert!(socket.admits(local));
            assert!(socket.find(local, "a.test").is_some());
        }
        let network: IpAddr = [192, 0, 2, 1].into();
        assert!(routes.sockets().iter().all(|one| !one.admits(network)));
    }

    #[test]
    fn a_wildcard_that_one_site_wants_open_guards_only_the_others() {
        let routes = routes(
            r#"
            http = false
            [sites]
            "own.test" = { to = "3000", listen = ["localhost:443"] }
            "all.test" = { to = "3001", listen = [443] }
            "#,
            Loopback::Guarded,
        );
        let socket = &routes.sockets()[0];
        let network: IpAddr = [192, 0, 2, 1].into();
        assert!(!socket.guards());
        assert!(socket.find(network, "all.test").is_some());
        assert!(socket.find(network, "own.test").is_none());
        assert!(
            socket
                .find(Ipv4Addr::LOCALHOST.into(), "own.test")
                .is_some()
        );
    }

    #[test]
    fn an_address_of_its_own_is_no_guard() {
        let routes = routes(ALONE, Loopback::Direct);
        assert!(routes.sockets().iter().all(|socket| !socket.guards()));
    }

    fn routes(text: &str, loopback: Loopback) -> Routes {
        let loaded = read(Path::new("proxy.toml"), text).unwrap();
        Routes::compile(&loaded.config, 1, loopback, &|port| port)
    }
}
