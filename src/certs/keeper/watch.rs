//! Watching a store that others write: what they order is served here within seconds, and a copy of it is kept.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::WeakSender;
use tokio::time::{Instant, sleep};

use crate::certs::keeper::Order;
use crate::certs::keeper::works::Works;
use crate::certs::shelf::Wish;
use crate::certs::vault::CertId;
use crate::hostname::HostPattern;
use crate::storage::store::{Key, Mark};

/// Between two looks at what has changed: hints may be lost.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// After a hint: several writes are looked at together.
const GATHER: Duration = Duration::from_millis(300);
/// Looking takes at most such a part of the time, however much there is.
const SHARE: u32 = 50;

impl Works {
    /// The names that are kept from now on, by what stands for them in the store.
    pub(super) fn watch_for<'a>(&self, names: impl Iterator<Item = &'a HostPattern>) {
        let watched: HashMap<CertId, HostPattern> =
            names.map(|name| (CertId::of(name), name.clone())).collect();
        *self.watched.write().unwrap_or_else(PoisonError::into_inner) = watched;
    }

    pub(super) fn watch_also(&self, name: &HostPattern) {
        let mut watched = self.watched.write().unwrap_or_else(PoisonError::into_inner);
        watched.insert(CertId::of(name), name.clone());
    }

    /// Whether this name is one of them.
    pub(super) fn keeps(&self, name: &HostPattern) -> bool {
        self.watched_as(&CertId::of(name)).is_some()
    }

    /// Follows the store until the keeper is gone.
    pub(super) async fn watch(self: Arc<Self>, keeper: WeakSender<Order>) {
        let (mut mark, mut is_first) = (Mark::default(), true);
        loop {
            let begun = Instant::now();
            let mut pause = LOOK_EVERY;
            match self.vault.store().changed("", &mark).await {
                Ok((changed, next)) => {
                    mark = next;
                    self.look_went_well();
                    let news = self.notice(changed, is_first).await;
                    is_first = false;
                    let Some(keeper) = keeper.upgrade() else {
                        return;
                    };
                    if !news.is_empty() {
                        let _gone = keeper.send(Order::Stored(news)).await;
                    }
                    pause = pause.max(begun.elapsed() * SHARE);
                }
                Err(error) => {
                    tracing::debug!(%error, "it is not known what changed in the storage");
                    self.look_failed(error);
                }
            }
            tokio::select! {
                () = sleep(pause) => {}
                () = async {
                    // Of our own last look nothing is left to be told.
                    sleep(GATHER).await;
                    self.vault.store().hint().await;
                    sleep(GATHER).await;
                } => {}
            }
            if keeper.strong_count() == 0 {
                return;
            }
        }
    }

    /// Takes over what changed. What belongs to a kept name is read again; of the others it is only told that there is something. At
    /// the first look everything is new, and whoever tends the names reads them anyhow.
    async fn notice(&self, mut changed: Vec<Key>, is_first: bool) -> Vec<CertId> {
        if is_first {
            changed.extend(self.ledgers_at_hand().await);
        }
        let mut certificates = BTreeMap::<&str, Vec<&Key>>::new();
        for key in &changed {
            let mut parts = key.as_str().split('/');
            match (parts.next(), parts.next()) {
                (Some("certs"), Some(id)) if !is_first => {
                    certificates.entry(id).or_default().push(key);
                }
                (Some("acme"), Some(ca)) => {
                    self.take_copy(key).await;
                    self.keep_whole(key).await;
                    // Another host may have changed the account, or its key.
                    if !is_first && parts.next() == Some("account") {
                        self.close(ca);
                    }
                }
                _ => {}
            }
        }
        let mut news = Vec::new();
        for (id, keys) in certificates {
            let id = CertId::of_key(id);
            let name = self.watched_as(&id);
            let Some(name) = name else {
                news.push(id);
                continue;
            };
            for key in keys {
                self.take_copy(key).await;
            }
            let leaf = |works: &Self| works.shelf.place(&name).ready();
            let before = leaf(self);
            if let Err(error) = self.look(&name, &id, Wish::Passing).await {
                tracing::debug!(%name, error = &error as &dyn std::error::Error, "a changed certificate cannot be read");
                continue;
            }
            let after = leaf(self);
            if after.map(|it| it.bundle.generation) != before.map(|it| it.bundle.generation) {
                news.push(id);
            }
        }
        news
    }

    /// A store with a copy copies whatever is read.
    async fn take_copy(&self, key: &Key) {
        let store = self.vault.store();
        if store.is_copied()
            && let Err(error) = store.get(key).await
        {
            tracing::debug!(%key, %error, "not copied");
        }
    }

    /// The store may have lost them while nobody watched.
    async fn ledgers_at_hand(&self) -> Vec<Key> {
        let copy = self.vault.store().at_hand();
        let mut keys = copy.list("acme/").await.unwrap_or_default();
        keys.retain(is_ledger);
        keys
    }

    /// Of a ledger that lost something, nobody knows it but those who have a copy.
    async fn keep_whole(&self, key: &Key) {
        if !is_ledger(key) || !self.vault.store().is_copied() {
            return;
        }
        match self.ledgers.put_back(key).await {
            Ok(true) => {
                tracing::warn!(%key, "the storage lost what was asked of a CA: it was put back from the local copy");
            }
            Ok(false) => {}
            Err(error) => tracing::debug!(%key, %error, "the ledger was not put back"),
        }
    }

    fn watched_as(&self, id: &CertId) -> Option<HostPattern> {
        let watched = self.watched.read().unwrap_or_else(PoisonError::into_inner);
        watched.get(id).cloned()
    }
}

fn is_ledger(key: &Key) -> bool {
    key.as_str().ends_with("/ledger")
}
