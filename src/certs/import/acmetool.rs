//! acmetool's state folder. <https://github.com/hlandau/acmetool/blob/master/_doc/SCHEMA.md>

use crate::certs::import::account::Draft as AccountDraft;
use crate::certs::import::account_key;
use crate::certs::import::certificate::{Draft, Part, public_key};
use crate::certs::import::findings::Tool;
use crate::certs::import::known;
use crate::certs::import::sections::Sections;
use crate::certs::import::survey::Survey;
use crate::certs::import::tree::{join, split};

/// Reads every state folder in the tree.
pub(super) fn read(survey: &mut Survey<'_>) {
    for root in survey.folders() {
        let accounts = accounts(survey, root);
        if survey.is_claimed(root) || (accounts.is_empty() && !is_root(survey, root)) {
            continue;
        }
        let accounts: Vec<usize> = accounts
            .iter()
            .map(|(folder, address)| account(survey, folder, address))
            .collect();
        certificates(survey, root, &accounts);
        for own in ["accounts", "certs", "desired", "keys", "live"] {
            survey.claim(Tool::Acmetool, &join(root, own));
        }
    }
}

/// Each certificate has its order's URL beside it.
fn is_root(survey: &Survey<'_>, root: &str) -> bool {
    let certs = join(root, "certs");
    let mut folders = survey.tree.folders(&certs).into_iter();
    folders.any(|id| {
        let file = |name: &str| survey.tree.has(&join(&certs, &format!("{id}/{name}")));
        file("url") && (file("cert") || file("fullchain"))
    })
}

/// Folders `accounts/<address>/<id>`, with the address of the directory.
fn accounts(survey: &Survey<'_>, root: &str) -> Vec<(String, String)> {
    let all = join(root, "accounts");
    let keys = survey.tree.below(&all).filter_map(|(path, _)| {
        let folder = path.strip_suffix("/privkey")?;
        let (address, _id) = folder.split_once('/')?;
        Some((join(&all, folder), unescaped(address)))
    });
    keys.collect()
}

fn account(survey: &mut Survey<'_>, folder: &str, address: &str) -> usize {
    let key = survey.bytes(&join(folder, "privkey"));
    let key = account_key::from_pem(key.unwrap_or_default());
    // It keeps no URL of the account: the CA tells it to whoever has the key.
    let draft = AccountDraft {
        directory: Some(known::directory_of_address(address)),
        ..AccountDraft::new(Tool::Acmetool, survey.tree.place(folder), key)
    };
    survey.add_account(draft.judged())
}

/// Those that are live; all, where the links to them were not taken along.
fn certificates(survey: &mut Survey<'_>, root: &str, accounts: &[usize]) {
    let (live, certs) = (join(root, "live"), join(root, "certs"));
    let is_there = |folder: &&String| {
        ["fullchain", "cert"]
            .iter()
            .any(|name| survey.bytes(&join(folder, name)).is_some())
    };
    let below = |all: &str| -> Vec<String> {
        let folders = survey.tree.folders(all).into_iter();
        let folders: Vec<String> = folders.map(|id| join(all, id)).collect();
        folders.iter().filter(is_there).cloned().collect()
    };
    let mut folders = below(&live);
    if folders.is_empty() {
        folders = below(&certs);
    }
    for folder in folders {
        certificate(survey, root, &folder, accounts);
    }
}

fn certificate(survey: &mut Survey<'_>, root: &str, folder: &str, accounts: &[usize]) {
    let file = |name: &str| join(folder, name);
    let chain = match survey.part(&file("fullchain")) {
        Part::Absent => joined(survey.part(&file("cert")), survey.part(&file("chain"))),
        chain @ (Part::Text(_) | Part::Unreadable(_)) => chain,
    };
    let key = match survey.part(&file("privkey")) {
        Part::Text(text) => Part::Text(text),
        other @ (Part::Absent | Part::Unreadable(_)) => {
            key_that_fits(survey, root, &chain).unwrap_or(other)
        }
    };
    let ordered_by = survey.bytes(&file("account/privkey"));
    let ordered_by = ordered_by.and_then(|pem| account_key::from_pem(pem).ok());
    let is_it = |index: &&usize| survey.account(**index).key == ordered_by;
    let named = ordered_by
        .as_ref()
        .and_then(|_| accounts.iter().find(is_it))
        .copied();
    let account = named.or_else(|| survey.only_account_of(accounts));
    survey.add(Draft {
        tool: Tool::Acmetool,
        place: survey.tree.place(folder),
        chain,
        key,
        said: Vec::new(),
        directory: account.and_then(|index| survey.account(index).directory.clone()),
        account,
    });
}

