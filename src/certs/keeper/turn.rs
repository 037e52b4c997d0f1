//! One look after one name: load, judge, and order if its time has come. Everything is read from the store again, so it does not
//! matter who did what before.

use std::time::{Duration, SystemTime};

use tokio::sync::Mutex;

use crate::certs::alerts::event::{Event, Left};
use crate::certs::bundle::Ready;
use crate::certs::keeper::Outcome;
use crate::certs::keeper::due::{anew, due, next_look, rests};
use crate::certs::keeper::issue::Attempt;
use crate::certs::keeper::options::Role;
use crate::certs::keeper::tenure::LEASE_TIME;
use crate::certs::keeper::works::Works;
use crate::certs::schedule::{self, Expiring};
use crate::certs::shelf::Wish;
use crate::certs::vault::{CertId, State, VaultError};
use crate::hostname::HostPattern;
use crate::storage::store::{Key, StoreError};

/// Between two tries while the store cannot be used, or somebody else is at it.
const LATER: Duration = Duration::from_secs(30);

/// Between two looks at what others renew; news of it comes at once.
const LOOK_AGAIN: Duration = Duration::from_secs(60 * 60);

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
        let (outcome, next) = match Box::pin(self.try_tend(name, why)).await {
            Ok(done) => {
                self.storage_serves();
                done
            }
            Err(VaultError::Store(StoreError::Fenced)) => {
                tracing::warn!(%name, "somebody else took over what was done here");
                (Outcome::Busy, self.clock.now() + LATER)
            }
            Err(VaultError::WentBack) => {
                tracing::debug!(%name, "the storage is older than what is served");
                (Outcome::Busy, self.clock.now() + LATER)
            }
            Err(error) => self.without_store(name, why, &error).await,
        };
        (outcome, self.or_its_end(name, next))
    }

    async fn without_store(
        &self,
        name: &HostPattern,
        why: Why,
        error: &VaultError,
    ) -> (Outcome, SystemTime) {
        self.figures.storage_failed();
        let again = self.clock.now() + LATER;
        tracing::debug!(%name, "it is not tended while the storage cannot be used");
        self.storage_fails(error);
        let problem = error.to_string();
        let waits = why == Why::Demanded && !self.shelf.has(name);
        if waits && let Err(error) = self.show_last_good(name, Wish::Needed).await {
            tracing::debug!(%name, error = &error as &dyn std::error::Error, "nothing was seen of it before");
        }
        (Outcome::Failed { problem, again }, again)
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
        if self.options().role == Role::ServeOnly {
            return Ok(self.serve_only(ready.as_ref()));
        }
        let mut state = self.vault.state(&id).await?;
        if let Some(ready) = &ready {
            state = self.keep_up(&id, ready, state).await?;
            self.seek_advice(&id, ready, &mut state).await?;
            self.tell_age(name, &id, ready, &mut state).await?;
        }
        let now = self.clock.now();
        if why != Why::Asked {
            if let Some(ready) = &ready
                && let due = due(ready, &state, now)
                && due > now
            {
                // Who was not asked although it is time is none that is asked now: a CA that is gone from the configuration.
                let look = next_look(ready, &state, now);
                let look = if look > now { look } else { due };
                return Ok((Outcome::fine(ready), look));
            }
            let failures = state.failures.as_ref();
            if let Some(failures) = failures.filter(|failures| failures.concerns(&self.tried()))
                && failures.due(now) > now
            {
                return Ok((Outcome::failed(failures), failures.due(now)));
            }
        }
        self.order_alone(name, &id, (ready, state), why).await
    }

    /// Somebody else orders and renews; what they made is served.
    fn serve_only(&self, ready: Option<&Ready>) -> (Outcome, SystemTime) {
        let now = self.clock.now();
        let outcome = ready.map_or(Outcome::Busy, Outcome::fine);
        let pause = if ready.is_some() { LOOK_AGAIN } else { LATER };
        (outcome, now + pause)
    }

    /// What is remembered, as far as it is about the bundle in service and the clock is right.
    async fn keep_up(&self, id: &CertId, ready: &Ready, state: State) -> Result<State, VaultError> {
        let now = self.clock.now();
        let generation = ready.bundle.generation;
        let is_over = |state: &State| {
            (state.rest.as_ref()).is_some_and(|rest| now < rest.start && !rests(rest, now))
        };
        if state.generation == generation && !is_over(&state) {
            return Ok(state);
        }
        let kept = self.vault.change_state(id, |state| {
            let is_old = state.generation != generation;
            if is_old {
                *state = anew(state, ready);
            }
            // The clock was put right.
            let was_wrong = is_over(state);
            if was_wrong {
                state.rest = None;
            }
            is_old || was_wrong
        });
        let (state, _was_changed) = kept.await?;
        Ok(state)
    }

    /// Orders under the name's lease; not if somebody else does, or just tried.
    async fn order_alone(
        &self,
        name: &HostPattern,
        id: &CertId,
        (seen, judged): (Option<Ready>, State),
        why: Why,
    ) -> Result<(Outcome, SystemTime), VaultError> {
        let key = Key::new(&format!("cert-{}", id.as_str())).map_err(VaultError::Key)?;
        let Some(lease) = self.vault.store().lease(&key, LEASE_TIME).await? else {
            return Ok((Outcome::Busy, self.clock.now() + LATER));
        };
        let generation =
            |ready: &Option<Ready>| ready.as_ref().map(|ready| ready.bundle.generation);
        let ready = self.look(name, id, Wish::Passing).await?;
        let state = self.vault.state(id).await?;
        // Whoever had the lease until now may have succeeded, or failed; then everything is judged anew.
        let is_new = generation(&ready) != generation(&seen);
        if is_new || state.failures != judged.failures {
            return Ok((Outcome::Busy, self.clock.now()));
        }
        let attempt = Attempt {
            works: self,
            name,
            id,
            old: ready.as_ref(),
            state: &state,
            why,
            lease: Mutex::new(lease),
        };
        let tried = self.tried();
        let issued = Box::pin(attempt.issue_alive()).await;
        self.leave_answers(name);
        let Some(issued) = issued else {
            tracing::warn!(%name, "the lease could not be renewed: ordering goes on once it is ours again");
            return Ok((Outcome::Busy, self.clock.now() + LATER));
        };
        let lease = attempt.lease.into_inner();
        let kept = match issued {
            Ok(issued) => self.keep(name, id, ready.as_ref(), issued, &lease).await?,
            Err(error) => Err(error),
        };
        match kept {
            Ok(fresh) => self.welcome(name, id, &fresh, lease).await,
            Err(error) => {
                let failure = (&error, tried.as_str());
                self.regret(name, id, ready.as_ref(), failure, &lease).await
            }
        }
    }

    /// What a CA may still ask for is in a shared store: whoever goes on with the order may have something else to say, and this
    /// host must not answer otherwise.
    fn leave_answers(&self, name: &HostPattern) {
        if let HostPattern::Exact(name) = name
            && self.vault.store().is_shared()
        {
            self.challenges.remove_alpn(name);
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
        let (stored, is_news) = self
            .vault
            .change_state(id, |stored| {
                let is_news = stored.told < Some(left);
                if is_news {
                    stored.told = Some(left);
                }
                is_news
            })
            .await?;
        *state = stored;
        if !is_news {
            return Ok(());
        }
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
        Ok(())
    }
}
