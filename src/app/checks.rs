//! Active checks: which targets they look at, who is told, and what `status` says of them.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use foldhash::fast::RandomState;
use jiff::{SignedDuration, Timestamp};

use super::App;
use super::alerts::Post;
use crate::certs::alerts::event::{Event, Upstream};
use crate::config::Config;
use crate::config::backends::{Backends, Health, Probe};
use crate::config::site::{Action, Service};
use crate::config::target::{Scheme, Target};
use crate::control::status::DownStatus;
use crate::proxy::context::Common;
use crate::upstream::health::{Probers, Report, Reports, Standings, State, Subject, Wanted, Way};
use crate::upstream::names::Names;
use crate::upstream::tls::{Offer, TlsClients};

/// Names of sites that are told of one target.
const SITES_TOLD_MAX: usize = 16;

/// The checks of what is in service. They end when this is dropped, and every target stays as it was found last.
#[derive(Debug)]
pub(super) struct Checks {
    standings: Standings,
    names: Names,
    post: Post,
    sites: Arc<ArcSwap<Sites>>,
    /// None as long as nothing is to be checked.
    probers: Option<Probers>,
}

/// The sites that have a target checked in some way, each by its first name.
type Sites = HashMap<(Arc<Target>, Arc<Health>), Vec<String>, RandomState>;

impl Checks {
    /// Checks nothing yet.
    pub(super) fn new(common: &Common, post: Post) -> Self {
        Self {
            standings: common.standings.clone(),
            names: common.names.clone(),
            post,
            sites: Arc::default(),
            probers: None,
        }
    }

    /// Checks what this configuration wants; what was checked before goes on as it was.
    pub(super) fn follow(&mut self, config: &Config, clients: &TlsClients) {
        let (wanted, sites) = wanted(config, clients, &self.names);
        self.sites.store(Arc::new(sites));
        if self.probers.is_none() && !wanted.is_empty() {
            match Probers::start(self.standings.clone(), self.reports()) {
                Ok(probers) => self.probers = Some(probers),
                Err(error) => {
                    tracing::error!(%error, "targets are not checked: a reload tries again");
                }
            }
        }
        if let Some(probers) = &self.probers {
            probers.follow(wanted);
        }
    }

    /// The targets that are down, in the order of their names.
    pub(super) fn down(&self, now: Timestamp) -> Vec<DownStatus> {
        let sites = self.sites.load();
        let down = self.probers.as_ref().map(Probers::down);
        let mut down: Vec<DownStatus> = down
            .unwrap_or_default()
            .into_iter()
            .map(|(subject, down)| {
                let lasted = i64::try_from(down.since.elapsed().as_secs()).unwrap_or(i64::MAX);
                let since = now.checked_sub(SignedDuration::from_secs(lasted));
                let Upstream {
                    target,
                    check,
                    sites,
                } = told(&subject, &sites);
                DownStatus {
                    target,
                    check,
                    sites,
                    since: since.unwrap_or(now),
                    why: down.why,
                }
            })
            .collect();
        down.sort_by(|one, other| (&one.target, &one.check).cmp(&(&other.target, &other.check)));
        down
    }

    fn reports(&self) -> Reports {
        let (post, sites) = (self.post.clone(), self.sites.clone());
        Reports::new(move |report| {
            let Report {
                subject,
                state,
                why,
            } = report;
            let upstream = told(subject, &sites.load());
            post.tell(match state {
                State::Up => Event::UpstreamUp { upstream },
                State::Down => Event::UpstreamDown {
                    upstream,
                    problem: why.clone().unwrap_or_default(),
                },
            });
        })
    }
}

impl App {
    /// Checks the targets of the generation in service from now on.
    pub(super) fn check_targets(&mut self) {
        self.checks
            .follow(&self.loaded.config, &self.current.table.clients);
    }
}

/// Each target and way of checking it once, in the order of the text, and for whom it is looked at.
fn wanted(config: &Config, clients: &TlsClients, names: &Names) -> (Vec<Wanted>, Sites) {
    let mut wanted = Vec::new();
    let mut sites = Sites::default();
    for site in &config.sites {
        let Some(name) = site.names.first() else {
            continue;
        };
        let checked = backends(&site.service).filter_map(|all| Some((all, all.health.as_ref()?)));
        let each = checked.flat_map(|(all, health)| {
            let members = all.members.iter();
            members.map(move |listed| (listed, health, all.proxy_protocol))
        });
        for (listed, health, proxy_protocol) in each {
            let target = &listed.target;
            let key = (target.clone(), health.clone());
            let told = sites.entry(key).or_insert_with(|| {
                wanted.push(Wanted {
                    listed: listed.clone(),
                    health: health.clone(),
                    way: Way {
                        client: client(target, clients),
                        proxy_protocol,
                        names: names.clone(),
                    },
                });
                Vec::new()
            });
            let name = name.to_string();
            if told.len() < SITES_TOLD_MAX && told.last() != Some(&name) {
                told.push(name);
            }
        }
    }
    (wanted, sites)
}

/// Everything that a site sends to.
fn backends(service: &Service) -> impl Iterator<Item = &Arc<Backends>> {
    let (http, tunnel) = match service {
        Service::Plain(http) | Service::Secure(_, http) => (Some(http), None),
        Service::Passthrough(tunnel) | Service::Tcp(_, tunnel) => (None, Some(tunnel)),
    };
    let rules = http.into_iter().flat_map(|http| {
        let paths = http.paths.iter().map(|path| &path.rule);
        http.root.iter().chain(paths)
    });
    let forwarded = rules.filter_map(|rule| match &rule.action {
        Action::Forward(backends) => Some(backends),
        Action::Redirect(_) | Action::Respond(_) => None,
    });
    forwarded.chain(tunnel.map(|tunnel| &tunnel.backends))
}

fn client(target: &Target, clients: &TlsClients) -> Option<Arc<rustls::ClientConfig>> {
    match &target.scheme {
        Scheme::Https(options) => clients.client(options, Offer::Any).cloned(),
        Scheme::Http | Scheme::H2c => None,
    }
}

fn told(subject: &Subject, sites: &Sites) -> Upstream {
    let key = (subject.endpoint.target.clone(), subject.health.clone());
    Upstream {
        target: subject.endpoint.to_string(),
        check: match &subject.health.probe {
            Probe::Http { path, .. } => format!("GET {path}"),
            Probe::Tcp => "TCP".to_owned(),
            Probe::Grpc { service } if service.is_empty() => "gRPC".to_owned(),
            Probe::Grpc { service } => format!("gRPC {service}"),
        },
        sites: sites.get(&key).cloned().unwrap_or_default(),
    }
}
