//! Certificates that were found, put into the vault under each of their names.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use crate::causes::one_line;
use crate::certs::acme::journal::Journal;
use crate::certs::adopt::choice::{self, Standing, Verdict};
use crate::certs::adopt::origin::directory_of;
use crate::certs::adopt::{AdoptError, Adopter, Plan};
use crate::certs::bundle::{Bundle, Origin, Ready, Unservable};
use crate::certs::import::fault::{Fault, Warning};
use crate::certs::import::findings::{Findings, FoundCertificate};
use crate::certs::ledger::Ledger;
use crate::certs::ledger::elsewhere::Elsewhere;
use crate::certs::ledger::limits::Limits;
use crate::certs::utc::minute;
use crate::certs::vault::{CertId, VaultError};
use crate::hostname::HostPattern;
use crate::storage::store::{Key, Lease};

/// How long putting one certificate there may take.
const LEASE_TIME: Duration = Duration::from_secs(60);

/// One certificate of the findings, by its number there.
#[derive(Debug)]
pub struct PlannedCertificate {
    pub number: usize,
    /// Where its renewals will be asked for; none if nobody knows who made it.
    pub directory: Option<String>,
    /// Why nothing is done about it.
    pub skipped: Option<Skipped>,
    /// Where it goes; none if it is skipped.
    pub places: Vec<PlannedPlace>,
}

/// One name that it is kept under.
#[derive(Debug)]
pub struct PlannedPlace {
    pub name: HostPattern,
    /// Whether a site of the configuration wants it.
    pub is_wanted: bool,
    pub fate: Fate,
}

/// What becomes of a certificate under one name.
#[derive(Debug)]
pub enum Fate {
    /// To be put there, in place of one of ours that lasts until then.
    Take { over: Option<SystemTime> },
    /// Put there.
    Taken,
    /// It is there already.
    Same,
    /// Ours is newer or lasts longer, until then.
    OursStays { until: SystemTime },
    /// Another one that was found is better; its number.
    OtherWins { number: usize },
    /// Somebody is just ordering for that name.
    Busy,
    /// The store will not have it, in words.
    Failed(String),
}

/// Why a certificate is left where it is.
#[derive(Debug, Clone)]
pub enum Skipped {
    Fault(Fault),
    /// No public CA would renew it, and it would be served until its end.
    SelfSigned,
    /// From a test environment that the configuration does not order from.
    Staging,
    NotYetValid(SystemTime),
    Unservable(String),
}

impl Skipped {
    /// Whether it should have been of use.
    #[must_use]
    pub fn is_loss(&self) -> bool {
        match self {
            Self::Fault(Fault::Expired(_)) | Self::SelfSigned | Self::Staging => false,
            Self::Fault(_) | Self::NotYetValid(_) | Self::Unservable(_) => true,
        }
    }
}

impl Fate {
    /// Whether it is still to be done.
    #[must_use]
    pub fn is_due(&self) -> bool {
        matches!(self, Self::Take { .. })
    }

    /// Whether what should have been done was not.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::Busy | Self::Failed(_))
    }
}

/// One that can be served, and where it would go.
struct Candidate<'a> {
    found: &'a FoundCertificate,
    ready: Ready,
    directory: Option<String>,
    is_of_configured_ca: bool,
}

impl Adopter {
    pub(super) async fn plan_certificates(
        &self,
        findings: &Findings,
    ) -> Result<Vec<PlannedCertificate>, AdoptError> {
        let now = self.clock.now();
        let candidates: Vec<Result<Candidate<'_>, Skipped>> = findings
            .certificates
            .iter()
            .map(|found| self.candidate(found, findings, now))
            .collect();
        let mut by_name: BTreeMap<HostPattern, Vec<usize>> = BTreeMap::new();
        for (number, candidate) in candidates.iter().enumerate() {
            for (name, _is_wanted) in candidate.iter().flat_map(|it| self.places(it)) {
                by_name.entry(name).or_default().push(number);
            }
        }
        let mut best = BTreeMap::new();
        for (name, numbers) in &by_name {
            let standings = numbers.iter().filter_map(|number| {
                let candidate = candidates.get(*number)?.as_ref().ok()?;
                Some((*number, candidate.standing()))
            });
            best.extend(choice::best(standings).map(|number| (name, number)));
        }
        let mut planned = Vec::new();
        for (number, candidate) in candidates.iter().enumerate() {
            planned.push(match candidate {
                Err(skipped) => PlannedCertificate::skipped(number, skipped.clone()),
                Ok(candidate) => PlannedCertificate {
                    number,
                    directory: candidate.directory.clone(),
                    skipped: None,
                    places: self.judged(number, candidate, &best).await?,
                },
            });
        }
        Ok(planned)
    }

