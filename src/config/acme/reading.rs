//! Reads `acme`.

use super::directory::Directory;
use super::dns::Dns;
use super::names::BY_CONNECTION;
use super::places::Places;
use super::{Acme, Ca, Challenge, KeyKind, Meanwhile, OnDemand, Role, accounts};
use crate::config::keys;
use crate::config::problem::{At, Problem};
use crate::config::problems::Problems;
use crate::config::read::Files;
use crate::config::reader::Item;
use crate::config::roots::Roots;
use crate::config::url::{self, Plain};

const CHALLENGES: &[(&str, Challenge)] = &[
    ("tls-alpn-01", Challenge::TlsAlpn01),
    ("http-01", Challenge::Http01),
    ("dns-01", Challenge::Dns01),
];
const KEYS: &[(&str, KeyKind)] = &[
    ("p256", KeyKind::P256),
    ("p384", KeyKind::P384),
    ("rsa2048", KeyKind::Rsa2048),
];
const MEANWHILE: &[(&str, Meanwhile)] = &[
    ("refuse", Meanwhile::Refuse),
    ("internal", Meanwhile::Internal),
];
const ROLES: &[(&str, Role)] = &[("issue", Role::Issue), ("serve-only", Role::ServeOnly)];

/// Reads an email address, or a table. What is bad in it has its default, so that the sites are judged all the same.
pub(in crate::config) fn read(
    item: &Item<'_>,
    files: &mut dyn Files,
    problems: &mut Problems,
) -> Option<(Acme, Places)> {
    let mut places = Places {
        acme: item.key_at,
        challenges: Vec::new(),
        said: Vec::new(),
    };
    let Some(table) = item.as_table() else {
        item.text("an email address, or a table", problems)?;
        let acme = Acme {
            email: email(item, problems),
            ..nothing_said()
        };
        return Some((acme, places));
    };
    table.check_keys(&keys::ACME, problems);
    let known = keys::ACME.known.iter();
    places.said = known.filter(|key| table.has(key)).copied().collect();
    let mut acme = nothing_said();
    acme.email = table.get("email").and_then(|item| email(&item, problems));
    let directory = table.get("directory");
    acme.first = accounts::ca(Some(&table), directory.as_ref(), files, problems);
    if let Some(item) = table.get("fallback") {
        acme.fallback = accounts::fallback(&item, &acme.first, files, problems);
    }
    acme.roots = table
        .get("roots")
        .and_then(|item| Roots::read(&item, files, problems));
    if let Some(key) = table
        .get("key")
        .and_then(|item| item.choice(KEYS, problems))
    {
        acme.key = key;
    }
    if let Some(meanwhile) = table
        .get("meanwhile")
        .and_then(|item| item.choice(MEANWHILE, problems))
    {
        acme.meanwhile = meanwhile;
    }
    if let Some(role) = table
        .get("role")
        .and_then(|item| item.choice(ROLES, problems))
    {
        acme.role = role;
    }
    acme.on_demand = table
        .get("on_demand")
        .and_then(|item| on_demand(&item, problems));
    acme.dns = table
        .get("dns")
        .and_then(|item| Dns::read(&item, files, problems));
    if let Some(item) = table.get("challenges") {
        places.challenges = challenges(&item, table.has("dns"), problems);
        acme.challenges = places.challenges.iter().map(|(kind, _)| *kind).collect();
    } else if table.has("dns") {
        acme.challenges = Box::new([Challenge::Dns01]);
    }
    Some((acme, places))
}

fn nothing_said() -> Acme {
    Acme {
        email: None,
        first: Ca {
            directory: Directory::lets_encrypt(),
            eab: None,
            profile: None,
        },
        fallback: Box::default(),
        challenges: BY_CONNECTION.into(),
        roots: None,
        key: KeyKind::default(),
        meanwhile: Meanwhile::default(),
        role: Role::default(),
        on_demand: None,
        dns: None,
    }
}

fn email(item: &Item<'_>, problems: &mut Problems) -> Option<Box<str>> {
    let text = item.text("an email address", problems)?;
    let is_address = text.split_once('@').is_some_and(|(user, host)| {
        let odd = |c: char| c.is_whitespace() || c.is_control() || ",;:<>@".contains(c);
        !user.is_empty() && host.contains('.') && !user.contains(odd) && !host.contains(odd)
    });
    if !is_address {
        let help = match text.strip_prefix("mailto:") {
            Some(bare) => format!("write \"{bare}\""),
            None if item.key == "acme" => {
                "acme = \"you@example.com\", or a table:\n[acme]\nemail = \"you@example.com\"\ndirectory = \"letsencrypt\"".to_owned()
            }
            None => "for example \"you@example.com\"".to_owned(),
        };
        let message = format!("`{}` takes an email address", item.key);
        problems.error("bad-email", message, item.at(), "this is none", help);
        return None;
    }
    Some(text.into())
}

fn on_demand(item: &Item<'_>, problems: &mut Problems) -> Option<OnDemand> {
    const FORM: &str = r#"{ ask = "http://127.0.0.1:9000/allowed" }"#;
    if let Some(flag) = item.as_flag() {
        if flag {
            without_ask(item.at(), problems);
        }
        return None;
    }
    let table = item.table(&format!("a table: {FORM}"), problems)?;
    table.check_keys(&keys::ON_DEMAND, problems);
    let Some(ask) = table.get("ask") else {
        without_ask(table.at, problems);
        return None;
    };
    let ask = url::read(&ask, Plain::Anywhere, problems)?;
    Some(OnDemand { ask })
}

fn without_ask(at: At, problems: &mut Problems) {
    problems.error(
        "on-demand-without-ask",
        "`on_demand` needs `ask`",
        at,
        "anybody could have certificates ordered for any name",
        "on_demand = { ask = \"http://127.0.0.1:9000/allowed\" }\nit is asked with `?domain=NAME`; 2xx allows",
    );
}

fn challenges(item: &Item<'_>, has_dns: bool, problems: &mut Problems) -> Vec<(Challenge, At)> {
    let Some(list) = item.as_list() else {
        item.wrong_type("a list such as [\"http-01\"]", problems);
        return Vec::new();
    };
    if list.is_empty() {
        let message = "`challenges` lists none";
        let help = "leave the key out for the default";
        problems.error("empty-list", message, item.at(), "empty", help);
    }
    let mut found: Vec<(Challenge, At)> = Vec::new();
    for entry in list {
        let Some(kind) = entry.choice(CHALLENGES, problems) else {
            continue;
        };
        if kind == Challenge::Dns01 && !has_dns {
            problems.error(
                "missing-key",
                "\"dns-01\" needs `dns`",
                entry.at(),
                "nobody would publish the record",
                "dns = { type = \"rfc2136\", … }   or \"acme-dns\", \"cloudflare\", \"exec\"",
            );
        }
        match found.iter().find(|(other, _)| *other == kind) {
            Some((_, first)) => problems.push(
                Problem::error("duplicate-challenge", "this is listed twice")
                    .at(entry.at(), "again here")
                    .also(*first, "first here"),
            ),
            None => found.push((kind, entry.at())),
        }
    }
    found
}
