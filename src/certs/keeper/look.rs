//! From the store to the shelf: what is shown is never older than what was shown, as long as that is good.

use std::time::Duration;

use tokio::time::Instant;

use crate::certs::bundle::Ready;
use crate::certs::keeper::works::Works;
use crate::certs::shelf::Wish;
use crate::certs::vault::{CertId, Found, Vault, VaultError};
use crate::hostname::HostPattern;

/// Between two attempts to mend a store that went back: each reads all of it.
const MEND_EVERY: Duration = Duration::from_secs(60);

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
        let (id, store) = (CertId::of(name), self.vault.store());
        if store.is_copied() {
            // A copy that cannot be read is none.
            let copied = Vault::new(store.at_hand()).bundle(&id).await;
            let ready = copied.ok().and_then(|found| found.ready);
            if let Some(ready) = ready.filter(|ready| self.is_good(name, ready)) {
                self.shelf.put(name, &ready, wish);
                return Ok(());
            }
        }
        let found = Vault::new(store.or_copy()).bundle(&id).await?;
        self.show(name, found, wish);
        Ok(())
    }

    /// What the store has of a name, on the shelf from now on, unless something newer lies there.
    pub(super) async fn look(
        &self,
        name: &HostPattern,
        id: &CertId,
        wish: Wish,
    ) -> Result<Option<Ready>, VaultError> {
        let ready = self.show(name, self.vault.bundle(id).await?, wish);
        if !self.went_back(name, ready.as_ref()) || !self.may_mend() {
            return Ok(ready);
        }
        tracing::warn!(%name, "the storage has an older certificate than this host, as if it was restored from a backup");
        if let Err(error) = self.vault.store().put_back().await {
            tracing::warn!(%error, "what is newer here was not put back into the storage");
        }
        Ok(self.show(name, self.vault.bundle(id).await?, wish))
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

    /// Whether what is shown came from a later state of the store than the one that was found.
    fn went_back(&self, name: &HostPattern, found: Option<&Ready>) -> bool {
        let shown = self.shelf.place(name).ready();
        shown.is_some_and(|shown| {
            let is_newer = found.is_none_or(|found| shown.is_newer_than(found));
            is_newer && self.is_good(name, &shown)
        })
    }

    fn is_good(&self, name: &HostPattern, ready: &Ready) -> bool {
        ready.covers(name).is_ok() && self.clock.now() < ready.facts.not_after
    }

    fn may_mend(&self) -> bool {
        let mut last = self.lock_mended();
        let now = Instant::now();
        if !self.vault.store().is_copied() || last.is_some_and(|last| now < last + MEND_EVERY) {
            return false;
        }
        *last = Some(now);
        true
    }
}
