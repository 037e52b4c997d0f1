//! The account at a CA: made once, under a key that is kept before the CA hears of it, and never again.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::header::CONTENT_TYPE;
use http::{HeaderName, Request};
use instant_acme::{BodyWrapper, Error, Problem};
use rustls_pki_types::PrivatePkcs8KeyDer;
use serde::{Deserialize, Serialize};

use crate::certs::acme::answer::Answer;
use crate::certs::acme::directory::Directory;
use crate::certs::acme::fault::{OrderError, Side, chain};
use crate::certs::acme::http::Transport;
use crate::certs::acme::jws::AccountKey;
use crate::certs::acme::options::{CaOptions, KeyKind};
use crate::certs::acme::seams::{AccountKeeper, Class};
use crate::certs::acme::session::Session;
use crate::certs::acme::tries::Tries;
use crate::certs::acme::wire::{self, Wire};
use crate::clock::Clock;

/// How long a directory is used before it is fetched anew.
const DIRECTORY_AGE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// One CA with our account there.
pub struct Ca {
    pub(super) transport: Arc<dyn Transport>,
    pub(super) clock: Clock,
    pub(super) profile: Option<String>,
    pub(super) key: KeyKind,
    account: Stored,
    directory: Mutex<Fetched>,
}

struct Fetched {
    at: SystemTime,
    directory: Arc<Directory>,
}

/// The form in which an account is kept.
#[derive(Clone, Serialize, Deserialize)]
struct Stored {
    directory: String,
    /// PKCS#8 as base64url.
    key: String,
    /// The account's URL; none until the CA has told it.
    #[serde(default)]
    url: Option<String>,
    /// What the CA was last told.
    #[serde(default)]
    email: Option<String>,
}

impl Ca {
    /// Loads the account that `keeper` has, or makes one if it has none. An account that has an URL is never registered again, whatever the CA says of it.
    ///
    /// # Errors
    /// The CA cannot be reached or refuses; what is kept cannot be read or belongs to another CA.
    pub async fn open(
        options: &CaOptions,
        keeper: &dyn AccountKeeper,
        clock: Clock,
        transport: Arc<dyn Transport>,
    ) -> Result<Self, OrderError> {
        let kept = keeper.load().await;
        let kept = kept.map_err(|error| OrderError::not_kept(&error))?;
        let kept = kept.as_deref().map(|bytes| parse(bytes, options));
        let directory = directory(transport.as_ref(), &options.directory, &clock).await?;
        let mut account = match kept {
            Some(kept) => kept?,
            None => Stored::generate(options)?,
        };
        if account.url.is_none() {
            if directory.external_account_required && options.eab.is_none() {
                return Err(needs_eab());
            }
            save(keeper, &account).await?;
            let url = register(&account, options, &directory, transport.as_ref(), &clock).await?;
            account.url = Some(url);
            account.email.clone_from(&options.email);
            save(keeper, &account).await?;
        }
        let mut ca = Self {
            transport,
            profile: options.profile.clone(),
            key: options.key,
            account,
            directory: Mutex::new(Fetched {
                at: clock.now(),
                directory: Arc::new(directory),
            }),
            clock,
        };
        ca.tell_email(options, keeper).await?;
        Ok(ca)
    }

    /// The account's URL, for CAA records (RFC 8657).
    #[must_use]
    pub fn account_url(&self) -> &str {
        self.account.url.as_deref().unwrap_or_default()
    }

    /// The URL of the directory.
    #[must_use]
    pub fn directory_url(&self) -> &str {
        &self.account.directory
    }

    /// What the CA offers, at most a day old.
    ///
    /// # Errors
    /// It is older, and the CA cannot be reached.
    pub async fn directory(&self) -> Result<Arc<Directory>, OrderError> {
        let (at, known) = {
            let fetched = self
                .directory
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            (fetched.at, Arc::clone(&fetched.directory))
        };
        let now = self.clock.now();
        let is_fresh = now
            .duration_since(at)
            .is_ok_and(|age| age < DIRECTORY_AGE_MAX);
        if is_fresh {
            return Ok(known);
        }
        let fetched = directory(self.transport.as_ref(), &known.url, &self.clock).await?;
        let fetched = Arc::new(fetched);
        let mut kept = self
            .directory
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *kept = Fetched {
            at: now,
            directory: Arc::clone(&fetched),
        };
        Ok(fetched)
    }

