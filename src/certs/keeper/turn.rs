//! One look after one name: load, judge, and order if its time has come. Everything is read from the store again, so it does not
//! matter who did what before.

use std::collections::BTreeSet;
use std::sync::Mutex as SyncMutex;
use std::time::{Duration, SystemTime};

use tokio::sync::Mutex;

use crate::certs::acme::account::Ca;
use crate::certs::acme::fault::{OrderError, Side};
use crate::certs::acme::journal::Journal;
use crate::certs::acme::name::CertName;
use crate::certs::acme::options::CaOptions;
use crate::certs::acme::request::{Issued, OrderRequest};
use crate::certs::acme::seams::{BoxFuture, JournalKeeper, KeepError};
use crate::certs::alerts::Event;
use crate::certs::bundle::{Bundle, Origin, Ready};
use crate::certs::keeper::Outcome;
use crate::certs::keeper::solver::Answers;
use crate::certs::keeper::works::{Works, refused};
use crate::certs::ledger::limits::Limits;
use crate::certs::ledger::order::Purpose;
use crate::certs::ledger::block::Scope;
use crate::certs::retry::{Class, Failures, next_try};
use crate::certs::schedule::{self, Validity};
use crate::certs::vault::{CertId, State, Vault, VaultError};
use crate::hostname::HostPattern;
use crate::storage::store::{Key, Lease};

/// Between two tries while the store cannot be used, or somebody else is at it.
const LATER: Duration = Duration::from_secs(30);
/// Between two looks while ordering is held.
const HELD: Duration = Duration::from_secs(60 * 60);
/// How long a lease lasts without being renewed, where a store cannot tell that its holder lives.
const LEASE_TIME: Duration = Duration::from_secs(60);

/// Why a name is looked after now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    Time,
    /// Somebody asked for a renewal.
    Asked,
}

impl Works {
    /// Looks after a name; says what came of it and when to look again.
    pub(super) async fn tend(&self, name: &HostPattern, why: Why) -> (Outcome, SystemTime) {
        match self.try_tend(name, why).await {
            Ok(done) => done,
            Err(error) => {
                let again = self.clock.now() + LATER;
                tracing::error!(%name, error = &error as &dyn std::error::Error, "the storage cannot be used: nothing is ordered, what is loaded is served on");
                let problem = error.to_string();
                self.alerts.tell(Event::StorageUnreachable { problem: problem.clone() });
                (Outcome::Failed { problem, again }, again)
            }
        }
    }

    async fn try_tend(&self, name: &HostPattern, why: Why) -> Result<(Outcome, SystemTime), VaultError> {
        let id = CertId::of(name);
        let mut ready = self.look(name, &id).await?;
        let mut state = self.vault.state(&id).await?;
        if let Some(ready) = &ready {
            self.ask_for_window(&id, ready, &mut state).await?;
            let due = due(ready, &state);
            self.tell_age(name, ready);
            if due > self.clock.now() && why == Why::Time {
                return Ok((fine(ready), self.next_look(due, &state)));
            }
        }
        if let (Some(failures), Why::Time) = (&state.failures, why)
            && failures.retry_at > self.clock.now()
        {
            return Ok((failed(failures), failures.retry_at));
        }
        let key = Key::new(&format!("cert-{}", id.as_str())).map_err(VaultError::Key)?;
        let Some(lease) = self.vault.store().lease(&key, LEASE_TIME).await? else {
            return Ok((Outcome::Busy, self.clock.now() + LATER));
        };
        // Somebody may have done it between the look and the lease.
        let before = ready.as_ref().map(|ready| ready.bundle.generation);
        ready = self.look(name, &id).await?;
        if ready.as_ref().map(|ready| ready.bundle.generation) != before {
            return Ok((Outcome::Busy, self.clock.now()));
        }
        let turn = Turn {
            works: self,
            name,
            id: &id,
            old: ready.as_ref(),
            state: &state,
            why,
            lease: Mutex::new(lease),
        };
        let issued = turn.issue_alive().await;
        self.conclude(turn, issued).await
    }

