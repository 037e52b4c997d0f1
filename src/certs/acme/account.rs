//! The account at a CA: made once, under a key that is kept before the CA hears of it, and never again.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::causes::one_line;
use crate::certs::acme::account_key::{AccountKey, KeyType};
use crate::certs::acme::fault::{OrderError, Side};
use crate::certs::acme::jws::Signer;
use crate::certs::acme::options::CaOptions;
use crate::certs::acme::post::{Letter, Way, unusable_key};
use crate::certs::acme::seams::{AccountKeeper, Class};

/// The form in which an account is kept.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Stored {
    pub(super) directory: String,
    /// PKCS#8 as base64url.
    key: String,
    /// The account's URL; none until the CA has told it.
    #[serde(default)]
    pub(super) url: Option<String>,
    /// What the CA was last told.
    #[serde(default)]
    pub(super) email: Option<String>,
    /// The key that another tool made, as PKCS#8 in base64url, until the CA is known to have changed it for `key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    old_key: Option<String>,
}

/// `place` is where the bytes were found.
pub(super) fn parse(bytes: &[u8], place: &str, options: &CaOptions) -> Result<Stored, OrderError> {
    let broken = |problem: String| {
        let problem = format!(
            "the stored account {place} {problem}; restore it from a backup, or remove it for a new account"
        );
        OrderError::new(Class::Human, Side::Storage, problem)
    };
    let stored: Stored = serde_json::from_slice(bytes)
        .map_err(|error| broken(format!("cannot be read: {error}")))?;
    if stored.directory != options.directory {
        return Err(broken(format!(
            "belongs to {}, not to {}",
            stored.directory, options.directory
        )));
    }
    stored.key()?;
    stored.old_key()?;
    Ok(stored)
}

impl Stored {
    pub(super) fn generate(options: &CaOptions) -> Result<Self, OrderError> {
        let key = AccountKey::generate().map_err(|_unusable| unusable_key())?;
        Ok(Self {
            directory: options.directory.clone(),
            key: encode(&key)?,
            url: None,
            email: None,
            old_key: None,
        })
    }

    /// One that another tool made, under a key as ours are.
    pub(super) fn of(directory: &str, key: &AccountKey, url: &str) -> Result<Self, OrderError> {
        if key.kind() != KeyType::P256 {
            return Err(unusable_key());
        }
        Ok(Self {
            directory: directory.to_owned(),
            key: encode(key)?,
            url: Some(url.to_owned()),
            email: None,
            old_key: None,
        })
    }

    /// One that another tool made, under a new key which the CA is still to be told of.
    pub(super) fn to_be_taken_over(
        options: &CaOptions,
        old: &AccountKey,
        url: &str,
    ) -> Result<Self, OrderError> {
        Ok(Self {
            url: Some(url.to_owned()),
            old_key: Some(encode(old)?),
            ..Self::generate(options)?
        })
    }

    /// Reads what is kept, whichever CA's it is.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// PKCS#8, P-256.
    pub(super) fn key(&self) -> Result<Vec<u8>, OrderError> {
        self.own_key()?.pkcs8().map_err(|_unusable| unusable_key())
    }

    pub(super) fn own_key(&self) -> Result<AccountKey, OrderError> {
        let key = decode(&self.key)?;
        if key.kind() == KeyType::P256 {
            Ok(key)
        } else {
            Err(unusable_key())
        }
    }

    pub(super) fn old_key(&self) -> Result<Option<AccountKey>, OrderError> {
        self.old_key.as_deref().map(decode).transpose()
    }

    /// The CA knows the account by its new key.
    pub(super) fn forget_old_key(&mut self) {
        self.old_key = None;
    }
}

fn encode(key: &AccountKey) -> Result<String, OrderError> {
    let der = key.pkcs8().map_err(|_unusable| unusable_key())?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(der))
}

fn decode(key: &str) -> Result<AccountKey, OrderError> {
    let der = BASE64_URL_SAFE_NO_PAD
        .decode(key)
        .map_err(|_bad_base64| unusable_key())?;
    AccountKey::from_der(&der).map_err(|_unusable| unusable_key())
}

pub(super) async fn save(keeper: &dyn AccountKeeper, account: &Stored) -> Result<(), OrderError> {
    let bytes = bytes(account)?;
    let saved = keeper.save(&bytes).await;
    saved.map_err(|error| OrderError::not_kept(&error))
}

pub(super) fn bytes(account: &Stored) -> Result<Vec<u8>, OrderError> {
    serde_json::to_vec(account)
        .map_err(|error| OrderError::new(Class::Human, Side::Storage, one_line(&error)))
}

/// Asks for an account under the stored key; a CA that has one already gives its URL.
pub(super) async fn register(
    account: &Stored,
    options: &CaOptions,
    way: &Way<'_>,
) -> Result<String, OrderError> {
    make(&account.own_key()?, options, way).await
}

pub(super) async fn make(
    key: &AccountKey,
    options: &CaOptions,
    way: &Way<'_>,
) -> Result<String, OrderError> {
    let url = &way.directory.new_account;
    let asked = key.new_account(url, &contacts(options), options.eab.as_ref());
    let payload = asked.map_err(|_unusable| unusable_key())?;
    ask(key, payload, way).await
}

/// The URL of the account that has this key; none if there is none. None is made.
///
/// # Errors
/// The CA cannot be reached, or will have nothing to do with the account.
pub(super) async fn find(key: &AccountKey, way: &Way<'_>) -> Result<Option<String>, OrderError> {
    let payload = json!({ "onlyReturnExisting": true });
    match ask(key, payload, way).await {
        Ok(url) => Ok(Some(url)),
        Err(fault) if fault.is("accountDoesNotExist") => Ok(None),
        Err(fault) => Err(fault),
    }
}

async fn ask(key: &AccountKey, payload: Value, way: &Way<'_>) -> Result<String, OrderError> {
    let letter = Letter {
        url: &way.directory.new_account,
        key,
        signer: Signer::Key,
        payload,
    };
    let answer = way.post(&letter).await?;
    let told: Told = serde_json::from_slice(&answer.body).unwrap_or_default();
    if let Some(status) = told.status.filter(|status| status != "valid") {
        let problem = format!("the CA says that the account is {status}");
        return Err(OrderError::new(Class::Human, Side::Ca, problem));
    }
    let url = answer.location().map(str::to_owned);
    url.ok_or_else(|| no_answer("the CA does not say where the account is"))
}

/// An account as its CA shows it.
#[derive(Default, Deserialize)]
struct Told {
    #[serde(default)]
    status: Option<String>,
}

pub(super) fn contacts(options: &CaOptions) -> Vec<String> {
    let email = options.email.iter();
    email.map(|email| format!("mailto:{email}")).collect()
}

fn no_answer(problem: &str) -> OrderError {
    OrderError::new(Class::Transient, Side::Network, problem)
}
