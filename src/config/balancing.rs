//! `balance`, `eject`, `retry`, `max_conns` and `proxy_protocol`: everything about targets that does not stand in `to`.

use std::num::NonZeroU32;
use std::sync::Arc;

use http::{HeaderName, StatusCode};

use super::backends::{Backends, Balance, Eject, Member, ProxyVersion, Retry, RetryOn, Role};
use super::checks;
use super::grammar::Carries;
use super::keys;
use super::problem::Problem;
use super::problems::Problems;
use super::reader::{Item, Layers};
use super::target::Address;

const BALANCES: &[(&str, Balance)] = &[
    ("round_robin", Balance::RoundRobin),
    ("least_conn", Balance::LeastConn),
    ("random", Balance::Random),
    ("ip_hash", Balance::IpHash),
];
const BALANCE_FORM: &str = r#""round_robin", "least_conn", "random", "ip_hash", { cookie = "name" } or { header = "name" }"#;
/// What is retried when a table does not say.
const RETRY_ON: &[&str] = &["connect", "reset", "502", "503", "504"];
const FAILS_MAX: u64 = 1_000_000;
const TRIES_MAX: u64 = 100;
const CONNS_MAX: u64 = 1_000_000;
/// Keys that say something about targets, and nothing where there are none.
const KEYS: &[&str] = &[
    "balance",
    "health",
    "eject",
    "retry",
    "max_conns",
    "proxy_protocol",
];

/// Puts targets and all that is said about them together. No members: the keys are read for their problems alone.
pub(super) fn backends(
    layers: &Layers<'_>,
    members: Box<[Member]>,
    carries: Carries,
    problems: &mut Problems,
) -> Backends {
    warn_of_lone_target(layers, &members, problems);
    let balance = layers
        .get("balance")
        .and_then(|item| balance(&item, layers, carries, problems));
    let health = layers
        .get("health")
        .and_then(|item| checks::health(&item, layers, &members, carries, problems));
    let eject = layers.get("eject").map(|item| eject(&item, problems));
    let retry = layers.get("retry").and_then(|item| retry(&item, problems));
    Backends {
        members,
        balance: balance.unwrap_or_default(),
        health: health.map(Arc::new),
        eject: eject.unwrap_or_default(),
        retry: retry.unwrap_or_default(),
        max_conns: layers
            .get("max_conns")
            .and_then(|item| max_conns(&item, problems)),
        proxy_protocol: layers
            .get("proxy_protocol")
            .and_then(|item| proxy_protocol(&item, problems)),
    }
}

/// Warns of keys about targets in the table of a rule that has none.
pub(super) fn warn_of_no_target(layers: &Layers<'_>, problems: &mut Problems) {
    let Some(own) = layers.own() else {
        return;
    };
    for item in KEYS.iter().filter_map(|key| own.get(key)) {
        let message = format!("`{}` is about targets, and there are none here", item.key);
        problems.push(
            Problem::warning("no-effect", message)
                .at(item.key_at, "this does nothing")
                .help("remove it, or say where requests go: { to = \"localhost:3000\" }"),
        );
    }
}

/// Of names there may be several addresses.
fn warn_of_lone_target(layers: &Layers<'_>, members: &[Member], problems: &mut Problems) {
    let [lone] = members else {
        return;
    };
    let item = layers.own().and_then(|own| own.get("balance"));
    if let Some(item) = item
        && !matches!(lone.target.address, Address::Name { .. })
    {
        problems.push(
            Problem::warning("no-effect", "there is one target, so nothing is balanced")
                .at(item.key_at, "this does nothing")
                .help("name more: to = [\"localhost:3001\", \"localhost:3002\"]"),
        );
    }
}