    /// What is kept of a name, on the shelf from now on.
    async fn look(&self, name: &HostPattern, id: &CertId) -> Result<Option<Ready>, VaultError> {
        let found = self.vault.bundle(id).await?;
        for fault in &found.faults {
            tracing::warn!(%name, "a stored certificate is not used: {fault}");
        }
        let ready = found.ready.filter(|ready| ready.covers(name).is_ok());
        if let Some(ready) = &ready {
            let place = self.shelf.place(name);
            let known = place.ready().map(|known| known.bundle.generation);
            if known != Some(ready.bundle.generation) {
                place.put(ready.clone());
            }
        }
        Ok(ready)
    }

    async fn ask_for_window(&self, id: &CertId, ready: &Ready, state: &mut State) -> Result<(), VaultError> {
        let now = self.clock.now();
        let is_known = state.ari.as_ref().is_some_and(|ari| ari.retry_at > now);
        let options = self.options();
        let ca = options.cas.iter().find(|ca| ca.directory == ready.bundle.directory);
        let (Some(ca), false) = (ca, is_known || now >= ready.facts.not_after || options.held.is_some()) else {
            return Ok(());
        };
        let Ok(ca) = self.ca(ca).await else {
            return Ok(());
        };
        let leaf = ready.certified.cert.first().map_or(&[][..], |leaf| leaf);
        if let Some(ari) = ca.renewal_info(leaf, state.ari.as_ref()).await {
            if let Some(url) = ari.explanation.as_ref().filter(|_url| state.ari.as_ref().map(|old| &old.window) != Some(&ari.window)) {
                tracing::warn!(id = id.as_str(), url, "the CA explains why a certificate shall be renewed");
            }
            state.ari = Some(ari);
            self.vault.save_state(id, state).await?;
        }
        Ok(())
    }

    /// Stores what was issued, or remembers why nothing was.
    async fn conclude(
        &self,
        turn: Turn<'_>,
        issued: Result<Issued, OrderError>,
    ) -> Result<(Outcome, SystemTime), VaultError> {
        let Turn { name, id, old, state, lease, .. } = turn;
        let lease = lease.into_inner();
        let kept = match issued {
            Ok(issued) => self.keep(name, id, old, issued, &lease).await?,
            Err(error) => Err(error),
        };
        match kept {
            Ok(ready) => {
                let mut state = State::default();
                self.vault.save_state(id, &state).await?;
                drop(lease);
                self.ask_for_window(id, &ready, &mut state).await?;
                self.alerts.tell(Event::renewed(name, &ready));
                let until = ready.facts.not_after;
                tracing::info!(%name, until = %jiff_day(until), "certificate issued");
                let next = self.next_look(due(&ready, &state), &state);
                Ok((Outcome::Renewed { generation: ready.bundle.generation, until }, next))
            }
            Err(error) => {
                let failures = self.failures(old, state, &error);
                tracing::warn!(%name, class = ?error.class, again = %jiff_day(failures.retry_at), "no certificate: {}", error.problem);
                self.alerts.tell(Event::failed(name, old, &error, &failures));
                let outcome = failed(&failures);
                let again = failures.retry_at;
                let state = State { failures: Some(failures), ari: state.ari.clone() };
                self.vault.save_state(id, &state).await?;
                Ok((outcome, again))
            }
        }
    }

    async fn keep(
        &self,
        name: &HostPattern,
        id: &CertId,
        old: Option<&Ready>,
        issued: Issued,
        lease: &Lease,
    ) -> Result<Result<Ready, OrderError>, VaultError> {
        let origin = Origin {
            generation: old.map_or(1, |old| old.bundle.generation + 1),
            directory: &issued.ca,
            profile: issued.profile.as_deref(),
        };
        let made = Bundle::of(issued.chain_pem, issued.key_pem, origin, self.clock.now());
        let made = made.and_then(|ready| ready.covers(name).map(|()| ready));
        let ready = match made {
            Ok(ready) => ready,
            Err(unservable) => {
                let problem = format!("the CA's certificate cannot be served: {unservable}");
                return Ok(Err(OrderError::new(Class::Human, Side::Ca, problem)));
            }
        };
        self.vault.keep(id, &ready, lease).await?;
        self.vault.save_journal(id, &Journal::Idle, lease).await?;
        self.shelf.place(name).put(ready.clone());
        let limits = Limits::of(origin.directory);
        let names = BTreeSet::from([name.to_string()]);
        let noted = self.ledgers.change(origin.directory, |ledger, now| {
            ledger.issued(limits, &names, now);
            Ok(())
        });
        if let Err(error) = noted.await {
            tracing::warn!(%name, %error, "the ledger does not know of a new certificate");
        }
        Ok(Ok(ready))
    }

