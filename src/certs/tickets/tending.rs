//! Keeps the ticket keys of this process those of its fleet: reads them, and makes the next one when it is due.

use std::time::Duration;

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand;
use tokio::time;

use super::keys::{Fresh, ID_BYTES, Keys, SECRET_BYTES};
use super::ring::Ring;
use crate::clock::Clock;
use crate::storage::store::{BadKey, Key, Store, StoreError, When};

/// The object that all hosts read and any of them replaces.
const OBJECT: &str = "tickets";
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How long a start waits for what the fleet has.
const FIRST_LOOK: Duration = Duration::from_secs(3);
/// Looks in a row, if somebody else is always faster.
const TRIES: usize = 4;

pub(super) struct Tending {
    store: Store,
    clock: Clock,
    ring: Ring,
    /// What the fleet had when it was last seen.
    shared: Option<Keys>,
    /// Every key that was ever used here and may still open something.
    known: Keys,
    /// Told once, until it is over.
    is_down: bool,
}

/// Why nothing is known of the fleet's keys.
#[derive(Debug)]
enum Unknown {
    Key(BadKey),
    Store(StoreError),
    Randomness,
    /// Somebody else was always faster.
    Busy,
}

impl Tending {
    /// With keys of its own.
    pub(super) fn begin(store: Store, clock: Clock) -> Result<Self, Unspecified> {
        let now = clock.now();
        let own = Keys::default().rotated(now, fresh()?);
        Ok(Self {
            store,
            clock,
            ring: Ring::of(&own, &own, now),
            shared: None,
            known: own,
            is_down: false,
        })
    }

    pub(super) fn ring(&self) -> Ring {
        self.ring.clone()
    }

    /// Before anybody is served; a store that is down is not waited for.
    pub(super) async fn first_look(&mut self) {
        if time::timeout(FIRST_LOOK, self.look()).await.is_err() {
            tracing::debug!("the keys of session tickets are not known yet");
        }
    }

    pub(super) async fn go_on(mut self) {
        loop {
            time::sleep(LOOK_EVERY).await;
            self.look().await;
        }
    }

    pub(super) async fn look(&mut self) {
        let found = self.found().await;
        let now = self.clock.now();
        match found {
            Ok(found) => {
                if self.shared.is_none() || self.is_down {
                    tracing::debug!("session tickets are sealed with the keys of the fleet");
                }
                self.is_down = false;
                self.known = found.joined(&self.known).accepted(now);
                self.shared = Some(found);
            }
            Err(unknown) => {
                if !std::mem::replace(&mut self.is_down, true) {
                    tracing::warn!(error = %unknown.text(), "the keys of session tickets cannot be read: those that are known go on");
                }
                self.rotate_alone();
            }
        }
        // As time goes on another key seals, also while nothing is heard.
        let shared = self.shared.as_ref().unwrap_or(&self.known);
        self.ring.adopt(shared, &self.known, now);
    }

    /// Who never knew the fleet's keys has its own in its place.
    fn rotate_alone(&mut self) {
        let now = self.clock.now();
        if self.shared.is_none()
            && self.known.is_due(now)
            && let Ok(fresh) = fresh()
        {
            self.known = self.known.rotated(now, fresh);
        }
    }

    async fn found(&self) -> Result<Keys, Unknown> {
        let key = Key::new(OBJECT).map_err(Unknown::Key)?;
        for _attempt in 0..TRIES {
            let found = self.store.get(&key).await.map_err(Unknown::Store)?;
            let (stored, when) = match found {
                None => (None, When::Absent),
                Some(object) => (Keys::parse(&object.bytes).ok(), When::Is(object.version)),
            };
            let now = self.clock.now();
            let keys = match stored {
                Some(stored) if !stored.is_due(now) => return Ok(stored),
                Some(stored) => stored,
                // It was emptied, or scribbled upon: what is known goes back.
                None => self.shared.clone().unwrap_or_default(),
            };
            let keys = if keys.is_due(now) {
                keys.rotated(now, fresh().map_err(|_error| Unknown::Randomness)?)
            } else {
                keys
            };
            match self.store.put(&key, &keys.stored(), &when, None).await {
                Ok(_version) => return Ok(keys),
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(Unknown::Store(error)),
            }
        }
        Err(Unknown::Busy)
    }
}

impl Unknown {
    fn text(&self) -> String {
        match self {
            Self::Key(error) => error.to_string(),
            Self::Store(error) => crate::causes::one_line(error),
            Self::Randomness => "the system gives no randomness".to_owned(),
            Self::Busy => "others change them all the time".to_owned(),
        }
    }
}

fn fresh() -> Result<[Fresh; 2], Unspecified> {
    let one = || -> Result<Fresh, Unspecified> {
        let (mut id, mut secret) = ([0; ID_BYTES], [0; SECRET_BYTES]);
        rand::fill(&mut id)?;
        rand::fill(&mut secret)?;
        Ok(Fresh { id, secret })
    };
    Ok([one()?, one()?])
}
