//! What `up` says once it serves: every site with its target, its certificate and where it is reached.

use std::fmt::Write as _;

use super::listeners::Listeners;
use super::start::LOOPBACK;
use crate::certs::plan::Plan;
use crate::config::Config;
use crate::config::backends::Backends;
use crate::config::listen::Listen;
use crate::config::site::{Action, Http, Service, Site};
use crate::routing::{Kind, kind_of, specs_of};

/// Sites that are listed; of more only the number is told.
const SITES_TOLD_MAX: usize = 50;

/// The table of the sites that `listed` names by their index, with a line for the listeners under it.
#[must_use]
pub(super) fn banner(
    config: &Config,
    plan: &Plan,
    listeners: &Listeners,
    listed: &dyn Fn(usize) -> bool,
) -> String {
    let mut rows = vec![["SITE", "TARGET", "CERTIFICATE", "LISTENS ON"].map(str::to_owned)];
    let mut slot = 0;
    let mut sites = 0;
    for (index, site) in config.sites.iter().enumerate() {
        if listed(index) {
            sites += 1;
            if sites <= SITES_TOLD_MAX {
                rows.push(row(site, plan, slot, listeners));
            }
        }
        slot += site.names.len();
    }
    let widths: Vec<usize> = (0..3)
        .map(|column| {
            rows.iter()
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for [site, target, certificate, listen] in &rows {
        let (a, b, c) = (widths[0], widths[1], widths[2]);
        // Writing into a string cannot fail.
        let _written = writeln!(text, "{site:a$}  {target:b$}  {certificate:c$}  {listen}");
    }
    if sites > SITES_TOLD_MAX {
        let more = sites - SITES_TOLD_MAX;
        let _written = writeln!(text, "and {more} more");
    }
    let listening: Vec<String> = listeners
        .addresses()
        .iter()
        .map(|(address, kind)| format!("{address} ({})", word(*kind)))
        .collect();
    let _written = writeln!(text, "listening on {}", listening.join(", "));
    text
}

/// A number with its noun.
#[must_use]
pub fn counted(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Tls => "tls",
        Kind::Plain => "plain",
    }
}

/// What is spoken at the door for a site.
pub(super) fn kind(site: &Site) -> Kind {
    kind_of(&site.service)
}

pub(super) fn row(site: &Site, plan: &Plan, slot: usize, listeners: &Listeners) -> [String; 4] {
    let names: Vec<String> = site.names.iter().map(ToString::to_string).collect();
    let kind = kind_of(&site.service);
    let entries = site.listen.iter();
    let listen: Vec<String> = entries
        .map(|entry| place(*entry, kind, listeners))
        .collect();
    let (target, certificate) = match &site.service {
        Service::Plain(http) => (answer(http), "none: plain HTTP".to_owned()),
        Service::Secure(_, http) => (answer(http), plan.describe(slot).to_string()),
        Service::Passthrough(tunnel) => (
            format!("{}, unopened", targets(&tunnel.backends)),
            "the target's own".to_owned(),
        ),
        Service::Tcp(_, tunnel) => (
            format!("{}, as bytes", targets(&tunnel.backends)),
            plan.describe(slot).to_string(),
        ),
    };
    [names.join(", "), target, certificate, listen.join(", ")]
}

/// An entry as it is written, but where the system chose the port, the sockets themselves.
fn place(listen: Listen, kind: Kind, listeners: &Listeners) -> String {
    if listen.port != 0 {
        return listen.to_string();
    }
    let bound: Vec<String> = specs_of(listen, kind, LOOPBACK)
        .filter_map(|spec| listeners.address_of(&spec))
        .map(|address| address.to_string())
        .collect();
    bound.join(", ")
}

fn answer(http: &Http) -> String {
    let mut parts: Vec<String> = http.root.iter().map(|rule| action(&rule.action)).collect();
    for path in &http.paths {
        parts.push(format!("{} → {}", path.prefix, action(&path.rule.action)));
    }
    parts.join(", ")
}

fn action(action: &Action) -> String {
    match action {
        Action::Forward(backends) => targets(backends),
        Action::Redirect(redirect) => format!("redirect to {}", redirect.to),
        Action::Respond(respond) => format!("answers {}", respond.status.as_u16()),
    }
}

fn targets(backends: &Backends) -> String {
    let list: Vec<String> = backends.targets().map(ToString::to_string).collect();
    list.join(" ")
}
