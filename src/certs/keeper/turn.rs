//! One look after one name: load, judge, and order if its time has come. Everything is read from the store again, so it does not
//! matter who did what before.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use tokio::sync::Mutex;

use crate::certs::acme::fault::{OrderError, Side};
use crate::certs::acme::journal::Journal;
use crate::certs::acme::request::Issued;
use crate::certs::alerts::event::{Bucket, Event, FailureKind, Left};
use crate::certs::bundle::{Bundle, Origin, Ready};
use crate::certs::keeper::Outcome;
use crate::certs::keeper::due::{anew, due, next_look};
use crate::certs::keeper::issue::{LEASE_TIME, Turn};
use crate::certs::keeper::works::Works;
use crate::certs::ledger::limits::Limits;
use crate::certs::ledger::report::BucketReport;
use crate::certs::retry::{Class, Failure, Failures};
use crate::certs::schedule::{self, Expiring};
use crate::certs::shelf::Wish;
use crate::certs::vault::{CertId, State, VaultError};
use crate::hostname::HostPattern;
use crate::storage::store::{Key, Lease};

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
                return Ok((fine(ready), next_look(ready, &state, now)));
            }
            let failures = state.failures.as_ref();
            if let Some(failures) = failures.filter(|failures| failures.concerns(&self.tried()))
                && failures.due(now) > now
            {
                return Ok((failed(failures), failures.due(now)));
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
        let turn = Turn {
            works: self,
            name,
            id,
            old: ready.as_ref(),
            state,
            why,
            lease: Mutex::new(lease),
        };
        let tried = self.tried();
        let issued = Box::pin(turn.issue_alive()).await;
        let lease = turn.lease.into_inner();
        let kept = match issued {
            Ok(issued) => self.keep(name, id, ready.as_ref(), issued, &lease).await?,
            Err(error) => Err(error),
        };
        match kept {
            Ok(fresh) => self.welcome(name, id, &fresh, lease).await,
            Err(error) => self.regret(name, id, ready.as_ref(), &error, &tried).await,
        }
    }

    /// Stores what was issued and puts it on the shelf. What cannot be served is refused, and the old one stays.
    async fn keep(
        &self,
        name: &HostPattern,
        id: &CertId,
        old: Option<&Ready>,
        issued: Issued,
        lease: &Lease,
    ) -> Result<Result<Ready, OrderError>, VaultError> {
        let directory = issued.ca;
        let origin = Origin {
            generation: old.map_or(1, |old| old.bundle.generation + 1),
            directory: &directory,
            profile: issued.profile.as_deref(),
        };
        let made = Bundle::of(issued.chain_pem, issued.key_pem, origin, self.clock.now());
        let made = made.and_then(|ready| ready.covers(name).map(|()| ready));
        let ready = match made {
            Ok(ready) => ready,
            Err(unservable) => {
                self.vault.save_journal(id, &Journal::Idle, lease).await?;
                let problem = format!("the CA's certificate cannot be served: {unservable}");
                return Ok(Err(OrderError::new(Class::Human, Side::Ca, problem)));
            }
        };
        self.vault.keep(id, &ready, lease).await?;
        self.shelf.put(name, &ready, Wish::Needed);
        self.vault.save_journal(id, &Journal::Idle, lease).await?;
        self.note_issued(name, &directory).await;
        Ok(Ok(ready))
    }

    async fn note_issued(&self, name: &HostPattern, directory: &str) {
        let limits = Limits::of(directory);
        let names = BTreeSet::from([name.to_string()]);
        let mut buckets = Vec::new();
        let noted = self.ledgers.change(directory, |ledger, now| {
            ledger.issued(limits, &names, now);
            buckets = ledger.report(limits, now).buckets;
            Ok(())
        });
        if let Err(error) = noted.await {
            tracing::warn!(%name, %error, "the ledger does not know of a new certificate");
        }
        for bucket in &buckets {
            self.listener.hear(quota(directory, bucket));
        }
    }

    async fn welcome(
        &self,
        name: &HostPattern,
        id: &CertId,
        ready: &Ready,
        lease: Lease,
    ) -> Result<(Outcome, SystemTime), VaultError> {
        let mut state = anew(&self.vault.state(id).await?, ready);
        self.vault.save_state(id, &state).await?;
        // Nobody needs to wait for what follows.
        drop(lease);
        self.figures.issued();
        let until = ready.facts.not_after;
        tracing::info!(%name, until = %minute(until), ca = ready.bundle.directory, "certificate issued");
        self.listener.hear(Event::Renewed {
            certificate: name.to_string(),
            names: ready.bundle.names.clone(),
            ca: ready.bundle.directory.clone(),
            not_after: until,
        });
        self.seek_advice(id, ready, &mut state).await?;
        let generation = ready.bundle.generation;
        Ok((
            Outcome::Renewed { generation, until },
            next_look(ready, &state, self.clock.now()),
        ))
    }

    async fn regret(
        &self,
        name: &HostPattern,
        id: &CertId,
        old: Option<&Ready>,
        error: &OrderError,
        tried: &str,
    ) -> Result<(Outcome, SystemTime), VaultError> {
        self.figures.failed(error.class);
        let mut state = self.vault.state(id).await?;
        let failure = Failure {
            class: error.class,
            retry_after: error.retry_after,
            detail: &error.problem,
            tried,
        };
        let validity = old.map(Ready::validity);
        let now = self.clock.now();
        let failures = Failures::after(
            state.failures.as_ref(),
            failure,
            validity.as_ref(),
            now,
            fastrand::u64(..),
        );
        let again = failures.retry_at;
        tracing::warn!(%name, class = ?error.class, again = %minute(again), "no certificate: {}", error.problem);
        let ca = self
            .options()
            .cas
            .first()
            .map_or_else(String::new, |ca| ca.directory.clone());
        self.listener.hear(Event::Failed {
            certificate: name.to_string(),
            names: vec![name.to_string()],
            ca,
            kind: kind(error.class),
            problem: error.problem.clone(),
            failures: failures.count,
            next_try: again,
            not_after: old.map(|old| old.facts.not_after),
        });
        let outcome = failed(&failures);
        state.failures = Some(failures);
        if error.side == Side::Options && error.class == Class::Limited {
            // Refused before anything was spent.
            state.admitted = None;
        }
        self.vault.save_state(id, &state).await?;
        Ok((outcome, again))
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

fn fine(ready: &Ready) -> Outcome {
    Outcome::Fine {
        generation: ready.bundle.generation,
        until: ready.facts.not_after,
    }
}

fn failed(failures: &Failures) -> Outcome {
    Outcome::Failed {
        problem: failures.detail.clone(),
        again: failures.retry_at,
    }
}

fn quota(directory: &str, report: &BucketReport) -> Event {
    let bucket = Bucket {
        ca: directory.to_owned(),
        limit: report.limit.key().to_owned(),
        subject: report.subject.clone(),
    };
    match report.refills_at.filter(|_some| report.is_low()) {
        None => Event::QuotaRefilled { bucket },
        Some(refills_at) => Event::QuotaLow {
            bucket,
            left: report.left.into(),
            of: report.of.into(),
            refills_at,
        },
    }
}

fn kind(class: Class) -> FailureKind {
    match class {
        Class::Transient => FailureKind::Transient,
        Class::Limited => FailureKind::Limited,
        Class::Human => FailureKind::Human,
        Class::Validation => FailureKind::Validation,
    }
}

fn minute(time: SystemTime) -> String {
    let time = Timestamp::try_from(time).map(|time| time.strftime("%F %H:%M UTC").to_string());
    time.unwrap_or_else(|_far| "never".to_owned())
}
