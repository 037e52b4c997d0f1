//! From events to those who are told: each once, also over restarts, and never in anybody's way.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::certs::alerts::event::Event;
use crate::certs::alerts::exec::Program;
use crate::certs::alerts::notices::Notices;
use crate::certs::alerts::outbox::{Outbox, Posted, Taker};
use crate::certs::alerts::told::Told;
use crate::certs::alerts::webhook::{BadUrl, Webhook};
use crate::certs::keeper::listener::Listener;
use crate::clock::Clock;
use crate::config::alerts::Alerts;
use crate::shutdown::Shutdown;
use crate::storage::store::{Key, Store, StoreError, Version, When};

/// Events that wait to be looked at; what comes then is dropped, and said again soon if it is still so.
const WAITING_MAX: usize = 4096;
/// How often an event is offered while other hosts tell theirs.
const TRIES_MAX: usize = 8;
/// For how long it is believed that nobody else told anything.
const FRESH: Duration = Duration::from_secs(1);
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
    let mut memory = Memory::of(store, key);
    memory.refresh().await;
    while let Some(event) = inbox.recv().await {
        let Some(told) = memory.offer(event, clock.now()).await else {
            continue;
        };
        if outbox.load().tell(&told) == Posted::Dropped {
            memory.retract(&told).await;
        }
    }
}

/// What was told, as the store has it. Hosts that share one tell an event once among them.
struct Memory {
    store: Store,
    key: Key,
    notices: Notices,
    /// What was read or written last: the notices have more while the store takes nothing.
    stored: Notices,
    /// Of what was read or written last; none: there was nothing.
    version: Option<Version>,
    read: Option<Instant>,
}

impl Memory {
    fn of(store: Store, key: Key) -> Self {
        Self {
            store,
            key,
            notices: Notices::default(),
            stored: Notices::default(),
            version: None,
            read: None,
        }
    }

    /// What is to be told, if it is news to everybody. Remembered before it is told; where it cannot be remembered it is told all
    /// the same.
    async fn offer(&mut self, event: Event, now: SystemTime) -> Option<Told> {
        let is_old = |read: Instant| read.elapsed() >= FRESH;
        if self.store.is_shared() && self.read.is_none_or(is_old) {
            self.refresh().await;
        }
        for _try in 0..TRIES_MAX {
            let mut notices = self.notices.clone();
            let Some(told) = notices.offer(event.clone(), now) else {
                self.notices = notices;
                return None;
            };
            match self.remember(&notices).await {
                Remembered::BySomebodyElse => self.refresh().await,
                Remembered::Here | Remembered::Nowhere => {
                    self.notices = notices;
                    return Some(told);
                }
            }
        }
        None
    }

    async fn retract(&mut self, told: &Told) {
        for _try in 0..TRIES_MAX {
            self.notices.retract(told);
            match self.remember(&self.notices.clone()).await {
                Remembered::BySomebodyElse => self.refresh().await,
                Remembered::Here | Remembered::Nowhere => return,
            }
        }
    }

    async fn refresh(&mut self) {
        self.read = Some(Instant::now());
        let found = match self.store.or_copy().get(&self.key).await {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(%error, "what was told before is not known: it may be told again");
                return;
            }
        };
        let read = match &found {
            None => Notices::default(),
            Some(object) => serde_json::from_slice(&object.bytes).unwrap_or_else(|error| {
                tracing::warn!(key = %self.key, %error, "what was told before is damaged: it may be told again");
                Notices::default()
            }),
        };
        self.notices = self.notices.onto(&self.stored, read.clone());
        self.stored = read;
        self.version = found.map(|object| object.version);
    }

    async fn remember(&mut self, notices: &Notices) -> Remembered {
        let Ok(bytes) = serde_json::to_vec(notices) else {
            return Remembered::Nowhere;
        };
        let when = self.version.clone().map_or(When::Absent, When::Is);
        match self.store.put(&self.key, &bytes, &when, None).await {
            Ok(version) => {
                self.version = Some(version);
                self.stored = notices.clone();
                Remembered::Here
            }
            Err(StoreError::Conflict) => Remembered::BySomebodyElse,
            Err(error) => {
                tracing::debug!(%error, "what was told is not remembered");
                Remembered::Nowhere
            }
        }
    }
}

/// What became of an attempt to remember.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Remembered {
    Here,
    /// Something else is there by now.
    BySomebodyElse,
    /// The store fails.
    Nowhere,
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::storage::store::Merging;
    use crate::storage::store::memory::Memory as Shared;

    fn renewed(until: u64) -> Event {
        Event::Renewed {
            certificate: "a.test".to_owned(),
            names: vec!["a.test".to_owned()],
            ca: "https://ca.test".to_owned(),
            not_after: UNIX_EPOCH + Duration::from_secs(until),
        }
    }

    #[tokio::test]
    async fn hosts_of_one_storage_tell_an_event_once_among_them() {
        let (store, shared) = Shared::new();
        shared.share();
        let key = Key::new(KEY).unwrap();
        let (other, faults) = shared.process();
        let mut hosts = [Memory::of(store, key.clone()), Memory::of(other, key)];
        let mut told = 0;
        for until in 1..4 {
            for host in &mut hosts {
                told += usize::from(host.offer(renewed(until), UNIX_EPOCH).await.is_some());
            }
        }
        assert_eq!(told, 3);
        // A storage that is away keeps nobody from being told.
        faults.cut_off();
        let lonely = hosts[1].offer(renewed(9), UNIX_EPOCH).await;
        assert!(lonely.is_some());
        assert!(hosts[1].offer(renewed(9), UNIX_EPOCH).await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_told_while_nothing_could_be_written_is_told_once() {
        let (shared, faults) = Shared::new();
        faults.share();
        let store = Store::copied_to(shared, Shared::new().0, Merging::NOTHING);
        let mut host = Memory::of(store, Key::new(KEY).unwrap());
        let storage = || "redis://redis.test".to_owned();
        let down = || Event::StorageUnreachable {
            storage: storage(),
            problem: "it is down".to_owned(),
        };
        let up = || Event::StorageReachable { storage: storage() };
        assert!(host.offer(renewed(1), UNIX_EPOCH).await.is_some());
        for _outage in 0..2 {
            faults.cut_off();
            let mut told = 0;
            for _look in 0..5 {
                told += usize::from(host.offer(down(), UNIX_EPOCH).await.is_some());
                tokio::time::advance(FRESH * 30).await;
            }
            assert_eq!(told, 1);
            faults.mend();
            assert!(host.offer(up(), UNIX_EPOCH).await.is_some());
            tokio::time::advance(FRESH * 30).await;
            assert!(host.offer(up(), UNIX_EPOCH).await.is_none());
        }
        assert!(host.offer(renewed(1), UNIX_EPOCH).await.is_none());
    }
}
