//! Getting one certificate: from the CAs in turn, past the ledger, along the journal.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use tokio::sync::Mutex;

use crate::certs::acme::ari::certificate_id;
use crate::certs::acme::ca::Ca;
use crate::certs::acme::fault::{OrderError, Side};
use crate::certs::acme::journal::Journal;
use crate::certs::acme::name::CertName;
use crate::certs::acme::options::CaOptions;
use crate::certs::acme::request::{ChallengeKind, Issued, OrderRequest};
use crate::certs::acme::seams::{BoxFuture, JournalKeeper, KeepError};
use crate::certs::acme::solver::Solver as _;
use crate::certs::bundle::Ready;
use crate::certs::keeper::solver::Answers;
use crate::certs::keeper::tenure::hold_on;
use crate::certs::keeper::turn::Why;
use crate::certs::keeper::works::Works;
use crate::certs::retry::Class;
use crate::certs::vault::{CertId, State, Vault, VaultError};
use crate::hostname::HostPattern;
use crate::storage::store::Lease;

/// Between two looks while ordering is held.
const HELD: Duration = Duration::from_secs(60 * 60);
/// Failures in a row after which another CA is asked, although the first may still send what it was asked for.
const PATIENCE: u32 = 3;

/// To get one name's certificate, under its lease.
pub(super) struct Attempt<'a> {
    pub(super) works: &'a Works,
    pub(super) name: &'a HostPattern,
    pub(super) id: &'a CertId,
    pub(super) old: Option<&'a Ready>,
    pub(super) state: &'a State,
    pub(super) why: Why,
    pub(super) lease: Mutex<Lease>,
}

