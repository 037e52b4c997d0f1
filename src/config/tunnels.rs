//! `passthrough` and `tcp`: sites whose bytes are forwarded without being understood.

use std::sync::Arc;

use super::balancing;
use super::grammar::Carries;
use super::keys;
use super::problem::Problem;
use super::reader::{Item, Layers};
use super::rules;
use super::secure::{self, Security};
use super::site::{Service, Site, Tunnel};
use super::sites::{Draft, site};
use super::sockets::Use;
use super::walk::Walk;
use crate::hostname::HostPattern;

/// What may stand beside `passthrough`, and beside `tcp`.
const BESIDE_PASSTHROUGH: &[&str] = &[
    "passthrough",
    "aliases",
    "listen",
    "timeout",
    "log",
    "balance",
    "health",
    "eject",
    "max_conns",
    "proxy_protocol",
];
const BESIDE_TCP: &[&str] = &[
    "tcp",
    "alpn",
    "aliases",
    "listen",
    "tls",
    "cert",
    "key",
    "min_tls",
    "client_ca",
    "client_auth",
    "timeout",
    "log",
    "balance",
    "health",
    "eject",
    "max_conns",
    "proxy_protocol",
];

/// Keys that keep somebody out.
const GUARDS: &[&str] = &["allow", "deny", "auth"];

impl<'a> Walk<'a> {
    pub(super) fn passthrough(&mut self, draft: &Draft<'a>, item: &Item<'a>) -> Option<Site> {
        self.refuse_beside(draft, item, BESIDE_PASSTHROUGH);
        for (name, at) in &draft.names {
            let without_sni = match name {
                HostPattern::CatchAll => true,
                HostPattern::Exact(name) => name.ip().is_some(),
                HostPattern::Wildcard(_) => false,
            };
            if without_sni {
                self.problems.error(
                    "passthrough-name",
                    format!("`{name}` cannot be passed through"),
                    *at,
                    "raw TLS is routed by the name the client sends",
                    "name the hosts, or a wildcard such as \"*.example.com\"",
                );
            }
        }
        let tunnel = self.tunnel(&draft.layers, item);
        let listen = self.listen(draft, Use::Tls, None)?;
        Some(site(draft, listen, Service::Passthrough(tunnel?)))
    }

    pub(super) fn tcp(&mut self, draft: &Draft<'a>, item: &Item<'a>) -> Option<Site> {
        self.refuse_beside(draft, item, BESIDE_TCP);
        let tunnel = self.tunnel(&draft.layers, item);
        let alpn = draft
            .layers
            .group(&["alpn"])
            .and_then(|table| secure::alpn(&table, &mut self.problems));
        let certificate = match secure::security(&draft.layers, &mut self.problems)? {
            Security::By(certificate) => certificate,
            Security::Off(at) => {
                self.problems.push(
                    Problem::error("conflicting-keys", "`tcp` does not go with `tls = \"off\"`")
                        .at(at, "there would be no name to tell sites apart")
                        .also(item.key_at, "because of this"),
                );
                return None;
            }
        };
        let listen = self.listen(draft, Use::Tls, None)?;
        self.require_certificates(draft, &certificate);
        let alpn = alpn.unwrap_or_else(|| Arc::clone(&self.no_alpn));
        let tls = secure::tls(
            certificate,
            alpn,
            &draft.layers,
            &self.settings,
            &mut self.enclosed,
            &mut self.problems,
        );
        Some(site(draft, listen, Service::Tcp(tls, tunnel?)))
    }

    fn tunnel(&mut self, layers: &Layers<'a>, item: &Item<'a>) -> Option<Tunnel> {
        let timeouts = rules::timeouts(layers, &mut self.problems);
        let log = rules::logging(layers, &mut self.problems);
        let members = self.targets.read(item, Carries::Bytes, &mut self.problems);
        let is_good = members.is_some();
        let members = members.unwrap_or_default();
        let backends = balancing::backends(layers, members, Carries::Bytes, &mut self.problems);
        is_good.then(|| Tunnel {
            backends: Arc::new(backends),
            timeouts,
            log,
        })
    }

    fn refuse_beside(&mut self, draft: &Draft<'a>, action: &Item<'a>, allowed: &[&str]) {
        self.warn_of_unguarded(draft, action, allowed);
        let Some(table) = draft.layers.site else {
            return;
        };
        for item in table.in_order() {
            if keys::SITE.known.contains(&item.key) && !allowed.contains(&item.key) {
                let message = format!("`{}` does not go with `{}`", item.key, action.key);
                self.problems.push(
                    Problem::error("conflicting-keys", message)
                        .at(item.key_at, "the bytes are forwarded as they are")
                        .also(action.key_at, "because of this")
                        .help(format!(
                            "a `{}` site may have {}",
                            action.key,
                            keys::listed(allowed)
                        )),
                );
            }
        }
    }

    /// Whoever guards all sites may not know that this one is open.
    fn warn_of_unguarded(&mut self, draft: &Draft<'a>, action: &Item<'a>, allowed: &[&str]) {
        let Some(defaults) = draft.layers.defaults else {
            return;
        };
        for key in GUARDS.iter().filter(|key| !allowed.contains(key)) {
            if let Some(item) = defaults
                .get(key)
                .filter(|item| item.as_flag() != Some(false))
            {
                let message = format!(
                    "`{key}` of the defaults does not guard a `{}` site",
                    action.key
                );
                self.problems.push(
                    Problem::warning("unguarded", message)
                        .at(action.key_at, "everybody may connect here")
                        .also(
                            item.key_at,
                            "this is about requests, which are not read there",
                        ),
                );
            }
        }
    }
}
