//! What is done with a site's requests: its own rule, and those of its paths.

use std::path::Path;
use std::sync::Arc;

use toml::de::DeValue;

use super::backends::{Backends, Member};
use super::balancing;
use super::grammar::Carries;
use super::keys;
use super::paths;
use super::problem::{At, Problem};
use super::reader::{Item, Layers, Table};
use super::rules::{self, Chosen};
use super::site::{Action, PathRule, Redirect, Rule};
use super::walk::Walk;

/// Keys of a site's table that leave its rules as they are.
const OUTSIDE_RULES: &[&str] = &[
    "to",
    "aliases",
    "listen",
    "tls",
    "cert",
    "key",
    "min_tls",
    "client_ca",
    "client_auth",
    "paths",
];

impl<'a> Walk<'a> {
    pub(super) fn paths(
        &mut self,
        site: &Layers<'a>,
        item: &Item<'a>,
        redirects: &mut Vec<(Redirect, At)>,
    ) -> Option<Box<[PathRule]>> {
        let mut prefixes = Vec::new();
        let mut rules = Vec::new();
        let mut good = item.as_table().is_some();
        for item in paths::entries(item, &mut self.problems) {
            let prefix = paths::prefix(&item, &mut self.problems);
            let stripped = prefix
                .as_ref()
                .map(|prefix| prefix.text.trim_end_matches('/'));
            let rule = self.path(site, &item, stripped, redirects);
            let (Some(prefix), Some(rule)) = (prefix, rule) else {
                good = false;
                continue;
            };
            rules.push(PathRule {
                prefix: prefix.text.clone(),
                matching: prefix.matching,
                rule,
            });
            prefixes.push((prefix, item.key_at));
        }
        paths::report_repeated(&prefixes, &mut self.problems);
        good.then(|| rules.into())
    }

    fn path(
        &mut self,
        site: &Layers<'a>,
        item: &Item<'a>,
        prefix: Option<&str>,
        redirects: &mut Vec<(Redirect, At)>,
    ) -> Option<Arc<Rule>> {
        let Some(table) = item.as_table() else {
            return match item.value() {
                DeValue::String(text) => {
                    self.short_rule(site, text, item.at(), &item.origin.folder)
                }
                DeValue::Integer(_) => self.forward(site, item, None),
                DeValue::Float(_)
                | DeValue::Boolean(_)
                | DeValue::Datetime(_)
                | DeValue::Array(_)
                | DeValue::Table(_) => {
                    item.wrong_type("a target, or a table", &mut self.problems);
                    None
                }
            };
        };
        table.check_keys(&keys::PATH, &mut self.problems);
        let layers = Layers {
            path: Some(table),
            prefix: Some(item.key),
            ..*site
        };
        match rules::chosen(&layers, &mut self.problems) {
            Chosen::Several => None,
            // What a path cannot do is reported as a key that it does not know.
            Chosen::One(action) if matches!(action.key, "passthrough" | "tcp") => None,
            Chosen::One(action) => self.act(&layers, &action, prefix, redirects),
            Chosen::Nothing if rules::is_misnamed(&layers) => None,
            Chosen::Nothing => {
                self.problems.error(
                    "no-action",
                    format!("`{}` does nothing", item.key),
                    item.key_at,
                    "no `to`, `redirect` or `respond` here, nor in the site",
                    "say where it leads: { to = \"localhost:3000\" }",
                );
                None
            }
        }
    }

    pub(super) fn act(
        &mut self,
        layers: &Layers<'a>,
        item: &Item<'a>,
        prefix: Option<&str>,
        redirects: &mut Vec<(Redirect, At)>,
    ) -> Option<Arc<Rule>> {
        if item.key == "to" {
            if let Some(text) = item.as_text()
                && layers.path.is_none()
            {
                return self.short_rule(layers, text, item.at(), &item.origin.folder);
            }
            return self.forward(layers, item, prefix);
        }
        let action = rules::answer(item, layers, &mut self.problems);
        if let Some(Action::Redirect(redirect)) = &action {
            redirects.push((redirect.clone(), item.at()));
        }
        self.rule(layers, action, prefix)
    }

