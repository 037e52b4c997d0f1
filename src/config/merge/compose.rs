//! Which sites there are: for each name and socket the rules of everybody who is served there.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::{Part, PartLog};
use crate::config::listen::{Listen, ListenHost};
use crate::config::places::PathOf;
use crate::config::site::{AccessLogging, Http, Rule, Service, Site};
use crate::hostname::HostPattern;

/// A site of the merged configuration.
#[derive(Debug)]
pub(super) struct Composed {
    pub(super) site: Site,
    /// The part and the site in it that comes first.
    pub(super) first: (usize, usize),
    /// The others that are put together with it.
    pub(super) others: Vec<(usize, usize)>,
    pub(super) overrides: Option<u32>,
}

/// What a site of a part gives to a name at a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Share {
    part: usize,
    site: usize,
    /// For each part of its paths, whether it is in force.
    kept: Box<[bool]>,
}

/// How names are served, and where.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Manner {
    /// Never empty.
    shares: Vec<Share>,
    overrides: Option<u32>,
    listen: Vec<Listen>,
}

/// Names that are served in one manner.
#[derive(Debug)]
struct Group {
    manner: Manner,
    names: Vec<HostPattern>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spoken {
    Tls,
    Plain,
}

type Keep<'a> = dyn Fn(u32, &HostPattern, u16, PathOf<'_>) -> bool + 'a;

/// Puts sites together: those of the first part come first, each as far as it is in force.
pub(super) fn compose(sites: &[Vec<Site>], leases: &[u32], keep: &Keep<'_>) -> Vec<Composed> {
    let mut groups: Vec<Group> = Vec::new();
    let mut known: HashMap<Manner, usize, RandomState> = HashMap::default();
    for (name, places) in by_name(sites) {
        for manner in manners(name, &places, sites, leases, keep) {
            match known.get(&manner) {
                Some(index) => groups[*index].names.push(name.clone()),
                None => {
                    known.insert(manner.clone(), groups.len());
                    let names = vec![name.clone()];
                    groups.push(Group { manner, names });
                }
            }
        }
    }
    groups.sort_by_key(|group| {
        let first = &group.manner.shares[0];
        (first.part, first.site)
    });
    groups
        .into_iter()
        .map(|group| composed(group, sites))
        .collect()
}

/// Every name in the order in which it first appears, with the sites that have it.
fn by_name(sites: &[Vec<Site>]) -> Vec<(&HostPattern, Vec<(usize, usize)>)> {
    let mut found: Vec<(&HostPattern, Vec<(usize, usize)>)> = Vec::new();
    let mut indices: HashMap<&HostPattern, usize, RandomState> = HashMap::default();
    for (part, sites) in sites.iter().enumerate() {
        for (index, site) in sites.iter().enumerate() {
            for name in &site.names {
                let at = *indices.entry(name).or_insert_with(|| {
                    found.push((name, Vec::new()));
                    found.len() - 1
                });
                let places = &mut found[at].1;
                if places.last() != Some(&(part, index)) {
                    places.push((part, index));
                }
            }
        }
    }
    found
}

/// What serves a name, for each set of sockets where it is the same.
fn manners(
    name: &HostPattern,
    places: &[(usize, usize)],
    sites: &[Vec<Site>],
    leases: &[u32],
    keep: &Keep<'_>,
) -> Vec<Manner> {
    let mut manners: Vec<Manner> = Vec::new();
    for spoken in [Spoken::Tls, Spoken::Plain] {
        let mut there: Vec<(usize, usize)> = places.to_vec();
        there.retain(|(part, site)| spoken_by(&sites[*part][*site].service) == spoken);
        for listen in sockets(&there, sites) {
            let mut overrides = None;
            let mut shares = Vec::new();
            for (part, site) in nearest(&there, listen, sites) {
                let lease = leases[part];
                let parts = sites[part][site].service.parts();
                let kept: Box<[bool]> = parts
                    .iter()
                    .map(|path| keep(lease, name, listen.port, *path))
                    .collect();
                if kept.iter().any(|kept| !kept) {
                    overrides = overrides.or(Some(lease));
                }
                if kept.contains(&true) {
                    shares.push(Share { part, site, kept });
                }
            }
            let shares = of_one_kind(shares, sites);
            if shares.is_empty() {
                continue;
            }
            let alike =
                |manner: &&mut Manner| manner.shares == shares && manner.overrides == overrides;
            match manners.iter_mut().find(alike) {
                Some(manner) => manner.listen.push(listen),
                None => manners.push(Manner {
                    shares,
                    overrides,
                    listen: vec![listen],
                }),
            }
        }
    }
    manners
}

