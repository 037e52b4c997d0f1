//! `to`, `passthrough` and `tcp`: targets as values, each kept once.

use std::collections::HashMap;
use std::num::NonZeroU16;
use std::path::Path;
use std::sync::Arc;

use super::backends::{Member, Role};
use super::grammar::{self, Carries, EXAMPLES, Spoken};
use super::problem::{At, Problem};
use super::problems::Problems;
use super::reader::{Item, Table};
use super::target::{Address, Scheme, Target, UpstreamTls, Verification};
use super::{balancing, keys};
use crate::hostname::HostName;

const TARGET_FORM: &str = r#"a target such as "3000", "host:3000", "https://host" or "unix:/path""#;
const PORT_MAX: u64 = 65_535;
const WEIGHT_MAX: u64 = 65_535;

/// Equal targets are one, so that 100,000 sites with one upstream keep it once.
#[derive(Debug, Default)]
pub(super) struct Targets {
    /// Each with the first place that names it.
    shared: HashMap<Arc<Target>, At, foldhash::fast::RandomState>,
    plain_tls: Arc<UpstreamTls>,
}

impl Targets {
    /// Reads one target or a list of them; none if any of them is bad.
    pub(super) fn read(
        &mut self,
        item: &Item<'_>,
        carries: Carries,
        problems: &mut Problems,
    ) -> Option<Box<[Member]>> {
        let items = item.one_or_more();
        if items.is_empty() {
            let message = format!("`{}` lists no target", item.key);
            problems.error("empty-list", message, item.at(), "empty", EXAMPLES);
            return None;
        }
        let members: Vec<_> = items
            .iter()
            .map(|item| self.member(item, carries, problems))
            .collect();
        let members: Option<Box<[Member]>> = members.into_iter().collect();
        if let Some(members) = &members {
            balancing::check_members(item, members, problems);
        }
        members
    }

    fn member(
        &mut self,
        item: &Item<'_>,
        carries: Carries,
        problems: &mut Problems,
    ) -> Option<Member> {
        let target = self.one(item, carries, problems);
        let table = item.as_table();
        let weight = match table.and_then(|table| table.get("weight")) {
            Some(item) => weight(&item, problems),
            None => Some(NonZeroU16::MIN),
        };
        let backup = table.and_then(|table| table.get("backup"));
        let role = match backup.map(|item| item.flag(problems)) {
            Some(Some(true)) => Role::Backup,
            Some(Some(false) | None) | None => Role::Main,
        };
        Some(Member {
            target: target?,
            weight: weight?,
            role,
        })
    }

    /// Reads the text of a target that stands at `at`.
    pub(super) fn text(
        &mut self,
        text: &str,
        at: At,
        folder: &Path,
        carries: Carries,
        problems: &mut Problems,
    ) -> Option<Arc<Target>> {
        match grammar::parse(text, folder, carries) {
            Ok((spoken, address)) => {
                let scheme = self.scheme(spoken);
                Some(self.share(Target { scheme, address }, at))
            }
            Err(why) => {
                problems.push(why.problem(text, at));
                None
            }
        }
    }

    fn one(
        &mut self,
        item: &Item<'_>,
        carries: Carries,
        problems: &mut Problems,
    ) -> Option<Arc<Target>> {
        if item.value().is_integer() {
            let port = item.integer(&(1..=PORT_MAX), problems)?;
            let address = Address::Loopback {
                port: u16::try_from(port).ok()?,
            };
            let scheme = Scheme::Http;
            return Some(self.share(Target { scheme, address }, item.at()));
        }
        if let Some(table) = item.as_table() {
            return self.table(&table, carries, problems);
        }
        let text = item.text(TARGET_FORM, problems)?;
        self.text(text, item.at(), &item.origin.folder, carries, problems)
    }

    fn table(
        &mut self,
        table: &Table<'_>,
        carries: Carries,
        problems: &mut Problems,
    ) -> Option<Arc<Target>> {
        table.check_keys(&keys::TARGET, problems);
        let Some(url) = table.get("url") else {
            problems.push(
                Problem::error("missing-key", "a target table needs `url`")
                    .at(table.at, "`url` is missing")
                    .help("{ url = \"https://host\", … }"),
            );
            return None;
        };
        let tls = upstream_tls(table, problems);
        let plain = self.one(&url, carries, problems)?;
        if !matches!(plain.scheme, Scheme::Https(_)) {
            refuse_tls_keys(table, problems);
            return Some(plain);
        }
        let scheme = Scheme::Https(Arc::new(tls?));
        let address = plain.address.clone();
        Some(self.share(Target { scheme, address }, url.at()))
    }

