//! What would become of a request for a URL, and why. Nothing is sent and nothing looked up: the tables in service are asked by the very
//! functions that serve, and heads are edited by the very code that edits them.

mod arrival;
mod asked;
mod heads;
mod request;
#[cfg(test)]
mod tests;
mod words;

use std::net::SocketAddr;

use crate::certs::plan::Described;
use crate::config::Config;
use crate::config::backends::{Backends, Balance};
use crate::config::site::{AccessLogging, Certificate, Service, Tunnel};
use crate::control::health::Kind as Spoken;
use crate::control::leases::LeaseId;
use crate::control::status::{Explanation, Step};
use crate::door::Current;
use crate::hostname::HostPattern;
use crate::proxy::context::Held;
use crate::proxy::{redirect, replies};
use crate::routing::{Asked, Decision, Entry, Kind, Refusal, Site};
use arrival::{Arrival, Missed, arrive};
use asked::AskedUrl;
use request::redirected;

/// Says what would become of a request for `url`. The owner of the site and since when it is served stay unsaid, and whose it is unless it
/// is a guest's.
///
/// # Errors
/// When the text is no URL: what is wrong with it and how to mend it.
pub fn explain(
    url: &str,
    current: &Current,
    listeners: &[(SocketAddr, Kind)],
    config: &Config,
) -> Result<Explanation, String> {
    let asked = AskedUrl::parse(url)?;
    let way = Way {
        asked: &asked,
        current,
        config,
    };
    let mut told = Explanation {
        url: asked.to_string(),
        listener: None,
        spoken: None,
        certificate: None,
        site: None,
        rule: None,
        target: None,
        guard: Vec::new(),
        choice: Vec::new(),
        request: Vec::new(),
        answer: Vec::new(),
        outcome: String::new(),
        lease: None,
        owner: None,
        since: None,
    };
    told.outcome = match arrive(&asked, &current.table.routes, listeners, config) {
        Ok(arrival) => way.serve(arrival, &mut told),
        Err(missed) => way.miss(&missed, listeners),
    };
    Ok(told)
}

const UNRECOGNIZED: &str = "the handshake fails with the alert `unrecognized_name`";
const NO_CERTIFICATE: &str =
    "the handshake fails with the alert `internal_error`: there is no certificate for the name";

/// One look along the way of a request. Each step tells what it chose and returns the end of it in a sentence.
struct Way<'a> {
    asked: &'a AskedUrl,
    current: &'a Current,
    config: &'a Config,
}

