//! What is done with requests: the keys that sites and paths share, read through their layers.

use std::sync::Arc;

use http::HeaderValue;
use http::uri::Authority;

use super::enclosed::Enclosed;
use super::keys;
use super::problem::Problem;
use super::problems::Problems;
use super::reader::{Item, Layers, Table};
use super::rewrite;
use super::site::{AccessLogging, Action, HostField, Rule, Timeouts};
use super::target::{Address, Scheme, Target};
use super::targets::Targets;
use super::units::DURATION_FORM;
use super::{answers, compressing, guarding, headers, pages};

/// The keys that say what is done; a table has one of them.
pub(super) const ACTIONS: &[&str] = &["to", "redirect", "respond", "passthrough", "tcp"];

/// The one action that the nearest table names.
#[derive(Debug)]
pub(super) enum Chosen<'a> {
    Nothing,
    One(Item<'a>),
    /// Several, which is reported.
    Several,
}

/// Finds the action, and reports a `status` that has no redirect.
pub(super) fn chosen<'a>(layers: &Layers<'a>, problems: &mut Problems) -> Chosen<'a> {
    let Some(table) = layers.group(ACTIONS) else {
        return Chosen::Nothing;
    };
    let mut items = ACTIONS.iter().filter_map(|key| table.get(key));
    let Some(first) = items.next() else {
        return Chosen::Nothing;
    };
    if let Some(second) = items.next() {
        let message = format!("`{}` and `{}` cannot both be done", first.key, second.key);
        let problem = Problem::error("several-actions", message)
            .at(second.key_at, "this is one")
            .also(first.key_at, "this is another")
            .help("keep one of them; `paths` can do one thing here and another there");
        problems.push(problem);
        return Chosen::Several;
    }
    let nearest = layers.inner_first().next();
    if let Some(status) = nearest.and_then(|table| table.get("status"))
        && first.key != "redirect"
    {
        problems.push(
            Problem::error("conflicting-keys", "`status` goes with `redirect`")
                .at(status.key_at, "there is no redirect here")
                .help("a fixed answer has its status inside: respond = { status = 503, … }"),
        );
    }
    Chosen::One(first)
}

/// Whether a key that is reported as unknown most likely stands for what is to be done.
pub(super) fn is_misnamed(layers: &Layers<'_>) -> bool {
    let means_action = |key: &str| {
        let meant = keys::SITE.meant(key);
        !keys::SITE.known.contains(&key)
            && meant.is_some_and(|meant| ACTIONS.contains(&meant) || meant == "paths")
    };
    layers
        .inner_first()
        .any(|table| table.in_order().iter().any(|item| means_action(item.key)))
}

/// Reads `redirect` or `respond`.
pub(super) fn answer(
    item: &Item<'_>,
    layers: &Layers<'_>,
    problems: &mut Problems,
) -> Option<Action> {
    if item.key == "redirect" {
        return answers::redirect(item, layers, problems).map(Action::Redirect);
    }
    answers::respond(item, problems).map(Action::Respond)
}

/// Puts a rule together: `action`, and every other key from the layers.
pub(super) fn rule(
    layers: &Layers<'_>,
    action: Action,
    strip_prefix: Option<Box<str>>,
    enclosed: &mut Enclosed<'_>,
    targets: &mut Targets,
    problems: &mut Problems,
) -> Rule {
    let host = match layers.get("host") {
        Some(item) => host(&item, problems).unwrap_or(HostField::Preserve),
        None => default_host(&action),
    };
    let rewrites = layers.get("rewrite");
    let hsts = layers.get("hsts");
    Rule {
        strip_prefix,
        rewrites: rewrites.map_or_else(Box::default, |item| rewrite::rewrites(&item, problems)),
        request_headers: headers::rules(layers, "request", problems),
        response_headers: headers::rules(layers, "response", problems),
        host,
        timeouts: timeouts(layers, problems),
        max_body: layers.get("max_body").and_then(|item| item.size(problems)),
        hsts: hsts.and_then(|item| strict_transport(&item, problems)),
        guard: guarding::guard(layers, enclosed, targets, problems),
        compress: compressing::codings(layers, problems),
        errors: pages::errors(layers, enclosed, problems),
        log: logging(layers, problems),
        action,
    }
}

/// Reads `log`.
pub(super) fn logging(layers: &Layers<'_>, problems: &mut Problems) -> AccessLogging {
    match layers.get("log").and_then(|item| item.flag(problems)) {
        Some(false) => AccessLogging::Omitted,
        Some(true) | None => AccessLogging::Kept,
    }
}

