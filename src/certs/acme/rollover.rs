//! An account that another tool made gets a key of ours (RFC 8555 section 7.3.5). The new key is kept before the CA hears of it, together with the
//! old one; whoever finds both asks the CA which of them it knows, and goes on from there.

use crate::certs::acme::account::{self, Stored};
use crate::certs::acme::account_key::AccountKey;
use crate::certs::acme::fault::{OrderError, Side};
use crate::certs::acme::jws::Signer;
use crate::certs::acme::post::{Letter, Way, unusable_key};
use crate::certs::acme::seams::{AccountKeeper, Class};

/// Sees to it that the CA knows the account by its new key, and forgets the old one. Nothing is asked if there is none.
///
/// # Errors
/// The account is kept as it was, and may be finished again.
pub(super) async fn finish(
    account: &mut Stored,
    keeper: &dyn AccountKeeper,
    way: &Way<'_>,
) -> Result<(), OrderError> {
    let Some(old) = account.old_key()? else {
        return Ok(());
    };
    let new = account.own_key()?;
    let url = account.url.clone().unwrap_or_default();
    if !is_known(&new, &url, way).await? {
        if !is_known(&old, &url, way).await? {
            return Err(gone(&url));
        }
        if let Err(fault) = change(&old, &new, &url, way).await {
            // An answer that got lost leaves the CA with the new key, which then refuses the old one.
            if !is_known(&new, &url, way).await? {
                return Err(fault);
            }
        }
    }
    account.forget_old_key();
    account::save(keeper, account).await
}

/// Whether the account has this key.
async fn is_known(key: &AccountKey, url: &str, way: &Way<'_>) -> Result<bool, OrderError> {
    let found = account::find(key, way).await?;
    Ok(found.is_some_and(|found| found == url))
}

async fn change(
    old: &AccountKey,
    new: &AccountKey,
    account: &str,
    way: &Way<'_>,
) -> Result<(), OrderError> {
    let Some(url) = way.directory.key_change.as_deref() else {
        let problem = "the CA changes no account's key";
        return Err(OrderError::new(Class::Human, Side::Ca, problem));
    };
    let payload = new.key_change(url, account, old);
    let letter = Letter {
        url,
        key: old,
        signer: Signer::Account(account),
        payload: payload.map_err(|_unusable| unusable_key())?,
    };
    way.post(&letter).await.map(drop)
}

fn gone(url: &str) -> OrderError {
    let problem = format!(
        "the CA knows the account {url} neither by the key that it had nor by the one that it was to get"
    );
    OrderError::new(Class::Human, Side::Ca, problem)
}
