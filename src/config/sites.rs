//! `[sites]`: from an entry to a [`Site`].

use std::sync::Arc;

use toml::de::DeValue;

use super::listen::Listen;
use super::names::{self, Key};
use super::problem::{At, Problem};
use super::reader::{Item, Layers, Table};
use super::rules::{self, Chosen};
use super::secure::{self, Pairs, Security};
use super::site::{Certificate, Http, Redirect, Rule, Service, Site};
use super::sockets::{Sockets, Use};
use super::walk::Walk;
use super::{keys, loops, unquoted};
use crate::hostname::HostPattern;

/// A site on its way: its names and what its keys are read from.
#[derive(Debug, Clone)]
pub(super) struct Draft<'a> {
    pub(super) names: Vec<(HostPattern, At)>,
    port: Option<u16>,
    at: At,
    pub(super) layers: Layers<'a>,
}

impl<'a> Walk<'a> {
    /// Reads every entry of a `[sites]` table, in the order of the text.
    pub(super) fn sites(&mut self, table: &Table<'a>) -> Vec<Site> {
        let items = table.in_order();
        self.has_pairs |= items
            .iter()
            .filter_map(Item::as_table)
            .any(|site| site.has("cert"));
        items.iter().filter_map(|item| self.entry(item)).collect()
    }

    /// Reads the short form of a site.
    pub(super) fn short_site(
        &mut self,
        key: (&'a str, At),
        target: (&str, At),
        folder: &std::path::Path,
    ) -> Option<Site> {
        let draft = self.draft(key.0, key.1, None)?;
        let rule = self.short_rule(&draft.layers, target.0, target.1, folder);
        self.http_site(&draft, &[], rule.map(only))
    }

    fn entry(&mut self, item: &Item<'a>) -> Option<Site> {
        if unquoted::report(item.origin, item.key_at, item.value(), &mut self.problems) {
            return None;
        }
        let bare = !item.origin.slice(item.key_at).starts_with(['"', '\'']);
        if bare && keys::TOP.known.contains(&item.key) {
            self.problems.error(
                "misplaced-key",
                format!("`{}` is a key of the top level", item.key),
                item.key_at,
                "here it would be the name of a site",
                format!(
                    "move it above `[sites]`; a site of that name needs quotes: \"{}\"",
                    item.key
                ),
            );
            return None;
        }
        match item.value() {
            DeValue::String(text) => self.short_site(
                (item.key, item.key_at),
                (text, item.at()),
                &item.origin.folder,
            ),
            DeValue::Integer(_) => {
                let draft = self.draft(item.key, item.key_at, None)?;
                let rule = self.forward(&draft.layers, item, None);
                self.http_site(&draft, &[], rule.map(only))
            }
            DeValue::Table(_) => self.full_site(item, &item.as_table()?),
            DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Array(_) => {
                item.wrong_type(
                    "a target, or a table such as { to = \"3000\" }",
                    &mut self.problems,
                );
                None
            }
        }
    }

    fn full_site(&mut self, item: &Item<'a>, table: &Table<'a>) -> Option<Site> {
        table.check_keys(&keys::SITE, &mut self.problems);
        let draft = self.draft(item.key, item.key_at, Some(*table));
        let draft = draft?;
        let chosen = rules::chosen(&draft.layers, &mut self.problems);
        self.refuse_misplaced_alpn(table, &chosen);
        match chosen {
            Chosen::Several => None,
            Chosen::One(item) if item.key == "passthrough" => self.passthrough(&draft, &item),
            Chosen::One(item) if item.key == "tcp" => self.tcp(&draft, &item),
            Chosen::One(item) => self.http(&draft, Some(&item)),
            Chosen::Nothing => self.http(&draft, None),
        }
    }

    fn refuse_misplaced_alpn(&mut self, table: &Table<'a>, chosen: &Chosen<'a>) {
        let is_tcp = matches!(chosen, Chosen::One(item) if item.key == "tcp");
        if let Some(alpn) = table.get("alpn")
            && !is_tcp
        {
            let message = "`alpn` goes with `tcp`";
            self.problems
                .push(Problem::error("conflicting-keys", message).at(
                    alpn.key_at,
                    "HTTP sites offer h2 and http/1.1 by themselves",
                ));
        }
    }

    fn draft(&mut self, key: &'a str, at: At, site: Option<Table<'a>>) -> Option<Draft<'a>> {
        let parsed = match Key::parse(key) {
            Ok(parsed) => parsed,
            Err(why) => {
                self.problems.push(why.problem(key, at));
                return None;
            }
        };
        let mut names = vec![(parsed.name, at)];
        if let Some(aliases) = site.and_then(|site| site.get("aliases")) {
            names.extend(names::aliases(&aliases, &mut self.problems));
        }
        Some(Draft {
            names,
            port: parsed.port,
            at,
            layers: Layers {
                path: None,
                site,
                defaults: self.defaults,
                host: key,
                prefix: None,
            },
        })
    }

