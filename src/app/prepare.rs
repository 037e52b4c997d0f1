//! From a loaded configuration to everything that serving it needs, or to all that is wrong with it. Nothing is bound or changed here,
//! so `check`, the start and every reload ask the same question.

use std::sync::Arc;
use std::time::SystemTime;

use super::local_ca::Local;
use super::narrow::{Narrow, too_narrow};
use crate::causes::one_line;
use crate::certs::local_ca::LocalCa;
use crate::certs::plan::Plan;
use crate::certs::resolver::{self, Options, Refusal, Resolver, Wanted, Warning};
use crate::config::problem::{At, Problem};
use crate::config::site::{Certificate, Http, PairFolder, Service, Site};
use crate::config::target::{Scheme, UpstreamTls};
use crate::config::{Config, Loaded, Refused};
use crate::proxy::path;
use crate::upstream::tls::TlsClients;

/// A configuration with its certificates and clients. Whoever holds one can serve it.
#[derive(Debug)]
pub struct Prepared {
    pub loaded: Arc<Loaded>,
    pub plan: Plan,
    /// For handshakes, if any needs it.
    pub local_ca: Option<Arc<LocalCa>>,
    pub clients: TlsClients,
    /// What is odd about the certificates and hinders nobody.
    pub remarks: Vec<String>,
}

/// Reads the certificates and keys that a configuration names, whose paths are [`sorted`], and finds the local CA if it needs one.
///
/// # Errors
/// All problems at once, at the places of the sites they concern.
pub async fn prepare(
    loaded: Arc<Loaded>,
    resolver: &Resolver,
    local: &Local,
    now: SystemTime,
) -> Result<Prepared, Refused> {
    let sketch = Sketch::draw(loaded, resolver, now);
    sketch.settle(resolver, local, now).await
}

/// What can be said of a configuration by files alone.
#[derive(Debug)]
pub(super) struct Sketch {
    loaded: Arc<Loaded>,
    planned: Planned,
    clients: TlsClients,
    problems: Vec<Problem>,
}

impl Sketch {
    /// Waits for the disk on this thread.
    pub(super) fn draw(loaded: Arc<Loaded>, resolver: &Resolver, now: SystemTime) -> Self {
        let planned = plan(&loaded.config, resolver, now);
        let mut problems = Vec::new();
        let clients = clients(&loaded.config.sites, &mut problems);
        Self {
            loaded,
            planned,
            clients,
            problems,
        }
    }

    /// # Errors
    /// As for [`prepare`].
    pub(super) async fn settle(
        self,
        resolver: &Resolver,
        local: &Local,
        now: SystemTime,
    ) -> Result<Prepared, Refused> {
        let Self {
            loaded,
            mut planned,
            clients,
            problems: others,
        } = self;
        let current = resolver.local_ca();
        let settled = local.settle(&mut planned, &loaded.config, current, now);
        let mut settled = settled.await;
        planned.refusals.append(&mut settled.refusals);
        // A CA that is made for a configuration that is then changed may be the wrong one.
        if let Some(wish) = settled.absent.take()
            && planned.refusals.is_empty()
            && others.is_empty()
        {
            let made = local.make(&mut planned, &wish, now).await;
            settled.ca = made.ca;
            settled.remarks.extend(made.remarks);
            planned.refusals = made.refusals;
        }
        let mut problems = refused(&planned, &loaded.config.sites);
        problems.extend(others);
        if !problems.is_empty() {
            return Err(Refused {
                problems,
                sources: loaded.sources.clone(),
            });
        }
        let warnings = planned.warnings.iter().map(ToString::to_string);
        Ok(Prepared {
            remarks: warnings.chain(settled.remarks).collect(),
            loaded,
            plan: planned.plan,
            local_ca: settled.ca,
            clients,
        })
    }
}

/// Puts the paths of every site into the order in which they are tried.
#[must_use]
pub fn sorted(mut loaded: Loaded) -> Arc<Loaded> {
    for site in &mut loaded.config.sites {
        if let Service::Plain(http) | Service::Secure(_, http) = &mut site.service {
            path::sort(&mut http.paths);
        }
    }
    Arc::new(loaded)
}

/// The certificates of a configuration, and those that it would have and has not.
#[derive(Debug)]
pub struct Planned {
    /// As many as the plan has slots.
    pub wanted: Vec<Wanted>,
    pub plan: Plan,
    pub refusals: Vec<Refusal>,
    pub warnings: Vec<Warning>,
}

/// Finds a certificate for every name. A refusal concerns its name alone.
#[must_use]
pub fn plan(config: &Config, resolver: &Resolver, now: SystemTime) -> Planned {
    let wanted = wanted(config);
    let options = Options {
        local_suffixes: config.local_suffixes.clone(),
        public: super::public::meanwhile(config),
    };
    let (plan, refusals, warnings) = resolver.plan(&wanted, &options, now);
    Planned {
        wanted,
        plan,
        refusals,
        warnings,
    }
}

