//! From the store to the shelf: what is shown is never older than what was shown, as long as that is good.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::certs::bundle::Ready;
use crate::certs::keeper::due::due;
use crate::certs::keeper::works::Works;
use crate::certs::shelf::Wish;
use crate::certs::vault::{CertId, Found, State, Vault, VaultError};
use crate::hostname::HostPattern;

/// Between two attempts to mend a store that went back: each reads all of it.
const MEND_EVERY: Duration = Duration::from_secs(60);
/// Mending takes at most such a part of the time, however much there is.
const SHARE: u32 = 10;

impl Works {
    /// Puts what this host has of these names on the shelf as far as there is room, so that they are served from the first handshake
    /// on, also while a shared store is down. A name that cannot be read is told of, and holds up none.
    pub async fn load(&self, names: &[HostPattern]) {
        for name in names {
            if self.shelf.place(name).generation().is_some() {
                continue;
            }
            if self.shelf.is_full() {
                self.shelf.leave_away(name);
                continue;
            }
            if let Err(error) = self.show_last_good(name, Wish::Passing).await {
                tracing::error!(%name, error = &error as &dyn std::error::Error, "a stored certificate cannot be read");
            }
        }
    }

    /// What this host has of a name, or what the store has of it if that is nothing good.
    pub(super) async fn show_last_good(
        &self,
        name: &HostPattern,
        wish: Wish,
    ) -> Result<(), VaultError> {
        let id = CertId::of(name);
        if let Some(ready) = self.copied(name, &id).await {
            self.shelf.put(name, &ready, wish);
            return Ok(());
        }
        let found = Vault::new(self.vault.store().or_copy()).bundle(&id).await?;
        self.show(name, found, wish);
        Ok(())
    }

    /// What the copy has, if that is good. A copy that cannot be read is none.
    async fn copied(&self, name: &HostPattern, id: &CertId) -> Option<Ready> {
        let store = self.vault.store();
        if !store.is_copied() {
            return None;
        }
        let copied = Vault::new(store.at_hand()).bundle(id).await.ok()?;
        copied.ready.filter(|ready| self.is_good(name, ready))
    }

    /// What the store has of a name, on the shelf from now on, unless something newer lies there. Fails while the store is older
    /// than what this host has and that is not due: nothing must be ordered by it.
    pub(super) async fn look(
        &self,
        name: &HostPattern,
        id: &CertId,
        wish: Wish,
    ) -> Result<Option<Ready>, VaultError> {
        let ready = self.show(name, self.vault.bundle(id).await?, wish);
        if self.newer_here(name, id, ready.as_ref()).await.is_none() {
            return Ok(ready);
        }
        self.mend(name).await;
        let ready = self.show(name, self.vault.bundle(id).await?, wish);
        let now = self.clock.now();
        match self.newer_here(name, id, ready.as_ref()).await {
            Some(newer) if due(&newer, &State::default(), now) > now => {
                if !self.shelf.has(name) {
                    self.shelf.put(name, &newer, wish);
                }
                Err(VaultError::WentBack)
            }
            Some(_) | None => Ok(ready),
        }
    }

    /// `next`, or the end of what is shown if that comes first: the store may have something good, though older.
    pub(super) fn or_its_end(&self, name: &HostPattern, next: SystemTime) -> SystemTime {
        let shown = self.shelf.place(name).ready();
        let end = shown.map(|shown| shown.facts.not_after);
        let end = end.filter(|end| *end > self.clock.now());
        end.map_or(next, |end| next.min(end))
    }

    fn show(&self, name: &HostPattern, found: Found, wish: Wish) -> Option<Ready> {
        for fault in &found.faults {
            tracing::warn!(%name, "a stored certificate is not used: {fault}");
        }
        let ready = found.ready.filter(|ready| ready.covers(name).is_ok());
        let Some(fresh) = &ready else {
            self.shelf.place(name).is_nowhere();
            return ready;
        };
        let shown = self.shelf.place(name).ready();
        let is_kept = shown.is_some_and(|shown| {
            let is_better = shown.is_newer_than(fresh) && self.is_good(name, &shown);
            is_better || shown.leaf() == fresh.leaf()
        });
        if !is_kept {
            self.shelf.put(name, fresh, wish);
        }
        ready
    }

    /// What is shown, or lies in the copy, if it came from a later state of the store than the one that was found.
    async fn newer_here(
        &self,
        name: &HostPattern,
        id: &CertId,
        found: Option<&Ready>,
    ) -> Option<Arc<Ready>> {
        if !self.vault.store().is_copied() {
            return None;
        }
        let here = match self.shelf.place(name).ready() {
            Some(shown) => Some(shown),
            None => self.copied(name, id).await.map(Arc::new),
        };
        here.filter(|here| {
            let is_newer = found.is_none_or(|found| here.is_newer_than(found));
            is_newer && self.is_good(name, here)
        })
    }

    fn is_good(&self, name: &HostPattern, ready: &Ready) -> bool {
        ready.covers(name).is_ok() && self.clock.now() < ready.facts.not_after
    }

    /// Puts what is newer here back, once for all names: whoever comes meanwhile waits until that is over.
    async fn mend(&self, name: &HostPattern) {
        let mut not_before = self.mended.lock().await;
        let begun = Instant::now();
        if not_before.is_some_and(|not_before| begun < not_before) {
            return;
        }
        tracing::warn!(%name, "the storage has an older certificate than this host, as if it was restored from a backup");
        if let Err(error) = self.vault.store().put_back().await {
            tracing::warn!(%error, "what is newer here was not put back into the storage: until it is, nothing is ordered in its place");
        }
        let pause = MEND_EVERY.max(begun.elapsed() * SHARE);
        *not_before = Some(Instant::now() + pause);
    }
}
