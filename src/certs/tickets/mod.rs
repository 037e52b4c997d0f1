//! The keys of session tickets that a fleet shares, so that a client resumes on any host, and a rotation drops nobody. Alone, a
//! process has keys that nobody else ever sees.

mod dated;
pub mod keys;
pub mod ring;
mod tending;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use aws_lc_rs::error::Unspecified;
use rustls::server::ProducesTickets;

use crate::clock::Clock;
use crate::shutdown::Shutdown;
use crate::storage::store::Store;
use dated::Dated;
use ring::Ring;
use tending::Tending;

/// Whose keys seal the tickets of this process.
#[derive(Debug, Clone)]
pub enum Tickets {
    /// Its own, other ones for every policy, which end with it.
    Own,
    /// Those of a fleet.
    Shared(Ring),
}

impl Tickets {
    /// Those that belong to `store`, kept up to date until `shutdown`. While the store cannot be read a process has keys of its own.
    ///
    /// # Errors
    /// When the crypto library has no randomness.
    pub async fn of(
        store: &Store,
        clock: &Clock,
        shutdown: &Shutdown,
    ) -> Result<Self, Unspecified> {
        if !store.is_shared() {
            return Ok(Self::Own);
        }
        let mut tending = Tending::begin(store.clone(), clock.clone())?;
        let ring = tending.ring();
        tending.first_look().await;
        let _tended = shutdown.spawn_attendant(tending.go_on());
        Ok(Self::Shared(ring))
    }

    /// What seals the tickets of one policy; those of another, by its `label`, cannot be opened with it.
    ///
    /// # Errors
    /// When the crypto library has no randomness.
    pub fn for_policy(&self, label: &str) -> Result<Arc<dyn ProducesTickets>, rustls::Error> {
        match self {
            Self::Own => {
                let own = rustls::crypto::aws_lc_rs::Ticketer::new()?;
                Ok(Arc::new(Dated::new(own, Clock::system())))
            }
            Self::Shared(ring) => Ok(Arc::new(ring.for_policy(label))),
        }
    }
}
