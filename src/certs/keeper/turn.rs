//! One look after one name: load, judge, and order if its time has come. Everything is read from the store again, so it does not
//! matter who did what before.

use std::time::{Duration, SystemTime};

use tokio::sync::Mutex;

use crate::certs::alerts::event::{Event, Left};
use crate::certs::bundle::Ready;
use crate::certs::keeper::Outcome;
use crate::certs::keeper::due::{anew, due, next_look};
use crate::certs::keeper::issue::{Attempt, LEASE_TIME};
use crate::certs::keeper::works::Works;
use crate::certs::schedule::{self, Expiring};
use crate::certs::shelf::Wish;
use crate::certs::vault::{CertId, State, VaultError};
use crate::hostname::HostPattern;
use crate::storage::store::Key;

/// Between two tries while the store cannot be used, or somebody else is at it.
const LATER: Duration = Duration::from_secs(30);

/// Why a name is looked after now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    Time,
    /// Somebody asked for a renewal.
    Asked,
    /// A handshake waits.
    Demanded,
}

impl Works {
    /// Looks after a name; says what came of it and when to look again.
    pub(super) async fn tend(&self, name: &HostPattern, why: Why) -> (Outcome, SystemTime) {
        match Box::pin(self.try_tend(name, why)).await {
            Ok(done) => {
                let storage = self.storage.clone();
                self.listener.hear(Event::StorageReachable { storage });
                done
            }
            Err(error) => {
                self.figures.storage_failed();
                let again = self.clock.now() + LATER;
                tracing::error!(%name, error = &error as &dyn std::error::Error, "the storage cannot be used: nothing is ordered, what is loaded is served on");
                let problem = error.to_string();
                self.listener.hear(Event::StorageUnreachable {
                    storage: self.storage.clone(),
                    problem: problem.clone(),
                });
                (Outcome::Failed { problem, again }, again)
            }
        }
    }

    /// Puts what is kept of these names on the shelf as far as there is room, so that they are served from the first handshake on. A
    /// name that cannot be read is told of, and holds up none.
    pub async fn load(&self, names: &[HostPattern]) {
        for name in names {
            if self.shelf.place(name).generation().is_some() {
                continue;
            }
            if self.shelf.is_full() {
                self.shelf.leave_away(name);
            } else if let Err(error) = self.look(name, &CertId::of(name), Wish::Passing).await {
                tracing::error!(%name, error = &error as &dyn std::error::Error, "a stored certificate cannot be read");
            }
        }
    }

    /// What is kept of a name, on the shelf from now on.
    pub(super) async fn look(
        &self,
        name: &HostPattern,
        id: &CertId,
        wish: Wish,
    ) -> Result<Option<Ready>, VaultError> {
        let found = self.vault.bundle(id).await?;
        for fault in &found.faults {
            tracing::warn!(%name, "a stored certificate is not used: {fault}");
        }
        let ready = found.ready.filter(|ready| ready.covers(name).is_ok());
        if let Some(ready) = &ready {
            let known = self.shelf.place(name).generation();
            if known != Some(ready.bundle.generation) {
                self.shelf.put(name, ready, wish);
            }
        } else {
            self.shelf.place(name).is_nowhere();
        }
        Ok(ready)
    }

    async fn try_tend(
        &self,
        name: &HostPattern,
        why: Why,
    ) -> Result<(Outcome, SystemTime), VaultError> {
        let id = CertId::of(name);
        let wish = match why {
            Why::Time => Wish::Passing,
            Why::Asked | Why::Demanded => Wish::Needed,
        };
        let ready = self.look(name, &id, wish).await?;
        let mut state = self.vault.state(&id).await?;
        if let Some(ready) = &ready {
            if state.generation != ready.bundle.generation {
                state = anew(&state, ready);
                self.vault.save_state(&id, &state).await?;
            }
            let now = self.clock.now();
            if state.rest.take_if(|rest| now < rest.start).is_some() {
                // The clock was put right.
                self.vault.save_state(&id, &state).await?;
            }
            self.seek_advice(&id, ready, &mut state).await?;
            self.tell_age(name, &id, ready, &mut state).await?;
        }
        let now = self.clock.now();
        if why != Why::Asked {
            if let Some(ready) = &ready
                && due(ready, &state, now) > now
            {
                return Ok((Outcome::fine(ready), next_look(ready, &state, now)));
            }
            let failures = state.failures.as_ref();
            if let Some(failures) = failures.filter(|failures| failures.concerns(&self.tried()))
                && failures.due(now) > now
            {
                return Ok((Outcome::failed(failures), failures.due(now)));
            }
        }
        self.order_alone(name, &id, ready, &state, why).await
    }

    /// Orders under the name's lease; not if somebody else does, or just did.
    async fn order_alone(
        &self,
        name: &HostPattern,
        id: &CertId,
        seen: Option<Ready>,
        state: &State,
        why: Why,
    ) -> Result<(Outcome, SystemTime), VaultError> {
        let key = Key::new(&format!("cert-{}", id.as_str())).map_err(VaultError::Key)?;
        let Some(lease) = self.vault.store().lease(&key, LEASE_TIME).await? else {
            return Ok((Outcome::Busy, self.clock.now() + LATER));
        };
        let generation =
            |ready: &Option<Ready>| ready.as_ref().map(|ready| ready.bundle.generation);
        let ready = self.look(name, id, Wish::Passing).await?;
        if generation(&ready) != generation(&seen) {
            return Ok((Outcome::Busy, self.clock.now()));
        }
        let attempt = Attempt {
            works: self,
            name,
            id,
            old: ready.as_ref(),
            state,
            why,
            lease: Mutex::new(lease),
        };
        let tried = self.tried();
        let issued = Box::pin(attempt.issue_alive()).await;
        let lease = attempt.lease.into_inner();
        let kept = match issued {
            Ok(issued) => self.keep(name, id, ready.as_ref(), issued, &lease).await?,
            Err(error) => Err(error),
        };
        match kept {
            Ok(fresh) => self.welcome(name, id, &fresh, lease).await,
            Err(error) => self.regret(name, id, ready.as_ref(), &error, &tried).await,
        }
    }

    async fn tell_age(
        &self,
        name: &HostPattern,
        id: &CertId,
        ready: &Ready,
        state: &mut State,
    ) -> Result<(), VaultError> {
        let crossed = schedule::newly_expiring(&ready.validity(), state.told, self.clock.now());
        let Some(left) = crossed else {
            return Ok(());
        };
        self.listener.hear(Event::Expiring {
            certificate: name.to_string(),
            names: ready.bundle.names.clone(),
            left: match left {
                Expiring::Third => Left::Third,
                Expiring::Tenth => Left::Tenth,
                Expiring::Fiftieth => Left::Fiftieth,
            },
            not_after: ready.facts.not_after,
        });
        state.told = Some(left);
        self.vault.save_state(id, state).await
    }
}
