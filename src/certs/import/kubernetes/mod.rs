//! TLS secrets of Kubernetes, mounted as files or dumped by `kubectl get secret -o json`; and, in a dump that has them, the issuers of
//! cert-manager. <https://cert-manager.io/docs/>

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::Value;

use crate::certs::import::account::Draft as AccountDraft;
use crate::certs::import::account_key;
use crate::certs::import::certificate::{Draft, Part};
use crate::certs::import::fault::AccountFault;
use crate::certs::import::findings::Tool;
use crate::certs::import::survey::Survey;
use crate::certs::import::tree::{Content, join, split};

/// Reads every secret in the tree.
pub(super) fn read(survey: &mut Survey<'_>) {
    mounted(survey);
    let dumps: Vec<(&str, Value)> = survey
        .files()
        .filter_map(|(path, content)| match content {
            Content::Bytes(bytes) => Some((path, dump(bytes)?)),
            Content::Unreadable(_) => None,
        })
        .collect();
    for (path, dump) in dumps {
        survey.claim(Tool::Kubernetes, path);
        Dump::of(dump).read(survey, path);
    }
}

fn mounted(survey: &mut Survey<'_>) {
    let folders: Vec<&str> = survey
        .files()
        .filter(|(path, _)| split(path).1 == "tls.crt")
        .map(|(path, _)| split(path).0)
        .collect();
    for folder in folders {
        let (chain, key) = (join(folder, "tls.crt"), join(folder, "tls.key"));
        survey.add(Draft {
            tool: Tool::Kubernetes,
            place: survey.tree.place(folder),
            chain: survey.part(&chain),
            key: survey.part(&key),
            said: Vec::new(),
            directory: None,
            account: None,
        });
        for own in [chain, key, join(folder, "ca.crt")] {
            survey.claim(Tool::Kubernetes, &own);
        }
    }
}

/// None if the bytes are no objects of Kubernetes.
fn dump(bytes: &[u8]) -> Option<Value> {
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return None;
    }
    let value: Value = serde_json::from_slice(bytes).ok()?;
    let is_list = value.get("items").is_some_and(Value::is_array);
    let kind = value.get("kind")?.as_str()?;
    (value.get("apiVersion").is_some()
        && (is_list || matches!(kind, "Secret" | "Issuer" | "ClusterIssuer")))
    .then_some(value)
}

#[derive(Default)]
struct Dump {
    secrets: Vec<Secret>,
    issuers: Vec<Issuer>,
}

#[derive(Deserialize)]
struct Secret {
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    data: Option<BTreeMap<String, String>>,
}

#[derive(Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    name: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

/// An issuer of cert-manager that speaks ACME.
#[derive(Deserialize)]
struct Issuer {
    #[serde(default)]
    metadata: Metadata,
    spec: IssuerSpec,
    #[serde(default)]
    status: Option<IssuerStatus>,
}

#[derive(Deserialize)]
struct IssuerSpec {
    acme: Acme,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Acme {
    server: String,
    #[serde(default)]
    email: Option<String>,
    private_key_secret_ref: Reference,
}

#[derive(Deserialize)]
struct Reference {
    name: String,
}

#[derive(Default, Deserialize)]
struct IssuerStatus {
    #[serde(default)]
    acme: Option<AcmeStatus>,
}

#[derive(Default, Deserialize)]
struct AcmeStatus {
    #[serde(default)]
    uri: Option<String>,
}

impl Dump {
    fn of(mut value: Value) -> Self {
        let items = match value.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => items,
            Some(_) | None => vec![value],
        };
        let mut dump = Self::default();
        for item in items {
            match item.get("kind").and_then(Value::as_str) {
                Some("Secret") => dump.secrets.extend(serde_json::from_value(item)),
                Some("Issuer" | "ClusterIssuer") => {
                    dump.issuers.extend(serde_json::from_value(item));
                }
                Some(_) | None => {}
            }
        }
        dump
    }

    fn read(&self, survey: &mut Survey<'_>, path: &str) {
        let place = survey.tree.place(path);
        let accounts: Vec<(&str, usize)> = self
            .issuers
            .iter()
            .map(|issuer| {
                let index = self.account(survey, &place, issuer);
                (issuer.metadata.name.as_str(), index)
            })
            .collect();
        for secret in &self.secrets {
            if !secret.has("tls.crt") {
                continue;
            }
            let issuer = secret.annotation("cert-manager.io/issuer-name");
            let account = accounts.iter().find(|(name, _)| Some(*name) == issuer);
            let account = account.map(|(_, index)| *index);
            let names = secret.annotation("cert-manager.io/alt-names");
            let names = names.unwrap_or_default().split(',');
            survey.add(Draft {
                tool: Tool::Kubernetes,
                place: secret.place(&place),
                chain: secret.part("tls.crt"),
                key: secret.part("tls.key"),
                said: names
                    .filter(|name| !name.is_empty())
                    .map(str::to_owned)
                    .collect(),
                directory: account.and_then(|index| survey.account(index).directory.clone()),
                account,
            });
        }
    }

    fn account(&self, survey: &mut Survey<'_>, place: &str, issuer: &Issuer) -> usize {
        let acme = &issuer.spec.acme;
        let is_its = |secret: &&Secret| secret.metadata.name == acme.private_key_secret_ref.name;
        let secret = self.secrets.iter().find(is_its);
        let key = match secret.map(|secret| secret.part("tls.key")) {
            Some(Part::Text(pem)) => account_key::from_pem(&pem),
            Some(Part::Unreadable(_)) => Err(AccountFault::BrokenKey),
            Some(Part::Absent) | None => Err(AccountFault::NoKey),
        };
        let status = issuer.status.as_ref();
        let draft = AccountDraft {
            directory: Some(acme.server.clone()),
            url: status.and_then(|status| status.acme.as_ref()?.uri.clone()),
            contacts: acme.email.iter().cloned().collect(),
            ..AccountDraft::new(Tool::Kubernetes, issuer.metadata.place(place), key)
        };
        survey.add_account(draft.judged())
    }
}

impl Metadata {
    fn place(&self, place: &str) -> String {
        match self.namespace.as_str() {
            "" => format!("{place}: {}", self.name),
            namespace => format!("{place}: {namespace}/{}", self.name),
        }
    }
}

impl Secret {
    fn has(&self, name: &str) -> bool {
        let entries = self.data.as_ref();
        entries.is_some_and(|entries| entries.contains_key(name))
    }

    fn place(&self, place: &str) -> String {
        self.metadata.place(place)
    }

    fn annotation(&self, name: &str) -> Option<&str> {
        let annotations = self.metadata.annotations.as_ref()?;
        annotations.get(name).map(String::as_str)
    }

    fn part(&self, name: &str) -> Part {
        let entries = self.data.as_ref();
        match entries.and_then(|entries| entries.get(name)) {
            None => Part::Absent,
            Some(text) => match BASE64_STANDARD.decode(text) {
                Ok(bytes) => Part::Text(bytes),
                Err(_bad) => Part::Unreadable(format!("the base 64 of its {name} is damaged")),
            },
        }
    }
}
