//! acme.sh's homes: `~/.acme.sh`, or the folders that acme-companion keeps for each address.
//! <https://github.com/acmesh-official/acme.sh/wiki>

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::certs::bundle::Secret;
use crate::certs::import::account::Draft as AccountDraft;
use crate::certs::import::account_key;
use crate::certs::import::certificate::{Draft, Part};
use crate::certs::import::fault::AccountFault;
use crate::certs::import::findings::{FoundEab, Tool};
use crate::certs::import::known;
use crate::certs::import::lego::with_issuer;
use crate::certs::import::settings;
use crate::certs::import::survey::Survey;
use crate::certs::import::tree::{Content, join, split};

/// Reads every home in the tree.
pub(super) fn read(survey: &mut Survey<'_>) {
    let records = records(survey);
    let accounts = accounts(survey, &records);
    for record in &records {
        certificate(survey, record, &accounts);
        survey.claim(Tool::AcmeSh, record.folder);
    }
}

/// What acme.sh keeps of one certificate.
struct Record<'a> {
    folder: &'a str,
    /// What its files are named after.
    name: &'a str,
    settings: BTreeMap<String, String>,
}

/// The account in a home, and its directory.
struct Held {
    home: String,
    index: usize,
}

impl Record<'_> {
    fn setting(&self, name: &str) -> Option<&str> {
        let value = self.settings.get(name).map(String::as_str);
        value.filter(|value| !value.is_empty() && *value != "no")
    }

    fn home(&self) -> &str {
        split(self.folder).0
    }
}

fn records<'a>(survey: &Survey<'a>) -> Vec<Record<'a>> {
    let found = survey.files().filter_map(|(path, content)| {
        let (folder, file) = split(path);
        let name = file.strip_suffix(".conf")?;
        let Content::Bytes(bytes) = content else {
            return None;
        };
        let settings = settings::of_shell(bytes);
        settings.contains_key("Le_Domain").then_some(Record {
            folder,
            name,
            settings,
        })
    });
    found.collect()
}

fn certificate(survey: &mut Survey<'_>, record: &Record<'_>, accounts: &[Held]) {
    let file = |name: &str| join(record.folder, name);
    let own = |ending: &str| file(&format!("{}.{ending}", record.name));
    let directory = record.setting("Le_API").map(known::current);
    let is_of = |held: &&Held| {
        held.home == record.home()
            && directory
                .as_deref()
                .is_some_and(|directory| survey.account(held.index).may_be_at(directory))
    };
    let account = accounts.iter().find(is_of).map(|held| held.index);
    let leaf = with_issuer(survey.part(&own("cer")), survey.part(&file("ca.cer")));
    let chain = match survey.part(&file("fullchain.cer")) {
        Part::Absent => leaf,
        chain @ (Part::Text(_) | Part::Unreadable(_)) => chain,
    };
    let others = record.setting("Le_Alt").unwrap_or_default().split(',');
    let main = record.setting("Le_Domain").unwrap_or_default();
    let said = [main].into_iter().chain(others).map(str::trim);
    survey.add(Draft {
        tool: Tool::AcmeSh,
        place: survey.tree.place(record.folder),
        chain,
        key: survey.part(&own("key")),
        said: said
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect(),
        account: account.or_else(|| survey.account_of(directory.as_deref(), None)),
        directory,
    });
}

#[derive(Debug, Default, Deserialize)]
struct Registration {
    #[serde(default)]
    contact: Option<Vec<String>>,
    #[serde(default)]
    status: Option<String>,
}

/// Every folder `ca/<address of the directory>` with a key or settings.
fn accounts(survey: &mut Survey<'_>, records: &[Record<'_>]) -> Vec<Held> {
    let mut folders: Vec<&str> = survey
        .files()
        .filter(|(path, _)| matches!(split(path).1, "account.key" | "ca.conf"))
        .map(|(path, _)| split(path).0)
        .collect();
    folders.dedup();
    let mut found = Vec::new();
    for folder in folders {
        let Some((home, address)) = home_and_address(folder) else {
            continue;
        };
        let index = account(survey, folder, address, records);
        survey.claim(Tool::AcmeSh, folder);
        found.push(Held {
            home: home.to_owned(),
            index,
        });
    }
    found
}

fn home_and_address(folder: &str) -> Option<(&str, &str)> {
    match folder.strip_prefix("ca/") {
        Some(address) if !address.contains("/ca/") => Some(("", address)),
        Some(_) | None => folder.rsplit_once("/ca/"),
    }
}

fn account(survey: &mut Survey<'_>, folder: &str, address: &str, records: &[Record<'_>]) -> usize {
    let file = |name: &str| join(folder, name);
    let settings = survey.bytes(&file("ca.conf")).map(settings::of_shell);
    let settings = settings.unwrap_or_default();
    let setting = |name: &str| {
        settings
            .get(name)
            .filter(|value| !value.is_empty())
            .cloned()
    };
    let registration: Option<Registration> = survey
        .bytes(&file("account.json"))
        .and_then(|json| serde_json::from_slice(json).ok());
    let registration = registration.unwrap_or_default();
    let key = survey
        .bytes(&file("account.key"))
        .map_or(Err(AccountFault::NoKey), account_key::from_pem);
    let used = records.iter().filter_map(|record| record.setting("Le_API"));
    let used = used.map(known::current);
    let used = used
        .into_iter()
        .find(|directory| without_port(directory) == address);
    let contacts = registration.contact.unwrap_or_default().into_iter();
    let mut contacts: Vec<String> = contacts.chain(setting("CA_EMAIL")).collect();
    contacts.dedup_by(|other, first| first.strip_prefix("mailto:") == Some(other.as_str()));
    let draft = AccountDraft {
        directory: Some(used.unwrap_or_else(|| known::directory_of_address(address))),
        url: setting("ACCOUNT_URL"),
        contacts,
        status: registration.status,
        eab: setting("CA_EAB_KEY_ID").map(|kid| FoundEab {
            kid,
            hmac: setting("CA_EAB_HMAC_KEY").map(Secret),
        }),
        ..AccountDraft::new(Tool::AcmeSh, survey.tree.place(folder), key)
    };
    survey.add_account(draft.judged())
}

