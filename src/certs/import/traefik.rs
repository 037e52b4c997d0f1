//! Traefik's `acme.json`, with any number of resolvers; that of Traefik 1, which has none, as well.
//! <https://doc.traefik.io/traefik/https/acme/#storage>

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::certs::import::account::Draft as AccountDraft;
use crate::certs::import::account_key;
use crate::certs::import::certificate::{Draft, Part};
use crate::certs::import::fault::AccountFault;
use crate::certs::import::findings::Tool;
use crate::certs::import::survey::Survey;
use crate::certs::import::tree::Content;

/// Reads every such file in the tree.
pub(super) fn read(survey: &mut Survey<'_>) {
    let files: Vec<(&str, &[u8])> = survey
        .files()
        .filter_map(|(path, content)| match content {
            Content::Bytes(bytes) if path.ends_with(".json") || looks_like_json(bytes) => {
                Some((path, bytes.as_slice()))
            }
            Content::Bytes(_) | Content::Unreadable(_) => None,
        })
        .collect();
    for (path, bytes) in files {
        let Ok(Value::Object(object)) = serde_json::from_slice::<Value>(bytes) else {
            continue;
        };
        let resolvers = resolvers(object);
        if resolvers.is_empty() {
            continue;
        }
        survey.claim(Tool::Traefik, path);
        for (name, resolver) in resolvers {
            let place = survey.tree.place(path);
            let place = match name.as_str() {
                "" => place,
                name => format!("{place} (resolver `{name}`)"),
            };
            resolver.read(survey, &place);
        }
    }
}

fn looks_like_json(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().starts_with(b"{")
}

/// Those in a file; none if it is of another kind.
fn resolvers(object: Map<String, Value>) -> Vec<(String, Resolver)> {
    let whole = Value::Object(object);
    if let Some(resolver) = Resolver::of(&whole) {
        return vec![(String::new(), resolver)];
    }
    let Value::Object(object) = whole else {
        return Vec::new();
    };
    object
        .into_iter()
        .filter_map(|(name, value)| Some((name, Resolver::of(&value)?)))
        .collect()
}

#[derive(Debug, Deserialize)]
struct Resolver {
    #[serde(rename = "Account", default)]
    account: Option<Account>,
    #[serde(rename = "Certificates", default)]
    certificates: Option<Vec<Value>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Account {
    #[serde(default)]
    email: String,
    #[serde(default)]
    registration: Option<Registration>,
    #[serde(default)]
    private_key: Option<String>,
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
    status: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Certificate {
    #[serde(alias = "Domain", default)]
    domain: Domain,
    #[serde(alias = "Certificate", default)]
    certificate: String,
    #[serde(alias = "Key", default)]
    key: String,
}

#[derive(Debug, Default, Deserialize)]
struct Domain {
    #[serde(alias = "Main", default)]
    main: String,
    #[serde(alias = "SANs", default)]
    sans: Option<Vec<String>>,
}

impl Resolver {
    fn of(value: &Value) -> Option<Self> {
        let object = value.as_object()?;
        if !object.contains_key("Account") && !object.contains_key("Certificates") {
            return None;
        }
        serde_json::from_value(value.clone()).ok()
    }

    fn read(self, survey: &mut Survey<'_>, place: &str) {
        let account = self.account.map(|account| {
            let registration = account.registration.unwrap_or_default();
            let key = match account.private_key.as_deref() {
                None | Some("") => Err(AccountFault::NoKey),
                Some(key) => BASE64_STANDARD
                    .decode(key)
                    .map_err(|_bad_base64| AccountFault::BrokenKey)
                    .and_then(|der| account_key::from_der(&der)),
            };
            let draft = AccountDraft {
                url: registration.uri,
                contacts: vec![account.email],
                status: registration.body.status,
                ..AccountDraft::new(Tool::Traefik, place.to_owned(), key)
            };
            draft.judged()
        });
        let directory = account
            .as_ref()
            .and_then(|account| account.directory.clone());
        let account = account.map(|account| survey.add_account(account));
        for value in self.certificates.unwrap_or_default() {
            let certificate: Certificate = match serde_json::from_value(value) {
                Ok(certificate) => certificate,
                Err(error) => {
                    survey.remark(format!("{place}: a certificate is left out: {error}"));
                    continue;
                }
            };
            let Domain { main, sans } = certificate.domain;
            let place = format!("{place}: {main}");
            let said = [main].into_iter().chain(sans.unwrap_or_default());
            survey.add(Draft {
                tool: Tool::Traefik,
                place,
                chain: part(&certificate.certificate),
                key: part(&certificate.key),
                said: said.filter(|name| !name.is_empty()).collect(),
                directory: directory.clone(),
                account,
            });
        }
    }
}

fn part(text: &str) -> Part {
    match (text, BASE64_STANDARD.decode(text)) {
        ("", _) => Part::Absent,
        (_, Ok(pem)) => Part::Text(pem),
        (_, Err(_bad_base64)) => Part::Unreadable("its base 64 is damaged".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::certs::import::findings::AccountKey;
    use crate::certs::import::fixture::{
        Ca, LETS_ENCRYPT, Pair, found, now, rsa, sound, survives_damage,
    };
    use crate::certs::import::recognise;
    use crate::certs::import::tree::Tree;

    fn resolver(pair: &Pair, url: &str) -> String {
        let (_, pkcs1) = rsa();
        let encode = |bytes: &[u8]| BASE64_STANDARD.encode(bytes);
        format!(
            r#"{{"Account":{{"Email":"ada@a.test","Registration":{{"body":{{"status":"valid"}},"uri":"{url}"}},
            "PrivateKey":"{}","KeyType":"4096"}},"Certificates":[{{"domain":{{"main":"a.test","sans":["b.test"]}},
            "certificate":"{}","key":"{}","Store":"default"}}]}}"#,
            encode(&pkcs1),
            encode(pair.chain.as_bytes()),
            encode(pair.key.as_bytes())
        )
    }

