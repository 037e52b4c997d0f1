//! dehydrated's folder, with its links or copied without them. <https://github.com/dehydrated-io/dehydrated>

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;

use crate::certs::import::account::Draft as AccountDraft;
use crate::certs::import::account_key;
use crate::certs::import::certificate::{Draft, Part};
use crate::certs::import::fault::AccountFault;
use crate::certs::import::findings::Tool;
use crate::certs::import::known;
use crate::certs::import::survey::Survey;
use crate::certs::import::tree::{join, split};

/// Reads every certificate and every account in the tree.
pub(super) fn read(survey: &mut Survey<'_>) {
    let accounts = accounts(survey);
    let own = survey.only_account_of(&accounts);
    for (folder, stamp) in certificates(survey) {
        let directory = own.and_then(|index| survey.account(index).directory.clone());
        let part = |kind: &str| match survey.part(&join(folder, &format!("{kind}.pem"))) {
            Part::Text(text) => Part::Text(text),
            Part::Absent | Part::Unreadable(_) => {
                survey.part(&join(folder, &format!("{kind}-{stamp}.pem")))
            }
        };
        let (chain, key) = (part("fullchain"), part("privkey"));
        survey.claim(Tool::Dehydrated, folder);
        survey.add(Draft {
            tool: Tool::Dehydrated,
            place: survey.tree.place(folder),
            chain,
            key,
            said: Vec::new(),
            directory,
            account: own,
        });
    }
}

/// Folders that hold `cert-<seconds>.pem` and its kin, with the last of these times.
fn certificates<'a>(survey: &Survey<'a>) -> BTreeMap<&'a str, u64> {
    let mut found = BTreeMap::new();
    for (path, _) in survey.files() {
        let (folder, file) = split(path);
        let stamp = ["fullchain-", "cert-"]
            .iter()
            .find_map(|kind| file.strip_prefix(kind)?.strip_suffix(".pem"));
        // Seconds since 1970 have had this many digits since 2001.
        let Some(Ok(stamp)) = stamp
            .filter(|stamp| stamp.len() >= 10)
            .map(str::parse::<u64>)
        else {
            continue;
        };
        let last = found.entry(folder).or_default();
        *last = stamp.max(*last);
    }
    found
}