/// Reports backups without anything to stand in for, and weights without a second one.
pub(super) fn check_members(to: &Item<'_>, members: &[Member], problems: &mut Problems) {
    if members.iter().all(|member| member.role == Role::Backup) {
        problems.error(
            "backups-alone",
            "every target is a backup",
            to.at(),
            "no target is asked first",
            "leave `backup` out where requests shall go",
        );
    }
    let items = to.one_or_more();
    let [lone] = items.as_slice() else {
        return;
    };
    if let Some(weight) = lone.as_table().and_then(|table| table.get("weight")) {
        problems.push(
            Problem::warning(
                "no-effect",
                "there is one target, so its weight is all of it",
            )
            .at(weight.key_at, "this does nothing"),
        );
    }
}

fn balance(
    item: &Item<'_>,
    layers: &Layers<'_>,
    carries: Carries,
    problems: &mut Problems,
) -> Option<Balance> {
    let Some(table) = item.as_table() else {
        return word(item, problems);
    };
    table.check_keys(&keys::BALANCE, problems);
    let balance = match (table.get("cookie"), table.get("header")) {
        (Some(cookie), None) => Balance::Cookie(cookie_name(&cookie, problems)?),
        (None, Some(header)) => Balance::Header(header_name(&header, problems)?),
        (Some(_), Some(_)) | (None, None) => {
            let message = format!("`balance` takes {BALANCE_FORM}");
            problems.push(Problem::error("bad-balance", message).at(
                item.at(),
                "either `cookie` or `header` says what targets are kept by",
            ));
            return None;
        }
    };
    if carries == Carries::Http {
        return Some(balance);
    }
    if layers.says(item) {
        problems.error(
            "conflicting-keys",
            "a tunnel cannot be balanced by a cookie or a header",
            item.at(),
            "the bytes are not looked at",
            r#""round_robin", "least_conn", "random" and "ip_hash" are for tunnels too"#,
        );
    }
    None
}

/// [`Item::choice`] for a type that is not copied.
fn word(item: &Item<'_>, problems: &mut Problems) -> Option<Balance> {
    if item.as_text().is_none() {
        item.wrong_type(BALANCE_FORM, problems);
        return None;
    }
    let indices: Vec<(&str, usize)> = BALANCES
        .iter()
        .enumerate()
        .map(|(index, (word, _))| (*word, index))
        .collect();
    let index = item.choice(&indices, problems)?;
    BALANCES.get(index).map(|(_, balance)| balance.clone())
}

/// A token (RFC 6265 section 4.1.1).
fn cookie_name(item: &Item<'_>, problems: &mut Problems) -> Option<Box<str>> {
    let text = item.text("the name of a cookie", problems)?;
    let is_token = HeaderName::from_bytes(text.as_bytes()).is_ok();
    if !is_token {
        problems.error(
            "bad-cookie",
            format!("`{text}` is no name of a cookie"),
            item.at(),
            "not a token",
            "letters, digits, `-` and `_`: { cookie = \"target\" }",
        );
    }
    is_token.then(|| text.into())
}

/// Reads the name of a field.
pub(super) fn header_name(item: &Item<'_>, problems: &mut Problems) -> Option<HeaderName> {
    let text = item.text("the name of a field", problems)?;
    let name = HeaderName::from_bytes(text.as_bytes());
    if name.is_err() {
        problems.error(
            "bad-header",
            format!("`{text}` is no name of a field"),
            item.at(),
            "not a field name",
            "names look like \"X-Api-Key\"",
        );
    }
    name.ok()
}

fn eject(item: &Item<'_>, problems: &mut Problems) -> Eject {
    let mut eject = Eject::default();
    if item.as_flag() == Some(false) {
        problems.error(
            "wrong-type",
            "`eject` cannot be switched off",
            item.at(),
            "a target that fails is always left out for a while",
            "make it rare: { fails = 1000, within = \"1s\", for = \"100ms\" }; if all are left out, all are asked",
        );
        return eject;
    }
    let wanted = r#"a table such as { fails = 3, within = "10s", for = "10s" }"#;
    let Some(table) = item.table(wanted, problems) else {
        return eject;
    };
    table.check_keys(&keys::EJECT, problems);
    if let Some(fails) = table
        .get("fails")
        .and_then(|item| count(&item, FAILS_MAX, problems))
    {
        eject.fails = fails;
    }
    for (key, field) in [("within", &mut eject.within), ("for", &mut eject.duration)] {
        if let Some(time) = table.get(key).and_then(|item| item.time(problems)) {
            *field = time;
        }
    }
    eject
}

