//! A new local CA in place of the one that is there, which is kept aside. Nothing else ever replaces a CA.

use std::time::SystemTime;

use super::LocalCa;
use super::authority::Authority;
use super::error::Error;
use super::making::{Wish, make};
use super::safe::{AUTHORITY, FOLDER, ROOT, ROOT_KEY, Safe, fingerprint, key};
use super::stored::Stored;
use crate::storage::store::{Object, StoreError, When};

/// A CA that nobody trusts yet.
#[derive(Debug)]
pub struct Replaced {
    pub ca: LocalCa,
    /// Where what was there before lies now, if anything was.
    pub aside: Option<String>,
}

/// What lies in the place of a CA, whole or not.
struct Remains {
    authority: Option<Object>,
    root: Option<Object>,
    root_key: Option<Object>,
}

impl Safe {
    /// Makes a CA as `wish` says. What is there is copied aside first, however broken it is; whoever reads meanwhile has the old CA or
    /// the new.
    ///
    /// # Errors
    /// [`Error::Replaced`] if somebody else was faster; then theirs is in place, and nothing of it was changed.
    pub async fn replace(&self, wish: &Wish, now: SystemTime) -> Result<Replaced, Error> {
        let remains = self.remains().await?;
        let aside = self.set_aside(&remains).await?;
        let stored = make(wish, super::random(), now)?;
        let when = match &remains.authority {
            Some(object) => When::Is(object.version.clone()),
            None => When::Absent,
        };
        let (place, bytes) = (key(AUTHORITY)?, stored.bytes());
        match self.store.put(&place, &bytes, &when, None).await {
            Ok(_version) => {}
            Err(StoreError::Conflict) => return Err(Error::Replaced),
            Err(error) => return Err(error.into()),
        }
        let authority = Authority::of(stored, &self.place(AUTHORITY), now)?;
        self.show(&authority.root).await;
        // From the new CA on nobody looks at these.
        self.remove(ROOT_KEY, remains.root_key.as_ref()).await?;
        self.remove(ROOT, remains.root.as_ref()).await?;
        let ca = self.ready(authority, now).await;
        Ok(Replaced { ca, aside })
    }

    async fn remains(&self) -> Result<Remains, Error> {
        Ok(Remains {
            authority: self.store.get(&key(AUTHORITY)?).await?,
            root: self.store.get(&key(ROOT)?).await?,
            root_key: self.store.get(&key(ROOT_KEY)?).await?,
        })
    }

    /// Under a name of its own, so a second attempt finds the copies of the first.
    async fn set_aside(&self, remains: &Remains) -> Result<Option<String>, Error> {
        let Remains {
            authority,
            root,
            root_key,
        } = remains;
        let Some(first) = authority.as_ref().or(root.as_ref()).or(root_key.as_ref()) else {
            return Ok(None);
        };
        let folder = format!("{FOLDER}/old-{}", fingerprint(&first.bytes));
        let stored = authority.as_ref().and_then(|it| Stored::read(&it.bytes));
        let root = match (&stored, root) {
            (Some(stored), _) => Some(stored.root.as_bytes()),
            (None, root) => root.as_ref().map(|object| object.bytes.as_slice()),
        };
        let copies = [
            (
                "authority.json",
                authority.as_ref().map(|it| it.bytes.as_slice()),
            ),
            ("root.pem", root),
            ("root.key", root_key.as_ref().map(|it| it.bytes.as_slice())),
        ];
        for (name, bytes) in copies {
            let Some(bytes) = bytes else {
                continue;
            };
            let place = key(&format!("{folder}/{name}"))?;
            match self.store.put(&place, bytes, &When::Absent, None).await {
                Ok(_) | Err(StoreError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Some(self.place(&folder)))
    }

    /// Unless it is another by now, as the file for people is.
    async fn remove(&self, name: &str, object: Option<&Object>) -> Result<(), Error> {
        let Some(object) = object else {
            return Ok(());
        };
        let when = When::Is(object.version.clone());
        match self.store.delete(&key(name)?, &when, None).await {
            Ok(()) | Err(StoreError::Conflict) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
