//! Keeps the ticket keys of this process those of its fleet: reads them, and makes the next one when it is due.

use std::time::{Duration, SystemTime};

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand;
use tokio::time;

use super::keys::{Fresh, ID_BYTES, KEPT, Keys, SECRET_BYTES};
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
/// Of them and of those in use together there are no more than a ring holds.
const FORMER_MAX: usize = 2;

pub(super) struct Tending {
    store: Store,
    clock: Clock,
    ring: Ring,
    /// The fleet's as they were last seen, or those of this process until they are.
    current: Keys,
    whose: Whose,
    /// What `current` took the place of, the newest last.
    former: Vec<Former>,
    /// Told once, until it is over.
    is_down: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// This process's, which knows nothing of a fleet yet.
    Own,
    Fleet,
}

/// Keys that seal nothing any more.
struct Former {
    keys: Keys,
    /// What they sealed is good for so long.
    until: SystemTime,
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
            ring: Ring::of(&own, &Keys::default(), now),
            current: own,
            whose: Whose::Own,
            former: Vec::new(),
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
                self.is_down = false;
                self.adopt(found, now);
            }
            Err(unknown) => {
                if !std::mem::replace(&mut self.is_down, true) {
                    tracing::warn!(error = %unknown.text(), "the keys of session tickets cannot be read: those that are known go on");
                }
                self.rotate_alone(now);
            }
        }
        // As time goes on another key seals, also while nothing is heard.
        self.former.retain(|former| former.until > now);
        let former = self.former.iter().map(|former| former.keys.accepted(now));
        let former = former.fold(Keys::default(), |all, keys| all.joined(&keys));
        self.ring.adopt(&self.current, &former, now);
    }

    fn adopt(&mut self, found: Keys, now: SystemTime) {
        let before = std::mem::replace(&mut self.current, found);
        self.whose = Whose::Fleet;
        // A rotation leaves most of them there; else somebody has begun anew.
        if !self.current.shares_any(&before) {
            if self.former.len() >= FORMER_MAX {
                self.former.remove(0);
            }
            self.former.push(Former {
                keys: before,
                until: now + KEPT,
            });
        }
    }

    /// Who never knew the fleet's keys has its own in their place.
    fn rotate_alone(&mut self, now: SystemTime) {
        if self.whose == Whose::Own
            && self.current.is_due(now)
            && let Ok(fresh) = fresh()
        {
            self.current = self.current.rotated(now, fresh);
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
                // It is empty, or scribbled upon: what is known goes there.
                None => self.current.clone(),
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
