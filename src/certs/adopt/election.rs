//! Which of the accounts that were found becomes ours at each CA.

use std::collections::{BTreeMap, BTreeSet};

use crate::certs::adopt::Adopter;
use crate::certs::import::fault::AccountFault;
use crate::certs::import::findings::{AccountKey as FoundKey, Findings, FoundAccount};
use crate::certs::keeper::ledgers::ca_id;

impl Adopter {
    /// Where its CA is: as the tool says, else the configured one on the host of its URL.
    pub(super) fn directory_of(&self, found: &FoundAccount) -> Option<String> {
        let said = found.directory.clone();
        said.or_else(|| {
            let ca = self.wishes.ca_of_url(found.url.as_deref()?)?;
            Some(ca.directory.clone())
        })
    }

    /// The account that is adopted at each CA, by the CA's id: the one that ordered most of what was found; of equals one that needs no new key, or
    /// the first.
    pub(super) fn chosen(&self, findings: &Findings) -> BTreeMap<String, usize> {
        let mut chosen: BTreeMap<String, (usize, (usize, bool))> = BTreeMap::new();
        for (number, account) in findings.accounts.iter().enumerate() {
            let usable = account.key.as_ref().filter(|_key| fault(account).is_none());
            let (Some(key), Some(directory)) = (usable, self.directory_of(account)) else {
                continue;
            };
            let rank = (ordered(findings, number), matches!(key, FoundKey::P256(_)));
            let best = chosen.entry(ca_id(&directory)).or_insert((number, rank));
            if rank > best.1 {
                *best = (number, rank);
            }
        }
        let chosen = chosen.into_iter();
        chosen.map(|(ca, (number, _rank))| (ca, number)).collect()
    }
}

/// What keeps an account from being used; where its CA is may be known to the configuration.
pub(super) fn fault(found: &FoundAccount) -> Option<&AccountFault> {
    let fault = found.fault.as_ref();
    fault.filter(|fault| **fault != AccountFault::UnknownDirectory)
}

pub(super) fn ordered(findings: &Findings, account: usize) -> usize {
    let certificates = findings.certificates.iter();
    let own = certificates.filter(|it| it.account == Some(account) && it.fault.is_none());
    own.map(|it| &it.names).collect::<BTreeSet<_>>().len()
}
