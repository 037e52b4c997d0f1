//! One configuration from the holder's own and those of its guests: every claim in force is served, and nothing else.
//!
//! Rules for one name and socket that come from several leases are put together into one site. The settings are the holder's.

mod compose;
mod notes;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::outcome::Loaded;
use super::places::PathOf;
use super::problem::{Located, Sources};
use super::problems::Problems;
use super::site::{Certificate, PairFolder, Service, Site};
use super::sockets::{Doors, Sockets, Use};
use super::{Config, Unknown};
use crate::hostname::HostPattern;
use compose::{Composed, compose};

/// The lease of the holder's own configuration.
pub const OWN: u32 = 0;

/// What a lease brings.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    pub lease: u32,
    pub loaded: &'a Loaded,
    pub log: PartLog,
}

/// Where the access log of a part goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartLog {
    /// To the guest.
    Guest,
    /// To the holder's own.
    Own,
}

/// A configuration that serves all parts.
#[derive(Debug)]
pub struct Merged {
    /// Watched files, warnings and faults of included files are those of the holder's own.
    pub loaded: Loaded,
    /// The lease of each site; the first in force where several share one.
    pub origin: Vec<u32>,
    /// For each site a lease that has its place too and does not serve it for now.
    pub overrides: Vec<Option<u32>>,
    /// Where a part is served otherwise than its file says, a sentence each.
    pub notes: Vec<(u32, String)>,
    /// Sockets of a part that cannot be had beside those of the parts before it, a sentence each: such a part cannot be served.
    pub clashes: Vec<(u32, String)>,
}

/// Puts the parts together, in the order of their leases. `keep` says whether what a lease claims is in force.
#[must_use]
pub fn merge(
    own: &Loaded,
    parts: &[Part<'_>],
    keep: &dyn Fn(u32, &HostPattern, u16, PathOf<'_>) -> bool,
) -> Merged {
    let all: Vec<Part<'_>> = std::iter::once(Part {
        lease: OWN,
        loaded: own,
        log: PartLog::Own,
    })
    .chain(parts.iter().copied())
    .collect();
    let (sources, offsets) = sources(&all);
    let sites: Vec<Vec<Site>> = all
        .iter()
        .zip(&offsets)
        .map(|(part, offset)| taken_in(part, *offset))
        .collect();
    let leases: Vec<u32> = all.iter().map(|part| part.lease).collect();
    let composed = compose(&sites, &leases, keep);
    let mut notes = notes::of(own, parts);
    notes.extend(notes::of_sites(&composed, &sites, &leases));
    let mut config = settings(own, parts);
    config.unknown = unknown(&own.config, &composed);
    let origin: Vec<u32> = composed.iter().map(|site| leases[site.first.0]).collect();
    let overrides = composed.iter().map(|site| site.overrides).collect();
    config.sites = composed.into_iter().map(|site| site.site).collect();
    notes.extend(notes::of_orders(&config, parts));
    let clashes = clashes(&config, &origin, &all);
    Merged {
        loaded: Loaded {
            config,
            sources,
            isolated: own.isolated.clone(),
            warnings: own.warnings.clone(),
            watched: own.watched.clone(),
        },
        origin,
        overrides,
        notes,
        clashes,
    }
}

/// All texts one after another, and where those of each part begin.
fn sources(all: &[Part<'_>]) -> (Sources, Vec<u32>) {
    let mut sources = Sources::default();
    let mut offsets = Vec::with_capacity(all.len());
    for part in all {
        offsets.push(u32::try_from(sources.files.len()).unwrap_or(u32::MAX));
        sources
            .files
            .extend(part.loaded.sources.files.iter().cloned());
    }
    (sources, offsets)
}

/// The sites of a part as they are among others.
fn taken_in(part: &Part<'_>, offset: u32) -> Vec<Site> {
    let config = &part.loaded.config;
    let mut sites = config.sites.clone();
    if part.lease == OWN {
        return sites;
    }
    let folder = config.cert_dir.as_ref();
    let folder = folder.map_or(PairFolder::Nowhere, |folder| {
        PairFolder::Own(Arc::new(folder.value.clone()))
    });
    let mut logs = compose::GuestLogs::of(part);
    for site in &mut sites {
        shift(site, offset);
        if let Service::Secure(tls, _) | Service::Tcp(tls, _) = &mut site.service {
            tls.folder = folder.clone();
        }
        logs.redirect(&mut site.service);
    }
    sites
}

/// The places of a site, in sources that stand behind `offset` others.
fn shift(site: &mut Site, offset: u32) {
    let moved = |file: &mut u32| *file = file.saturating_add(offset);
    moved(&mut site.at.file);
    if let Service::Secure(tls, _) | Service::Tcp(tls, _) = &mut site.service
        && let Certificate::Pair { cert, key } = &mut tls.certificate
    {
        let places: [&mut Located<_>; 2] = [cert, key];
        places
            .into_iter()
            .for_each(|located| moved(&mut located.at.file));
    }
}

/// The holder's settings, with what guests need besides.
fn settings(own: &Loaded, parts: &[Part<'_>]) -> Config {
    let mut config = Config {
        sites: Vec::new(),
        ..own.config.clone()
    };
    for part in parts {
        let theirs = &part.loaded.config;
        for listen in &theirs.http {
            if !config.http.contains(listen) {
                config.http.push(*listen);
            }
        }
        for suffix in &theirs.local_suffixes {
            if !config.local_suffixes.contains(suffix) {
                config.local_suffixes.push(suffix.clone());
            }
        }
        if config.acme.is_none() {
            config.acme.clone_from(&theirs.acme);
        }
    }
    config
}

/// The site that serves unknown names, wherever it stands now.
fn unknown(own: &Config, composed: &[Composed]) -> Unknown {
    let Unknown::Serve(index) = own.unknown else {
        return Unknown::Reject;
    };
    let name = own.sites.get(index).and_then(|site| site.names.first());
    let position = |is_it: &dyn Fn(&Composed) -> bool| composed.iter().position(is_it);
    let has_name = |site: &Composed| name.is_some_and(|name| site.site.names.contains(name));
    let is_of = |site: &Composed| site.first == (0, index);
    position(&|site| is_of(site) && has_name(site))
        .or_else(|| position(&is_of))
        .or_else(|| position(&has_name))
        .map_or(Unknown::Reject, Unknown::Serve)
}

/// Sockets that would speak both TLS and plain HTTP, told of the part that came later.
fn clashes(config: &Config, origin: &[u32], all: &[Part<'_>]) -> Vec<(u32, String)> {
    let mut clashes = Vec::new();
    let mut doors = Doors::default();
    for part in all {
        let mut problems = Problems::default();
        let http = Sockets {
            list: part.loaded.config.http.as_slice().into(),
            at: part.loaded.config.http.iter().map(|_| None).collect(),
        };
        doors.take(&http, Use::Plain, &mut problems);
        for (site, lease) in config.sites.iter().zip(origin) {
            if *lease != part.lease {
                continue;
            }
            let sockets = Sockets {
                list: Arc::clone(&site.listen),
                at: site.listen.iter().map(|_| Some(site.at)).collect(),
            };
            let used = match site.service {
                Service::Plain(_) => Use::Plain,
                Service::Secure(..) | Service::Passthrough(_) | Service::Tcp(..) => Use::Tls,
            };
            doors.take(&sockets, used, &mut problems);
        }
        let messages = problems.into_sorted().into_iter();
        for problem in messages {
            let clash = (part.lease, problem.message);
            if !clashes.contains(&clash) {
                clashes.push(clash);
            }
        }
    }
    clashes
}