fn joined(cert: Part, chain: Part) -> Part {
    match (cert, chain) {
        (Part::Text(cert), Part::Text(chain)) => Part::Text([cert, chain].join(&b'\n')),
        (cert, _) => cert,
    }
}

/// Where the link to a key was not taken along, it is among `keys`.
fn key_that_fits(survey: &Survey<'_>, root: &str, chain: &Part) -> Option<Part> {
    let Part::Text(chain) = chain else {
        return None;
    };
    let own = super::certificate::leaf_public_key(&Sections::of(chain))?;
    let keys = join(root, "keys");
    let mut below = survey.tree.below(&keys);
    below.find_map(|(path, _)| {
        if split(path).1 != "privkey" {
            return None;
        }
        let text = survey.bytes(&join(&keys, path))?;
        let public = public_key(&Sections::of(text))?;
        (public == own).then(|| Part::Text(text.to_vec()))
    })
}

/// Undoes `%2f` and its kin.
fn unescaped(text: &str) -> String {
    let mut plain = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = (*first == b'%')
            .then(|| after.get(..2))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match escaped {
            Some(octet) => {
                plain.push(octet);
                rest = &after[2..];
            }
            None => {
                plain.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certs::import::fixture::{
        Ca, LETS_ENCRYPT, found, pem, rsa, sound, survives_damage,
    };

    const ACCOUNT: &str = "accounts/acme-v02.api.letsencrypt.org%2fdirectory/xyz/privkey";

    #[test]
    fn live_certificates_come_with_their_account() {
        let ca = Ca::new();
        let (old, pair) = (ca.pair(&["a.test"]), ca.pair(&["a.test"]));
        let (_, pkcs1) = rsa();
        let account = pem("RSA PRIVATE KEY", &pkcs1);
        let files = [
            (ACCOUNT, account.as_str()),
            ("certs/old/fullchain", &old.chain),
            ("certs/old/privkey", &old.key),
            ("certs/old/url", "https://ca.test/1"),
            ("certs/new/fullchain", &pair.chain),
            ("certs/new/privkey", &pair.key),
            ("certs/new/url", "https://ca.test/2"),
            ("live/a.test/fullchain", &pair.chain),
            ("live/a.test/privkey", &pair.key),
            ("live/a.test/account/privkey", &account),
        ];
        let findings = found(&files);
        assert_eq!(findings.tools, [Tool::Acmetool]);
        let certificate = sound(&findings);
        assert_eq!(certificate.place, "/base/live/a.test");
        assert_eq!(certificate.directory.as_deref(), Some(LETS_ENCRYPT));
        assert_eq!(certificate.account, Some(0));
        assert_eq!(findings.accounts.len(), 1);
        assert_eq!(
            (&findings.accounts[0].url, &findings.accounts[0].fault),
            (&None, &None)
        );
        survives_damage(&files);
    }

    #[test]
    fn without_links_keys_are_found_by_what_they_open() {
        let ca = Ca::new();
        let (pair, other) = (ca.pair(&["a.test"]), ca.pair(&["b.test"]));
        let findings = found(&[
            ("acme/certs/x/cert", &pair.leaf),
            ("acme/certs/x/chain", &ca.intermediate),
            ("acme/certs/x/url", "https://ca.test/2"),
            ("acme/keys/1/privkey", &other.key),
            ("acme/keys/2/privkey", &pair.key),
        ]);
        assert_eq!(sound(&findings).key.0, pair.key);
        assert_eq!(sound(&findings).chain, pair.chain);
    }

    #[test]
    fn names_of_folders_are_unescaped() {
        assert_eq!(unescaped("ca.test%2fdir%2Fx"), "ca.test/dir/x");
        assert_eq!(unescaped("%"), "%");
        assert_eq!(unescaped("%zz%2"), "%zz%2");
        assert_eq!(unescaped("%é"), "%é");
    }
}
