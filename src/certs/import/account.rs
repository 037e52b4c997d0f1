//! Judges one account as it was found.

use crate::certs::import::fault::AccountFault;
use crate::certs::import::findings::{AccountKey, FoundAccount, FoundEab, Tool};
use crate::certs::import::known;

/// What a tool keeps of one account.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) tool: Tool,
    pub(super) place: String,
    pub(super) directory: Option<String>,
    pub(super) url: Option<String>,
    /// Addresses with or without `mailto:`.
    pub(super) contacts: Vec<String>,
    pub(super) key: Result<AccountKey, AccountFault>,
    pub(super) eab: Option<FoundEab>,
    /// What the CA said of it last (RFC 8555 section 7.1.2).
    pub(super) status: Option<String>,
}

impl Draft {
    pub(super) fn new(tool: Tool, place: String, key: Result<AccountKey, AccountFault>) -> Self {
        Self {
            tool,
            place,
            directory: None,
            url: None,
            contacts: Vec::new(),
            key,
            eab: None,
            status: None,
        }
    }

    pub(super) fn judged(self) -> FoundAccount {
        let mut odd = None;
        let mut sound = |url: Option<String>| {
            let url = url.filter(|url| !url.is_empty())?;
            if known::is_url(&url) {
                return Some(url);
            }
            odd = Some(AccountFault::OddUrl(url));
            None
        };
        let url = sound(self.url);
        let directory = sound(self.directory);
        let directory =
            directory.or_else(|| known::directory_of_url(url.as_deref()?).map(str::to_owned));
        let is_ended = |status: &String| matches!(status.as_str(), "deactivated" | "revoked");
        let (key, fault) = match self.key {
            Ok(AccountKey::Other(kind)) => {
                let fault = AccountFault::UnusableKey(kind.clone());
                (Some(AccountKey::Other(kind)), Some(fault))
            }
            Ok(key) => (Some(key), None),
            Err(fault) => (None, Some(fault)),
        };
        let fault = fault.or_else(|| self.status.filter(is_ended).map(AccountFault::NotValid));
        let fault = fault.or(odd);
        let is_nowhere = directory.is_none() && url.is_none();
        let contacts = self.contacts.iter();
        FoundAccount {
            tool: self.tool,
            place: self.place,
            contacts: contacts.filter_map(|contact| address(contact)).collect(),
            key,
            eab: self.eab,
            fault: fault.or_else(|| is_nowhere.then_some(AccountFault::UnknownDirectory)),
            directory,
            url,
        }
    }
}

fn address(contact: &str) -> Option<String> {
    let address = contact.strip_prefix("mailto:").unwrap_or(contact).trim();
    address.contains('@').then(|| address.to_owned())
}
