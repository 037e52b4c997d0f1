//! The ledger of each CA as an object of the store, changed by many: read, changed, and put if nobody else did.

use std::fmt;
use std::time::SystemTime;

use crate::certs::ledger::merge::merge;
use crate::certs::ledger::refusal::Refusal;
use crate::certs::ledger::{Ledger, stored};
use crate::clock::Clock;
use crate::storage::files::FILE_BYTES_MAX;
use crate::storage::store::{BadKey, Key, Store, StoreError, When};

/// How often a change is tried that others keep getting in the way of.
const TRIES_MAX: u32 = 16;
/// A ledger that could be read but not be written would order nothing for ever.
const _: () = assert!(stored::LEDGER_BYTES_MAX as u64 <= FILE_BYTES_MAX);

/// The ledgers of a store.
#[derive(Debug, Clone)]
pub struct Ledgers {
    store: Store,
    clock: Clock,
}

/// Why a ledger was not changed.
#[derive(Debug)]
pub enum LedgerError {
    /// The change itself said no.
    Refused(Refusal),
    Store(StoreError),
    Key(BadKey),
    /// What is stored is no ledger. It is not replaced: it may know of limits.
    Damaged(Key, stored::Error),
}

impl Ledgers {
    #[must_use]
    pub fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock }
    }

    /// What a CA was asked, with what the store lost of it and this host still has.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`], or the store's own.
    pub async fn read(&self, directory: &str) -> Result<Ledger, LedgerError> {
        let key = key(directory)?;
        Ok(self.find(&key).await?.whole)
    }

    /// Puts what the store lost of a ledger and this host still has back; says whether there was anything.
    ///
    /// # Errors
    /// Then the ledger is as it was: [`LedgerError::Damaged`], or the store's own, which others who do the same may cause.
    pub async fn put_back(&self, key: &Key) -> Result<bool, LedgerError> {
        let Found {
            stored,
            whole,
            when,
        } = self.find(key).await?;
        if whole == stored {
            return Ok(false);
        }
        self.store.put(key, &whole.bytes(), &when, None).await?;
        Ok(true)
    }

    /// Changes a CA's ledger. `change` may be called several times. What it made of the ledger is written also if it refuses: what a
    /// clock that was ahead had written is called back to now, and must not be called back to every later now again.
    ///
    /// # Errors
    /// The refusal; otherwise the ledger is as it was.
    pub async fn change(
        &self,
        directory: &str,
        mut change: impl FnMut(&mut Ledger, SystemTime) -> Result<(), Refusal> + Send,
    ) -> Result<(), LedgerError> {
        let key = key(directory)?;
        let mut tries = 0;
        loop {
            let Found {
                stored,
                whole: mut ledger,
                when,
            } = self.find(&key).await?;
            let changed = change(&mut ledger, self.clock.now());
            if changed.is_err() && ledger == stored {
                return changed.map_err(LedgerError::Refused);
            }
            tries += 1;
            match self.store.put(&key, &ledger.bytes(), &when, None).await {
                Ok(_version) => return changed.map_err(LedgerError::Refused),
                Err(StoreError::Conflict) if tries < TRIES_MAX => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// What there is of a ledger.
struct Found {
    stored: Ledger,
    /// With what the store lost of it and this host still has.
    whole: Ledger,
    /// What must hold for it to be replaced.
    when: When,
}

impl Ledgers {
    async fn find(&self, key: &Key) -> Result<Found, LedgerError> {
        // Before: the store's own is never older than what was copied of it, unless it lost something.
        let copied = self.copied(key).await;
        let object = self.store.get(key).await?;
        let stored = parse(key, object.as_ref().map(|object| object.bytes.as_slice()))?;
        let lost = copied.filter(|copied| copied.knows_more(&stored, self.clock.now()));
        // What were too much to be read again stays apart.
        let whole = lost.map(|lost| merge(&stored, &lost));
        let whole = whole.filter(|whole| whole.bytes().len() <= stored::LEDGER_BYTES_MAX);
        Ok(Found {
            whole: whole.unwrap_or_else(|| stored.clone()),
            stored,
            when: object.map_or(When::Absent, |object| When::Is(object.version)),
        })
    }

    /// What this host saw last. A copy that cannot be read knows nothing.
    async fn copied(&self, key: &Key) -> Option<Ledger> {
        if !self.store.is_copied() {
            return None;
        }
        let object = self.store.at_hand().get(key).await.ok()??;
        Ledger::read(&object.bytes).ok()
    }
}

fn parse(key: &Key, bytes: Option<&[u8]>) -> Result<Ledger, LedgerError> {
    bytes.map_or_else(
        || Ok(Ledger::default()),
        |bytes| Ledger::read(bytes).map_err(|error| LedgerError::Damaged(key.clone(), error)),
    )
}

/// What stands for a CA in keys: its directory's URL, with hyphens for what keys do not have.
#[must_use]
pub fn ca_id(directory: &str) -> String {
    let address = directory
        .split_once("://")
        .map_or(directory, |(_scheme, address)| address);
    let plain = |letter: char| match letter {
        'a'..='z' | '0'..='9' | '.' => letter,
        'A'..='Z' => letter.to_ascii_lowercase(),
        _ => '-',
    };
    address.trim_matches('/').chars().map(plain).collect()
}

fn key(directory: &str) -> Result<Key, LedgerError> {
    Key::new(&format!("acme/{}/ledger", ca_id(directory))).map_err(LedgerError::Key)
}

impl From<StoreError> for LedgerError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl fmt::Display for LedgerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Store(error) => error.fmt(f),
            Self::Key(error) => error.fmt(f),
            Self::Damaged(key, error) => write!(
                f,
                "the ledger {key} cannot be read, so nothing is ordered: {error}; restore it from a backup, or remove it if this CA was not asked for a week"
            ),
        }
    }
}

impl std::error::Error for LedgerError {}
