//! What is served, by whom and why, for those who ask at the control socket.

use super::App;
use super::banner;
use super::explain;
use super::start::timestamp;
use crate::config::listen::Listen;
use crate::control::leases::{Lease, LeaseId};
use crate::control::session::message::Refusal;
use crate::control::status::{Explanation, LeaseStatus, SiteStatus, Status};
use crate::hostname::HostPattern;
use crate::routing::Kind;

impl App {
    /// The whole door.
    pub(super) fn status(&self) -> Status {
        let table = &self.guests.table;
        Status {
            health: self.health.borrow().clone(),
            holder: self.guests.holder.clone(),
            file: self.source.name().display().to_string(),
            storage: self.keeping.depot().to_string(),
            storage_problem: self.keeping.storage_problem(),
            connections: self.capacity.open(),
            leases: table
                .leases()
                .map(|lease| self.lease_status(lease))
                .collect(),
            sites: self.site_statuses(),
            shadowed: self.probe.shadowed(),
            down: self.checks.down(timestamp()),
            refused: self.last_refusal.clone(),
        }
    }

    fn lease_status(&self, lease: &Lease) -> LeaseStatus {
        let displaced = self.guests.table.displaced(lease.id);
        let mut displaced: Vec<String> = displaced.iter().map(|claim| claim.name.clone()).collect();
        displaced.dedup();
        LeaseStatus {
            lease: lease.id,
            kind: lease.kind,
            owner: lease.owner.clone(),
            presence: lease.presence,
            displaced,
        }
    }

    fn site_statuses(&self) -> Vec<SiteStatus> {
        let config = &self.loaded.config;
        let mut slot = 0;
        let mut statuses = Vec::with_capacity(config.sites.len());
        for (index, site) in config.sites.iter().enumerate() {
            let row = banner::row(site, &self.current.plan, slot, &self.listeners);
            slot += site.names.len();
            let [_names, target, certificate, listen] = row;
            statuses.push(SiteStatus {
                names: site.names.iter().map(ToString::to_string).collect(),
                lease: self.lease_of(index),
                urls: self.urls(&site.names, &site.listen, banner::kind(site)),
                target,
                certificate,
                listen: listen.split(", ").map(str::to_owned).collect(),
                overrides: self.overrides.get(index).copied().flatten().map(LeaseId),
            });
        }
        statuses
    }

    /// Who brought a site.
    pub(super) fn lease_of(&self, site: usize) -> LeaseId {
        self.origin
            .get(site)
            .map_or(LeaseId::FILE, |id| LeaseId(*id))
    }

    fn urls(&self, names: &[HostPattern], listen: &[Listen], kind: Kind) -> Vec<String> {
        let Some(port) = listen.first().map(|listen| self.port_of(listen.port, kind)) else {
            return Vec::new();
        };
        let (scheme, usual) = match kind {
            Kind::Tls => ("https", 443),
            Kind::Plain => ("http", 80),
        };
        let exact = names.iter().filter_map(|name| match name {
            HostPattern::Exact(name) => Some(name.to_string()),
            HostPattern::Wildcard(_) | HostPattern::CatchAll => None,
        });
        exact
            .map(|name| {
                if port == usual {
                    format!("{scheme}://{name}")
                } else {
                    format!("{scheme}://{name}:{port}")
                }
            })
            .collect()
    }

    /// The port that clients use for one that was asked for.
    fn port_of(&self, port: u16, kind: Kind) -> u16 {
        if port != 0 {
            return port;
        }
        let bound = self.listeners.addresses();
        bound
            .iter()
            .find(|(_address, known)| *known == kind)
            .map_or(0, |(address, _kind)| address.port())
    }

    /// Where the exact names of a lease are reached, in the order of its sites.
    pub(super) fn urls_of(&self, id: LeaseId) -> Vec<String> {
        let sites = self.loaded.config.sites.iter().enumerate();
        sites
            .filter(|(index, _site)| self.lease_of(*index) == id)
            .flat_map(|(_index, site)| self.urls(&site.names, &site.listen, banner::kind(site)))
            .collect()
    }

    /// Where our own sites are reached.
    #[must_use]
    pub fn own_urls(&self) -> Vec<String> {
        self.urls_of(LeaseId::FILE)
    }

    /// The sites of a lease as `up` prints them.
    pub(super) fn table_of(&self, id: LeaseId) -> String {
        banner::banner(
            &self.loaded.config,
            &self.current.plan,
            &self.listeners,
            &|index| self.lease_of(index) == id,
        )
    }

    pub(super) fn explain(&self, url: &str) -> Result<Explanation, Refusal> {
        let addresses = self.listeners.addresses();
        let explained = explain::explain(url, &self.current, &addresses, &self.loaded.config);
        let mut explanation = explained.map_err(|problem| Refusal {
            error: "bad-url".to_owned(),
            text: format!("error[bad-url]: {problem}\n"),
            exit: 2,
        })?;
        let sites = &self.loaded.config.sites;
        let named = explanation.site.as_ref().map(|site| &site.what);
        let index = named.and_then(|named| {
            let shows = |name: &HostPattern| name.to_string() == *named;
            sites.iter().position(|site| site.names.iter().any(shows))
        });
        let lease = explanation
            .lease
            .or_else(|| index.map(|index| self.lease_of(index)));
        explanation.lease = lease;
        let owner = match lease.and_then(|id| self.guests.table.lease(id)) {
            Some(lease) => Some(lease.owner.clone()),
            None => lease.map(|_own| self.guests.holder.clone()),
        };
        explanation.since = owner.as_ref().map(|owner| owner.since);
        explanation.owner = owner;
        Ok(explanation)
    }
}