fn retry(item: &Item<'_>, problems: &mut Problems) -> Option<Retry> {
    let mut retry = Retry::default();
    if item.as_flag() == Some(false) {
        return Some(never());
    }
    let wanted = "a table such as { tries = 2 }, or `false`";
    let table = item.table(wanted, problems)?;
    table.check_keys(&keys::RETRY, problems);
    if let Some(tries) = table
        .get("tries")
        .and_then(|item| count(&item, TRIES_MAX, problems))
    {
        retry.tries = tries;
    }
    if let Some(within) = table.get("within").and_then(|item| item.time(problems)) {
        retry.within = within;
    }
    retry.on = match table.get("on") {
        Some(item) => retry_on(&item, problems)?,
        None => every_reason(),
    };
    Some(retry)
}

fn never() -> Retry {
    Retry {
        tries: NonZeroU32::MIN,
        on: RetryOn {
            connect: false,
            reset: false,
            statuses: Box::default(),
        },
        ..Retry::default()
    }
}

fn every_reason() -> RetryOn {
    RetryOn {
        statuses: Box::new([
            StatusCode::BAD_GATEWAY,
            StatusCode::SERVICE_UNAVAILABLE,
            StatusCode::GATEWAY_TIMEOUT,
        ]),
        ..RetryOn::default()
    }
}

fn retry_on(item: &Item<'_>, problems: &mut Problems) -> Option<RetryOn> {
    let items = item.one_or_more();
    if items.is_empty() {
        let help = "`retry = false` never tries again";
        problems.error("empty-list", "`on` lists nothing", item.at(), "empty", help);
        return None;
    }
    let mut on = never().on;
    let mut statuses: Vec<StatusCode> = Vec::new();
    for item in &items {
        let words: Vec<(&str, &str)> = RETRY_ON.iter().map(|word| (*word, *word)).collect();
        let number = item.as_integer().map(|number| number.to_string());
        let reason = match &number {
            Some(number) if RETRY_ON.contains(&number.as_str()) => number.as_str(),
            Some(_) | None => item.choice(&words, problems)?,
        };
        match reason {
            "connect" => on.connect = true,
            "reset" => on.reset = true,
            status => statuses.extend(status.parse::<StatusCode>().ok()),
        }
    }
    statuses.sort_unstable();
    statuses.dedup();
    on.statuses = statuses.into();
    Some(on)
}

fn max_conns(item: &Item<'_>, problems: &mut Problems) -> Option<NonZeroU32> {
    if item.as_flag() == Some(false) {
        return None;
    }
    count(item, CONNS_MAX, problems)
}

fn proxy_protocol(item: &Item<'_>, problems: &mut Problems) -> Option<ProxyVersion> {
    if item.as_flag() == Some(false) {
        return None;
    }
    let number = item.as_integer();
    let version = match (number, item.as_text()) {
        (Some(1), _) | (_, Some("1" | "v1")) => Some(ProxyVersion::V1),
        (Some(2), _) | (_, Some("2" | "v2")) => Some(ProxyVersion::V2),
        (_, _) => None,
    };
    if version.is_none() {
        problems.error(
            "unknown-value",
            "`proxy_protocol` takes 1 or 2",
            item.at(),
            "this is no version",
            "1 is a line of text, 2 is binary; the target must expect it",
        );
    }
    version
}

/// An integer from 1 on.
pub(super) fn count(item: &Item<'_>, most: u64, problems: &mut Problems) -> Option<NonZeroU32> {
    let count = item.integer(&(1..=most), problems)?;
    NonZeroU32::new(u32::try_from(count).ok()?)
}
