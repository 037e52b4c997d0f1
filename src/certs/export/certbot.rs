//! A folder for certbot: `archive` with the files, `live` with links to them, `renewal` and `accounts`.
//! <https://eff-certbot.readthedocs.io/en/stable/using.html#where-are-my-certificates>

use std::collections::{BTreeMap, BTreeSet};

use rustls::SignatureScheme;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use serde_json::json;

use super::account_form::AccountForm;
use super::{Account, Holdings, Outlay, PUBLIC_MODE, SECRET_MODE, halves};
use crate::certs::bundle::Bundle;
use crate::certs::pem::{Contents, Key};
use crate::certs::utc::second;

/// The layout of files has been the same since this version.
const VERSION: &str = "2.0.0";
/// certbot takes away its own right to write it.
const ACCOUNT_KEY_MODE: u32 = 0o400;
/// How many certificates may share a first name; certbot gives its numbers four digits.
const NAMESAKES_MAX: usize = 9999;

pub(super) fn lay_out(holdings: &Holdings<'_>) -> Outlay {
    let mut outlay = Outlay::default();
    let ids: BTreeMap<&str, String> = holdings
        .accounts
        .iter()
        .filter_map(|account| {
            Some((
                account.directory.as_str(),
                lay_account(&mut outlay, holdings, account)?,
            ))
        })
        .collect();
    let mut taken = BTreeSet::new();
    for bundle in holdings.certificates() {
        let Some(lineage) = lineage(bundle, &mut taken) else {
            outlay.remarks.push(format!(
                "{} is left out: too many certificates begin with this name",
                bundle.names.join(", ")
            ));
            continue;
        };
        let account = ids.get(bundle.directory.as_str()).map(String::as_str);
        lay_certificate(&mut outlay, &lineage, bundle, holdings.root, account);
    }
    if !taken.is_empty() {
        outlay.remarks.push(
            "certbot will renew with its own web server, unless `certbot reconfigure` is told another way"
                .to_owned(),
        );
    }
    outlay
}

/// What certbot calls a certificate: its first name without the wildcard, with a number where that is taken.
fn lineage(bundle: &Bundle, taken: &mut BTreeSet<String>) -> Option<String> {
    let first = bundle.names.first()?;
    let plain = first.strip_prefix("*.").unwrap_or(first).replace(':', "-");
    let numbered = (1..=NAMESAKES_MAX).map(|number| format!("{plain}-{number:04}"));
    let mut names = [plain.clone()].into_iter().chain(numbered);
    names.find(|name| taken.insert(name.clone()))
}

fn lay_certificate(
    outlay: &mut Outlay,
    lineage: &str,
    bundle: &Bundle,
    root: &str,
    account: Option<&str>,
) {
    let (leaf, rest) = halves(&bundle.chain);
    let parts = [
        ("cert", leaf, PUBLIC_MODE),
        ("chain", rest, PUBLIC_MODE),
        ("fullchain", bundle.chain.as_str(), PUBLIC_MODE),
        ("privkey", bundle.key.0.as_str(), SECRET_MODE),
    ];
    for (kind, text, mode) in parts {
        outlay.file(format!("archive/{lineage}/{kind}1.pem"), text, mode);
    }
    for (kind, _, _) in parts {
        outlay.link(
            format!("live/{lineage}/{kind}.pem"),
            format!("../../archive/{lineage}/{kind}1.pem"),
        );
    }
    let root = root.trim_end_matches('/');
    let mut text = format!("version = {VERSION}\n");
    let mut set = |name: &str, value: &str| {
        text.push_str(&format!("{name} = {}\n", quoted(value)));
    };
    set("archive_dir", &format!("{root}/archive/{lineage}"));
    for kind in ["cert", "privkey", "chain", "fullchain"] {
        set(kind, &format!("{root}/live/{lineage}/{kind}.pem"));
    }
    text.push_str("\n# Options used in the renewal process\n[renewalparams]\n");
    let mut set = |name: &str, value: &str| {
        text.push_str(&format!("{name} = {}\n", quoted(value)));
    };
    if let Some(account) = account {
        set("account", account);
    }
    if !bundle.directory.is_empty() {
        set("server", &bundle.directory);
    }
    set("authenticator", "standalone");
    for (name, value) in key_settings(bundle) {
        set(name, value);
    }
    outlay.file(format!("renewal/{lineage}.conf"), &text, PUBLIC_MODE);
}

/// certbot changes the kind of a key with the next renewal, unless it is told to keep it.
fn key_settings(bundle: &Bundle) -> Vec<(&'static str, &'static str)> {
    let Ok(Contents {
        key: Key::Plain(key),
        ..
    }) = Contents::parse(bundle.key.0.as_bytes())
    else {
        return Vec::new();
    };
    let Ok(key) = any_supported_type(&key) else {
        return Vec::new();
    };
    let signs = |scheme| key.choose_scheme(&[scheme]).is_some();
    if signs(SignatureScheme::ECDSA_NISTP256_SHA256) {
        vec![("key_type", "ecdsa"), ("elliptic_curve", "secp256r1")]
    } else if signs(SignatureScheme::ECDSA_NISTP384_SHA384) {
        vec![("key_type", "ecdsa"), ("elliptic_curve", "secp384r1")]
    } else if signs(SignatureScheme::RSA_PSS_SHA256) {
        vec![("key_type", "rsa")]
    } else {
        Vec::new()
    }
}

/// As ConfigObj reads it: a comma would make a list, and a `#` a comment.
fn quoted(value: &str) -> String {
    let is_plain = !value.contains([',', '#', '"', '\'']) && value.trim() == value;
    match value.contains('"') {
        _ if is_plain => value.to_owned(),
        true => format!("'{value}'"),
        false => format!("\"{value}\""),
    }
}

/// Gives what certbot calls it.
fn lay_account(outlay: &mut Outlay, holdings: &Holdings<'_>, account: &Account) -> Option<String> {
    let key = AccountForm::of(&account.key);
    let form = key.and_then(|key| Some((key.certbot_id()?, key.jwk()?)));
    let (Some((id, jwk)), Some(url)) = (form, &account.url) else {
        outlay.remarks.push(format!(
            "the account at {} is left out: its key or its URL is missing",
            account.directory
        ));
        return None;
    };
    let address = account.directory.split_once("://");
    let address = address.map_or(account.directory.as_str(), |(_scheme, address)| address);
    let folder = format!("accounts/{}/{id}", address.trim_matches('/'));
    let registration = json!({ "body": {}, "uri": url });
    let made = json!({ "creation_dt": second(holdings.now), "creation_host": "onedoor" });
    let mut lay = |name: &str, text: String, mode| {
        outlay.file(format!("{folder}/{name}"), &text, mode);
    };
    lay("private_key.json", jwk.to_string(), ACCOUNT_KEY_MODE);
    lay("regr.json", registration.to_string(), PUBLIC_MODE);
    lay("meta.json", made.to_string(), PUBLIC_MODE);
    Some(id)
}
