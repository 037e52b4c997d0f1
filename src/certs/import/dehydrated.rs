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
