//! Certificates that were found, put into the vault under each of their names.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use crate::causes::one_line;
use crate::certs::acme::journal::Journal;
use crate::certs::adopt::choice::{self, Standing, Verdict};
use crate::certs::adopt::fate::{Fate, PlannedCertificate, PlannedPlace, Skipped};
use crate::certs::adopt::origin::directory_of;
use crate::certs::adopt::{AdoptError, Adopter, Plan};
use crate::certs::bundle::{Bundle, Origin, Ready, Unservable};
use crate::certs::import::fault::Warning;
use crate::certs::import::findings::{Findings, FoundCertificate};
use crate::certs::vault::{CertId, VaultError};
use crate::hostname::HostPattern;
use crate::storage::store::{Key, Lease};

/// How long putting one certificate there may take.
const LEASE_TIME: Duration = Duration::from_secs(60);

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
                Some(_) | None => match self.vault.bundle(&CertId::of(&name)).await {
                    Ok(ours) => self.fate(&candidate.standing(), ours.ready.as_ref()),
                    Err(VaultError::Key(bad)) => Fate::Failed(bad.to_string()),
                    Err(error) => return Err(error.into()),
                },
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
                | Warning::NamesDiffer(_)
                | Warning::OddDirectory(_) => {}
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
        let generation = ours.map_or(1, |ours| ours.bundle.generation.saturating_add(1));
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
