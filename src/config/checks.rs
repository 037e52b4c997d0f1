//! `health`: active checks.

use std::num::NonZeroU32;
use std::time::Duration;

use http::uri::{Authority, PathAndQuery};
use http::{HeaderValue, StatusCode};

use super::backends::{Health, Member, Probe, StatusWanted};
use super::balancing::count;
use super::grammar::Carries;
use super::keys;
use super::problem::Problem;
use super::problems::Problems;
use super::reader::{Item, Layers, Table};
use super::target::Scheme;

const HEALTH_FORM: &str =
    r#"a path such as "/up", a table such as { path = "/up", every = "10s" }, or `false`"#;
const EVERY: Duration = Duration::from_secs(10);
/// More often would be an attack.
const EVERY_MIN: Duration = Duration::from_millis(10);
const TIMEOUT: Duration = Duration::from_secs(2);
const FAILS: NonZeroU32 = NonZeroU32::new(3).unwrap();
const PASSES: NonZeroU32 = NonZeroU32::new(2).unwrap();
const COUNT_MAX: u64 = 1000;

/// Reads `health`. A tunnel that inherits a check of HTTP has none.
pub(super) fn health(
    item: &Item<'_>,
    layers: &Layers<'_>,
    members: &[Member],
    carries: Carries,
    problems: &mut Problems,
) -> Option<Health> {
    if item.as_flag() == Some(false) {
        return None;
    }
    let health = if item.as_text().is_some() {
        of(path(item, problems)?)
    } else {
        let table = item.table(HEALTH_FORM, problems)?;
        table.check_keys(&keys::HEALTH, problems);
        read(item, &table, problems)?
    };
    match &health.probe {
        Probe::Tcp => Some(health),
        Probe::Http { .. } | Probe::Grpc { .. } if carries == Carries::Bytes => {
            if layers.says(item) {
                problems.error(
                    "conflicting-keys",
                    "a tunnel's target is not asked over HTTP",
                    item.at(),
                    "the bytes are not looked at",
                    "health = { tcp = true } checks that connections open",
                );
            }
            None
        }
        Probe::Http { .. } => Some(health),
        Probe::Grpc { .. } => {
            refuse_grpc_over_http1(item, members, problems)?;
            Some(health)
        }
    }
}

fn of(probe: Probe) -> Health {
    Health {
        probe,
        every: EVERY,
        timeout: TIMEOUT,
        fails: FAILS,
        passes: PASSES,
    }
}

fn read(item: &Item<'_>, table: &Table<'_>, problems: &mut Problems) -> Option<Health> {
    let mut health = of(probe(item, table, problems)?);
    for (key, field) in [
        ("every", &mut health.every),
        ("timeout", &mut health.timeout),
    ] {
        if let Some(item) = table.get(key) {
            *field = item.time(problems)?;
        }
    }
    for (key, field) in [("fails", &mut health.fails), ("passes", &mut health.passes)] {
        if let Some(item) = table.get(key) {
            *field = count(&item, COUNT_MAX, problems)?;
        }
    }
    if let Some(every) = table.get("every")
        && health.every < EVERY_MIN
    {
        let message = format!("`every` takes at least \"{}ms\"", EVERY_MIN.as_millis());
        problems.push(Problem::error("out-of-range", message).at(every.at(), "out of range"));
        return None;
    }
    Some(health)
}

fn probe(item: &Item<'_>, table: &Table<'_>, problems: &mut Problems) -> Option<Probe> {
    let tcp = match table.get("tcp") {
        Some(item) => item.flag(problems)?.then_some(item),
        None => None,
    };
    let grpc = table
        .get("grpc")
        .filter(|item| item.as_flag() != Some(false));
    let kinds: Vec<Item<'_>> = [table.get("path"), tcp, grpc]
        .into_iter()
        .flatten()
        .collect();
    let kind = match kinds.as_slice() {
        [kind] => kind,
        [] => {
            problems.error(
                "missing-key",
                "`health` does not say what is checked",
                item.at(),
                "none of `path`, `tcp` and `grpc`",
                r#"{ path = "/up" }, { tcp = true }, { grpc = true } or { grpc = "package.Service" }"#,
            );
            return None;
        }
        [first, second, ..] => {
            let message = format!("`{}` and `{}` are two ways to check", first.key, second.key);
            problems.push(
                Problem::error("conflicting-keys", message)
                    .at(second.key_at, "this is one")
                    .also(first.key_at, "this is another")
                    .help("keep one of them"),
            );
            return None;
        }
    };
    let probe = match kind.key {
        "tcp" => Probe::Tcp,
        "grpc" => Probe::Grpc {
            service: service(kind, problems)?,
        },
        _ => return http(kind, table, problems),
    };
    for key in ["host", "status"] {
        if let Some(other) = table.get(key) {
            let message = format!("`{key}` goes with `path`");
            problems.push(
                Problem::error("conflicting-keys", message)
                    .at(other.key_at, "this check is not one of HTTP")
                    .also(kind.key_at, "because of this"),
            );
            return None;
        }
    }
    Some(probe)
}

