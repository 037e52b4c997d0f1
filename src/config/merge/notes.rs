//! Where a guest is served otherwise than its file says.

use super::compose::Composed;
use super::{Loaded, Part};
use crate::config::settings::Settings;
use crate::config::site::{PairFolder, Service, Site};
use crate::config::{Config, Unknown};

/// Settings that a part says and the holder does not follow. What a part does not say is no difference.
pub(super) fn of(own: &Loaded, parts: &[Part<'_>]) -> Vec<(u32, String)> {
    let own = &own.config;
    let defaults = Settings::default();
    let mut notes = Vec::new();
    let mut acme = own.acme.as_ref();
    for part in parts {
        let theirs = &part.loaded.config;
        let mut unheard: Vec<&str> = Vec::new();
        let mut compare = |key, is_said: bool, is_same: bool| {
            if is_said && !is_same {
                unheard.push(key);
            }
        };
        compare(
            "acme",
            theirs.acme.is_some(),
            acme.is_none() || theirs.acme.as_ref() == acme,
        );
        compare(
            "alerts",
            theirs.alerts != defaults.alerts,
            theirs.alerts == own.alerts,
        );
        compare(
            "control",
            theirs.control != defaults.control,
            theirs.control == own.control,
        );
        compare(
            "drain",
            theirs.drain != defaults.drain,
            theirs.drain == own.drain,
        );
        compare(
            "limits",
            theirs.limits != defaults.limits,
            theirs.limits == own.limits,
        );
        compare(
            "resolver",
            theirs.resolver != defaults.resolver,
            theirs.resolver == own.resolver,
        );
        compare(
            "storage",
            theirs.storage != defaults.storage,
            theirs.storage == own.storage,
        );
        compare(
            "trust",
            theirs.trust != defaults.trust,
            theirs.trust == own.trust,
        );
        compare("unknown", theirs.unknown != Unknown::Reject, false);
        compare(
            "workers",
            theirs.workers.is_some(),
            theirs.workers == own.workers,
        );
        for key in unheard {
            notes.push((
                part.lease,
                format!("`{key}` is as the process that serves this door has it"),
            ));
        }
        acme = acme.or(theirs.acme.as_ref());
    }
    notes
}

/// Sites whose TLS is another's, because their names are.
pub(super) fn of_sites(
    composed: &[Composed],
    sites: &[Vec<Site>],
    leases: &[u32],
) -> Vec<(u32, String)> {
    let mut notes = Vec::new();
    let tls = |(part, site): (usize, usize)| match &sites[part][site].service {
        Service::Secure(tls, _) => Some(tls),
        Service::Plain(_) | Service::Passthrough(_) | Service::Tcp(..) => None,
    };
    for site in composed {
        let Some(first) = tls(site.first) else {
            continue;
        };
        let other = |other: &&(usize, usize)| {
            tls(**other).is_some_and(|own| {
                let has_folder = matches!(own.folder, PairFolder::Own(_));
                own.certificate != first.certificate || own.min != first.min || has_folder
            })
        };
        for (part, _) in site.others.iter().filter(other) {
            let names: Vec<String> = site.site.names.iter().map(ToString::to_string).collect();
            let holder = leases[site.first.0];
            let name = names.join(", ");
            notes.push((
                leases[*part],
                format!("TLS for {name} is as lease {holder} has it, which served it first"),
            ));
        }
    }
    notes
}

/// Names that a part's own `acme` would order, and the one in service cannot.
pub(super) fn of_orders(config: &Config, parts: &[Part<'_>]) -> Vec<(u32, String)> {
    let mut notes = Vec::new();
    for part in parts {
        let theirs = &part.loaded.config;
        let names = theirs
            .sites
            .iter()
            .filter(|site| matches!(site.service, Service::Secure(..) | Service::Tcp(..)));
        for name in names.flat_map(|site| &site.names) {
            if theirs.ordered(name).is_some() && config.ordered(name).is_none() {
                notes.push((
                    part.lease,
                    format!("no certificate is ordered for {name}: the `acme` of the process that serves this door does not provide for it"),
                ));
            }
        }
    }
    notes
}