#[derive(Debug, Default, Deserialize)]
struct Registration {
    #[serde(default)]
    contact: Option<Vec<String>>,
    #[serde(default)]
    status: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Id {
    url: String,
}

fn accounts(survey: &mut Survey<'_>) -> Vec<usize> {
    let mut found = Vec::new();
    let folders: Vec<(&str, String)> = survey
        .files()
        .filter_map(|(path, _)| path.strip_suffix("/account_key.pem"))
        .filter_map(|folder| Some((folder, directory(split(folder).1)?)))
        .collect();
    for (folder, directory) in folders {
        let file = |name: &str| survey.bytes(&join(folder, name));
        let key = file("account_key.pem");
        let key = key.map_or(Err(AccountFault::NoKey), account_key::from_pem);
        let registration = file("registration_info.json");
        let registration: Option<Registration> =
            registration.and_then(|json| serde_json::from_slice(json).ok());
        let registration = registration.unwrap_or_default();
        let id = file("account_id.json");
        let id: Option<Id> = id.and_then(|json| serde_json::from_slice(json).ok());
        let ended = survey.tree.has(&join(folder, "deactivated"));
        let draft = AccountDraft {
            directory: Some(known::current(&directory)),
            url: id.map(|id| id.url),
            contacts: registration.contact.unwrap_or_default(),
            status: match ended {
                true => Some("deactivated".to_owned()),
                false => registration.status,
            },
            ..AccountDraft::new(Tool::Dehydrated, survey.tree.place(folder), key)
        };
        let index = survey.add_account(draft.judged());
        survey.claim(Tool::Dehydrated, folder);
        if !found.contains(&index) {
            found.push(index);
        }
    }
    found
}

/// A folder's name is the directory's URL, and the end of a line, in base64url.
fn directory(name: &str) -> Option<String> {
    let text = BASE64_URL_SAFE_NO_PAD
        .decode(name.trim_end_matches('='))
        .ok()?;
    let url = String::from_utf8(text).ok()?.trim().to_owned();
    url.starts_with("http").then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certs::import::findings::AccountKey;
    use crate::certs::import::fixture::{
        Ca, LETS_ENCRYPT, found, now, pem, rsa, sound, survives_damage, tree,
    };
    use crate::certs::import::recognise;
    use crate::certs::import::tree::Content;

    /// As `echo https://acme-v02.api.letsencrypt.org/directory | base64` gives it.
    const ACCOUNT: &str =
        "accounts/aHR0cHM6Ly9hY21lLXYwMi5hcGkubGV0c2VuY3J5cHQub3JnL2RpcmVjdG9yeQo";

    #[test]
    fn a_certificate_comes_with_its_account() {
        let ca = Ca::new();
        let (old, pair) = (ca.pair(&["a.test"]), ca.pair(&["a.test"]));
        let (pkcs8, pkcs1) = rsa();
        let key = pem("RSA PRIVATE KEY", &pkcs1);
        let at = |name: &str| format!("{ACCOUNT}/{name}");
        let (key_path, id_path, info_path) = (
            at("account_key.pem"),
            at("account_id.json"),
            at("registration_info.json"),
        );
        let files = [
            ("certs/a.test/cert-1800000001.pem", pair.leaf.as_str()),
            ("certs/a.test/fullchain-1700000001.pem", &old.chain),
            ("certs/a.test/privkey-1700000001.pem", &old.key),
            ("certs/a.test/fullchain-1800000001.pem", &pair.chain),
            ("certs/a.test/privkey-1800000001.pem", &pair.key),
            (&key_path, &key),
            (
                &id_path,
                r#"{"url":"https://acme-v02.api.letsencrypt.org/acme/acct/7"}"#,
            ),
            (
                &info_path,
                r#"{"contact":["mailto:ada@a.test"],"status":"valid"}"#,
            ),
        ];
        let mut tree = tree(&files);
        for kind in ["fullchain", "privkey"] {
            let dangling = Content::Unreadable("is a link to nothing".to_owned());
            tree.insert(format!("certs/a.test/{kind}.pem"), dangling);
        }
        let findings = recognise(&tree, now());
        assert_eq!(findings.tools, [Tool::Dehydrated]);
        let certificate = sound(&findings);
        assert_eq!(certificate.chain, pair.chain);
        assert_eq!(certificate.directory.as_deref(), Some(LETS_ENCRYPT));
        assert_eq!(certificate.account, Some(0));
        let account = &findings.accounts[0];
        assert_eq!(account.key, Some(AccountKey::Rsa(pkcs8)));
        assert_eq!(account.contacts, ["ada@a.test"]);
        assert!(account.url.as_deref().unwrap().ends_with("/acct/7"));
        survives_damage(&files);
    }

    #[test]
    fn links_lead_to_what_is_served() {
        let pair = Ca::new().pair(&["a.test"]);
        let findings = found(&[
            ("certs/a.test/cert-1800000001.pem", &pair.leaf),
            ("certs/a.test/fullchain.pem", &pair.chain),
            ("certs/a.test/privkey.pem", &pair.key),
        ]);
        assert_eq!(sound(&findings).chain, pair.chain);
    }

    #[test]
    fn an_ended_account_is_told() {
        let (_, pkcs1) = rsa();
        let key = pem("RSA PRIVATE KEY", &pkcs1);
        let findings = found(&[
            (&format!("{ACCOUNT}/account_key.pem"), &key),
            (&format!("{ACCOUNT}/deactivated"), ""),
        ]);
        let ended = AccountFault::NotValid("deactivated".to_owned());
        assert_eq!(findings.accounts[0].fault, Some(ended));
    }
}
