//! Files that a configuration names and that others read later: pairs, and what targets over TLS need.

use std::path::PathBuf;
use std::sync::Arc;

use super::Config;
use super::backends::{Backends, Member};
use super::site::{Action, Certificate, Http, Rule, Service};
use super::target::{Scheme, Target, UpstreamTls};

/// Visits the path of every file that is read after loading, so that it may be changed: certificates and keys of sites, roots and
/// identities for targets. What is in [`Config::cert_dir`] is found by whoever looks there.
pub fn files_of(config: &mut Config, visit: &mut dyn FnMut(&mut PathBuf)) {
    for site in &mut config.sites {
        match &mut site.service {
            Service::Plain(http) => of_http(http, visit),
            Service::Secure(tls, http) => {
                of_certificate(&mut tls.certificate, visit);
                of_http(http, visit);
            }
            Service::Tcp(tls, _) => of_certificate(&mut tls.certificate, visit),
            Service::Passthrough(_) => {}
        }
    }
}

/// Whether two readings of the same texts found the same in the files that guards, pages and demands for certificates name.
#[must_use]
pub fn found_the_same(one: &Config, other: &Config) -> bool {
    let (ours, theirs) = (&one.sites, &other.sites);
    ours.len() == theirs.len()
        && ours
            .iter()
            .zip(theirs)
            .all(|(our, their)| same_service(&our.service, &their.service))
}

fn same_service(one: &Service, other: &Service) -> bool {
    let demand = |service: &Service| match service {
        Service::Secure(tls, _) | Service::Tcp(tls, _) => tls.client_auth.clone(),
        Service::Plain(_) | Service::Passthrough(_) => None,
    };
    let same_rules = match (one.http(), other.http()) {
        (Some(one), Some(other)) => {
            one.root.is_some() == other.root.is_some()
                && one.paths.len() == other.paths.len()
                && rules(one).zip(rules(other)).all(same_rule)
        }
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    demand(one) == demand(other) && same_rules
}

fn rules(http: &Http) -> impl Iterator<Item = &Rule> {
    let paths = http.paths.iter().map(|path| &*path.rule);
    http.root.as_deref().into_iter().chain(paths)
}

fn same_rule((one, other): (&Rule, &Rule)) -> bool {
    one.guard == other.guard && one.errors == other.errors
}

fn of_certificate(certificate: &mut Certificate, visit: &mut dyn FnMut(&mut PathBuf)) {
    match certificate {
        Certificate::Pair { cert, key } => {
            visit(&mut cert.value);
            visit(&mut key.value);
        }
        Certificate::LocalCa | Certificate::Auto => {}
    }
}

/// What names no file stays shared.
fn of_http(http: &mut Http, visit: &mut dyn FnMut(&mut PathBuf)) {
    let paths = http.paths.iter_mut().map(|path| &mut path.rule);
    for rule in http.root.iter_mut().chain(paths) {
        if names_files(rule) {
            of_rule(Arc::make_mut(rule), visit);
        }
    }
}

fn names_files(rule: &Rule) -> bool {
    match &rule.action {
        Action::Forward(backends) => names_files_of_targets(backends),
        Action::Redirect(_) | Action::Respond(_) => false,
    }
}

fn names_files_of_targets(backends: &Backends) -> bool {
    backends
        .targets()
        .any(|target| options_of(target).is_some())
}

fn options_of(target: &Target) -> Option<&UpstreamTls> {
    match &target.scheme {
        Scheme::Https(options) => {
            let names = options.ca.is_some() || options.identity.is_some();
            names.then_some(options)
        }
        Scheme::Http | Scheme::H2c => None,
    }
}

fn of_rule(rule: &mut Rule, visit: &mut dyn FnMut(&mut PathBuf)) {
    let Action::Forward(backends) = &mut rule.action else {
        return;
    };
    for Member { target, .. } in &mut Arc::make_mut(backends).members {
        if options_of(target).is_none() {
            continue;
        }
        let Scheme::Https(options) = &mut Arc::make_mut(target).scheme else {
            continue;
        };
        let UpstreamTls { ca, identity, .. } = Arc::make_mut(options);
        if let Some(ca) = ca {
            visit(ca);
        }
        if let Some((cert, key)) = identity {
            visit(cert);
            visit(key);
        }
    }
}
