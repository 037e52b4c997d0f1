//! TLS secrets of Kubernetes, mounted as files or dumped by `kubectl get secret` as JSON or YAML; and, in a dump that has them, the issuers
//! of cert-manager. <https://cert-manager.io/docs/>

#[cfg(test)]
mod tests;
mod yaml;

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
    let files: Vec<(&str, &[u8])> = survey
        .files()
        .filter_map(|(path, content)| match content {
            Content::Bytes(bytes) => Some((path, bytes.as_slice())),
            Content::Unreadable(_) => None,
        })
        .collect();
    for (path, bytes) in files {
        let mut documents = match documents(path, bytes) {
            Ok(documents) => documents,
            Err(why) => {
                survey.remark(format!("{} {why}", survey.tree.place(path)));
                continue;
            }
        };
        documents.retain(is_of_kubernetes);
        if !documents.is_empty() {
            survey.claim(Tool::Kubernetes, path);
            Dump::of(documents).read(survey, path);
        }
    }
}

/// Nothing if it is neither JSON nor YAML; or why it cannot be read, in words that follow on a path.
fn documents(path: &str, bytes: &[u8]) -> Result<Vec<Value>, String> {
    if yaml::is_yaml(path, bytes) {
        return yaml::documents(bytes);
    }
    let looks_like_json = bytes.trim_ascii_start().starts_with(b"{");
    let value = looks_like_json.then(|| serde_json::from_slice(bytes).ok());
    Ok(value.flatten().into_iter().collect())
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

/// Whether it is an object that may be of use, or a list of objects.
fn is_of_kubernetes(value: &Value) -> bool {
    let is_list = value.get("items").is_some_and(Value::is_array);
    let kind = value.get("kind").and_then(Value::as_str);
    value.get("apiVersion").is_some()
        && kind.is_some_and(|kind| is_list || matches!(kind, "Secret" | "Issuer" | "ClusterIssuer"))
}

#[derive(Default)]
struct Dump {
    secrets: Vec<Secret>,
    issuers: Vec<Issuer>,
    /// Secrets that are not as Kubernetes writes them.
    odd: usize,
}

#[derive(Deserialize)]
struct Secret {
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    data: Option<BTreeMap<String, String>>,
    /// As people write it, in the clear.
    #[serde(default, rename = "stringData")]
    string_data: Option<BTreeMap<String, String>>,
}

#[derive(Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    name: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    annotations: Option<BTreeMap<String, Value>>,
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
    fn of(documents: Vec<Value>) -> Self {
        let items = documents.into_iter().flat_map(|mut value| {
            match value.get_mut("items").map(Value::take) {
                Some(Value::Array(items)) => items,
                Some(_) | None => vec![value],
            }
        });
        let mut dump = Self::default();
        for item in items {
            match item.get("kind").and_then(Value::as_str) {
                // What is wrong with it is not shown: it may be the key.
                Some("Secret") => match serde_json::from_value(item) {
                    Ok(secret) => dump.secrets.push(secret),
                    Err(_other_shape) => dump.odd += 1,
                },
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
        if self.odd > 0 {
            survey.remark(format!(
                "{place}: {} of its secrets are not as Kubernetes has them: left out",
                self.odd
            ));
        }
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
        let mut entries = [&self.data, &self.string_data].into_iter().flatten();
        entries.any(|entries| entries.contains_key(name))
    }

    fn place(&self, place: &str) -> String {
        self.metadata.place(place)
    }

    fn annotation(&self, name: &str) -> Option<&str> {
        let annotations = self.metadata.annotations.as_ref()?;
        annotations.get(name)?.as_str()
    }

    fn part(&self, name: &str) -> Part {
        let entry =
            |entries: &Option<BTreeMap<String, String>>| entries.as_ref()?.get(name).cloned();
        // Of both, Kubernetes takes what is in the clear.
        if let Some(text) = entry(&self.string_data) {
            return Part::Text(text.into_bytes());
        }
        match entry(&self.data) {
            None => Part::Absent,
            // In YAML, base 64 may be on many lines.
            Some(text) => match BASE64_STANDARD.decode(text.split_whitespace().collect::<String>())
            {
                Ok(bytes) => Part::Text(bytes),
                Err(_bad) => Part::Unreadable(format!("the base 64 of its {name} is damaged")),
            },
        }
    }
}