    fn http(&mut self, draft: &Draft<'a>, action: Option<&Item<'a>>) -> Option<Site> {
        let mut redirects = Vec::new();
        let paths = draft.layers.get("paths");
        if action.is_none() && paths.is_none() {
            if !rules::is_misnamed(&draft.layers) {
                self.problems.error(
                    "no-action",
                    "this site does nothing",
                    draft.at,
                    "no `to`, `redirect`, `respond`, `passthrough`, `tcp` or `paths`",
                    "say where it leads: { to = \"localhost:3000\" }",
                );
            }
            return None;
        }
        let root = match action {
            Some(item) => self
                .act(&draft.layers, item, None, &mut redirects)
                .map(Some),
            None => Some(None),
        };
        let paths = match paths {
            Some(item) => self.paths(&draft.layers, &item, &mut redirects),
            None => Some(Box::default()),
        };
        let http = root.zip(paths).map(|(root, paths)| Http { root, paths });
        self.http_site(draft, &redirects, http)
    }

    /// Does what remains once the rules are read, also if they are bad: names and sockets are checked all the same.
    fn http_site(
        &mut self,
        draft: &Draft<'a>,
        redirects: &[(Redirect, At)],
        http: Option<Http>,
    ) -> Option<Site> {
        let security = secure::security(&draft.layers, &mut self.problems);
        let (used, certificate) = match security? {
            Security::Off(at) => (Use::Plain, Err(at)),
            Security::By(certificate) => (Use::Tls, Ok(certificate)),
        };
        let listen = self.listen(draft, used, certificate.as_ref().err().copied())?;
        let http = http?;
        let service = match certificate {
            Err(_) => Service::Plain(http),
            Ok(certificate) => {
                self.require_certificates(draft, &certificate);
                let alpn = Arc::clone(&self.http_alpn);
                let tls = secure::tls(
                    certificate,
                    alpn,
                    &draft.layers,
                    &self.settings,
                    &mut self.enclosed,
                    &mut self.problems,
                );
                Service::Secure(tls, http)
            }
        };
        let site = site(draft, listen, service);
        loops::report_redirects(&site, redirects, &mut self.problems);
        Some(site)
    }

    pub(super) fn require_certificates(&mut self, draft: &Draft<'a>, certificate: &Certificate) {
        if *certificate != Certificate::Auto {
            return;
        }
        let pairs = if self.has_pairs {
            Pairs::AtHand
        } else {
            Pairs::None
        };
        secure::require_certificates(&draft.names, pairs, &self.settings, &mut self.problems);
    }

    /// Finds the site's sockets and takes its names on them.
    pub(super) fn listen(
        &mut self,
        draft: &Draft<'a>,
        used: Use,
        off: Option<At>,
    ) -> Option<Arc<[Listen]>> {
        let sockets = self.sockets(draft, used, off)?;
        self.doors.take(&sockets, used, &mut self.problems);
        for (name, at) in &draft.names {
            self.names
                .take(name, &sockets.list, *at, &mut self.problems);
        }
        Some(self.share_listen(&sockets.list))
    }

    fn sockets(&mut self, draft: &Draft<'a>, used: Use, off: Option<At>) -> Option<Sockets> {
        let own = draft.layers.site.and_then(|site| site.get("listen"));
        if let Some(port) = draft.port {
            if let Some(own) = own {
                self.problems.push(
                    Problem::error("conflicting-keys", "the site's key has a port already")
                        .at(own.key_at, "this is a second word on it")
                        .also(draft.at, "the port is here")
                        .help("keep one of them"),
                );
            }
            let general = match used {
                Use::Tls => &self.settings.listen,
                Use::Plain => &self.settings.http,
            };
            return Some(general.at_port(port, draft.at));
        }
        // A default `listen` is about TLS, unless `tls = "off"` is a default too.
        let own_off = off.is_some() && draft.layers.site.is_some_and(|site| site.has("tls"));
        let item = own.or_else(|| draft.layers.get("listen").filter(|_| !own_off));
        if let Some(item) = item {
            return Sockets::read(&item, &mut self.problems);
        }
        match (used, off) {
            (Use::Tls, _) => Some(self.settings.listen.clone()),
            (Use::Plain, Some(off)) if self.settings.http.list.is_empty() => {
                self.problems.error(
                    "no-listener",
                    "no socket speaks plain HTTP",
                    off,
                    "this site needs one, and `http = false`",
                    "set `http = 80`, or give the site its own `listen`",
                );
                None
            }
            (Use::Plain, _) => Some(self.settings.http.clone()),
        }
    }
}

/// Puts a site together.
pub(super) fn site(draft: &Draft<'_>, listen: Arc<[Listen]>, service: Service) -> Site {
    Site {
        names: draft.names.iter().map(|(name, _)| name.clone()).collect(),
        listen,
        service,
        at: draft.at,
    }
}

/// A site that does the same on every path.
fn only(rule: Arc<Rule>) -> Http {
    Http {
        root: Some(rule),
        paths: Box::default(),
    }
}