fn http(kind: &Item<'_>, table: &Table<'_>, problems: &mut Problems) -> Option<Probe> {
    let Probe::Http { path, .. } = path(kind, problems)? else {
        return None;
    };
    let host = match table.get("host") {
        Some(item) => Some(host(&item, problems)?),
        None => None,
    };
    let status = match table.get("status") {
        Some(item) => status(&item, problems)?,
        None => StatusWanted::Class(2),
    };
    Some(Probe::Http { path, host, status })
}

fn path(item: &Item<'_>, problems: &mut Problems) -> Option<Probe> {
    let text = item.text("a path such as \"/up\"", problems)?;
    let path = text
        .parse::<PathAndQuery>()
        .ok()
        .filter(|_path| text.starts_with('/') && !text.contains('#'));
    let Some(path) = path else {
        let bare = text.trim_start_matches('/');
        let help = match text.split_once("://") {
            Some(_) => "the target's address is known; write the path alone: \"/up\"".to_owned(),
            None => format!("write \"/{}\"", bare.split('#').next().unwrap_or_default()),
        };
        let message = format!("`{text}` is no path");
        problems.error(
            "bad-path",
            message,
            item.at(),
            "a path starts with `/`",
            help,
        );
        return None;
    };
    Some(Probe::Http {
        path,
        host: None,
        status: StatusWanted::Class(2),
    })
}

fn service(item: &Item<'_>, problems: &mut Problems) -> Option<Box<str>> {
    if item.as_flag() == Some(true) {
        return Some(Box::default());
    }
    let text = item.text("`true`, or the name of a service", problems)?;
    let is_name = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_name {
        problems.error(
            "bad-service",
            format!("`{text}` is no name of a gRPC service"),
            item.at(),
            "not a name",
            "\"package.Service\" asks for one service, `true` for the server as a whole",
        );
    }
    is_name.then(|| text.into())
}

fn host(item: &Item<'_>, problems: &mut Problems) -> Option<HeaderValue> {
    let text = item.text("a host", problems)?;
    let host = text
        .parse::<Authority>()
        .ok()
        .filter(|authority| !text.contains('@') && !authority.host().is_empty())
        .and_then(|_| HeaderValue::from_str(text).ok());
    if host.is_none() {
        let message = format!("`{text}` cannot be sent as Host");
        problems.push(
            Problem::error("bad-host", message)
                .at(item.at(), "not a host")
                .help("for example \"app.internal\""),
        );
    }
    host
}

fn status(item: &Item<'_>, problems: &mut Problems) -> Option<StatusWanted> {
    let text = match (item.as_integer(), item.as_text()) {
        (Some(integer), _) => integer.to_string(),
        (None, Some(text)) => text.to_owned(),
        (None, None) => String::new(),
    };
    let wanted = match text.as_str() {
        "2xx" => Some(StatusWanted::Class(2)),
        "3xx" => Some(StatusWanted::Class(3)),
        "4xx" => Some(StatusWanted::Class(4)),
        "5xx" => Some(StatusWanted::Class(5)),
        digits => digits
            .parse::<u16>()
            .ok()
            .filter(|status| (200..=599).contains(status))
            .and_then(|status| StatusCode::from_u16(status).ok())
            .map(StatusWanted::Exactly),
    };
    if wanted.is_none() {
        problems.error(
            "bad-status",
            "`status` takes a status from 200 to 599, or \"2xx\"",
            item.at(),
            "not a status",
            "\"2xx\" is any from 200 to 299",
        );
    }
    wanted
}

fn refuse_grpc_over_http1(
    item: &Item<'_>,
    members: &[Member],
    problems: &mut Problems,
) -> Option<()> {
    let plain = members
        .iter()
        .find(|member| member.target.scheme == Scheme::Http);
    let Some(plain) = plain else {
        return Some(());
    };
    problems.error(
        "conflicting-keys",
        format!("gRPC cannot be spoken to `{}`", plain.target),
        item.at(),
        "gRPC needs HTTP/2",
        "write the target as \"h2c://host:port\" or \"https://host\"",
    );
    None
}
