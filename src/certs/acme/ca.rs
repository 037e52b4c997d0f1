//! One CA as it is used: its directory, and our account there.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rustls_pki_types::PrivatePkcs8KeyDer;

use crate::causes::one_line;
use crate::certs::acme::account::{self, Stored};
use crate::certs::acme::directory::Directory;
use crate::certs::acme::fault::{OrderError, Side};
use crate::certs::acme::options::{CaOptions, KeyKind};
use crate::certs::acme::post::Way;
use crate::certs::acme::rollover;
use crate::certs::acme::seams::{AccountKeeper, Class};
use crate::certs::acme::session::Session;
use crate::certs::acme::transport::Transport;
use crate::certs::acme::tries::Tries;
use crate::certs::acme::wire::Wire;
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

impl Ca {
    /// Loads the account that `keeper` has, or makes one if it has none. An account that has an URL is never registered again, whatever the CA says of it;
    /// one that is being taken over is finished first.
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
        let kept = kept
            .as_deref()
            .map(|bytes| account::parse(bytes, &keeper.place(), options));
        let directory = directory(transport.as_ref(), &options.directory, &clock).await?;
        let mut account = match kept {
            Some(kept) => kept?,
            None => Stored::generate(options)?,
        };
        let way = Way {
            directory: &directory,
            transport: transport.as_ref(),
            clock: &clock,
        };
        rollover::finish(&mut account, keeper, &way).await?;
        if account.url.is_none() {
            if directory.external_account_required && options.eab.is_none() {
                return Err(needs_eab());
            }
            account::save(keeper, &account).await?;
            let url = account::register(&account, options, &way).await?;
            account.url = Some(url);
            account.email.clone_from(&options.email);
            account::save(keeper, &account).await?;
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

    /// The profiles on offer, with their descriptions.
    ///
    /// # Errors
    /// As [`Ca::directory`].
    pub async fn profiles(&self) -> Result<BTreeMap<String, String>, OrderError> {
        Ok(self.directory().await?.profiles.clone())
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
        let contacts = account::contacts(options);
        let contacts: Vec<&str> = contacts.iter().map(String::as_str).collect();
        let session = self.session().await?;
        if let Err(error) = session.account.update_contacts(&contacts).await {
            tracing::warn!(
                ca = self.directory_url(),
                error = one_line(&error),
                "the CA does not take the new e-mail address"
            );
            return Ok(());
        }
        self.account.email.clone_from(&options.email);
        account::save(keeper, &self.account).await
    }
}

pub(super) async fn directory(
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

fn needs_eab() -> OrderError {
    let problem = "the CA wants an external account: set `eab` to what it gave you";
    OrderError::new(Class::Human, Side::Options, problem)
}

impl fmt::Debug for Ca {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ca")
            .field("directory", &self.account.directory)
            .field("account", &self.account.url)
            .finish_non_exhaustive()
    }
}
