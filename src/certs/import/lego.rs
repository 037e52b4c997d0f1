//! lego's folder, of version 5 and of 4. <https://go-acme.github.io/lego/usage/cli/>

use serde_json::Value;

use crate::certs::import::account::Draft as AccountDraft;
use crate::certs::import::account_key;
use crate::certs::import::certificate::{Draft, Part};
use crate::certs::import::fault::AccountFault;
use crate::certs::import::findings::{FoundAccount, Tool};
use crate::certs::import::known;
use crate::certs::import::survey::Survey;
use crate::certs::import::tree::{join, split};

/// Reads every such folder in the tree.
pub(super) fn read(survey: &mut Survey<'_>) {
    for root in survey.folders() {
        let (certificates, accounts) = (certificates(survey, root), accounts(survey, root));
        if survey.is_claimed(root) || (certificates.is_empty() && accounts.is_empty()) {
            continue;
        }
        let accounts: Vec<FoundAccount> = accounts
            .iter()
            .map(|folder| account(survey, folder))
            .collect();
        let accounts: Vec<usize> = accounts
            .into_iter()
            .map(|account| survey.add_account(account))
            .collect();
        for path in certificates {
            certificate(survey, &path, &accounts);
        }
        for own in ["certificates", "accounts", "archives"] {
            survey.claim(Tool::Lego, &join(root, own));
        }
    }
}

/// What all files of a certificate begin with. Others keep files in a folder of this name, but none with such a record.
fn certificates(survey: &Survey<'_>, root: &str) -> Vec<String> {
    let folder = join(root, "certificates");
    let records = survey.tree.below(&folder).filter_map(|(path, _)| {
        let path = join(
            &folder,
            path.strip_suffix(".json")
                .filter(|name| !name.contains('/'))?,
        );
        let is_ours = ["crt", "key", "issuer.crt"]
            .iter()
            .any(|ending| survey.tree.has(&format!("{path}.{ending}")));
        is_ours.then_some(path)
    });
    records.collect()
}

fn accounts(survey: &Survey<'_>, root: &str) -> Vec<String> {
    let folder = join(root, "accounts");
    let records = survey.tree.below(&folder).filter_map(|(path, _)| {
        let is_ours = matches!(
            path.split('/').collect::<Vec<&str>>()[..],
            [_host, _id, "account.json"]
        );
        is_ours.then(|| join(&folder, split(path).0))
    });
    records.collect()
}

fn account(survey: &Survey<'_>, folder: &str) -> FoundAccount {
    let record: Value = survey
        .bytes(&join(folder, "account.json"))
        .and_then(|json| serde_json::from_slice(json).ok())
        .unwrap_or_default();
    let text = |paths: &[&str]| {
        let found = paths.iter().find_map(|path| record.pointer(path)?.as_str());
        found.map(str::to_owned)
    };
    let mut keys = survey
        .tree
        .below(folder)
        .filter(|(path, _)| path.ends_with(".key"));
    let key = keys.next().map(|(path, _)| join(folder, path));
    let key = key.and_then(|path| survey.bytes(&path));
    let key = key.map_or(Err(AccountFault::NoKey), account_key::from_pem);
    let host = split(split(folder).0).1;
    let told = text(&["/server"]);
    let draft = AccountDraft {
        directory: told.or_else(|| known::directory_of_host(host).map(str::to_owned)),
        url: text(&["/registration/accountURL", "/registration/uri"]),
        contacts: text(&["/email"]).into_iter().collect(),
        status: text(&["/registration/body/status", "/registration/status"]),
        ..AccountDraft::new(Tool::Lego, survey.tree.place(folder), key)
    };
    draft.judged()
}

fn certificate(survey: &mut Survey<'_>, path: &str, accounts: &[usize]) {
    let file = |ending: &str| format!("{path}.{ending}");
    let record: Value = survey
        .bytes(&file("json"))
        .and_then(|json| serde_json::from_slice(json).ok())
        .unwrap_or_default();
    let url = ["certUrl", "certStableUrl"]
        .iter()
        .find_map(|name| record.get(name)?.as_str().and_then(known::authority));
    let at_this_ca: Vec<usize> = accounts
        .iter()
        .copied()
        .filter(|index| {
            let account = survey.account(*index);
            let own = account.directory.as_deref().or(account.url.as_deref());
            url.is_none() || own.and_then(known::authority) == url
        })
        .collect();
    let account = survey.only_account_of(&at_this_ca);
    let directory = account.and_then(|index| survey.account(index).directory.clone());
    let directory = directory.or_else(|| url.and_then(known::directory_of_host).map(str::to_owned));
    let domains = record.get("domains").and_then(Value::as_array);
    let domains = domains.into_iter().flatten().filter_map(Value::as_str);
    let said: Vec<String> = domains.map(str::to_owned).collect();
    let chain = survey.part(&file("crt"));
    survey.add(Draft {
        tool: Tool::Lego,
        place: survey.tree.place(&file("crt")),
        chain: with_issuer(chain, survey.part(&file("issuer.crt"))),
        key: survey.part(&file("key")),
        said,
        directory,
        account,
    });
}