/// One entry a name of a site, in the order in which routes count their certificate slots.
fn wanted(config: &Config) -> Vec<Wanted> {
    let mut wanted = Vec::new();
    let general = config.cert_dir.as_ref();
    let general = general.map(|folder| Arc::new(folder.value.clone()));
    for site in &config.sites {
        let source = match &site.service {
            Service::Secure(tls, _) | Service::Tcp(tls, _) => match &tls.certificate {
                Certificate::Pair { cert, key } => resolver::Source::Pair {
                    cert: cert.value.clone(),
                    key: key.value.clone(),
                },
                Certificate::LocalCa => resolver::Source::LocalCa,
                Certificate::Auto => resolver::Source::Auto {
                    folder: match &tls.folder {
                        PairFolder::OfConfig => general.clone(),
                        PairFolder::Nowhere => None,
                        PairFolder::Own(own) => Some(Arc::clone(own)),
                    },
                },
            },
            Service::Plain(_) | Service::Passthrough(_) => resolver::Source::Nothing,
        };
        for name in &site.names {
            wanted.push(Wanted {
                name: name.clone(),
                source: source.clone(),
            });
        }
    }
    wanted
}

/// The site that wants the certificate of a slot.
fn site_of(sites: &[Site], slot: usize) -> Option<&Site> {
    let mut slots = sites
        .iter()
        .flat_map(|site| site.names.iter().map(move |_name| site));
    slots.nth(slot)
}

/// A fault of the local CA is one problem, however many sites it concerns.
fn refused(planned: &Planned, sites: &[Site]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut narrow = Vec::new();
    for refusal in &planned.refusals {
        let Some(wanted) = planned.wanted.get(refusal.index) else {
            continue;
        };
        let Some(site) = site_of(sites, refusal.index) else {
            continue;
        };
        let name = &wanted.name;
        let problem = match &refusal.error {
            resolver::Refused::Pair(fault) => Problem::error("bad-certificate", one_line(&**fault))
                .at(place_of_pair(site), format!("for `{name}`"))
                .help("`onedoor check` reads the files again once they are mended"),
            resolver::Refused::LocalCa(fault) => Problem::error("local-ca", one_line(&**fault)),
            resolver::Refused::Outside { scope, remedy } => {
                narrow.push(Narrow { name, at: site.at, scope, remedy: *remedy });
                continue;
            }
            resolver::Refused::NoSource => {
                Problem::error("no-certificate", format!("there is no certificate for `{name}`"))
                    .at(site.at, "no pair in `tls.cert_dir` names it")
                    .help("order one with `acme = \"you@example.com\"`, put its pair there, give the site `cert` and `key`, or let the local CA sign it by naming its suffix in `tls.local_suffixes`")
            }
        };
        push_once(&mut problems, problem);
    }
    problems.extend(too_narrow(&narrow));
    problems
}

fn place_of_pair(site: &Site) -> At {
    match &site.service {
        Service::Secure(tls, _) | Service::Tcp(tls, _) => match &tls.certificate {
            Certificate::Pair { cert, .. } => cert.at,
            Certificate::LocalCa | Certificate::Auto => site.at,
        },
        Service::Plain(_) | Service::Passthrough(_) => site.at,
    }
}

fn push_once(problems: &mut Vec<Problem>, problem: Problem) {
    if !problems.contains(&problem) {
        problems.push(problem);
    }
}

/// Builds the clients for `https` targets; a file that cannot be used is a problem of the first site that names it.
fn clients(sites: &[Site], problems: &mut Vec<Problem>) -> TlsClients {
    let mut wanted: Vec<(Arc<UpstreamTls>, At)> = Vec::new();
    for site in sites {
        for options in upstream_options(&site.service) {
            if !wanted.iter().any(|(known, _at)| known == options) {
                wanted.push((options.clone(), site.at));
            }
        }
    }
    let mut usable = Vec::new();
    for (options, at) in &wanted {
        match TlsClients::build([options]) {
            Ok(_client) => usable.push(options),
            Err(error) => problems.push(
                Problem::error("bad-upstream-tls", one_line(&error))
                    .at(*at, "a target of this site needs it"),
            ),
        }
    }
    match TlsClients::build(usable) {
        Ok(clients) => clients,
        Err(error) => {
            problems.push(Problem::error("bad-upstream-tls", one_line(&error)));
            TlsClients::default()
        }
    }
}

fn upstream_options(service: &Service) -> Vec<&Arc<UpstreamTls>> {
    let http = match service {
        Service::Plain(http) | Service::Secure(_, http) => http,
        Service::Passthrough(_) | Service::Tcp(..) => return Vec::new(),
    };
    let Http { root, paths } = http;
    let rules = root.iter().chain(paths.iter().map(|path| &path.rule));
    rules
        .flat_map(|rule| rule.backends())
        .flat_map(|backends| backends.targets())
        .filter_map(|target| match &target.scheme {
            Scheme::Https(options) => Some(options),
            Scheme::Http | Scheme::H2c => None,
        })
        .collect()
}