/// A tunnel has nothing beside it, and nothing that is no tunnel has one beside it.
fn of_one_kind(mut shares: Vec<Share>, sites: &[Vec<Site>]) -> Vec<Share> {
    let has_http = |share: &Share| sites[share.part][share.site].service.http().is_some();
    match shares.first() {
        Some(first) if has_http(first) => shares.retain(has_http),
        Some(_) | None => shares.truncate(1),
    }
    shares
}

/// The sockets that the sites are served on, each once. Where several parts have a name and some of them say an address, all are said as
/// addresses, so that none stands in the way of another.
fn sockets(places: &[(usize, usize)], sites: &[Vec<Site>]) -> Vec<Listen> {
    let mut sockets: Vec<Listen> = Vec::new();
    let mut add = |listen| {
        if !sockets.contains(&listen) {
            sockets.push(listen);
        }
    };
    let listens = || {
        let of = |(part, site): &(usize, usize)| sites[*part][*site].listen.iter().copied();
        places.iter().flat_map(of)
    };
    let is_shared = places.windows(2).any(|pair| pair[0].0 != pair[1].0);
    for listen in listens() {
        let is_mixed = is_shared
            && listens().any(|other| {
                let says_address = matches!(other.host, ListenHost::Address(_));
                other.port == listen.port && says_address
            });
        if is_mixed {
            addresses(listen).into_iter().for_each(&mut add);
        } else {
            add(listen);
        }
    }
    sockets
}

fn addresses(listen: Listen) -> Vec<Listen> {
    let at = |ip: IpAddr| Listen {
        host: ListenHost::Address(ip),
        port: listen.port,
    };
    match listen.host {
        ListenHost::Any => vec![
            at(Ipv4Addr::UNSPECIFIED.into()),
            at(Ipv6Addr::UNSPECIFIED.into()),
        ],
        ListenHost::Loopback => vec![
            at(Ipv4Addr::LOCALHOST.into()),
            at(Ipv6Addr::LOCALHOST.into()),
        ],
        ListenHost::Address(_) => vec![listen],
    }
}

/// Of each part the site that is served on a socket: the one that says it most narrowly.
fn nearest(places: &[(usize, usize)], listen: Listen, sites: &[Vec<Site>]) -> Vec<(usize, usize)> {
    let mut nearest: Vec<(usize, usize, u8)> = Vec::new();
    for (part, site) in places {
        let width = sites[*part][*site]
            .listen
            .iter()
            .filter_map(|own| width(*own, listen))
            .min();
        let Some(width) = width else { continue };
        match nearest.iter_mut().find(|known| known.0 == *part) {
            Some(known) if width < known.2 => *known = (*part, *site, width),
            Some(_) => {}
            None => nearest.push((*part, *site, width)),
        }
    }
    nearest
        .into_iter()
        .map(|(part, site, _)| (part, site))
        .collect()
}

/// How much wider `own` is than `socket`, if it takes in every arrival there.
fn width(own: Listen, socket: Listen) -> Option<u8> {
    if own.port != socket.port {
        return None;
    }
    match (own.host, socket.host) {
        (own, socket) if own == socket => Some(0),
        (ListenHost::Loopback, ListenHost::Address(ip)) if is_loopback(ip) => Some(1),
        (ListenHost::Address(own), ListenHost::Address(ip))
            if own.is_unspecified() && own.is_ipv4() == ip.is_ipv4() =>
        {
            Some(2)
        }
        (ListenHost::Any, _) => Some(3),
        (ListenHost::Loopback | ListenHost::Address(_), _) => None,
    }
}

/// What `localhost` is bound to.
fn is_loopback(ip: IpAddr) -> bool {
    ip == Ipv4Addr::LOCALHOST || ip == Ipv6Addr::LOCALHOST
}

