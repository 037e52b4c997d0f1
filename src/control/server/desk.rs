//! What every conversation shares: where answers come from, and how many may wait for them.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};
use tokio::time;

use super::Sources;
use super::leases::WAITS_MAX;
use super::logs::WATCHERS_MAX;
use super::sessions::SESSIONS_MAX;
use crate::control::command::{Command, Reply};
use crate::control::session::message::Refusal;
use crate::shutdown::Shutdown;

/// How long `app` may take to tell something.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long `app` may take to change something.
pub(super) const CHANGE_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Desk {
    pub(super) sources: Sources,
    pub(super) shutdown: Shutdown,
    pub(super) sessions: Arc<Semaphore>,
    pub(super) watchers: Arc<Semaphore>,
    pub(super) waits: Semaphore,
}

impl Desk {
    pub(super) fn new(sources: Sources, shutdown: Shutdown) -> Self {
        Self {
            sources,
            shutdown,
            sessions: Arc::new(Semaphore::new(SESSIONS_MAX)),
            watchers: Arc::new(Semaphore::new(WATCHERS_MAX)),
            waits: Semaphore::new(WAITS_MAX),
        }
    }

    /// The revision in service.
    pub(super) fn revision(&self) -> u64 {
        self.sources.health.borrow().revision
    }

    /// Has `app` answer; `busy` when its queue is full, when it is gone, or when it takes too long.
    pub(super) async fn ask<T>(
        &self,
        wait: Duration,
        command: impl FnOnce(Reply<T>) -> Command,
    ) -> Result<T, Refusal> {
        let (reply, answer) = oneshot::channel();
        let asked = self.sources.commands.try_send(command(reply));
        asked.map_err(|_full_or_closed| Refusal::busy())?;
        match time::timeout(wait, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) | Err(_) => Err(Refusal::busy()),
        }
    }
}