    fn places(&self, candidate: &Candidate<'_>) -> Vec<(HostPattern, bool)> {
        self.wishes.places(&candidate.ready.facts)
    }

    async fn judged(
        &self,
        number: usize,
        candidate: &Candidate<'_>,
        best: &BTreeMap<&HostPattern, usize>,
    ) -> Result<Vec<PlannedPlace>, AdoptError> {
        let mut places = Vec::new();
        for (name, is_wanted) in self.places(candidate) {
            let fate = match best.get(&name) {
                Some(winner) if *winner != number => Fate::OtherWins { number: *winner },
                Some(_) | None => {
                    let ours = self.vault.bundle(&CertId::of(&name)).await?.ready;
                    self.fate(&candidate.standing(), ours.as_ref())
                }
            };
            places.push(PlannedPlace {
                name,
                is_wanted,
                fate,
            });
        }
        Ok(places)
    }

    fn fate(&self, found: &Standing<'_>, ours: Option<&Ready>) -> Fate {
        let standing = ours.map(|ours| Standing {
            leaf: ours.leaf(),
            not_before: ours.facts.not_before,
            not_after: ours.facts.not_after,
            is_of_configured_ca: self.is_configured(Some(&ours.bundle.directory)),
        });
        let until = ours.map(|ours| ours.facts.not_after);
        match (
            choice::judge(found, standing.as_ref(), self.clock.now()),
            until,
        ) {
            (Verdict::Better, over) => Fate::Take { over },
            (Verdict::Same, _) | (Verdict::NotBetter, None) => Fate::Same,
            (Verdict::NotBetter, Some(until)) => Fate::OursStays { until },
        }
    }