impl Attempt<'_> {
    /// Orders while the lease is ours; none if it cannot be held any longer.
    pub(super) async fn issue_alive(&self) -> Option<Result<Issued, OrderError>> {
        tokio::select! {
            biased;
            _lost = hold_on(&self.lease) => None,
            issued = self.issue() => Some(issued),
        }
    }

    /// Asks the CAs in turn, as long as it is the CA that fails.
    async fn issue(&self) -> Result<Issued, OrderError> {
        let options = self.works.options();
        if let Some(held) = &options.held {
            return Err(OrderError {
                retry_after: Some(HELD),
                ..OrderError::new(Class::Limited, Side::Options, held.why.clone())
            });
        }
        let mut first = None;
        for ca in &options.cas {
            let error = match self.issue_at(ca).await {
                Ok(issued) => return Ok(issued),
                Err(error) => error,
            };
            let goes_on = is_the_cas(&error) && !self.may_still_come().await;
            first.get_or_insert(error);
            if !goes_on {
                break;
            }
        }
        let none = || OrderError::new(Class::Human, Side::Options, "no CA is configured");
        Err(first.unwrap_or_else(none))
    }

    async fn issue_at(&self, options: &CaOptions) -> Result<Issued, OrderError> {
        let journal = self.works.vault.journal(self.id).await;
        let journal = journal.map_err(|error| storage(&error))?;
        let journal = match journal.plan() {
            Some(_) if self.is_kept(&journal) => Journal::Idle,
            Some(plan) if plan.ca == options.directory => journal,
            Some(_) => self.give_up(&journal).await,
            None => Journal::Idle,
        };
        let names = BTreeSet::from([self.name.to_string()]);
        let under_way = journal.plan().and(self.state.admitted);
        let mut admitted = under_way.map(SystemTime::from);
        // What was planned was admitted when it was planned; only a crash in between asks again.
        if matches!(journal, Journal::Idle) || (journal.needs_order() && admitted.is_none()) {
            admitted = Some(self.admit(&options.directory, &names).await?);
        }
        let is_resumed = !matches!(journal, Journal::Idle);
        let outcome = match self.works.ca(options).await {
            Ok(ca) => self.order(&ca, journal).await,
            Err(error) => Err(error),
        };
        let Err(error) = outcome else {
            return outcome;
        };
        let is_over = self
            .note(&options.directory, &names, &error, admitted)
            .await?;
        // An end that could not be written down would be met again and again.
        let is_anew = is_resumed && is_over;
        if is_anew && error.class == Class::Validation && error.side == Side::Ca {
            // The CA asked while nobody was here to answer: that says nothing of how it goes now.
            return Box::pin(self.issue_at(options)).await;
        }
        Err(error)
    }

    /// Whether the order's end is in service already, and only its journal does not know.
    fn is_kept(&self, journal: &Journal) -> bool {
        let Journal::Downloaded(downloaded) = journal else {
            return false;
        };
        self.old
            .is_some_and(|old| old.bundle.chain == downloaded.chain_pem)
    }

    /// Forgets an order at a CA that is not asked any more, or not now: there it dies of itself. What was shown to that CA goes.
    async fn give_up(&self, journal: &Journal) -> Journal {
        let presented = match journal {
            Journal::Ordered(placed)
            | Journal::Challenged(placed)
            | Journal::Finalizing(placed) => placed.presented.as_slice(),
            Journal::Idle | Journal::Planned(_) | Journal::Downloaded(_) => &[],
        };
        let answers = self.answers();
        for challenge in presented {
            answers.clean(challenge).await;
        }
        Journal::Idle
    }

    /// Whether a CA may still send the certificate of an order that failed: then no other one is asked, unless it fails again
    /// and again.
    async fn may_still_come(&self) -> bool {
        let failures = self.state.failures.as_ref();
        if failures.is_some_and(|failures| failures.count >= PATIENCE) {
            return false;
        }
        match self.works.vault.journal(self.id).await {
            Ok(Journal::Finalizing(_) | Journal::Downloaded(_)) | Err(_) => true,
            Ok(
                Journal::Idle | Journal::Planned(_) | Journal::Ordered(_) | Journal::Challenged(_),
            ) => false,
        }
    }

    async fn order(&self, ca: &Ca, journal: Journal) -> Result<Issued, OrderError> {
        let options = self.works.options();
        let answers = self.answers();
        let mut keeper = Keeping {
            vault: &self.works.vault,
            id: self.id,
            lease: &self.lease,
        };
        if !matches!(journal, Journal::Idle) {
            return ca.resume(journal, &answers, &mut keeper).await;
        }
        let request = OrderRequest {
            names: CertName::of(self.name).into_iter().collect(),
            replaces: self.replaces(ca),
            profile: None,
            challenges: self.challenges(&options.challenges),
        };
        ca.order(&request, &answers, &mut keeper).await
    }

    /// How the name is proven: after failures of one kind, by the next.
    fn challenges(&self, preferred: &[ChallengeKind]) -> Vec<ChallengeKind> {
        let mut kinds = challenges_for(self.name, preferred);
        let failures = self.state.failures.as_ref();
        let in_vain = failures.filter(|failures| failures.class == Class::Validation);
        if let (Some(failures), false) = (in_vain, kinds.is_empty()) {
            let count = usize::try_from(failures.count).unwrap_or(0);
            let turns = count % kinds.len();
            kinds.rotate_left(turns);
        }
        kinds
    }

    fn answers(&self) -> Answers<'_> {
        Answers {
            challenges: &self.works.challenges,
            dns: self.works.options().dns.clone(),
            store: self.works.vault.store(),
            lease: &self.lease,
            clock: &self.works.clock,
        }
    }

    /// The certificate that this order replaces, if this CA made it. A CA takes one order for that, and only of one of its names
    /// (RFC 9773 section 5): of one that another tool ordered for several, the first of its names that are kept here replaces it.
    fn replaces(&self, ca: &Ca) -> Option<String> {
        let old = self
            .old
            .filter(|old| old.bundle.directory == ca.directory_url())?;
        let mut names = old.facts.names.iter();
        let first = names.find(|name| *name == self.name || self.works.keeps(name))?;
        (first == self.name).then(|| certificate_id(old.leaf()).ok())?
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

/// Wildcards are proven by DNS alone, addresses never by it (RFC 8555 section 7.1.3, RFC 8738 section 7).
fn challenges_for(name: &HostPattern, preferred: &[ChallengeKind]) -> Vec<ChallengeKind> {
    let Some(name) = CertName::of(name) else {
        return Vec::new();
    };
    let suiting = |kinds: &[ChallengeKind]| -> Vec<ChallengeKind> {
        kinds
            .iter()
            .copied()
            .filter(|kind| kind.suits(&name))
            .collect()
    };
    let chosen = suiting(preferred);
    if chosen.is_empty() {
        suiting(&[
            ChallengeKind::TlsAlpn01,
            ChallengeKind::Http01,
            ChallengeKind::Dns01,
        ])
    } else {
        chosen
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

pub(super) fn storage(error: &VaultError) -> OrderError {
    OrderError::new(Class::Transient, Side::Storage, error.to_string())
}
