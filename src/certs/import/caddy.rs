//! Caddy and everything else that stores with CertMagic: a folder, or an archive of `caddy storage export`.
//! <https://caddyserver.com/docs/conventions#data-directory>

use serde::Deserialize;

use crate::certs::import::account::Draft as AccountDraft;
use crate::certs::import::account_key;
use crate::certs::import::certificate::Draft;
use crate::certs::import::fault::AccountFault;
use crate::certs::import::findings::Tool;
use crate::certs::import::known;
use crate::certs::import::survey::Survey;
use crate::certs::import::tree::join;

/// Reads every storage in the tree.
pub(super) fn read(survey: &mut Survey<'_>) {
    for root in survey.folders() {
        if is_root(survey, root) {
            Storage { root }.read(survey);
        }
    }
}

/// Whether `certificates/<issuer>/<name>/<name>.crt` or an account in `acme/<issuer>/users` lies in the folder.
fn is_root(survey: &Survey<'_>, root: &str) -> bool {
    let has_certificates = || {
        let all = join(root, "certificates");
        survey.tree.below(&all).any(|(path, _)| {
            let parts: Vec<&str> = path.split('/').collect();
            matches!(parts[..], [_issuer, name, file] if file.strip_prefix(name).is_some_and(|ending| matches!(ending, ".crt" | ".key" | ".json")))
        })
    };
    let has_accounts = || {
        let all = join(root, "acme");
        survey.tree.below(&all).any(|(path, _)| {
            let parts: Vec<&str> = path.split('/').collect();
            matches!(parts[..], [_issuer, "users", _email, _file])
        })
    };
    !survey.is_claimed(root) && (has_certificates() || has_accounts())
}

struct Storage<'a> {
    root: &'a str,
}

/// What lies beside a certificate.
#[derive(Debug, Default, Deserialize)]
struct Record {
    #[serde(default)]
    sans: Vec<String>,
    #[serde(default)]
    issuer_data: Option<Origin>,
}

#[derive(Debug, Default, Clone, Deserialize)]
struct Origin {
    #[serde(default)]
    ca: Option<String>,
    #[serde(default)]
    account: Option<String>,
}

/// What lies beside an account's key.
#[derive(Debug, Default, Deserialize)]
struct Account {
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    contact: Option<Vec<String>>,
    #[serde(default)]
    location: Option<String>,
}

impl Storage<'_> {
    fn read(&self, survey: &mut Survey<'_>) {
        let folder = join(self.root, "certificates");
        let accounts = join(self.root, "acme");
        for issuer in survey.tree.folders(&accounts) {
            let ca = self.directory(survey, issuer);
            self.accounts(survey, issuer, ca.as_deref());
        }
        for issuer in survey.tree.folders(&folder) {
            let all = join(&folder, issuer);
            if issuer == "local" {
                survey.remark(format!(
                    "{}: certificates of Caddy's local CA are left out, for onedoor has its own",
                    survey.tree.place(&all)
                ));
                continue;
            }
            let ca = self.directory(survey, issuer);
            for name in survey.tree.folders(&all) {
                certificate(survey, &join(&all, name), name, ca.as_deref());
            }
        }
        for own in ["certificates", "acme", "pki", "locks", "ocsp"] {
            survey.claim(Tool::Caddy, &join(self.root, own));
        }
    }

    /// The directory behind the name of an issuer's folder.
    fn directory(&self, survey: &Survey<'_>, issuer: &str) -> Option<String> {
        let all = join(&join(self.root, "certificates"), issuer);
        let told = survey.tree.folders(&all).into_iter().find_map(|name| {
            let record = record(survey, &join(&all, &format!("{name}/{name}.json")))?;
            record.issuer_data?.ca
        });
        told.or_else(|| known::directory_by(issuer, issuer_key).map(str::to_owned))
    }

    fn accounts(&self, survey: &mut Survey<'_>, issuer: &str, ca: Option<&str>) {
        let users = join(&join(self.root, "acme"), &format!("{issuer}/users"));
        let keys: Vec<String> = survey
            .tree
            .below(&users)
            .filter(|(path, _)| path.split('/').count() == 2)
            .filter_map(|(path, _)| path.strip_suffix(".key"))
            .map(|path| join(&users, path))
            .collect();
        for account in keys {
            let key = survey
                .bytes(&format!("{account}.key"))
                .map_or(Err(AccountFault::NoKey), account_key::from_pem);
            let record: Option<Account> = survey
                .bytes(&format!("{account}.json"))
                .and_then(|json| serde_json::from_slice(json).ok());
            let record = record.unwrap_or_default();
            let place = survey.tree.place(&format!("{account}.key"));
            let draft = AccountDraft {
                directory: ca.map(str::to_owned),
                url: record.location,
                contacts: record.contact.unwrap_or_default(),
                status: record.status,
                ..AccountDraft::new(Tool::Caddy, place, key)
            };
            survey.add_account(draft.judged());
        }
    }
}

fn certificate(survey: &mut Survey<'_>, folder: &str, name: &str, ca: Option<&str>) {
    let file = |ending: &str| join(folder, &format!("{name}.{ending}"));
    let record = record(survey, &file("json")).unwrap_or_default();
    let origin = record.issuer_data.unwrap_or_default();
    let directory = origin.ca.or_else(|| ca.map(str::to_owned));
    let account = survey.account_of(directory.as_deref(), origin.account.as_deref());
    survey.add(Draft {
        tool: Tool::Caddy,
        place: survey.tree.place(folder),
        chain: survey.part(&file("crt")),
        key: survey.part(&file("key")),
        said: record.sans,
        directory,
        account,
    });
}

