//! A folder for certbot: `archive` with the files, `live` with links to them, `renewal` and `accounts`.
//! <https://eff-certbot.readthedocs.io/en/stable/using.html#where-are-my-certificates>

use std::collections::{BTreeMap, BTreeSet};

use rustls::SignatureScheme;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use serde_json::json;

use super::account_form::AccountForm;
use super::{Account, Holdings, Outlay, PUBLIC_MODE, SECRET_MODE, halves, is_inside};
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
    if quoted(holdings.root).is_none() {
        outlay.remarks.push(format!(
            "nothing is laid out: certbot's files cannot name the folder `{}`: choose another",
            holdings.root.escape_debug()
        ));
        return outlay;
    }
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
        let Some(renewal) = renewal(&lineage, bundle, holdings.root, account) else {
            outlay.remarks.push(format!(
                "{lineage} is left out: certbot's files cannot name what belongs to it"
            ));
            continue;
        };
        lay_certificate(&mut outlay, &lineage, bundle);
        outlay.file(format!("renewal/{lineage}.conf"), &renewal, PUBLIC_MODE);
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

fn lay_certificate(outlay: &mut Outlay, lineage: &str, bundle: &Bundle) {
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
}

/// None if something cannot be written in it.
fn renewal(lineage: &str, bundle: &Bundle, root: &str, account: Option<&str>) -> Option<String> {
    let root = root.trim_end_matches('/');
    let setting = |name: &str, value: &str| Some(format!("{name} = {}\n", quoted(value)?));
    let mut text = setting("version", VERSION)?;
    text += &setting("archive_dir", &format!("{root}/archive/{lineage}"))?;
    for kind in ["cert", "privkey", "chain", "fullchain"] {
        text += &setting(kind, &format!("{root}/live/{lineage}/{kind}.pem"))?;
    }
    text += "\n# Options used in the renewal process\n[renewalparams]\n";
    if let Some(account) = account {
        text += &setting("account", account)?;
    }
    if !bundle.directory.is_empty() {
        text += &setting("server", &bundle.directory)?;
    }
    text += &setting("authenticator", "standalone")?;
    for (name, value) in key_settings(bundle) {
        text += &setting(name, value)?;
    }
    Some(text)
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

/// As ConfigObj reads it: a comma would make a list, a `#` a comment, and `%(` begin another value's name. None if there is no way to write
/// it: a line that ended in it would begin another setting, and among these are commands that certbot runs.
fn quoted(value: &str) -> Option<String> {
    // Where Python ends lines, and what stands for what is no text.
    let is_foreign = |letter: char| {
        letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}' | '\u{fffd}')
    };
    if value.contains(is_foreign) || value.contains("%(") {
        return None;
    }
    let is_plain = !value.contains([',', '#', '"', '\'']) && value.trim() == value;
    match (value.contains('"'), value.contains('\'')) {
        _ if is_plain => Some(value.to_owned()),
        (true, true) => None,
        (true, false) => Some(format!("'{value}'")),
        (false, _) => Some(format!("\"{value}\"")),
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
    if !is_inside(&folder) {
        outlay.remarks.push(format!(
            "the account at {} is left out: certbot has no folder for that URL",
            account.directory
        ));
        return None;
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: &str, expected: Option<&str>) {
        assert_eq!(quoted(value).as_deref(), expected, "{value:?}");
    }

    #[test]
    fn a_value_is_one_value_on_one_line_or_not_written() {
        check("/etc/letsencrypt", Some("/etc/letsencrypt"));
        check("/a b", Some("/a b"));
        check(" /a", Some("\" /a\""));
        check("/a,b#c", Some("\"/a,b#c\""));
        check("/it's", Some("\"/it's\""));
        check("/\"a\"", Some("'/\"a\"'"));
        check("/\"it's\"", None);
        for end in ['\n', '\r', '\u{b}', '\u{1c}', '\u{85}', '\u{2028}', '\0'] {
            check(&format!("x{end}renew_hook = id"), None);
        }
        check("%(server)s", None);
    }
}
