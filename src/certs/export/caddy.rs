//! A storage folder of Caddy. It looks certificates up by each single name, so each name gets a copy.
//! <https://caddyserver.com/docs/conventions#data-directory>

use std::cmp::Reverse;

use serde_json::json;

use super::account_form::AccountForm;
use super::{Account, Holdings, Outlay, SECRET_MODE};
use crate::certs::bundle::Bundle;
use crate::certs::import::caddy::{issuer_key, safe};

pub(super) fn lay_out(holdings: &Holdings<'_>) -> Outlay {
    let mut outlay = Outlay::default();
    for account in holdings.accounts {
        lay_account(&mut outlay, account);
    }
    // Of two certificates for one name, the one that lasts longer is laid first, and the first stays.
    let mut bundles = holdings.certificates();
    bundles.sort_by_key(|bundle| Reverse(bundle.not_after));
    for bundle in bundles {
        if bundle.directory.is_empty() {
            outlay.remarks.push(format!(
                "{} is left out: it is of no CA that Caddy could renew it at; `--layout pem` has it",
                bundle.names.join(", ")
            ));
            continue;
        }
        lay_certificate(&mut outlay, holdings, bundle);
    }
    outlay
        .entries
        .sort_by(|one, other| one.path.cmp(&other.path));
    outlay
}

fn lay_certificate(outlay: &mut Outlay, holdings: &Holdings<'_>, bundle: &Bundle) {
    let account = holdings.account_at(&bundle.directory);
    let account = account.and_then(|account| account.url.as_deref());
    let record = json!({
        "sans": bundle.names,
        "issuer_data": {
            "url": "",
            "ca": bundle.directory,
            "account": account.unwrap_or_default(),
        },
    });
    let record = format!("{record:#}");
    for name in &bundle.names {
        let (issuer, name) = (issuer_key(&bundle.directory), safe(name));
        let file = |ending: &str| format!("certificates/{issuer}/{name}/{name}.{ending}");
        outlay.file(file("crt"), &bundle.chain, SECRET_MODE);
        outlay.file(file("key"), &bundle.key.0, SECRET_MODE);
        outlay.file(file("json"), &record, SECRET_MODE);
    }
}

fn lay_account(outlay: &mut Outlay, account: &Account) {
    let key = AccountForm::of(&account.key).and_then(|key| key.sec1());
    let (Some(key), Some(url)) = (key, &account.url) else {
        outlay.remarks.push(format!(
            "the account at {} is left out: its key or its URL is missing",
            account.directory
        ));
        return;
    };
    let email = account.email.as_deref().unwrap_or("default");
    let user = email.split('@').next().filter(|user| !user.is_empty());
    let folder = format!(
        "acme/{}/users/{}/{}",
        issuer_key(&account.directory),
        safe(email),
        safe(user.unwrap_or("default"))
    );
    let contacts = account.email.iter();
    let contacts: Vec<String> = contacts.map(|email| format!("mailto:{email}")).collect();
    let record = json!({
        "status": "valid",
        "contact": contacts,
        "termsOfServiceAgreed": true,
        "orders": "",
        "location": url,
    });
    outlay.file(
        format!("{folder}.json"),
        &format!("{record:#}"),
        SECRET_MODE,
    );
    outlay.file(format!("{folder}.key"), &key, SECRET_MODE);
    outlay.remarks.push(match &account.email {
        Some(email) => format!(
            "Caddy finds the account at {} if its `email` is {email}",
            account.directory
        ),
        None => format!(
            "Caddy finds the account at {} if it has no `email`",
            account.directory
        ),
    });
}
