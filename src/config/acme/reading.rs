//! Reads `acme`, and says what is odd about it as a whole.

use std::sync::Arc;

use super::directory::{Authority, Directory};
use super::dns::{Dns, hide_strangers, require, word};
use super::names::BY_CONNECTION;
use super::{Acme, Ca, Challenge, Eab, KeyKind, Meanwhile, OnDemand, Roots};
use crate::config::keys;
use crate::config::problem::{At, Problem};
use crate::config::problems::Problems;
use crate::config::read::{Files, Unread};
use crate::config::reader::{Item, Table};
use crate::config::secret::Secret;
use crate::config::url::{self, Plain};

/// Where `acme` is said, for what is found out later.
#[derive(Debug, Clone)]
pub(in crate::config) struct Places {
    acme: At,
    challenges: Vec<(Challenge, At)>,
}

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
const FALLBACKS_MAX: usize = 8;
const PEM: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// Reads an email address, or a table. What is bad in it has its default, so that the sites are judged all the same.
pub(in crate::config) fn read(
    item: &Item<'_>,
    files: &mut dyn Files,
    problems: &mut Problems,
) -> Option<(Acme, Places)> {
    let mut places = Places {
        acme: item.key_at,
        challenges: Vec::new(),
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
    let mut acme = nothing_said();
    acme.email = table.get("email").and_then(|item| email(&item, problems));
    let directory = table.get("directory");
    acme.first = ca(Some(&table), directory.as_ref(), files, problems);
    if let Some(item) = table.get("fallback") {
        acme.fallback = fallback(&item, &acme.first, files, problems);
    }
    acme.roots = table
        .get("roots")
        .and_then(|item| roots(&item, files, problems));
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

/// Reads `directory`, with `eab` and `profile` if there is a table beside it.
fn ca(
    table: Option<&Table<'_>>,
    directory: Option<&Item<'_>>,
    files: &mut dyn Files,
    problems: &mut Problems,
) -> Ca {
    let known = directory.and_then(|item| Directory::read(item, problems));
    let beside = |key| table.and_then(|table| table.get(key));
    let (said, profile) = (beside("eab"), beside("profile"));
    if let (Some(known), Some(item)) = (&known, directory) {
        if known.authority == Authority::LetsEncryptStaging {
            problems.push(
                Problem::warning(
                    "staging-ca",
                    "no browser trusts the certificates of this CA",
                )
                .at(item.at(), "for trying things out")
                .help("\"letsencrypt\" once all works"),
            );
        }
        if known.needs_eab() && said.is_none() {
            problems.push(no_eab(item.at()));
        }
    }
    Ca {
        directory: known.unwrap_or_else(Directory::lets_encrypt),
        eab: said.and_then(|item| eab(&item, files, problems)),
        profile: profile.and_then(|item| word(&item, problems)),
    }
}

fn no_eab(at: At) -> Problem {
    Problem::error("missing-key", "this CA makes no account without `eab`")
        .at(at, "`eab` is missing")
        .help("{ directory = \"…\", eab = { kid = \"…\", hmac = { file = \"eab.key\" } } }\nthe CA's site gives both to you")
}

fn eab(item: &Item<'_>, files: &mut dyn Files, problems: &mut Problems) -> Option<Eab> {
    if item.as_table().is_none() {
        problems.hide(item.at());
    }
    let table = item.table("a table: { kid = \"…\", hmac = \"…\" }", problems)?;
    hide_strangers(&table, &keys::EAB, problems);
    table.check_keys(&keys::EAB, problems);
    require(&table, &["kid", "hmac"], problems);
    let kid = table.get("kid").and_then(|item| word(&item, problems));
    let hmac = table.get("hmac").and_then(|item| {
        let secret = Secret::read(&item, files, problems)?;
        secret.decoded(&item, problems)
    });
    Some(Eab {
        kid: kid?,
        hmac: hmac?,
    })
}

/// Reads a list of directories, or of tables with the keys that belong to one.
fn fallback(
    item: &Item<'_>,
    first: &Ca,
    files: &mut dyn Files,
    problems: &mut Problems,
) -> Box<[Ca]> {
    let Some(list) = item.as_list() else {
        item.wrong_type("a list of directories", problems);
        return Box::default();
    };
    if list.len() > FALLBACKS_MAX {
        let message = format!("`fallback` takes at most {FALLBACKS_MAX} directories");
        problems.push(Problem::error("out-of-range", message).at(item.at(), "more than that"));
        return Box::default();
    }
    let mut cas: Vec<Ca> = Vec::new();
    for entry in list {
        let Some(ca) = one_fallback(&entry, files, problems) else {
            continue;
        };
        let mut known = std::iter::once(first).chain(&cas);
        if known.any(|other| other.directory == ca.directory) {
            problems.push(
                Problem::error("duplicate-directory", "this CA is asked already")
                    .at(entry.at(), "again here"),
            );
            continue;
        }
        cas.push(ca);
    }
    cas.into()
}

fn one_fallback(item: &Item<'_>, files: &mut dyn Files, problems: &mut Problems) -> Option<Ca> {
    let Some(table) = item.as_table() else {
        return Some(ca(None, Some(item), files, problems));
    };
    table.check_keys(&keys::FALLBACK, problems);
    require(&table, &["directory"], problems);
    let directory = table.get("directory")?;
    Some(ca(Some(&table), Some(&directory), files, problems))
}

fn roots(item: &Item<'_>, files: &mut dyn Files, problems: &mut Problems) -> Option<Roots> {
    let path = item.path(problems)?.value;
    let shown = path.display();
    let why = match files.content(&path) {
        Ok(pem) if pem.windows(PEM.len()).any(|line| line == PEM) => {
            return Some(Roots {
                pem: pem.into(),
                path,
            });
        }
        Err(Unread::NobodyLooks) => {
            return Some(Roots {
                pem: Arc::new([]),
                path,
            });
        }
        Ok(_) => format!("there is no certificate in {shown}"),
        Err(Unread::Because(why)) => format!("cannot read {shown}: {why}"),
    };
    problems.push(Problem::error("unreadable", why).at(item.at(), "wanted as PEM"));
    None
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

/// The ports that somebody else's connections come to.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct Reached {
    /// `tls-alpn-01` comes to 443.
    pub(in crate::config) tls: bool,
    /// `http-01` comes to 80.
    pub(in crate::config) plain: bool,
}

impl Places {
    /// Warns of challenges that the CA would knock for in vain. A forwarded port looks the same, so it is no error.
    pub(in crate::config) fn warn_of_silence(
        &self,
        acme: &Acme,
        reached: Reached,
        problems: &mut Problems,
    ) {
        if !acme.first.directory.is_lets_encrypt() {
            return;
        }
        let deaf = |kind: Challenge| match kind {
            Challenge::TlsAlpn01 => (!reached.tls).then_some(("listen", 443)),
            Challenge::Http01 => (!reached.plain).then_some(("http", 80)),
            Challenge::Dns01 => None,
        };
        for (kind, at) in &self.challenges {
            if let Some((key, port)) = deaf(*kind) {
                problems.push(no_way(*at, key, port));
            }
        }
        let unsaid = self.challenges.is_empty() && acme.dns.is_none();
        if unsaid && !reached.tls && !reached.plain {
            problems.push(no_way(self.acme, "listen", 443));
        }
    }
}

fn no_way(at: At, key: &str, port: u16) -> Problem {
    Problem::warning(
        "challenge-without-a-socket",
        format!("Let's Encrypt comes to port {port}, and `{key}` has no such socket"),
    )
    .at(at, "proven there")
    .help(format!(
        "fine if port {port} of the public address is forwarded to a socket of `{key}`; else add {port} to `{key}`"
    ))
}