    fn candidate<'a>(
        &self,
        found: &'a FoundCertificate,
        findings: &Findings,
        now: SystemTime,
    ) -> Result<Candidate<'a>, Skipped> {
        if let Some(fault) = &found.fault {
            return Err(Skipped::Fault(fault.clone()));
        }
        let issuer = found.facts.as_ref().map(|facts| facts.issuer.as_str());
        let account = found.account.and_then(|it| findings.accounts.get(it));
        let known = found.directory.clone();
        let known = known.or_else(|| account.and_then(|it| self.directory_of(it)));
        let known = known.or_else(|| issuer.and_then(directory_of).map(str::to_owned));
        let own = known.as_deref().and_then(|it| self.wishes.ca(it));
        let directory = own.map(|ca| ca.directory.clone()).or(known);
        let is_of_configured_ca = self.is_configured(directory.as_deref());
        for warning in &found.warnings {
            match warning {
                Warning::SelfSigned => return Err(Skipped::SelfSigned),
                Warning::Staging if own.is_none() => return Err(Skipped::Staging),
                Warning::NotYetValid(from) => return Err(Skipped::NotYetValid(*from)),
                Warning::Staging
                | Warning::NoChain
                | Warning::ChainBroken(_)
                | Warning::NamesDiffer(_) => {}
            }
        }
        let ready = bundle(found, directory.as_deref(), 1, now);
        Ok(Candidate {
            ready: ready.map_err(|error| Skipped::Unservable(one_line(&error)))?,
            found,
            directory,
            is_of_configured_ca,
        })
    }

    fn is_configured(&self, directory: Option<&str>) -> bool {
        self.wishes.cas.is_empty() || directory.is_some_and(|it| self.wishes.ca(it).is_some())
    }

    /// The ledger of each CA learns of what it issued lately, so that orders do not run into its limits.
    pub(super) async fn note_in_ledgers(
        &self,
        plan: &Plan,
        findings: &Findings,
    ) -> Result<(), AdoptError> {
        let mut by_ca: BTreeMap<&str, Vec<Elsewhere>> = BTreeMap::new();
        for planned in plan.certificates.iter().filter(|it| it.skipped.is_none()) {
            let found = findings.certificates.get(planned.number);
            let facts = found.and_then(|found| found.facts.as_ref());
            if let (Some(directory), Some(facts)) = (planned.directory.as_deref(), facts) {
                by_ca.entry(directory).or_default().push(Elsewhere {
                    names: facts.names.iter().map(ToString::to_string).collect(),
                    not_before: facts.not_before,
                });
            }
        }
        for (directory, issued) in by_ca {
            let seen = Ledger::of_elsewhere(Limits::of(directory), &issued, self.clock.now());
            let known = self.ledgers.read(directory).await?;
            let mut merged = known.clone();
            merged.merge(&seen);
            if merged == known {
                continue;
            }
            let change = self.ledgers.change(directory, |ledger, _now| {
                ledger.merge(&seen);
                Ok(())
            });
            change.await?;
        }
        Ok(())
    }

    pub(super) async fn keep_certificates(
        &self,
        plan: &mut Plan,
        findings: &Findings,
    ) -> Result<(), AdoptError> {
        for planned in &mut plan.certificates {
            let Some(found) = findings.certificates.get(planned.number) else {
                continue;
            };
            for place in planned.places.iter_mut().filter(|it| it.fate.is_due()) {
                place.fate = self.keep(found, findings, &place.name).await?;
            }
        }
        Ok(())
    }

    /// Puts it there under the name's lease, if it is still better than what is there.
    async fn keep(
        &self,
        found: &FoundCertificate,
        findings: &Findings,
        name: &HostPattern,
    ) -> Result<Fate, AdoptError> {
        let id = CertId::of(name);
        let key = match Key::new(&format!("cert-{}", id.as_str())) {
            Ok(key) => key,
            Err(error) => return Ok(Fate::Failed(error.to_string())),
        };
        let lease = self.vault.store().lease(&key, LEASE_TIME).await;
        let Some(lease) = lease.map_err(VaultError::from)? else {
            return Ok(Fate::Busy);
        };
        let candidate = match self.candidate(found, findings, self.clock.now()) {
            Ok(candidate) => candidate,
            Err(skipped) => return Ok(Fate::Failed(skipped.to_string())),
        };
        let ours = self.vault.bundle(&id).await?.ready;
        let fate = self.fate(&candidate.standing(), ours.as_ref());
        if !fate.is_due() {
            return Ok(fate);
        }
        let generation = ours.map_or(1, |ours| ours.bundle.generation + 1);
        match self.put(&candidate, &id, generation, &lease).await {
            Ok(()) => Ok(Fate::Taken),
            Err(error) => Ok(Fate::Failed(one_line(&error))),
        }
    }

    async fn put(
        &self,
        candidate: &Candidate<'_>,
        id: &CertId,
        generation: u64,
        lease: &Lease,
    ) -> Result<(), VaultError> {
        let now = self.clock.now();
        let ready = bundle(
            candidate.found,
            candidate.directory.as_deref(),
            generation,
            now,
        );
        let ready = ready.map_err(VaultError::Unservable)?;
        self.vault.keep(id, &ready, lease).await?;
        // An order that was under way would bring an older certificate in place of this one.
        match self.vault.journal(id).await? {
            Journal::Idle => Ok(()),
            Journal::Planned(_)
            | Journal::Ordered(_)
            | Journal::Challenged(_)
            | Journal::Finalizing(_)
            | Journal::Downloaded(_) => self.vault.save_journal(id, &Journal::Idle, lease).await,
        }
    }
}

fn bundle(
    found: &FoundCertificate,
    directory: Option<&str>,
    generation: u64,
    now: SystemTime,
) -> Result<Ready, Unservable> {
    let origin = Origin {
        generation,
        directory: directory.unwrap_or_default(),
        profile: None,
    };
    let ready = Bundle::of(found.chain.clone(), found.key.0.clone(), origin, now)?;
    Ok(ready.imported_from(&format!("{}: {}", found.tool, found.place)))
}

impl Candidate<'_> {
    fn standing(&self) -> Standing<'_> {
        Standing {
            leaf: self.ready.leaf(),
            not_before: self.ready.facts.not_before,
            not_after: self.ready.facts.not_after,
            is_of_configured_ca: self.is_of_configured_ca,
        }
    }
}

impl PlannedCertificate {
    fn skipped(number: usize, skipped: Skipped) -> Self {
        Self {
            number,
            directory: None,
            skipped: Some(skipped),
            places: Vec::new(),
        }
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(fault) => fault.fmt(f),
            Self::SelfSigned => f.write_str("it is signed by itself: no CA renews it"),
            Self::Staging => f.write_str(
                "it is from a CA's test environment: no browser trusts it, and `[acme]` orders elsewhere",
            ),
            Self::NotYetValid(from) => {
                write!(f, "it is valid only from {}", minute(*from))
            }
            Self::Unservable(why) => f.write_str(why),
        }
    }
}
