//! The account at a CA: made once, under a key that is kept before the CA hears of it, and never again.

use std::time::SystemTime;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::header::CONTENT_TYPE;
use http::{HeaderName, Request};
use instant_acme::{BodyWrapper, Error, Problem};
use serde::{Deserialize, Serialize};

use crate::causes::one_line;
use crate::certs::acme::answer::Answer;
use crate::certs::acme::directory::Directory;
use crate::certs::acme::fault::{OrderError, Side};
use crate::certs::acme::jws::AccountKey;
use crate::certs::acme::options::CaOptions;
use crate::certs::acme::seams::{AccountKeeper, Class};
use crate::certs::acme::transport::Transport;
use crate::certs::acme::tries::Tries;
use crate::certs::acme::wire;
use crate::clock::Clock;

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
    Ok(stored)
}

impl Stored {
    pub(super) fn generate(options: &CaOptions) -> Result<Self, OrderError> {
        let key = AccountKey::generate().map_err(|_unusable| unusable_key())?;
        Ok(Self {
            directory: options.directory.clone(),
            key: BASE64_URL_SAFE_NO_PAD.encode(key),
            url: None,
            email: None,
        })
    }

    pub(super) fn key(&self) -> Result<Vec<u8>, OrderError> {
        let key = BASE64_URL_SAFE_NO_PAD
            .decode(&self.key)
            .map_err(|_bad_base64| unusable_key())?;
        AccountKey::from_pkcs8(&key).map_err(|_unusable| unusable_key())?;
        Ok(key)
    }
}

pub(super) async fn save(keeper: &dyn AccountKeeper, account: &Stored) -> Result<(), OrderError> {
    let bytes = serde_json::to_vec(account)
        .map_err(|error| OrderError::new(Class::Human, Side::Storage, one_line(&error)))?;
    let saved = keeper.save(&bytes).await;
    saved.map_err(|error| OrderError::not_kept(&error))
}

/// Asks for an account under the stored key; a CA that has one already gives its URL.
pub(super) async fn register(
    account: &Stored,
    options: &CaOptions,
    directory: &Directory,
    transport: &dyn Transport,
    clock: &Clock,
) -> Result<String, OrderError> {
    let key = AccountKey::from_pkcs8(&account.key()?).map_err(|_unusable| unusable_key())?;
    let mut tries = Tries::default();
    let mut nonce = None;
    loop {
        let fault = match ask(&key, nonce.take(), options, directory, transport).await {
            Ok(answer) if answer.status.is_success() => {
                let url = answer.location().map(str::to_owned);
                return url.ok_or_else(|| no_answer("the CA does not say where the account is"));
            }
            Ok(answer) => {
                nonce = answer.text(&REPLAY_NONCE).map(str::to_owned);
                refused(&answer, clock.now())
            }
            Err(error) => OrderError::of_request(&error, None, clock.now()),
        };
        tries.again(fault).await?;
    }
}

async fn ask(
    key: &AccountKey,
    nonce: Option<String>,
    options: &CaOptions,
    directory: &Directory,
    transport: &dyn Transport,
) -> Result<Answer, Error> {
    let nonce = match nonce {
        Some(nonce) => nonce,
        None => fresh_nonce(directory, transport).await?,
    };
    let url = &directory.new_account;
    let body = key
        .new_account(&nonce, url, &contacts(options), options.eab.as_ref())
        .map_err(|_unusable| Error::Crypto)?;
    let request = Request::post(url)
        .header(CONTENT_TYPE, "application/jose+json")
        .body(BodyWrapper::from(body))?;
    let (_, answer) = wire::read(url.clone(), transport.request(request).await?).await?;
    Ok(answer)
}

async fn fresh_nonce(directory: &Directory, transport: &dyn Transport) -> Result<String, Error> {
    let request = Request::head(&directory.new_nonce).body(BodyWrapper::default())?;
    let response = transport.request(request).await?;
    let nonce = response.parts.headers.get(REPLAY_NONCE);
    let nonce = nonce.and_then(|nonce| nonce.to_str().ok());
    Ok(nonce.ok_or(Error::Str("a nonce"))?.to_owned())
}

const REPLAY_NONCE: HeaderName = HeaderName::from_static("replay-nonce");

fn refused(answer: &Answer, now: SystemTime) -> OrderError {
    match serde_json::from_slice::<Problem>(&answer.body) {
        Ok(problem) => OrderError::of_request(&Error::Api(problem), Some(answer), now),
        Err(error) => OrderError::of_request(&Error::Json(error), Some(answer), now),
    }
}

pub(super) fn contacts(options: &CaOptions) -> Vec<String> {
    let email = options.email.iter();
    email.map(|email| format!("mailto:{email}")).collect()
}

fn unusable_key() -> OrderError {
    let problem = "the account's key is no usable P-256 key";
    OrderError::new(Class::Human, Side::Storage, problem)
}

fn no_answer(problem: &str) -> OrderError {
    OrderError::new(Class::Transient, Side::Network, problem)
}
