//! How far a verb may go: what it may write, and what it looks at while the storage is out of reach.

use std::os::unix::fs::MetadataExt as _;

use super::known::Scene;
use super::{heard, runtime};
use crate::certs::vault::Vault;
use crate::cli::{Exit, say};

/// A part of the storage that is small wherever it is, to see whether it can be reached.
const CAS: &str = "acme/";
/// Of a mode: anything that others may.
const OTHERS: u32 = 0o077;

impl Scene {
    /// For verbs that only look. While a shared storage is out of reach, that is told, and what this host saw last is looked at.
    pub(in crate::cli) fn or_as_seen(self) -> Result<Self, Exit> {
        let store = self.vault.store();
        if !store.is_copied() {
            return Ok(self);
        }
        let Some(error) = runtime()?.block_on(heard(store.list(CAS))).err() else {
            return Ok(self);
        };
        let copy = store.at_hand();
        let seen = runtime()?.block_on(copy.list("")).unwrap_or_default();
        if seen.is_empty() || !error.is_outage() {
            say::error("storage", &error);
            return Err(Exit::Failed);
        }
        say::warning("storage", &error, "what follows is what this host saw last");
        Ok(Self {
            vault: Vault::new(copy),
            ..self
        })
    }

    /// Whether the owner of the storage will be able to read what this process writes there; if not, that is told.
    pub(in crate::cli) fn check_owner(&self) -> Result<(), Exit> {
        let folder = self.depot.folder();
        let Ok(found) = folder.metadata() else {
            return Ok(());
        };
        let (owner, own) = (found.uid(), rustix::process::geteuid().as_raw());
        if can_read(owner, own, found.mode()) {
            return Ok(());
        }
        let folder = folder.display();
        say::err(&format!(
            "error[owner]: {folder} belongs to the user {owner}, whose onedoor could not read what this one writes: run this as that user, with `sudo -u '#{owner}'`, or as root after `chmod 700 {folder}`\n"
        ));
        Err(Exit::Permission)
    }
}

/// Whether the owner of a storage with this mode can read what `own` writes there. Root reads everything, so a folder of root's that was
/// opened to a group is as good as an own one; what root makes in a folder of its owner alone becomes that owner's.
const fn can_read(owner: u32, own: u32, mode: u32) -> bool {
    owner == own || owner == 0 || (own == 0 && mode & OTHERS == 0)
}

#[cfg(test)]
mod tests {
    use super::can_read;

    #[test]
    fn only_what_the_owner_of_a_storage_could_not_read_is_refused() {
        assert!(can_read(1000, 1000, 0o755));
        assert!(can_read(0, 1000, 0o2775), "a volume that a group may use");
        assert!(can_read(1000, 0, 0o700), "root gives it away");
        assert!(!can_read(1000, 0, 0o755));
        assert!(!can_read(1000, 1001, 0o770));
    }
}
