//! Saved leases while nobody holds the door: straight in the storage, where the next holder finds them.

use std::path::{Path, PathBuf};

use super::failure::Failure;
use crate::app::kept::{self, Forgotten};
use crate::app::storing::Depot;
use crate::cli::{Exit, say};
use crate::clock::Clock;
use crate::config;
use crate::config::suggest::nearest;
use crate::control::claim::Claim;
use crate::control::saved::SavedLease;
use crate::storage::store::Store;

/// The storage that the next `onedoor up` here uses.
#[derive(Debug)]
pub(super) struct Keeping {
    folder: PathBuf,
    store: Store,
    /// Nobody becomes the holder meanwhile.
    _claim: Claim,
}

impl Keeping {
    /// Finds it by the configuration that `up` would read, if there is one.
    pub(super) fn open(config: Option<&Path>, claim: Claim) -> Result<Self, Failure> {
        let found = config.map(Path::to_owned).or_else(config::find);
        let loaded = found.map(|path| config::load(&path, None)).transpose();
        let loaded = loaded.map_err(|refused| {
            say::refused(&refused);
            Failure::told(Exit::Configuration)
        })?;
        let depot = Depot::find(loaded.as_ref().map(|loaded| &loaded.config));
        let depot = depot.map_err(|error| Failure {
            exit: Exit::Configuration,
            ..Failure::of("storage", &error)
        })?;
        Ok(Self {
            store: depot.own(&Clock::system()),
            folder: depot.folder().to_owned(),
            _claim: claim,
        })
    }

    /// Keeps a lease and returns what is said about it.
    pub(super) async fn keep(&self, saved: &SavedLease) -> Result<String, Failure> {
        kept::keep(&self.store, saved).await?;
        let SavedLease { host, target, .. } = saved;
        let folder = self.folder.display();
        Ok(format!(
            "`{host}` is to lead to {target}: kept in {folder}\n  note: nobody serves it now; `onedoor up` will\n"
        ))
    }

    /// The same for its end.
    pub(super) async fn forget(&self, host: &str) -> Result<String, Failure> {
        match kept::forget(&self.store, host).await? {
            Forgotten::Removed => Ok(format!(
                "`{host}` is removed from {}\n",
                self.folder.display()
            )),
            Forgotten::Unknown => Err(self.unknown(host).await?),
        }
    }

    async fn unknown(&self, host: &str) -> Result<Failure, Failure> {
        let kept = kept::all(&self.store).await;
        let kept = kept.map_err(|error| Failure::of("storage", &error))?;
        let hosts = kept.iter().filter_map(|(_key, saved)| saved.as_ref().ok());
        let near = nearest(host, hosts.map(|saved| saved.host.as_str()));
        let near = near.map(|near| format!("  did you mean `{near}`?\n"));
        let folder = self.folder.display();
        let sentence = format!("`{host}` was not added: {folder} does not have it");
        let more = near.unwrap_or_default();
        Ok(Failure::new("unknown-name", &sentence, &more))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::door::samples::{NOW, owner};
    use crate::control::leases::Insistence;
    use crate::control::place::{Place, Wishes};

    #[tokio::test]
    async fn a_lease_is_kept_for_the_next_holder_and_removed() {
        let root = tempfile::tempdir().unwrap();
        let storage = root.path().join("storage");
        let keeping = Keeping {
            store: Store::files(storage.clone(), Clock::system()),
            folder: storage,
            _claim: claim(root.path()).await,
        };
        let saved = SavedLease {
            host: "shop.test".to_owned(),
            target: "3000".to_owned(),
            owner: owner(1, "onedoor add", "/src", NOW),
            insistence: Insistence::Asks,
            folder: "/src".into(),
        };
        let told = keeping.keep(&saved).await.unwrap();
        assert!(
            told.starts_with("`shop.test` is to lead to 3000: "),
            "{told}"
        );
        assert!(told.ends_with("nobody serves it now; `onedoor up` will\n"));
        let failure = keeping.forget("shpo.test").await.unwrap_err();
        assert!(failure.text.contains("did you mean `shop.test`?"));
        let told = keeping.forget("shop.test").await.unwrap();
        assert!(told.starts_with("`shop.test` is removed"), "{told}");
        assert!(keeping.forget("shop.test").await.is_err());
    }

    async fn claim(root: &Path) -> Claim {
        let place = Place::choose(Wishes {
            explicit: None,
            runtime: None,
            state: root,
        });
        Claim::take(&place).await.unwrap()
    }
}
