//! What comes of an order: a new certificate in service, or a failure that is remembered with the time of the next try.

use std::collections::BTreeSet;
use std::time::SystemTime;

use crate::certs::acme::fault::{OrderError, Side};
use crate::certs::acme::journal::Journal;
use crate::certs::acme::request::Issued;
use crate::certs::alerts::event::{Bucket, Event, FailureKind};
use crate::certs::bundle::{Bundle, Origin, Ready};
use crate::certs::keeper::Outcome;
use crate::certs::keeper::due::{anew, next_look};
use crate::certs::keeper::works::Works;
use crate::certs::ledger::instant::minute;
use crate::certs::ledger::limits::Limits;
use crate::certs::ledger::report::BucketReport;
use crate::certs::retry::{Class, Failure, Failures};
use crate::certs::shelf::Wish;
use crate::certs::vault::{CertId, VaultError};
use crate::hostname::HostPattern;
use crate::storage::store::Lease;

impl Works {
    /// Stores what was issued and puts it on the shelf. What cannot be served is refused, and the old one stays.
    pub(super) async fn keep(
        &self,
        name: &HostPattern,
        id: &CertId,
        old: Option<&Ready>,
        issued: Issued,
        lease: &Lease,
    ) -> Result<Result<Ready, OrderError>, VaultError> {
        let directory = issued.ca;
        // What this process shows may be from a later state of the store.
        let shown = self.shelf.place(name).generation();
        let origin = Origin {
            generation: old
                .map(|old| old.bundle.generation)
                .max(shown)
                .map_or(1, |last| last + 1),
            directory: &directory,
            profile: issued.profile.as_deref(),
        };
        let made = Bundle::of(issued.chain_pem, issued.key_pem, origin, self.clock.now());
        let made = made.and_then(|ready| ready.covers(name).map(|()| ready));
        let made = made.map(|ready| ready.ordered_by(self.host.clone()));
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

    pub(super) async fn welcome(
        &self,
        name: &HostPattern,
        id: &CertId,
        ready: &Ready,
        lease: Lease,
    ) -> Result<(Outcome, SystemTime), VaultError> {
        let mut state = anew(&self.vault.state(id).await?, ready);
        self.vault.save_state(id, &state, &lease).await?;
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

    pub(super) async fn regret(
        &self,
        name: &HostPattern,
        id: &CertId,
        old: Option<&Ready>,
        (error, tried): (&OrderError, &str),
        lease: &Lease,
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
        let outcome = Outcome::failed(&failures);
        state.failures = Some(failures);
        if error.side == Side::Options && error.class == Class::Limited {
            // Refused before anything was spent.
            state.admitted = None;
        }
        self.vault.save_state(id, &state, lease).await?;
        Ok((outcome, again))
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