    fn failures(&self, old: Option<&Ready>, state: &State, error: &OrderError) -> Failures {
        let count = state.failures.as_ref().map_or(0, |failures| failures.count) + 1;
        let validity = old.map(validity);
        let retry_at = next_try(error.class, count, error.retry_after, validity.as_ref(), self.clock.now(), fastrand::u64(..));
        Failures {
            count,
            class: error.class,
            retry_at,
            detail: error.problem.clone(),
        }
    }

    fn next_look(&self, due: SystemTime, state: &State) -> SystemTime {
        state.ari.as_ref().map_or(due, |ari| due.min(ari.retry_at))
    }

    fn tell_age(&self, name: &HostPattern, ready: &Ready) {
        if let Some(threshold) = schedule::crossed(&validity(ready), self.clock.now()) {
            self.alerts.tell(Event::expiring(name, ready, threshold));
        }
    }
}

/// One name's order.
struct Turn<'a> {
    works: &'a Works,
    name: &'a HostPattern,
    id: &'a CertId,
    old: Option<&'a Ready>,
    state: &'a State,
    why: Why,
    lease: Mutex<Lease>,
}

impl Turn<'_> {
    /// Orders while the lease is kept alive.
    async fn issue_alive(&self) -> Result<Issued, OrderError> {
        let alive = async {
            loop {
                tokio::time::sleep(LEASE_TIME / 3).await;
                if let Err(error) = self.lease.lock().await.renew().await {
                    return OrderError::new(Class::Transient, Side::Storage, error.to_string());
                }
            }
        };
        tokio::select! {
            issued = self.issue() => issued,
            lost = alive => Err(lost),
        }
    }

    /// Asks the CAs in turn, as long as it is the CA that fails.
    async fn issue(&self) -> Result<Issued, OrderError> {
        let options = self.works.options();
        let mut last = OrderError::new(Class::Human, Side::Options, "no CA is configured");
        for ca in &options.cas {
            last = match self.issue_at(ca).await {
                Ok(issued) => return Ok(issued),
                Err(error) => error,
            };
            if !is_the_cas(&last) {
                break;
            }
        }
        Err(last)
    }

    async fn issue_at(&self, options: &CaOptions) -> Result<Issued, OrderError> {
        if let Some(held) = &self.works.options().held {
            return Err(OrderError {
                retry_after: Some(HELD),
                ..OrderError::new(Class::Human, Side::Options, held.clone())
            });
        }
        let journal = self.works.vault.journal(self.id).await.map_err(|error| storage(&error))?;
        let journal = match journal.plan() {
            Some(plan) if plan.ca == options.directory => journal,
            // Of a CA that is not asked any more, or not now: its order dies of itself.
            Some(_) | None => Journal::Idle,
        };
        let names = BTreeSet::from([self.name.to_string()]);
        let purpose = self.purpose();
        let admitted = self.works.clock.now();
        if matches!(journal, Journal::Idle) || journal.needs_order() {
            let limits = Limits::of(&options.directory);
            let change = self.works.ledgers.change(&options.directory, |ledger, now| ledger.admit(limits, &names, purpose, now));
            change.await.map_err(|error| refused(error, &self.works.clock))?;
        }
        let ca = self.works.ca(options).await?;
        let outcome = self.order(&ca, journal).await;
        if let Err(error) = &outcome {
            self.note_failure(&options.directory, &names, error, admitted).await;
        }
        outcome
    }

    async fn order(&self, ca: &Ca, journal: Journal) -> Result<Issued, OrderError> {
        let options = self.works.options();
        let answers = Answers {
            challenges: self.works.challenges.clone(),
            dns: options.dns.clone(),
            clock: self.works.clock.clone(),
            published: SyncMutex::default(),
        };
        let mut keeper = Keeping {
            vault: &self.works.vault,
            id: self.id,
            lease: &self.lease,
        };
        if matches!(journal, Journal::Idle) {
            let request = OrderRequest {
                names: CertName::of(self.name).into_iter().collect(),
                replaces: self.replaces(ca),
                profile: None,
                challenges: options.challenges.clone(),
            };
            ca.order(&request, &answers, &mut keeper).await
        } else {
            ca.resume(journal, &answers, &mut keeper).await
        }
    }

    /// The certificate that this order replaces, if this CA made it.
    fn replaces(&self, ca: &Ca) -> Option<String> {
        let old = self.old.filter(|old| old.bundle.directory == ca.directory_url())?;
        crate::certs::acme::ari::certificate_id(old.certified.cert.first()?)
    }

    fn purpose(&self) -> Purpose {
        let now = self.works.clock.now();
        let window = self.state.ari.as_ref().and_then(|ari| ari.window.as_ref());
        match (self.old, window, self.why) {
            (Some(_), Some(window), _) if window.start <= now && now < window.end => Purpose::AriRenewal,
            (_, _, Why::Asked) => Purpose::Forced,
            (Some(old), _, Why::Time) if schedule::is_urgent(&validity(old), now) => Purpose::Forced,
            (Some(_), _, Why::Time) => Purpose::Renewal,
            (None, _, Why::Time) => Purpose::New,
        }
    }

    /// The ledger learns what the CA counts, and what it asked us to wait for.
    async fn note_failure(&self, directory: &str, names: &BTreeSet<String>, error: &OrderError, admitted: SystemTime) {
        let limits = Limits::of(directory);
        let noted = self.works.ledgers.change(directory, |ledger, now| {
            if error.side == Side::Ca {
                for (name, _words) in &error.names {
                    ledger.authorization_failed(limits, name, now);
                }
            }
            if let (Class::Limited, Some(wait)) = (error.class, error.retry_after) {
                ledger.blocked(limits, &Scope::Names(names.clone()), now + wait, &error.problem, now);
            }
            ledger.not_issued(limits, names, admitted, now);
            Ok(())
        });
        if let Err(error) = noted.await {
            tracing::warn!(name = %self.name, %error, "the ledger does not know of a failure");
        }
    }
}

