//! When a certificate in service is due, by what is remembered of it.

use std::time::SystemTime;

use crate::certs::bundle::Ready;
use crate::certs::ledger::instant::CLOCKS_DIFFER;
use crate::certs::schedule::{self, Window};
use crate::certs::vault::State;

/// The point of its renewal.
#[must_use]
pub fn due(ready: &Ready, state: &State, now: SystemTime) -> SystemTime {
    let window = state
        .advice
        .as_ref()
        .and_then(|advice| advice.window.as_ref());
    let validity = ready.validity();
    let due = schedule::renewal_point(&validity, window, ready.leaf());
    let rest = state.rest.filter(|rest| rests(rest, now));
    rest.map_or(due, |rest| due.max(rest.end))
}

/// Whether a certificate rests now, by a clock that may be a little behind the one that let it rest.
pub(super) fn rests(rest: &Window, now: SystemTime) -> bool {
    rest.contains(now) || is_about_to(rest, now)
}

/// A rest that lies further ahead was written by a clock that was put right since.
pub(super) fn is_about_to(rest: &Window, now: SystemTime) -> bool {
    let wait = rest.start.duration_since(now);
    wait.is_ok_and(|wait| wait <= CLOCKS_DIFFER)
}

/// When there is something to do or to ask next.
#[must_use]
pub fn next_look(ready: &Ready, state: &State, now: SystemTime) -> SystemTime {
    let ask_at = state.advice.as_ref().and_then(|advice| advice.ask_at);
    let due = due(ready, state, now);
    ask_at.map_or(due, |at| due.min(at.into()))
}

/// What is known of a bundle that was not in service before: nothing, but that a certificate which was due when it was new was
/// ordered by a clock that was ahead. By that clock it rests for as long as others do.
pub(super) fn anew(state: &State, ready: &Ready) -> State {
    let validity = ready.validity();
    let due = schedule::renewal_point(&validity, None, ready.leaf());
    let admitted = state.admitted.map(SystemTime::from);
    let start = admitted.filter(|begun| due <= *begun);
    let lasts = due.duration_since(validity.not_before).unwrap_or_default();
    State {
        generation: ready.bundle.generation,
        rest: start.map(|start| Window {
            start,
            end: start + lasts,
        }),
        ..State::default()
    }
}