    fn scheme(&self, spoken: Spoken) -> Scheme {
        match spoken {
            Spoken::Http => Scheme::Http,
            Spoken::H2c => Scheme::H2c,
            Spoken::Https => Scheme::Https(Arc::clone(&self.plain_tls)),
        }
    }

    /// Every target and the first place that names it, in the order of these places.
    pub(super) fn in_order(&self) -> Vec<(Arc<Target>, At)> {
        let mut targets: Vec<_> = self
            .shared
            .iter()
            .map(|(target, at)| (Arc::clone(target), *at))
            .collect();
        targets.sort_by_key(|(_, at)| *at);
        targets
    }

    fn share(&mut self, target: Target, at: At) -> Arc<Target> {
        if let Some((shared, _)) = self.shared.get_key_value(&target) {
            return Arc::clone(shared);
        }
        let shared = Arc::new(target);
        self.shared.insert(Arc::clone(&shared), at);
        shared
    }
}

fn weight(item: &Item<'_>, problems: &mut Problems) -> Option<NonZeroU16> {
    if item.as_integer() == Some(0) {
        problems.error(
            "out-of-range",
            "`weight` cannot be zero",
            item.at(),
            "this target would never be asked",
            "leave the target out, or make it one for the worst case: `backup = true`",
        );
        return None;
    }
    let weight = item.integer(&(1..=WEIGHT_MAX), problems)?;
    NonZeroU16::new(u16::try_from(weight).ok()?)
}

const TLS_KEYS: &[&str] = &["ca", "insecure", "sni", "cert", "key"];

fn refuse_tls_keys(table: &Table<'_>, problems: &mut Problems) {
    for key in TLS_KEYS {
        if let Some(item) = table.get(key) {
            problems.push(
                Problem::error(
                    "conflicting-keys",
                    format!("`{key}` is for `https://` targets"),
                )
                .at(item.key_at, "there is no TLS to this target"),
            );
        }
    }
}

fn upstream_tls(table: &Table<'_>, problems: &mut Problems) -> Option<UpstreamTls> {
    let mut path = |key: &str| table.get(key).map(|item| item.path(problems));
    let (ca, cert, key) = (path("ca"), path("cert"), path("key"));
    let insecure = table.get("insecure").map(|item| item.flag(problems));
    let sni = table.get("sni").map(|item| sni(&item, problems));
    let identity = match (cert, key) {
        (None, None) => None,
        (Some(cert), Some(key)) => Some((cert?.value, key?.value)),
        (Some(_), None) => return missing_half(table, "cert", "key", problems),
        (None, Some(_)) => return missing_half(table, "key", "cert", problems),
    };
    let ca = match ca {
        Some(ca) => Some(ca?.value),
        None => None,
    };
    let sni = match sni {
        Some(sni) => Some(sni?),
        None => None,
    };
    let verification = match insecure {
        Some(insecure) if insecure? => Verification::Skipped,
        Some(_) | None => Verification::Required,
    };
    Some(UpstreamTls {
        ca,
        verification,
        sni,
        identity,
    })
}

fn missing_half(
    table: &Table<'_>,
    there: &str,
    missing: &str,
    problems: &mut Problems,
) -> Option<UpstreamTls> {
    let item = table.get(there)?;
    problems.push(
        Problem::error(
            "incomplete-pair",
            format!("`{there}` needs `{missing}` beside it"),
        )
        .at(item.key_at, format!("`{missing}` is missing")),
    );
    None
}

fn sni(item: &Item<'_>, problems: &mut Problems) -> Option<Box<str>> {
    let text = item.text("a host name", problems)?;
    match HostName::parse(text) {
        Ok(name) if name.ip().is_none() => Some(name.as_str().into()),
        Ok(_) => {
            let message = "an address cannot be sent as SNI";
            problems.push(Problem::error("bad-host", message).at(item.at(), "not a name"));
            None
        }
        Err(why) => {
            let message = format!("`{text}` is no host name");
            problems.push(Problem::error("bad-host", message).at(item.at(), why.to_string()));
            None
        }
    }
}
