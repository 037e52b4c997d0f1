//! Hearing of changes: a connection of its own that is subscribed to them. What is missed is found by those who look.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig, SendError};
use redis::{Client, PushInfo, PushKind, RedisResult};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, Notify};
use tokio::task::JoinHandle;
use tokio::time;

use super::RedisError;
use super::connection::CONNECT_TIME;
use super::place::Place;

/// Between two tries to subscribe.
const PAUSE: Duration = Duration::from_secs(5);
/// After such a silence it is seen to it that somebody still listens.
const SILENCE_MAX: Duration = Duration::from_secs(60);

pub(super) struct Hints {
    client: Client,
    channel: String,
    place: Place,
    /// What only the operator can mend is told once.
    is_told: AtomicBool,
    heard: Arc<Notify>,
    listening: Mutex<Option<Listening>>,
}

/// A subscription, and a task that ends with the runtime that drives it.
struct Listening {
    manager: ConnectionManager,
    witness: JoinHandle<()>,
}

impl Hints {
    /// `client` speaks RESP3, in which messages come among the answers.
    pub(super) fn of(client: Client, channel: String, place: Place) -> Self {
        Self {
            client,
            channel,
            place,
            is_told: AtomicBool::new(false),
            heard: Arc::default(),
            listening: Mutex::default(),
        }
    }

    /// Ends after the next change that is heard of, or that was heard of since this was last called.
    pub(super) async fn next(&self) {
        loop {
            if let Err(error) = self.listen().await {
                self.tell(error);
                time::sleep(PAUSE).await;
                continue;
            }
            if time::timeout(SILENCE_MAX, self.heard.notified())
                .await
                .is_ok()
            {
                return;
            }
        }
    }

    fn tell(&self, error: redis::RedisError) {
        let is_denied = error.code() == Some("NOPERM");
        let error = RedisError::new(&self.place, error);
        if is_denied && !self.is_told.swap(true, Ordering::Relaxed) {
            tracing::warn!(%error, "nobody tells of changes in the storage: they are looked for every few seconds");
        } else {
            tracing::debug!(%error, "nobody tells of changes in Redis: they are looked for");
        }
    }

    /// Sees to it that there is a subscription.
    async fn listen(&self) -> RedisResult<()> {
        let mut listening = self.listening.lock().await;
        let going = listening.take().filter(Listening::is_driven);
        let mut going = match going {
            Some(going) => going,
            None => self.begin()?,
        };
        going.manager.subscribe(&self.channel).await?;
        *listening = Some(going);
        Ok(())
    }

    fn begin(&self) -> RedisResult<Listening> {
        let heard = self.heard.clone();
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT_TIME))
            .set_automatic_resubscription()
            .set_push_sender(move |push: PushInfo| {
                if is_news(&push.kind) {
                    heard.notify_one();
                }
                Ok::<(), SendError>(())
            });
        Ok(Listening {
            manager: ConnectionManager::new_lazy_with_config(self.client.clone(), config)?,
            witness: Handle::current().spawn(pending()),
        })
    }
}

/// A message, or that some may have been missed.
fn is_news(kind: &PushKind) -> bool {
    matches!(kind, PushKind::Message | PushKind::Disconnection)
}

impl Listening {
    fn is_driven(&self) -> bool {
        !self.witness.is_finished()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.witness.abort();
    }
}