/// Reads `strip_prefix`.
pub(super) fn strip_prefix(item: &Item<'_>, problems: &mut Problems) -> Option<Box<str>> {
    let text = item.text("a path such as \"/app\"", problems)?;
    let bare = text.trim_end_matches('/');
    let help = match text {
        _ if text.starts_with('/') && !bare.is_empty() => return Some(bare.into()),
        "" | "/" => "leave the key out to keep the path as it is".to_owned(),
        _ => format!("write \"/{bare}\""),
    };
    let message = "`strip_prefix` starts with `/` and names a segment";
    problems.error(
        "bad-prefix",
        message,
        item.at(),
        "not a prefix of a path",
        help,
    );
    None
}

/// Reads `timeout` in every layer; an inner one changes what it names and keeps the rest.
pub(super) fn timeouts(layers: &Layers<'_>, problems: &mut Problems) -> Timeouts {
    let mut timeouts = Timeouts::default();
    for item in layers
        .outer_first()
        .filter_map(|table| table.get("timeout"))
    {
        if item.as_text().is_some() {
            if let Some(response) = item.time(problems) {
                timeouts.response = response;
            }
            continue;
        }
        let wanted = format!("{DURATION_FORM}, or a table");
        let Some(table) = item.table(&wanted, problems) else {
            continue;
        };
        table.check_keys(&keys::TIMEOUT, problems);
        read_timeouts(&table, &mut timeouts, problems);
    }
    timeouts
}

fn read_timeouts(table: &Table<'_>, timeouts: &mut Timeouts, problems: &mut Problems) {
    let fields = [
        ("connect", &mut timeouts.connect),
        ("response", &mut timeouts.response),
        ("idle", &mut timeouts.idle),
        ("tunnel_idle", &mut timeouts.tunnel_idle),
    ];
    for (key, field) in fields {
        if let Some(time) = table.get(key).and_then(|item| item.time(problems)) {
            *field = time;
        }
    }
}

fn default_host(action: &Action) -> HostField {
    match action {
        Action::Forward(backends) if backends.targets().any(is_public) => HostField::Upstream,
        Action::Forward(_) | Action::Redirect(_) | Action::Respond(_) => HostField::Preserve,
    }
}

fn is_public(target: &Arc<Target>) -> bool {
    matches!(target.scheme, Scheme::Https(_)) && matches!(target.address, Address::Name { .. })
}

fn host(item: &Item<'_>, problems: &mut Problems) -> Option<HostField> {
    let text = item.text("\"preserve\", \"upstream\", or a host", problems)?;
    match text {
        "preserve" => return Some(HostField::Preserve),
        "upstream" => return Some(HostField::Upstream),
        _ => {}
    }
    let literal = text
        .parse::<Authority>()
        .ok()
        .filter(|authority| !text.contains('@') && !authority.host().is_empty())
        .and_then(|_| HeaderValue::from_str(text).ok());
    if literal.is_none() {
        problems.error(
            "bad-host",
            format!("`{text}` cannot be sent as Host"),
            item.at(),
            "not a host",
            "\"preserve\" sends the client's, \"upstream\" the target's own, \"app.internal:8080\" just that",
        );
    }
    literal.map(HostField::Literal)
}

fn strict_transport(item: &Item<'_>, problems: &mut Problems) -> Option<HeaderValue> {
    if item.as_flag() == Some(false) {
        return None;
    }
    if item.as_text().is_some() {
        let max_age = item.duration(problems)?.as_secs();
        return HeaderValue::from_str(&format!("max-age={max_age}")).ok();
    }
    let table = item.table("a duration such as \"365d\", a table, or `false`", problems)?;
    table.check_keys(&keys::HSTS, problems);
    let Some(max_age) = table.get("max_age") else {
        problems.push(
            Problem::error("missing-key", "`hsts` needs `max_age`")
                .at(table.at, "`max_age` is missing")
                .help("{ max_age = \"365d\", subdomains = true }"),
        );
        return None;
    };
    let mut value = format!("max-age={}", max_age.duration(problems)?.as_secs());
    for (key, directive) in [
        ("subdomains", "; includeSubDomains"),
        ("preload", "; preload"),
    ] {
        if let Some(item) = table.get(key)
            && item.flag(problems)?
        {
            value.push_str(directive);
        }
    }
    HeaderValue::from_str(&value).ok()
}