/// The folder of a directory below `ca`.
fn without_port(directory: &str) -> String {
    let address = directory
        .split_once("://")
        .map_or(directory, |(_scheme, address)| address);
    let (authority, path) = address.split_once('/').unwrap_or((address, ""));
    let host = authority.split(':').next().unwrap_or(authority);
    format!("{host}/{path}").trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certs::import::findings::AccountKey;
    use crate::certs::import::fixture::{Ca, LETS_ENCRYPT, found, p256, sound, survives_damage};

    const RECORD: &str = "Le_Domain='a.test'\nLe_Alt='b.test'\nLe_Webroot='dns_cf'\nLe_PreHook=''\n\
        Le_API='https://acme-v02.api.letsencrypt.org/directory'\nLe_Keylength='ec-256'\nLe_NextRenewTime='1'\n";
    const SETTINGS: &str = "CA_EMAIL='ada@a.test'\nACCOUNT_URL='https://acme-v02.api.letsencrypt.org/acme/acct/7'\n\
        CA_KEY_HASH='x='\nCA_EAB_KEY_ID='kid'\nCA_EAB_HMAC_KEY='aGk'\n";
    const CA: &str = "ca/acme-v02.api.letsencrypt.org/directory";

    fn layout(record: &str) -> Vec<(String, String)> {
        let ca = Ca::new();
        let pair = ca.pair(&["a.test", "b.test"]);
        let (_, sec1) = p256();
        let file = |name: &str| format!("a.test_ecc/{name}");
        vec![
            (file("a.test.cer"), pair.leaf),
            (file("a.test.key"), pair.key),
            (file("a.test.conf"), record.to_owned()),
            (file("ca.cer"), ca.intermediate),
            (file("fullchain.cer"), pair.chain),
            (format!("{CA}/account.key"), sec1),
            (format!("{CA}/ca.conf"), SETTINGS.to_owned()),
            (
                format!("{CA}/account.json"),
                r#"{"status":"valid","contact":["mailto:ada@a.test"]}"#.to_owned(),
            ),
        ]
    }

    fn borrowed(files: &[(String, String)]) -> Vec<(&str, &str)> {
        let files = files.iter();
        files
            .map(|(path, text)| (path.as_str(), text.as_str()))
            .collect()
    }

    #[test]
    fn a_certificate_comes_with_its_account() {
        let files = layout(RECORD);
        let findings = found(&borrowed(&files));
        let certificate = sound(&findings);
        assert_eq!(findings.tools, [Tool::AcmeSh]);
        assert_eq!(certificate.names, ["a.test", "b.test"]);
        assert_eq!(certificate.chain, files[4].1);
        assert_eq!(certificate.directory.as_deref(), Some(LETS_ENCRYPT));
        assert_eq!(certificate.account, Some(0));
        let account = &findings.accounts[0];
        assert!(matches!(account.key, Some(AccountKey::P256(_))));
        assert!(account.url.as_deref().unwrap().ends_with("/acct/7"));
        assert_eq!(account.contacts, ["ada@a.test"]);
        assert_eq!(account.eab.as_ref().unwrap().kid, "kid");
    }

    #[test]
    fn a_test_environment_is_told() {
        let record = RECORD.replace("acme-v02", "acme-staging-v02");
        let files = layout(&record);
        let findings = found(&borrowed(&files[..5]));
        let warnings = &findings.certificates[0].warnings;
        assert_eq!(warnings, &[crate::certs::import::fault::Warning::Staging]);
    }

    #[test]
    fn the_port_that_folders_lack_is_in_the_record() {
        let record = RECORD.replace("acme-v02.api.letsencrypt.org/", "ca.test:14000/");
        let mut files = layout(&record);
        for (path, text) in &mut files {
            *path = path.replace("acme-v02.api.letsencrypt.org", "ca.test");
            *text = text.replace("acme-v02.api.letsencrypt.org", "ca.test:14000");
        }
        let findings = found(&borrowed(&files));
        let directory = "https://ca.test:14000/directory";
        assert_eq!(sound(&findings).directory.as_deref(), Some(directory));
        assert_eq!(findings.accounts[0].directory.as_deref(), Some(directory));
        assert_eq!(sound(&findings).account, Some(0));
    }

    #[test]
    fn homes_of_several_addresses_keep_their_accounts() {
        let (one, two) = (layout(RECORD), layout(RECORD));
        let mut files = Vec::new();
        for (home, layout) in [("ada@a.test", one), ("default", two)] {
            let layout = layout.into_iter();
            files.extend(layout.map(|(path, text)| (format!("{home}/{path}"), text)));
        }
        for (path, text) in &mut files {
            if path.starts_with("default/ca") {
                *text = text.replace("/acct/7", "/acct/8");
            }
        }
        let findings = found(&borrowed(&files));
        let accounts: Vec<_> = findings
            .certificates
            .iter()
            .map(|found| found.account)
            .collect();
        assert_eq!(accounts, [Some(0), Some(1)]);
    }

    #[test]
    fn a_damaged_home_is_answered() {
        survives_damage(&borrowed(&layout(RECORD)));
    }
}