/// Keeps the journal of a name under its lease.
struct Keeping<'a> {
    vault: &'a Vault,
    id: &'a CertId,
    lease: &'a Mutex<Lease>,
}

impl JournalKeeper for Keeping<'_> {
    fn save<'b>(&'b mut self, journal: &'b Journal) -> BoxFuture<'b, Result<(), KeepError>> {
        Box::pin(async move {
            let lease = self.lease.lock().await;
            let saved = self.vault.save_journal(self.id, journal, &lease).await;
            saved.map_err(|error| KeepError(error.into()))
        })
    }
}

/// Whether another CA may do better.
fn is_the_cas(error: &OrderError) -> bool {
    match error.side {
        Side::Ca => error.class != Class::Validation,
        Side::Network => true,
        Side::Options => error.class == Class::Limited,
        Side::Storage | Side::Solver => false,
    }
}

fn due(ready: &Ready, state: &State) -> SystemTime {
    let window = state.ari.as_ref().and_then(|ari| ari.window.as_ref());
    let salt = ready.certified.cert.first().map_or(&[][..], |leaf| leaf);
    schedule::renewal_point(&validity(ready), window, salt)
}

fn validity(ready: &Ready) -> Validity {
    Validity {
        not_before: ready.facts.not_before,
        not_after: ready.facts.not_after,
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

fn storage(error: &VaultError) -> OrderError {
    OrderError::new(Class::Transient, Side::Storage, error.to_string())
}

fn jiff_day(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time).map_or_else(|_far| "never".to_owned(), |time| time.strftime("%F %T UTC").to_string())
}
