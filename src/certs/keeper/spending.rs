//! What an order spends of its CA's limits, and what the ledger learns of how it ended.

use std::collections::BTreeSet;
use std::time::SystemTime;

use jiff::Timestamp;

use crate::certs::acme::fault::{OrderError, Side};
use crate::certs::acme::journal::Journal;
use crate::certs::keeper::issue::{Attempt, storage};
use crate::certs::keeper::turn::Why;
use crate::certs::ledger::Purpose;
use crate::certs::ledger::limits::Limits;
use crate::certs::ledger::told::Told;
use crate::certs::retry::Class;
use crate::certs::schedule;
use crate::certs::vault::State;

impl Attempt<'_> {
    /// Remembers when, and then spends what the order spends: of what was spent for an order that a crash kept from being sent
    /// nothing is lost.
    pub(super) async fn admit(
        &self,
        directory: &str,
        names: &BTreeSet<String>,
    ) -> Result<SystemTime, OrderError> {
        let (limits, purpose) = (Limits::of(directory), self.purpose(directory));
        let refused = |error| self.works.refused_order(directory, error);
        if let Some(unsent) = self.state.admitted.map(SystemTime::from) {
            let change = self.works.ledgers.change(directory, |ledger, now| {
                ledger.not_issued(limits, names, unsent, now);
                Ok(())
            });
            change.await.map_err(refused)?;
        }
        let admitted = self.works.clock.now();
        self.remember((purpose != Purpose::AriRenewal).then_some(admitted))
            .await?;
        let change = self.works.ledgers.change(directory, |ledger, _now| {
            ledger.admit(limits, names, purpose, admitted)
        });
        change.await.map_err(refused)?;
        Ok(admitted)
    }

    async fn remember(&self, admitted: Option<SystemTime>) -> Result<(), OrderError> {
        let state = State {
            admitted: admitted.and_then(|at| Timestamp::try_from(at).ok()),
            ..self.state.clone()
        };
        let lease = self.lease.lock().await;
        let saved = self.works.vault.save_state(self.id, &state, &lease).await;
        saved.map_err(|error| storage(&error))
    }

    /// The ledger learns what the CA counts, and what it asked us to wait for. Says whether the order is over.
    pub(super) async fn note(
        &self,
        directory: &str,
        names: &BTreeSet<String>,
        error: &OrderError,
        admitted: Option<SystemTime>,
    ) -> Result<bool, OrderError> {
        let journal = self.works.vault.journal(self.id).await;
        let is_over = matches!(journal.map_err(|error| storage(&error))?, Journal::Idle);
        let limits = Limits::of(directory);
        let change = self.works.ledgers.change(directory, |ledger, now| {
            if error.side == Side::Ca {
                for (name, _words) in &error.names {
                    ledger.authorization_failed(limits, name, now);
                }
            }
            if error.class == Class::Limited && error.side == Side::Ca {
                let told = Told::read(&error.problem, names);
                let until = error.retry_after.map(|wait| now + wait).or(told.until);
                if let Some(until) = until {
                    ledger.blocked(limits, &told.scope, until, &error.problem, now);
                }
            }
            if let (true, Some(admitted)) = (is_over, admitted) {
                ledger.not_issued(limits, names, admitted, now);
            }
            Ok(())
        });
        if let Err(error) = change.await {
            tracing::warn!(name = %self.name, %error, "the ledger does not know of a failure");
        }
        if is_over {
            self.remember(None).await?;
        }
        Ok(is_over)
    }

    /// A window exempts at the CA that gave it, which is the one that made the old certificate, and at no other. A certificate that
    /// another tool ordered for several names is replaced once, and by one of them.
    fn purpose(&self, directory: &str) -> Purpose {
        let now = self.works.clock.now();
        let Some(old) = self.old else {
            return match self.why {
                Why::Time | Why::Demanded => Purpose::New,
                Why::Asked => Purpose::Forced,
            };
        };
        let window = self.state.advice.as_ref().and_then(|advice| advice.window);
        let is_inside = window.is_some_and(|window| window.contains(now));
        let is_alone = old.bundle.names == [self.name.to_string()];
        if is_inside && is_alone && old.bundle.directory == directory {
            Purpose::AriRenewal
        } else if self.why == Why::Asked || schedule::is_urgent(&old.validity(), now) {
            Purpose::Forced
        } else {
            Purpose::Renewal
        }
    }
}