fn record(survey: &Survey<'_>, path: &str) -> Option<Record> {
    serde_json::from_slice(survey.bytes(path)?).ok()
}

/// The name of an issuer's folder.
#[must_use]
pub(in crate::certs) fn issuer_key(directory: &str) -> String {
    let address = directory
        .split_once("://")
        .map_or(directory, |(_scheme, address)| address);
    safe(&address.trim_matches('/').replace('/', "-"))
}

/// What CertMagic makes of a text in a path (`KeyBuilder.Safe`).
#[must_use]
pub(in crate::certs) fn safe(text: &str) -> String {
    let text = text
        .trim()
        .to_lowercase()
        .replace(' ', "_")
        .replace('+', "_plus_")
        .replace('*', "wildcard_")
        .replace(':', "-")
        .replace("..", "");
    let is_plain =
        |letter: &char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '@' | '.' | '-');
    text.chars().filter(is_plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certs::import::findings::AccountKey;
    use crate::certs::import::fixture::{Ca, LETS_ENCRYPT, found, p256, sound, survives_damage};

    const URL: &str = "https://acme-v02.api.letsencrypt.org/acme/acct/7";
    const RECORD: &str = r#"{"sans":["*.a.test"],"issuer_data":{"url":"https://acme-v02.api.letsencrypt.org/acme/cert/1",
        "ca":"https://acme-v02.api.letsencrypt.org/directory","account":"https://acme-v02.api.letsencrypt.org/acme/acct/7"}}"#;
    const ACCOUNT: &str = r#"{"status":"valid","contact":["mailto:ada@a.test"],"termsOfServiceAgreed":true,
        "location":"https://acme-v02.api.letsencrypt.org/acme/acct/7"}"#;
    const ISSUER: &str = "acme-v02.api.letsencrypt.org-directory";

    fn layout<'a>(root: &str, pair: &'a (String, String), key: &'a str) -> Vec<(String, &'a str)> {
        let certificate = format!("{root}certificates/{ISSUER}/wildcard_.a.test/wildcard_.a.test");
        let account = format!("{root}acme/{ISSUER}/users/ada@a.test/ada");
        vec![
            (format!("{certificate}.crt"), pair.0.as_str()),
            (format!("{certificate}.key"), pair.1.as_str()),
            (format!("{certificate}.json"), RECORD),
            (format!("{account}.key"), key),
            (format!("{account}.json"), ACCOUNT),
        ]
    }

    fn borrowed<'a>(files: &'a [(String, &'a str)]) -> Vec<(&'a str, &'a str)> {
        files
            .iter()
            .map(|(path, text)| (path.as_str(), *text))
            .collect()
    }

    #[test]
    fn a_certificate_comes_with_its_account() {
        let pair = Ca::new().pair(&["*.a.test"]);
        let (pkcs8, sec1) = p256();
        let pair = (pair.chain, pair.key);
        for root in ["", "caddy/", "data/caddy/"] {
            let files = layout(root, &pair, &sec1);
            let findings = found(&borrowed(&files));
            let certificate = sound(&findings);
            assert_eq!(findings.tools, [Tool::Caddy]);
            assert_eq!(certificate.names, ["*.a.test"]);
            assert_eq!(certificate.chain, pair.0);
            assert_eq!(certificate.key.0, pair.1);
            assert_eq!(certificate.directory.as_deref(), Some(LETS_ENCRYPT));
            let [account] = &findings.accounts[..] else {
                panic!("{findings:#?}");
            };
            assert_eq!(certificate.account, Some(0));
            assert_eq!(account.key, Some(AccountKey::P256(pkcs8.clone())));
            assert_eq!(account.url.as_deref(), Some(URL));
            assert_eq!(account.directory.as_deref(), Some(LETS_ENCRYPT));
            assert_eq!(account.contacts, ["ada@a.test"]);
            assert_eq!(account.fault, None);
        }
    }

    #[test]
    fn a_damaged_storage_is_answered() {
        let pair = Ca::new().pair(&["*.a.test"]);
        let (_, sec1) = p256();
        let pair = (pair.chain, pair.key);
        survives_damage(&borrowed(&layout("", &pair, &sec1)));
    }

    #[test]
    fn names_of_folders_are_certmagics() {
        assert_eq!(issuer_key(LETS_ENCRYPT), ISSUER);
        assert_eq!(
            issuer_key("https://localhost:14000/dir"),
            "localhost-14000-dir"
        );
        assert_eq!(safe("*.A.test"), "wildcard_.a.test");
        assert_eq!(safe("a+b@c.test"), "a_plus_b@c.test");
    }

    #[test]
    fn the_local_ca_is_left_out_with_a_word() {
        let pair = Ca::new().pair(&["a.localhost"]);
        let findings = found(&[
            (
                "certificates/local/a.localhost/a.localhost.crt",
                &pair.chain,
            ),
            ("certificates/local/a.localhost/a.localhost.key", &pair.key),
        ]);
        assert!(findings.certificates.is_empty());
        assert!(findings.remarks[0].contains("local CA"), "{findings:?}");
    }

    #[test]
    fn the_folder_tells_the_ca_where_the_record_is_lost() {
        let pair = Ca::new().pair(&["a.test"]);
        let folder = format!("certificates/{ISSUER}/a.test/a.test");
        let findings = found(&[
            (&format!("{folder}.crt"), &pair.chain),
            (&format!("{folder}.key"), &pair.key),
        ]);
        assert_eq!(sound(&findings).directory.as_deref(), Some(LETS_ENCRYPT));
    }
}