    #[test]
    fn every_resolver_is_read() {
        let ca = Ca::new();
        let (one, two) = (
            ca.pair(&["a.test", "b.test"]),
            ca.pair(&["a.test", "b.test"]),
        );
        let text = format!(
            r#"{{"le":{},"own":{},"empty":{{"Account":null,"Certificates":null}}}}"#,
            resolver(&one, "https://acme-v02.api.letsencrypt.org/acme/acct/7"),
            resolver(&two, "https://ca.test:14000/my-account/1")
        );
        let findings = found(&[("acme.json", &text)]);
        assert_eq!(findings.tools, [Tool::Traefik]);
        let [first, second] = &findings.certificates[..] else {
            panic!("{findings:#?}");
        };
        assert_eq!((&first.fault, &second.fault), (&None, &None));
        assert_eq!(first.place, "/base/acme.json (resolver `le`): a.test");
        assert_eq!(first.directory.as_deref(), Some(LETS_ENCRYPT));
        assert_eq!((first.account, second.account), (Some(0), Some(1)));
        assert_eq!(second.directory, None);
        assert!(findings.accounts[1].may_be_at("https://ca.test:14000/dir"));
        assert!(!findings.accounts[1].may_be_at("https://ca.test/dir"));
        assert_eq!(findings.accounts[0].key, Some(AccountKey::Rsa(rsa().0)));
        assert_eq!(findings.accounts[0].contacts, ["ada@a.test"]);
    }

    #[test]
    fn a_file_without_resolvers_is_of_traefik_1() {
        let pair = Ca::new().pair(&["a.test", "b.test"]);
        let text = resolver(&pair, "https://acme-v02.api.letsencrypt.org/acme/acct/7");
        let text = text
            .replace("\"domain\"", "\"Domain\"")
            .replace("\"certificate\"", "\"Certificate\"");
        let findings = found(&[("letsencrypt/acme.json", &text)]);
        assert_eq!(
            sound(&findings).place,
            "/base/letsencrypt/acme.json: a.test"
        );
    }

    #[test]
    fn one_broken_certificate_does_not_hide_the_others() {
        let pair = Ca::new().pair(&["a.test", "b.test"]);
        let text = resolver(&pair, "https://ca.test/1").replace(
            "\"Certificates\":[",
            "\"Certificates\":[7,{\"domain\":{\"main\":\"c.test\"},\"certificate\":\"!\"},",
        );
        let findings = found(&[("acme.json", &text)]);
        let faults: Vec<bool> = findings
            .certificates
            .iter()
            .map(|found| found.fault.is_some())
            .collect();
        assert_eq!(faults, [true, false]);
        assert_eq!(findings.certificates[0].names, ["c.test"]);
        assert_eq!(findings.remarks.len(), 1);
    }

    #[test]
    fn a_damaged_file_is_answered() {
        let pair = Ca::new().pair(&["a.test", "b.test"]);
        survives_damage(&[("acme.json", &resolver(&pair, "https://ca.test/1"))]);
    }

    proptest! {
        #[test]
        fn any_json_is_answered(text in r#"(\{|\}|\[|\]|,|:|"Account"|"Certificates"|"domain"|"key"|"a"|1|null){0,40}"#, bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for bytes in [text.into_bytes(), bytes] {
                let mut tree = Tree::new(String::new());
                tree.insert("acme.json".to_owned(), Content::Bytes(bytes));
                drop(recognise(&tree, now()));
            }
        }
    }
}