/// A chain that was not bundled lacks its issuer, which then lies beside it.
pub(super) fn with_issuer(chain: Part, issuer: Part) -> Part {
    const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
    let (Part::Text(mut text), Part::Text(issuer)) = (chain.clone(), issuer) else {
        return chain;
    };
    let certificates = text.windows(BEGIN.len()).filter(|window| *window == BEGIN);
    if certificates.count() == 1 {
        text.push(b'\n');
        text.extend(issuer);
    }
    Part::Text(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certs::import::findings::AccountKey;
    use crate::certs::import::fixture::{Ca, LETS_ENCRYPT, found, p256, sound, survives_damage};

    const RECORD: &str = r#"{"domain":"*.a.test","domains":["*.a.test"],"keyType":"EC256",
        "certUrl":"https://acme-v02.api.letsencrypt.org/acme/cert/1","certStableUrl":"https://acme-v02.api.letsencrypt.org/acme/cert/1"}"#;
    const FOURTH: &str = r#"{"email":"ada@a.test","registration":{"body":{"status":"valid","contact":["mailto:ada@a.test"]},
        "uri":"https://acme-v02.api.letsencrypt.org/acme/acct/7"}}"#;
    const FIFTH: &str = r#"{"id":"ada@a.test","email":"ada@a.test","server":"https://acme-v02.api.letsencrypt.org/directory",
        "registration":{"body":{"status":"valid"},"accountURL":"https://acme-v02.api.letsencrypt.org/acme/acct/7"}}"#;
    const HOST: &str = "accounts/acme-v02.api.letsencrypt.org/ada@a.test";

    #[track_caller]
    fn check(account: &str, key: &str) {
        let pair = Ca::new().pair(&["*.a.test"]);
        let (pkcs8, sec1) = p256();
        let (record, key) = (format!("{HOST}/account.json"), format!("{HOST}/{key}"));
        let files = [
            ("certificates/_.a.test.crt", pair.chain.as_str()),
            ("certificates/_.a.test.key", &pair.key),
            ("certificates/_.a.test.json", RECORD),
            (&record, account),
            (&key, &sec1),
        ];
        let findings = found(&files);
        let certificate = sound(&findings);
        assert_eq!(findings.tools, [Tool::Lego]);
        assert_eq!(certificate.names, ["*.a.test"]);
        assert_eq!(certificate.directory.as_deref(), Some(LETS_ENCRYPT));
        assert_eq!(certificate.account, Some(0));
        let account = &findings.accounts[0];
        assert_eq!(account.key, Some(AccountKey::P256(pkcs8)));
        assert_eq!(account.directory.as_deref(), Some(LETS_ENCRYPT));
        assert!(account.url.as_deref().unwrap().ends_with("/acct/7"));
        assert_eq!(account.contacts, ["ada@a.test"]);
        survives_damage(&files);
    }

    #[test]
    fn folders_of_both_versions_are_read() {
        check(FOURTH, "keys/ada@a.test.key");
        check(FIFTH, "ada@a.test.key");
    }

    #[test]
    fn a_leaf_that_was_not_bundled_gets_its_issuer() {
        let ca = Ca::new();
        let pair = ca.pair(&["*.a.test"]);
        let findings = found(&[
            (".lego/certificates/_.a.test.crt", &pair.leaf),
            (".lego/certificates/_.a.test.issuer.crt", &ca.intermediate),
            (".lego/certificates/_.a.test.key", &pair.key),
            (".lego/certificates/_.a.test.json", RECORD),
        ]);
        assert_eq!(sound(&findings).chain, pair.chain);
        assert_eq!(sound(&findings).directory.as_deref(), Some(LETS_ENCRYPT));
    }

    #[test]
    fn accounts_of_several_cas_are_told_apart() {
        let pair = Ca::new().pair(&["*.a.test"]);
        let (_, one) = p256();
        let (_, other) = p256();
        let second = r#"{"registration":{"uri":"https://localhost:14000/my-account/1"}}"#;
        let record = RECORD.replace("acme-v02.api.letsencrypt.org", "localhost:14000");
        let findings = found(&[
            ("certificates/_.a.test.crt", &pair.chain),
            ("certificates/_.a.test.key", &pair.key),
            ("certificates/_.a.test.json", &record),
            (&format!("{HOST}/account.json"), FOURTH),
            (&format!("{HOST}/keys/ada@a.test.key"), &one),
            ("accounts/localhost_14000/ada@a.test/account.json", second),
            (
                "accounts/localhost_14000/ada@a.test/keys/ada@a.test.key",
                &other,
            ),
        ]);
        let certificate = sound(&findings);
        assert_eq!(
            (certificate.account, &certificate.directory),
            (Some(1), &None)
        );
        let account = &findings.accounts[1];
        assert!(account.may_be_at("https://localhost:14000/dir"));
        assert_eq!(account.fault, None);
    }
}
