//! From events to those who are told: each once, also over restarts, and never in anybody's way.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::mpsc;

use crate::certs::alerts::event::Event;
use crate::certs::alerts::exec::Program;
use crate::certs::alerts::notices::Notices;
use crate::certs::alerts::outbox::{Outbox, Posted, Taker};
use crate::certs::alerts::webhook::{BadUrl, Webhook};
use crate::certs::keeper::listener::Listener;
use crate::clock::Clock;
use crate::config::alerts::Alerts;
use crate::shutdown::Shutdown;
use crate::storage::store::{Key, Store, When};

/// Events that wait to be looked at; what comes then is dropped, and said again soon if it is still so.
const WAITING_MAX: usize = 4096;
/// What was told, in the store.
const KEY: &str = "alerts/notices";

/// Those who are told now; a reload brings others.
#[derive(Debug, Clone)]
pub(super) struct Post {
    outbox: Arc<ArcSwap<Outbox>>,
    shutdown: Shutdown,
    events: mpsc::Sender<Event>,
}

impl Post {
    /// Tells nobody yet; `store` remembers what was told.
    pub(super) fn open(store: Store, clock: Clock, shutdown: &Shutdown) -> Self {
        let (events, inbox) = mpsc::channel(WAITING_MAX);
        let outbox = Arc::new(ArcSwap::from_pointee(Outbox::open(Vec::new(), shutdown)));
        shutdown.spawn_attendant(sort(inbox, store, clock, outbox.clone()));
        Self {
            outbox,
            shutdown: shutdown.clone(),
            events,
        }
    }

    /// Tells these from now on.
    ///
    /// # Errors
    /// A URL that cannot be used; then the others are told as before.
    pub(super) fn adopt(&self, alerts: &Alerts) -> Result<(), BadUrl> {
        let mut takers = Vec::new();
        if let Some(command) = &alerts.exec {
            takers.push(Taker::Exec(Program {
                path: command.program.clone(),
                arguments: command.arguments.iter().map(ToString::to_string).collect(),
            }));
        }
        if let Some(url) = &alerts.webhook {
            takers.push(Taker::Webhook(Box::new(Webhook::new(url.reveal())?)));
        }
        let outbox = Outbox::open(takers, &self.shutdown);
        self.outbox.store(Arc::new(outbox));
        Ok(())
    }

    /// What the keeper tells its events to.
    pub(super) fn listener(&self) -> Listener {
        let post = self.clone();
        Listener::new(move |event| post.tell(event))
    }

    /// Tells an event, if it is news. Never waits.
    pub(super) fn tell(&self, event: Event) {
        if let Err(mpsc::error::TrySendError::Full(event)) = self.events.try_send(event) {
            tracing::warn!(event = event.name(), "an event was dropped");
        }
    }
}

/// Lets through what is news, and remembers it before anybody is told: a crash in between loses an alert rather than repeating it
/// at every start.
async fn sort(
    mut inbox: mpsc::Receiver<Event>,
    store: Store,
    clock: Clock,
    outbox: Arc<ArcSwap<Outbox>>,
) {
    let Ok(key) = Key::new(KEY) else {
        return;
    };
    let mut notices = remembered(&store, &key).await;
    while let Some(event) = inbox.recv().await {
        let Some(told) = notices.offer(event, clock.now()) else {
            continue;
        };
        remember(&store, &key, &notices).await;
        if outbox.load().tell(&told) == Posted::Dropped {
            notices.retract(&told);
            remember(&store, &key, &notices).await;
        }
    }
}

async fn remembered(store: &Store, key: &Key) -> Notices {
    let object = match store.get(key).await {
        Ok(Some(object)) => object,
        Ok(None) => return Notices::default(),
        Err(error) => {
            tracing::warn!(%error, "what was told before is not known: it may be told again");
            return Notices::default();
        }
    };
    serde_json::from_slice(&object.bytes).unwrap_or_else(|error| {
        tracing::warn!(%key, %error, "what was told before is damaged: it may be told again");
        Notices::default()
    })
}

async fn remember(store: &Store, key: &Key, notices: &Notices) {
    let Ok(bytes) = serde_json::to_vec(notices) else {
        return;
    };
    if let Err(error) = store.put(key, &bytes, &When::Always, None).await {
        tracing::debug!(%error, "what was told is not remembered");
    }
}
