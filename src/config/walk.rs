//! What is known while the sites of all files are read one after another.

use std::collections::HashMap;
use std::sync::Arc;

use super::acme::Reached;
use super::arguments;
use super::balancing;
use super::client_auth;
use super::document::Origin;
use super::enclosed::Enclosed;
use super::grammar::Carries;
use super::listen::Listen;
use super::loops;
use super::names::Names;
use super::problem::Problem;
use super::problems::Problems;
use super::read::Files;
use super::reader::{Layers, Table};
use super::rules;
use super::secure;
use super::settings::{Settings, VERSIONS};
use super::site::{Action, Certificate, Rule, Service, Site};
use super::sockets::{Doors, Sockets, Use};
use super::targets::Targets;
use crate::hostname::HostPattern;

/// Keys whose meaning depends on the site that inherits them.
const PER_SITE: &[&str] = &["auth", "rate"];

/// Settings, defaults, everything taken so far, and what sites share.
pub(super) struct Walk<'a> {
    pub(super) problems: Problems,
    pub(super) settings: Settings,
    pub(super) defaults: Option<Table<'a>>,
    pub(super) names: Names,
    pub(super) doors: Doors,
    pub(super) targets: Targets,
    pub(super) enclosed: Enclosed<'a>,
    /// Rules of lone targets, by the target's text.
    pub(super) rules: HashMap<Box<str>, Arc<Rule>, foldhash::fast::RandomState>,
    pub(super) http_alpn: Arc<[Box<[u8]>]>,
    /// Whether any table so far names a certificate, which may cover other sites too.
    pub(super) has_pairs: bool,
    pub(super) no_alpn: Arc<[Box<[u8]>]>,
    /// Whether the defaults say something that is another thing for each site.
    pub(super) defaults_differ: bool,
    listens: HashMap<Arc<[Listen]>, (), foldhash::fast::RandomState>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        settings: Settings,
        defaults: Option<Table<'a>>,
        files: &'a mut dyn Files,
        problems: Problems,
    ) -> Self {
        let differs = |defaults: Table<'_>| PER_SITE.iter().any(|key| defaults.has(key));
        let mut walk = Self {
            problems,
            settings,
            defaults,
            names: Names::default(),
            doors: Doors::default(),
            targets: Targets::default(),
            enclosed: Enclosed::new(files),
            rules: HashMap::default(),
            http_alpn: Arc::new([Box::from(*b"h2"), Box::from(*b"http/1.1")]),
            has_pairs: defaults.is_some_and(|defaults| defaults.has("cert")),
            no_alpn: Arc::new([]),
            defaults_differ: defaults.is_some_and(differs),
            listens: HashMap::default(),
        };
        let http = walk.settings.http.clone();
        walk.doors.take(&http, Use::Plain, &mut walk.problems);
        walk.check_defaults();
        walk
    }

    /// Reads what the defaults say about every site, so that a mistake is found even if no site comes upon it.
    fn check_defaults(&mut self) {
        let layers = Layers {
            defaults: self.defaults,
            ..Layers::default()
        };
        let problems = &mut self.problems;
        let backends = balancing::backends(&layers, Box::default(), Carries::Http, problems);
        rules::rule(
            &layers,
            Action::Forward(Arc::new(backends)),
            None,
            &mut self.enclosed,
            &mut self.targets,
            problems,
        );
        client_auth::client_auth(&layers, &mut self.enclosed, problems);
        if let Some(item) = layers.get("strip_prefix") {
            rules::strip_prefix(&item, problems);
        }
        if let Some(item) = layers.get("listen") {
            Sockets::read(&item, problems);
        }
        if let Some(item) = layers.get("min_tls") {
            item.choice(VERSIONS, problems);
        }
        secure::security(&layers, problems);
    }

    /// Reads the sites of the command line, one `HOST=TARGET` a line.
    pub(super) fn arguments(&mut self, origin: &Origin<'a>) -> Vec<Site> {
        arguments::split(origin, &mut self.problems)
            .into_iter()
            .filter_map(|argument| self.short_site(argument.host, argument.target, &origin.folder))
            .collect()
    }

    /// What was read since the last time stays.
    pub(super) fn keep(&mut self) {
        self.names.keep();
        self.doors.keep();
    }

    /// The names and sockets taken since the last [`Walk::keep`] are free again.
    pub(super) fn give_back(&mut self) {
        self.names.give_back();
        self.doors.give_back();
    }

    /// Takes over a site of an earlier configuration, without the names that others have by now.
    pub(super) fn keep_earlier(&mut self, site: &Site, file: u32) -> Option<Site> {
        let mut site = site.clone();
        move_to(&mut site, file);
        let used = match site.service {
            Service::Plain(_) => Use::Plain,
            Service::Secure(..) | Service::Passthrough(_) | Service::Tcp(..) => Use::Tls,
        };
        let sockets = Sockets {
            list: Arc::clone(&site.listen),
            at: site.listen.iter().map(|_| Some(site.at)).collect(),
        };
        self.doors.take(&sockets, used, &mut self.problems);
        let free: Vec<_> = site
            .names
            .iter()
            .filter(|name| self.names.take_free(name, &site.listen, site.at))
            .cloned()
            .collect();
        site.names = free.into();
        (!site.names.is_empty()).then_some(site)
    }

    pub(super) fn share_listen(&mut self, list: &Arc<[Listen]>) -> Arc<[Listen]> {
        if let Some((shared, ())) = self.listens.get_key_value(list) {
            return Arc::clone(shared);
        }
        self.listens.insert(Arc::clone(list), ());
        Arc::clone(list)
    }

    /// Warns of challenges that nobody would answer, if any site may need one.
    fn warn_of_silence(&mut self, sites: &[Site]) {
        let Some((acme, places)) = &self.settings.acme else {
            return;
        };
        let ordered = |site: &Site| match &site.service {
            Service::Secure(tls, _) | Service::Tcp(tls, _) => {
                let local = &self.settings.local_suffixes;
                let is_public = |name: &HostPattern| !secure::is_local(name, local);
                tls.certificate == Certificate::Auto && site.names.iter().any(is_public)
            }
            Service::Plain(_) | Service::Passthrough(_) => false,
        };
        let tls: Vec<&Site> = sites.iter().filter(|site| ordered(site)).collect();
        if tls.is_empty() {
            return;
        }
        let has = |list: &[Listen], port| list.iter().any(|listen| listen.port == port);
        let reached = Reached {
            tls: tls.iter().all(|site| has(&site.listen, PORT_TLS_ALPN)),
            plain: has(&self.settings.http.list, PORT_HTTP),
        };
        places.warn_of_silence(acme, reached, &mut self.problems);
    }

    /// Warns of what is odd about the whole.
    pub(super) fn finish(&mut self, sites: &[Site]) {
        let listens: Vec<Listen> = self.doors.listens();
        for (target, at) in self.targets.in_order() {
            loops::warn_of_own_socket(&target, at, &listens, &mut self.problems);
        }
        self.warn_of_silence(sites);
        if sites.is_empty() && !self.problems.has_errors() {
            self.problems.push(
                Problem::warning("no-sites", "there are no sites, so nothing is served")
                    .help("[sites]\n\"app.localhost\" = \"localhost:3000\""),
            );
        }
    }
}

/// Where the CAs that prove names by a connection come to.
const PORT_TLS_ALPN: u16 = 443;
const PORT_HTTP: u16 = 80;

fn move_to(site: &mut Site, file: u32) {
    site.at.file = file;
    match &mut site.service {
        Service::Secure(tls, _) | Service::Tcp(tls, _) => match &mut tls.certificate {
            Certificate::Pair { cert, key } => {
                cert.at.file = file;
                key.at.file = file;
            }
            Certificate::LocalCa | Certificate::Auto => {}
        },
        Service::Plain(_) | Service::Passthrough(_) => {}
    }
}