    pub(super) fn forward(
        &mut self,
        layers: &Layers<'a>,
        item: &Item<'a>,
        prefix: Option<&str>,
    ) -> Option<Arc<Rule>> {
        let members = self.targets.read(item, Carries::Http, &mut self.problems);
        let action = self.to(layers, members);
        self.rule(layers, action, prefix)
    }

    /// The rule of a lone target. Sites that say nothing else about requests share it.
    pub(super) fn short_rule(
        &mut self,
        layers: &Layers<'a>,
        text: &str,
        at: At,
        folder: &Path,
    ) -> Option<Arc<Rule>> {
        let shareable = !self.defaults_differ
            && !text.starts_with("unix:")
            && layers.site.is_none_or(leaves_rules_alone);
        if shareable && let Some(rule) = self.rules.get(text) {
            return Some(Arc::clone(rule));
        }
        let target = self
            .targets
            .text(text, at, folder, Carries::Http, &mut self.problems);
        let members = target.map(|target| Backends::of([target]).members);
        let action = self.to(layers, members);
        let rule = self.rule(layers, action, None)?;
        if shareable {
            self.rules.insert(text.into(), Arc::clone(&rule));
        }
        Some(rule)
    }

    fn to(&mut self, layers: &Layers<'a>, members: Option<Box<[Member]>>) -> Option<Action> {
        let is_good = members.is_some();
        let members = members.unwrap_or_default();
        let backends = balancing::backends(layers, members, Carries::Http, &mut self.problems);
        is_good.then(|| Action::Forward(Arc::new(backends)))
    }

    /// Reads the other keys even if the action is bad, so that all problems are found at once.
    fn rule(
        &mut self,
        layers: &Layers<'a>,
        action: Option<Action>,
        prefix: Option<&str>,
    ) -> Option<Arc<Rule>> {
        let strip = self.strip_prefix(layers, prefix);
        let nothing = Action::Forward(Arc::new(Backends::of([])));
        let is_good = action.is_some();
        if let Some(Action::Redirect(_) | Action::Respond(_)) = action {
            balancing::backends(layers, Box::default(), Carries::Http, &mut self.problems);
            balancing::warn_of_no_target(layers, &mut self.problems);
        }
        let rule = rules::rule(
            layers,
            action.unwrap_or(nothing),
            strip,
            &mut self.enclosed,
            &mut self.targets,
            &mut self.problems,
        );
        is_good.then(|| Arc::new(rule))
    }

    fn strip_prefix(&mut self, layers: &Layers<'a>, prefix: Option<&str>) -> Option<Box<str>> {
        let table = layers.group(&["strip", "strip_prefix"])?;
        let strip = table.get("strip").filter(|_| layers.path.is_some());
        match (strip, table.get("strip_prefix")) {
            (Some(strip), Some(own)) => {
                self.problems.push(
                    Problem::error(
                        "conflicting-keys",
                        "`strip` and `strip_prefix` are two words on one thing",
                    )
                    .at(strip.key_at, "drops the matched prefix")
                    .also(own.key_at, "drops this one"),
                );
                None
            }
            (Some(strip), None) => {
                let strips = strip.flag(&mut self.problems)?;
                prefix
                    .filter(|prefix| strips && !prefix.is_empty())
                    .map(Into::into)
            }
            (None, Some(own)) => rules::strip_prefix(&own, &mut self.problems),
            (None, None) => None,
        }
    }
}

fn leaves_rules_alone(table: Table<'_>) -> bool {
    table
        .entries
        .keys()
        .all(|key| OUTSIDE_RULES.contains(&key.get_ref().as_ref()))
}
