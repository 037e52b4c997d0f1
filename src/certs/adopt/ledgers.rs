//! The ledgers learn of what CAs issued to others, so that orders of ours do not run into their limits.

use std::collections::BTreeMap;

use crate::certs::adopt::{AdoptError, Adopter, Plan};
use crate::certs::import::findings::Findings;
use crate::certs::keeper::ledgers::LedgerError;
use crate::certs::ledger::Ledger;
use crate::certs::ledger::elsewhere::Elsewhere;
use crate::certs::ledger::limits::Limits;

impl Adopter {
    /// A second time changes nothing. A CA whose directory no ledger can be called after is stepped over with a remark.
    pub(super) async fn note_in_ledgers(
        &self,
        plan: &mut Plan,
        findings: &Findings,
    ) -> Result<(), AdoptError> {
        let mut by_ca: BTreeMap<String, Vec<Elsewhere>> = BTreeMap::new();
        for planned in plan.certificates.iter().filter(|it| it.skipped.is_none()) {
            let found = findings.certificates.get(planned.number);
            let facts = found.and_then(|found| found.facts.as_ref());
            if let (Some(directory), Some(facts)) = (planned.directory.clone(), facts) {
                by_ca.entry(directory).or_default().push(Elsewhere {
                    names: facts.names.iter().map(ToString::to_string).collect(),
                    not_before: facts.not_before,
                });
            }
        }
        for (directory, issued) in by_ca {
            match self.note(&directory, &issued).await {
                Err(LedgerError::Key(bad)) => plan.remarks.push(format!(
                    "what {directory} issued is in no ledger, for none can be called after that URL: {bad}"
                )),
                noted => noted?,
            }
        }
        Ok(())
    }

    async fn note(&self, directory: &str, issued: &[Elsewhere]) -> Result<(), LedgerError> {
        let seen = Ledger::of_elsewhere(Limits::of(directory), issued, self.clock.now());
        let known = self.ledgers.read(directory).await?;
        let mut merged = known.clone();
        merged.merge(&seen);
        if merged == known {
            return Ok(());
        }
        let change = self.ledgers.change(directory, |ledger, _now| {
            ledger.merge(&seen);
            Ok(())
        });
        change.await
    }
}
