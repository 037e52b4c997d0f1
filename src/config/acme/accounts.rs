//! The CAs that are asked, and the accounts there: `directory`, `eab`, `profile`, `fallback`.

use super::directory::{Authority, Directory};
use super::dns::{hide_strangers, require, word};
use super::{Ca, Eab};
use crate::config::keys;
use crate::config::problem::{At, Problem};
use crate::config::problems::Problems;
use crate::config::read::Files;
use crate::config::reader::{Item, Table};
use crate::config::secret::Secret;

const FALLBACKS_MAX: usize = 8;

/// Reads `directory`, with `eab` and `profile` if there is a table beside it.
pub(super) fn ca(
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
pub(super) fn fallback(
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
