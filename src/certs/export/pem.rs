//! Plain files: a folder a certificate.

use serde_json::json;

use super::account_form::AccountForm;
use super::{Account, Holdings, Outlay, PUBLIC_MODE, SECRET_MODE, halves};
use crate::certs::import::caddy::{issuer_key, safe};

pub(super) fn lay_out(holdings: &Holdings<'_>) -> Outlay {
    let mut outlay = Outlay::default();
    for bundle in holdings.certificates() {
        let Some(first) = bundle.names.first() else {
            continue;
        };
        let plain = safe(first);
        let numbered = (2..).map(|number: u32| format!("{plain}-{number}"));
        let mut folders = [plain.clone()].into_iter().chain(numbered);
        let is_free = |folder: &String| {
            let file = format!("{folder}/fullchain.pem");
            !outlay.entries.iter().any(|entry| entry.path == file)
        };
        let Some(folder) = folders.find(is_free) else {
            continue;
        };
        let (leaf, rest) = halves(&bundle.chain);
        let parts = [
            ("fullchain", bundle.chain.as_str(), PUBLIC_MODE),
            ("cert", leaf, PUBLIC_MODE),
            ("chain", rest, PUBLIC_MODE),
            ("privkey", bundle.key.0.as_str(), SECRET_MODE),
        ];
        for (kind, text, mode) in parts {
            outlay.file(format!("{folder}/{kind}.pem"), text, mode);
        }
    }
    for account in holdings.accounts {
        lay_account(&mut outlay, account);
    }
    outlay
}

fn lay_account(outlay: &mut Outlay, account: &Account) {
    let Some(key) = AccountForm::of(&account.key).and_then(|key| key.sec1()) else {
        outlay.remarks.push(format!(
            "the account at {} is left out: its key cannot be read",
            account.directory
        ));
        return;
    };
    let folder = format!("accounts/{}", issuer_key(&account.directory));
    let record = json!({
        "directory": account.directory,
        "url": account.url,
        "email": account.email,
    });
    outlay.file(
        format!("{folder}/account.json"),
        &format!("{record:#}"),
        SECRET_MODE,
    );
    outlay.file(format!("{folder}/account.key"), &key, SECRET_MODE);
}