    /// What speaks for the account in one order.
    pub(super) async fn session(&self) -> Result<Session, OrderError> {
        let directory = self.directory().await?;
        let (wire, tape) = Wire::new(Arc::clone(&self.transport), Arc::clone(&directory));
        let key = PrivatePkcs8KeyDer::from(self.account.key()?);
        let account = instant_acme::Account::builder_with_http(Box::new(wire))
            .from_parts(self.account_url().to_owned(), key, directory.url.clone())
            .await
            .map_err(|error| OrderError::of_request(&error, None, self.clock.now()))?;
        Ok(Session {
            account,
            tape,
            clock: self.clock.clone(),
            directory,
        })
    }

    /// A changed address is told to the CA; a CA that will not have it keeps the old one.
    async fn tell_email(
        &mut self,
        options: &CaOptions,
        keeper: &dyn AccountKeeper,
    ) -> Result<(), OrderError> {
        if self.account.email == options.email {
            return Ok(());
        }
        let contacts = contacts(options);
        let contacts: Vec<&str> = contacts.iter().map(String::as_str).collect();
        let session = self.session().await?;
        if let Err(error) = session.account.update_contacts(&contacts).await {
            tracing::warn!(
                ca = self.directory_url(),
                error = chain(&error),
                "the CA does not take the new e-mail address"
            );
            return Ok(());
        }
        self.account.email.clone_from(&options.email);
        save(keeper, &self.account).await
    }
}

async fn directory(
    transport: &dyn Transport,
    url: &str,
    clock: &Clock,
) -> Result<Directory, OrderError> {
    let mut tries = Tries::default();
    loop {
        match Directory::fetch(transport, url, clock.now()).await {
            Ok(directory) => return Ok(directory),
            Err(fault) => tries.again(fault).await?,
        }
    }
}

fn parse(bytes: &[u8], options: &CaOptions) -> Result<Stored, OrderError> {
    let broken = |problem: String| OrderError::new(Class::Human, Side::Storage, problem);
    let stored: Stored = serde_json::from_slice(bytes)
        .map_err(|error| broken(format!("the stored account cannot be read: {error}")))?;
    if stored.directory != options.directory {
        return Err(broken(format!(
            "the stored account belongs to {}, not to {}",
            stored.directory, options.directory
        )));
    }
    stored.key()?;
    Ok(stored)
}

impl Stored {
    fn generate(options: &CaOptions) -> Result<Self, OrderError> {
        let key = AccountKey::generate().map_err(|_unusable| unusable_key())?;
        Ok(Self {
            directory: options.directory.clone(),
            key: BASE64_URL_SAFE_NO_PAD.encode(key),
            url: None,
            email: None,
        })
    }

    fn key(&self) -> Result<Vec<u8>, OrderError> {
        let key = BASE64_URL_SAFE_NO_PAD
            .decode(&self.key)
            .map_err(|_bad_base64| unusable_key())?;
        AccountKey::from_pkcs8(&key).map_err(|_unusable| unusable_key())?;
        Ok(key)
    }
}

async fn save(keeper: &dyn AccountKeeper, account: &Stored) -> Result<(), OrderError> {
    let bytes = serde_json::to_vec(account)
        .map_err(|error| OrderError::new(Class::Human, Side::Storage, chain(&error)))?;
    let saved = keeper.save(&bytes).await;
    saved.map_err(|error| OrderError::not_kept(&error))
}

/// Asks for an account under the stored key; a CA that has one already gives its URL.
async fn register(
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

fn contacts(options: &CaOptions) -> Vec<String> {
    let email = options.email.iter();
    email.map(|email| format!("mailto:{email}")).collect()
}

fn unusable_key() -> OrderError {
    let problem = "the account's key is no usable P-256 key";
    OrderError::new(Class::Human, Side::Storage, problem)
}

fn needs_eab() -> OrderError {
    let problem = "the CA wants an external account: set `eab` to what it gave you";
    OrderError::new(Class::Human, Side::Options, problem)
}

fn no_answer(problem: &str) -> OrderError {
    OrderError::new(Class::Transient, Side::Network, problem)
}

impl fmt::Debug for Ca {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ca")
            .field("directory", &self.account.directory)
            .field("account", &self.account.url)
            .finish_non_exhaustive()
    }
}
