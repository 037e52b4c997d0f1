//! How long a conversation may last. Its request may change it at any time.

use std::future::pending;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{self, Instant};

/// The end of a conversation, if it has one. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Patience(watch::Sender<Option<Instant>>);

impl Patience {
    pub(super) fn new(first: Duration) -> Self {
        Self(watch::Sender::new(Some(Instant::now() + first)))
    }

    /// From now on.
    pub(super) fn last(&self, wait: Duration) {
        self.0.send_replace(Some(Instant::now() + wait));
    }

    pub(super) fn last_forever(&self) {
        self.0.send_replace(None);
    }

    /// Resolves at the end.
    pub(super) async fn over(&self) {
        let mut end = self.0.subscribe();
        loop {
            let at = *end.borrow_and_update();
            let overdue = async {
                match at {
                    Some(at) => time::sleep_until(at).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                () = overdue => return,
                _changed = end.changed() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn it_ends_when_it_was_last_said_to() {
        let patience = Patience::new(SECOND);
        let begun = Instant::now();
        patience.over().await;
        assert_eq!(begun.elapsed(), SECOND);
        let change = async {
            time::sleep(SECOND).await;
            patience.last(SECOND);
        };
        patience.last_forever();
        tokio::join!(patience.over(), change);
        assert_eq!(begun.elapsed(), 3 * SECOND);
    }
}