impl Way<'_> {
    fn miss(&self, missed: &Missed, listeners: &[(SocketAddr, Kind)]) -> String {
        let port = self.asked.port;
        match missed {
            Missed::Unheard => {
                let mut ports: Vec<String> = listeners
                    .iter()
                    .map(|(address, _kind)| address.to_string())
                    .collect();
                ports.dedup();
                format!(
                    "onedoor does not listen on port {port} of this host: it listens on {}",
                    ports.join(", ")
                )
            }
            Missed::Speaks(listener, Kind::Tls) => format!(
                "{listener} speaks TLS: the client is answered 400 and should use `https://`"
            ),
            Missed::Speaks(listener, Kind::Plain) => {
                format!(
                    "{listener} speaks plain HTTP: the client's handshake fails, it should use `http://`"
                )
            }
            Missed::Unserved(listener) => {
                format!(
                    "{listener} takes the connection and closes it: nobody is served at this address"
                )
            }
        }
    }

    fn serve(&self, arrival: Arrival<'_>, told: &mut Explanation) -> String {
        let kind = self.asked.kind();
        told.spoken = Some(match kind {
            Kind::Tls => Spoken::Tls,
            Kind::Plain => Spoken::Plain,
        });
        let port = self.asked.port;
        told.listener = Some(Step {
            what: arrival.listener.to_string(),
            why: if self.asked.has_default_port() {
                format!("{port} is the port of {} URLs", self.asked.scheme.as_str())
            } else {
                format!("the URL says port {port}")
            },
        });
        match kind {
            Kind::Tls => self.secure(arrival, told),
            Kind::Plain => self.plain(arrival, told),
        }
    }

    fn secure(&self, arrival: Arrival<'_>, told: &mut Explanation) -> String {
        let routes = &self.current.table.routes;
        let name = self.asked.server_name();
        let hello = Asked {
            name,
            only_protocol: None,
        };
        let decision = routes.decide(arrival.socket, arrival.local, hello);
        let entry = self.entry(arrival);
        let (site, entry) = match (decision, entry) {
            (Decision::Serve { site, .. } | Decision::Tunnel(site), Some(entry)) => (site, entry),
            (Decision::Refuse(Refusal::NoName), _) => {
                let local = arrival.local;
                return format!(
                    "{UNRECOGNIZED}: a client sends no name for an address, and `{local}` is no site"
                );
            }
            (Decision::Refuse(Refusal::UnknownName) | Decision::Answer, _) | (_, None) => {
                let host = &self.asked.host;
                return format!("{UNRECOGNIZED}: no site on this port has the name `{host}`");
            }
        };
        told.site = Some(self.named(&site, entry, arrival));
        told.certificate = Some(self.certified(&site, entry.slot));
        let is_bare = self.current.plan.describe(entry.slot as usize) == Described::Nothing;
        if let Service::Secure(tls, _) | Service::Tcp(tls, _) = &site.service
            && let Some(demand) = &tls.client_auth
        {
            told.guard.push(words::shown(demand));
        }
        match &site.service {
            Service::Passthrough(tunnel) => carried("TLS itself is", tunnel, told),
            Service::Secure(..) | Service::Tcp(..) if is_bare => NO_CERTIFICATE.into(),
            Service::Secure(_, http) => self.request(http, told),
            Service::Tcp(_, tunnel) => carried("what is inside TLS is", tunnel, told),
            Service::Plain(_) => self.refused(&replies::misdirected()),
        }
    }

    fn plain(&self, arrival: Arrival<'_>, told: &mut Explanation) -> String {
        let table = &self.current.table;
        if table.answers.find(self.asked.target.path()).is_some() {
            return "onedoor answers it with 200: it is the question of a CA".into();
        }
        let found = self.entry(arrival);
        let Some((entry, site)) = found.and_then(|entry| Some((entry, table.routes.site(entry)?)))
        else {
            return self.refused(&replies::unknown_host(&Held::new(table.clone())));
        };
        told.site = Some(self.named(site, entry, arrival));
        if let Service::Plain(http) = &site.service {
            return self.request(http, told);
        }
        whose(site.service.logging(), told);
        let target = Some(&self.asked.target);
        let moved = site
            .https_port
            .and_then(|port| redirect::to_https(self.asked.host.as_str(), port, target));
        match moved {
            Some(answer) => redirected(&answer, "the site is served over TLS"),
            None => self.refused(&replies::unknown_host(&Held::new(table.clone()))),
        }
    }

    /// What the name leads to, as every request is looked up.
    fn entry(&self, arrival: Arrival<'_>) -> Option<Entry> {
        let name = self.asked.host.as_str();
        let routes = &self.current.table.routes;
        routes.find(arrival.socket, arrival.local, name)
    }

    fn named(&self, site: &Site, entry: Entry, arrival: Arrival<'_>) -> Step {
        let named = arrival.socket.find(arrival.local, self.asked.host.as_str());
        let names = self
            .config
            .sites
            .get(entry.site as usize)
            .map(|site| &site.names);
        let index = entry.slot.saturating_sub(site.first_slot) as usize;
        let pattern = names.and_then(|names| names.get(index));
        let why = match (named, pattern) {
            (None, _) | (_, None) => {
                "nobody has the name, and `unknown` says that this site serves it".to_owned()
            }
            (Some(_), Some(HostPattern::Exact(name))) => format!("`{name}` is its name"),
            (Some(_), Some(HostPattern::Wildcard(parent))) => {
                format!("`*.{parent}` stands for the name, and no site has it exactly")
            }
            (Some(_), Some(HostPattern::CatchAll)) => {
                "`*` stands for every name that no other site has".to_owned()
            }
        };
        step(&*site.name, why)
    }

    fn certified(&self, site: &Site, slot: u32) -> Step {
        let described = self.current.plan.describe(slot as usize);
        let asked = match &site.service {
            Service::Secure(tls, _) | Service::Tcp(tls, _) => Some(&tls.certificate),
            Service::Plain(_) | Service::Passthrough(_) => None,
        };
        let why = match (asked, described) {
            (Some(Certificate::Pair { .. }), _) => "the site says `cert` and `key`",
            (Some(Certificate::LocalCa), _) => "the site says `tls = \"internal\"`",
            (_, Described::OwnPair(_)) => "the pair names it",
            (_, Described::CertDir(_)) => "a pair of `tls.cert_dir` names it",
            (_, Described::LocalCa) => "the name is local, and no pair names it",
            (_, Described::Public(true)) => {
                "`acme` orders it: the name is public, and no pair names it"
            }
            (_, Described::Public(false)) => "`acme` orders it, and the CA has not given it yet",
            (_, Described::Nothing) => {
                "no pair names it, it is not local, and `acme` does not order it"
            }
        };
        step(described.to_string(), why)
    }
}

fn carried(what: &str, tunnel: &Tunnel, told: &mut Explanation) -> String {
    whose(tunnel.log, told);
    let targets = listed(&tunnel.backends);
    told.target = Some(step(&*targets, "bytes are carried, nothing is edited"));
    told.choice = words::chosen(&tunnel.backends);
    format!("{what} carried to {targets}{}", in_turn(&tunnel.backends))
}

fn whose(logging: AccessLogging, told: &mut Explanation) {
    told.lease = match logging {
        AccessLogging::Guest(lease) => Some(LeaseId(lease)),
        AccessLogging::Kept | AccessLogging::Omitted => None,
    };
}

fn in_turn(backends: &Backends) -> &'static str {
    if backends.members.len() > 1 && backends.balance == Balance::RoundRobin {
        " in turn"
    } else if backends.members.len() > 1 {
        ", one of them"
    } else {
        ""
    }
}

fn listed(backends: &Backends) -> String {
    let targets: Vec<String> = backends.targets().map(ToString::to_string).collect();
    targets.join(", ")
}

fn step(what: impl Into<String>, why: impl Into<String>) -> Step {
    Step {
        what: what.into(),
        why: why.into(),
    }
}
