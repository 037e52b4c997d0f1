//! Whether the store answers, so that not everyone who reads has to find out anew.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The longest that a read waits before the copy is taken.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);
/// After a failure nobody tries for this long; then one does, and the others go on taking the copy until that one knows.
const PAUSE: Duration = Duration::from_secs(5);

/// Since when nothing was heard of it, if nothing was.
#[derive(Debug, Default)]
pub(super) struct Reach(Mutex<Option<Instant>>);

impl Reach {
    pub(super) fn answered(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) fn failed(&self) {
        let again = Instant::now() + PAUSE;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(again);
    }

    /// Whether to ask. Who may ask although the last one failed does so for everyone.
    pub(super) fn may_ask(&self) -> bool {
        let mut again = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        match *again {
            None => true,
            Some(at) if at <= now => {
                *again = Some(now + PATIENCE + PAUSE);
                true
            }
            Some(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn after_a_failure_one_at_a_time_finds_out() {
        let reach = Reach::default();
        assert!(reach.may_ask() && reach.may_ask());
        reach.failed();
        assert!(!reach.may_ask());
        tokio::time::advance(PAUSE).await;
        assert!(reach.may_ask());
        assert!(!reach.may_ask());
        reach.answered();
        assert!(reach.may_ask() && reach.may_ask());
    }
}
