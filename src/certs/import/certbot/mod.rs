//! certbot's folder, with its links or copied without them; Nginx Proxy Manager keeps one too.
//! <https://eff-certbot.readthedocs.io/en/stable/using.html#where-are-my-certificates>

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::certs::import::account::Draft as AccountDraft;
use crate::certs::import::account_key;
use crate::certs::import::certificate::{Draft, Part};
use crate::certs::import::fault::AccountFault;
use crate::certs::import::findings::Tool;
use crate::certs::import::known;
use crate::certs::import::settings;
use crate::certs::import::survey::Survey;
use crate::certs::import::tree::{Content, join, split};

/// Reads every such folder in the tree.
pub(super) fn read(survey: &mut Survey<'_>) {
    for root in survey.folders() {
        if !survey.is_claimed(root) && is_root(survey, root) {
            read_root(survey, root);
        }
    }
}

fn is_root(survey: &Survey<'_>, root: &str) -> bool {
    let holds = |folder: &str, is_it: fn(&[&str]) -> bool| {
        let folder = join(root, folder);
        survey.tree.below(&folder).any(|(path, _)| {
            let parts: Vec<&str> = path.split('/').collect();
            is_it(&parts)
        })
    };
    let is_live = |parts: &[&str]| matches!(parts, [_name, "fullchain.pem" | "cert.pem"]);
    let is_archived =
        |parts: &[&str]| matches!(parts, [_name, file] if version(file, "cert").is_some());
    let is_account = |parts: &[&str]| matches!(parts, [.., _id, "private_key.json" | "regr.json"]);
    holds("live", is_live) || holds("archive", is_archived) || holds("accounts", is_account)
}

fn read_root(survey: &mut Survey<'_>, root: &str) {
    let accounts = accounts(survey, root);
    let (live, archive, renewal) = (
        join(root, "live"),
        join(root, "archive"),
        join(root, "renewal"),
    );
    let mut lineages: BTreeSet<&str> = BTreeSet::new();
    lineages.extend(survey.tree.folders(&live));
    lineages.extend(survey.tree.folders(&archive));
    let renewed = survey
        .tree
        .below(&renewal)
        .filter_map(|(path, _)| path.strip_suffix(".conf"));
    lineages.extend(renewed.filter(|name| !name.contains('/')));
    for name in lineages {
        let lineage = Lineage {
            name,
            live: join(&live, name),
            archive: join(&archive, name),
            renewal: join(&renewal, &format!("{name}.conf")),
        };
        lineage.read(survey, &accounts);
    }
    for own in ["live", "archive", "renewal", "accounts", "csr", "keys"] {
        survey.claim(Tool::Certbot, &join(root, own));
    }
}

struct Lineage<'a> {
    name: &'a str,
    live: String,
    archive: String,
    renewal: String,
}

impl Lineage<'_> {
    /// `accounts` are those of this folder, with the names that renewals give them.
    fn read(&self, survey: &mut Survey<'_>, accounts: &[(String, usize)]) {
        let settings = survey.bytes(&self.renewal).map(settings::of_ini);
        let settings = settings.unwrap_or_default();
        let setting = |name: &str| settings.get(name).map(String::as_str);
        let directory = setting("renewalparams.server").map(known::current);
        let id = setting("renewalparams.account");
        let named = accounts
            .iter()
            .find(|(own, _)| Some(own.as_str()) == id)
            .map(|(_, index)| *index);
        let (folder, chain, key) = self.parts(survey);
        if chain == Part::Absent && key == Part::Absent && settings.is_empty() {
            return;
        }
        let tool = match is_managed(self.name) {
            true => Tool::ProxyManager,
            false => Tool::Certbot,
        };
        survey.recognised(tool);
        survey.add(Draft {
            tool,
            place: survey.tree.place(folder),
            chain,
            key,
            said: Vec::new(),
            account: named.or_else(|| survey.account_of(directory.as_deref(), None)),
            directory,
        });
    }

    /// What `live` shows; where its links were not taken along, the newest of the archive.
    fn parts(&self, survey: &Survey<'_>) -> (&str, Part, Part) {
        let live = |kind: &str| survey.part(&join(&self.live, &format!("{kind}.pem")));
        let (chain, key) = (live("fullchain"), live("privkey"));
        if let (Part::Text(_), Part::Text(_)) = (&chain, &key) {
            return (&self.live, chain, key);
        }
        match self.newest(survey) {
            Some((chain, key)) => (&self.archive, survey.part(&chain), survey.part(&key)),
            None => (&self.live, chain, key),
        }
    }

    fn newest(&self, survey: &Survey<'_>) -> Option<(String, String)> {
        let chains = survey.tree.below(&self.archive);
        let newest = chains
            .filter_map(|(file, _)| version(file, "fullchain"))
            .max()?;
        let file = |kind: &str| join(&self.archive, &format!("{kind}{newest}.pem"));
        Some((file("fullchain"), file("privkey")))
    }
}

/// The number of an archived file.
fn version(file: &str, kind: &str) -> Option<u64> {
    let number = file.strip_prefix(kind)?.strip_suffix(".pem")?;
    number.parse().ok()
}

/// Whether Nginx Proxy Manager named it.
pub(super) fn is_managed(name: &str) -> bool {
    let number = name.strip_prefix("npm-");
    number.is_some_and(|number| number.bytes().all(|octet| octet.is_ascii_digit()))
}

#[derive(Debug, Default, Deserialize)]
struct Registration {
    #[serde(default)]
    uri: Option<String>,
    #[serde(default)]
    body: Body,
}

#[derive(Debug, Default, Deserialize)]
struct Body {
    #[serde(default)]
    contact: Option<Vec<String>>,
    #[serde(default)]
    status: Option<String>,
}

/// All accounts below `accounts/<address of the directory>/<id>`, with their ids.
fn accounts(survey: &mut Survey<'_>, root: &str) -> Vec<(String, usize)> {
    let all = join(root, "accounts");
    let tree = survey.tree;
    let mut folders: Vec<String> = tree
        .below(&all)
        .filter(|(path, _)| matches!(split(path).1, "private_key.json" | "regr.json"))
        .map(|(path, _)| split(path).0.to_owned())
        .collect();
    folders.dedup();
    let mut found = Vec::new();
    for below in folders {
        let folder = join(&all, &below);
        let (address, id) = split(&below);
        let key = match tree.content(&join(&folder, "private_key.json")) {
            Some(Content::Bytes(json)) => account_key::from_jwk(json),
            Some(Content::Unreadable(why)) => {
                Err(AccountFault::Unreadable(format!("its key {why}")))
            }
            None => Err(AccountFault::NoKey),
        };
        let registration: Option<Registration> = survey
            .bytes(&join(&folder, "regr.json"))
            .and_then(|json| serde_json::from_slice(json).ok());
        let registration = registration.unwrap_or_default();
        let draft = AccountDraft {
            directory: Some(known::directory_of_address(address)),
            url: registration.uri,
            contacts: registration.body.contact.unwrap_or_default(),
            status: registration.body.status,
            ..AccountDraft::new(Tool::Certbot, tree.place(&folder), key)
        };
        found.push((id.to_owned(), survey.add_account(draft.judged())));
    }
    found
}
