//! What of our holdings is fit to stand in other tools' files. Names, URLs and addresses may come from anybody: from tools, from backups, from
//! a store that others write to.

use super::Account;
use crate::certs::bundle::Bundle;
use crate::certs::import::known::is_url;
use crate::hostname::HostPattern;

/// Without those that are for what is no name; one that is of no CA loses what stands in its place.
pub(super) fn bundles(bundles: &[Bundle], remarks: &mut Vec<String>) -> Vec<Bundle> {
    let mut sound = Vec::new();
    for bundle in bundles {
        let mut names = bundle.names.iter();
        if let Some(odd) = names.find(|name| HostPattern::parse(name).is_err()) {
            remarks.push(format!(
                "a certificate for `{}` is left out: that is no name",
                odd.escape_debug()
            ));
            continue;
        }
        let mut bundle = bundle.clone();
        if !bundle.directory.is_empty() && !is_url(&bundle.directory) {
            remarks.push(format!(
                "{}: which CA renews it is left out: `{}` is no URL",
                bundle.names.join(", "),
                bundle.directory.escape_debug()
            ));
            bundle.directory.clear();
        }
        sound.push(bundle);
    }
    sound
}

/// Without those whose URLs or whose address are none.
pub(super) fn accounts(accounts: &[Account], remarks: &mut Vec<String>) -> Vec<Account> {
    let mut sound = accounts.to_vec();
    sound.retain(|account| {
        let Some(odd) = odd(account) else {
            return true;
        };
        remarks.push(format!(
            "the account at `{}` is left out: {odd}",
            account.directory.escape_debug()
        ));
        false
    });
    sound
}

fn odd(account: &Account) -> Option<String> {
    let mut urls = [Some(&account.directory), account.url.as_ref()]
        .into_iter()
        .flatten();
    if let Some(odd) = urls.find(|url| !is_url(url)) {
        return Some(format!("`{}` is no URL", odd.escape_debug()));
    }
    let is_odd = |letter: char| letter.is_control() || letter.is_whitespace();
    let odd = account
        .email
        .as_ref()
        .filter(|email| email.contains(is_odd))?;
    Some(format!("`{}` is no e-mail address", odd.escape_debug()))
}