fn spoken_by(service: &Service) -> Spoken {
    match service {
        Service::Plain(_) => Spoken::Plain,
        Service::Secure(..) | Service::Passthrough(_) | Service::Tcp(..) => Spoken::Tls,
    }
}

fn composed(group: Group, sites: &[Vec<Site>]) -> Composed {
    let Group { manner, names } = group;
    let Manner {
        shares,
        overrides,
        listen,
    } = manner;
    let of = |share: &Share| &sites[share.part][share.site];
    let first = of(&shares[0]);
    let listen = if *listen == *first.listen {
        Arc::clone(&first.listen)
    } else {
        listen.into()
    };
    let is_whole = shares.len() == 1 && !shares[0].kept.contains(&false);
    let service = if is_whole {
        first.service.clone()
    } else {
        let http = || {
            together(
                shares
                    .iter()
                    .map(|share| (&of(share).service, &*share.kept)),
            )
        };
        match &first.service {
            Service::Plain(_) => Service::Plain(http()),
            Service::Secure(tls, _) => Service::Secure(tls.clone(), http()),
            Service::Passthrough(_) | Service::Tcp(..) => first.service.clone(),
        }
    };
    let mut places = shares.iter().map(|share| (share.part, share.site));
    Composed {
        first: places.next().unwrap_or_default(),
        others: places.collect(),
        site: Site {
            names: names.into(),
            listen,
            service,
            at: first.at,
        },
        overrides,
    }
}

/// The rules in force; where several stand for the same paths, the first.
fn together<'a>(shares: impl Iterator<Item = (&'a Service, &'a [bool])>) -> Http {
    let mut root: Option<Arc<Rule>> = None;
    let mut paths = Vec::new();
    let mut taken: Vec<PathOf<'_>> = Vec::new();
    for (service, kept) in shares {
        let Some(http) = service.http() else { continue };
        let parts = service.parts();
        let in_force: Vec<PathOf<'_>> = parts
            .into_iter()
            .zip(kept)
            .filter(|(part, kept)| **kept && !taken.contains(part))
            .map(|(part, _kept)| part)
            .collect();
        let own = http.paths.iter();
        let own = own.filter(|path| in_force.contains(&PathOf::of(path)));
        let before = paths.len();
        paths.extend(own.cloned());
        let has_root_path = paths[before..]
            .iter()
            .any(|path| PathOf::of(path) == PathOf::ROOT);
        if in_force.contains(&PathOf::ROOT) && !has_root_path {
            root.clone_from(&http.root);
        }
        taken.extend(in_force);
    }
    Http {
        root,
        paths: paths.into(),
    }
}

/// Sends the log of a guest's rules to the guest; rules that were shared stay so.
pub(super) struct GuestLogs {
    guest: Option<u32>,
    rules: HashMap<*const Rule, Arc<Rule>, RandomState>,
}

impl GuestLogs {
    pub(super) fn of(part: &Part<'_>) -> Self {
        Self {
            guest: match part.log {
                PartLog::Guest => Some(part.lease),
                PartLog::Own => None,
            },
            rules: HashMap::default(),
        }
    }

    pub(super) fn redirect(&mut self, service: &mut Service) {
        let Some(lease) = self.guest else { return };
        match service {
            Service::Plain(http) | Service::Secure(_, http) => {
                let paths = http.paths.iter_mut().map(|path| &mut path.rule);
                for rule in http.root.iter_mut().chain(paths) {
                    self.redirect_rule(rule, lease);
                }
            }
            Service::Passthrough(tunnel) | Service::Tcp(_, tunnel) => {
                tunnel.log = redirected(tunnel.log, lease);
            }
        }
    }

    fn redirect_rule(&mut self, rule: &mut Arc<Rule>, lease: u32) {
        let changed = self.rules.entry(Arc::as_ptr(rule)).or_insert_with(|| {
            let mut changed = Rule::clone(rule);
            changed.log = redirected(changed.log, lease);
            Arc::new(changed)
        });
        *rule = Arc::clone(changed);
    }
}

fn redirected(log: AccessLogging, lease: u32) -> AccessLogging {
    match log {
        AccessLogging::Kept | AccessLogging::Guest(_) => AccessLogging::Guest(lease),
        AccessLogging::Omitted => AccessLogging::Omitted,
    }
}
