//! Asking a CA when it wants a certificate renewed, as often as it allows.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use crate::certs::acme::ari::{Ari, AriError};
use crate::certs::bundle::Ready;
use crate::certs::keeper::works::Works;
use crate::certs::ledger::instant::CLOCKS_DIFFER;
use crate::certs::schedule::{Poll, next_poll};
use crate::certs::vault::{Advice, CertId, State, VaultError};

/// No authority is asked less often.
const PAUSE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

impl Works {
    /// Asks for the window if its time has come, and remembers the answer.
    pub(super) async fn seek_advice(
        &self,
        id: &CertId,
        ready: &Ready,
        state: &mut State,
    ) -> Result<(), VaultError> {
        let now = self.clock.now();
        let is_due = state
            .advice
            .as_ref()
            .is_none_or(|advice| advice.ask_at.is_some_and(|at| is_due(at.into(), now)));
        let options = self.options();
        let ca = options
            .cas
            .iter()
            .find(|ca| ca.directory == ready.bundle.directory);
        let (Some(ca), true, None) = (ca, is_due && now < ready.facts.not_after, &options.held)
        else {
            return Ok(());
        };
        let answered = match self.ca(ca).await {
            Ok(ca) => ca.renewal_info(ready.leaf()).await,
            Err(error) => Err(AriError::Temporary {
                problem: error.problem,
                retry_after: error.retry_after,
            }),
        };
        let advice = advice(answered, state.advice.as_ref(), ready, now);
        if let (Some(url), true) = (&advice.explanation, differs(&advice, state.advice.as_ref())) {
            tracing::warn!(
                id = id.as_str(),
                url,
                "the CA explains why a certificate shall be renewed"
            );
        }
        let saved = self.vault.change_state(id, |stored| {
            stored.generation = state.generation;
            stored.advice = Some(advice.clone());
            true
        });
        let (saved, _was_changed) = saved.await?;
        *state = saved;
        Ok(())
    }
}

/// An instant further away than any pause was written by a clock that was ahead: it means now.
fn is_due(ask_at: SystemTime, now: SystemTime) -> bool {
    ask_at <= now || ask_at > now + PAUSE_MAX + CLOCKS_DIFFER
}

fn differs(advice: &Advice, before: Option<&Advice>) -> bool {
    before.is_none_or(|before| before.explanation != advice.explanation)
}

/// An answer that says nothing new leaves the window as it was.
fn advice(
    answered: Result<Ari, AriError>,
    before: Option<&Advice>,
    ready: &Ready,
    now: SystemTime,
) -> Advice {
    let known = || before.and_then(|before| before.window);
    let unanswered = before.map_or(0, |before| before.unanswered);
    let (window, poll, explanation, unanswered) = match answered {
        Ok(ari) => {
            let poll = Poll::Answered {
                retry_after: ari.retry_after,
            };
            (Some(ari.window), poll, ari.explanation, 0)
        }
        Err(AriError::Temporary { .. }) => {
            let times = unanswered.saturating_add(1);
            (known(), Poll::Unanswered { times }, None, times)
        }
        Err(AriError::Unsupported | AriError::NoId | AriError::Unknown | AriError::LongTerm(_)) => {
            (known(), Poll::Refused, None, 0)
        }
    };
    let ask_at = next_poll(&ready.validity(), poll, now);
    Advice {
        window,
        ask_at: ask_at.and_then(|at| Timestamp::try_from(at).ok()),
        unanswered,
        explanation,
    }
}
