//! Where the local CA is kept: in the store, so that all who share that have the same one; and its root as a file besides, for people.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use aws_lc_rs::digest::{SHA256, digest};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tokio::task;

use super::LocalCa;
use super::authority::Authority;
use super::error::Error;
use super::making::{Wish, make};
use super::people;
use super::scope::Scope;
use super::stored::Stored;
use crate::certs::pair::fault::day;
use crate::certs::pair::key_warning;
use crate::storage::files::Storage;
use crate::storage::store::{BadKey, Key, Object, Store, StoreError, When};

/// Everything about the CA is under it.
pub(super) const FOLDER: &str = "local-ca";
/// The object that is a whole CA.
pub(super) const AUTHORITY: &str = "local-ca/authority.json";
/// The root's certificate: an object of CAs of earlier versions, else only a copy for people.
pub(super) const ROOT: &str = "local-ca/root.pem";
/// Of CAs of earlier versions, and of a user's own.
pub(super) const ROOT_KEY: &str = "local-ca/root.key";

/// How often a CA that others change meanwhile is looked at again.
const LOOKS: usize = 3;

/// The place of one CA.
#[derive(Debug, Clone)]
pub struct Safe {
    pub(super) store: Store,
    /// The store in words.
    pub(super) name: Arc<str>,
    /// Where the file for people is: the store itself where that is a folder.
    pub(super) folder: Storage,
}

/// What lies in the store.
#[derive(Debug)]
pub(super) enum Found {
    Nothing,
    /// One object.
    Whole(Object),
    /// A root and its key.
    Earlier {
        root: Object,
        key: Object,
    },
}

impl Safe {
    /// In this store, which is called `name`; `folder` is the storage's own on this machine.
    #[must_use]
    pub fn new(store: Store, name: impl Into<Arc<str>>, folder: Storage) -> Self {
        Self {
            store,
            name: name.into(),
            folder,
        }
    }

    /// Where the root's certificate lies for people, once the CA was opened on this machine.
    #[must_use]
    pub fn root_path(&self) -> PathBuf {
        self.folder.path(ROOT)
    }

    /// Whether it may be out of reach for a while and come back by itself.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.store.is_shared()
    }

    /// The CA, if there is one. Nothing is created or changed.
    ///
    /// # Errors
    /// Names what is at fault and the ways out.
    pub async fn look(&self, now: SystemTime) -> Result<Option<LocalCa>, Error> {
        let found = self.found().await?;
        match self.authority(found, now)? {
            Some(authority) => Ok(Some(self.ready(authority, now).await)),
            None => Ok(None),
        }
    }

    /// The CA; made as `wish` says if there is none, and this host never saw one there. Of several processes that make it at once one wins, and all get its CA.
    ///
    /// # Errors
    /// As for [`Safe::look`].
    pub async fn open(&self, wish: &Wish, now: SystemTime) -> Result<LocalCa, Error> {
        let mut looks_left = LOOKS;
        let authority = loop {
            let found = self.found().await?;
            if let Some(authority) = self.authority(found, now)? {
                break authority;
            }
            looks_left -= 1;
            if looks_left > 0 && self.put_back().await? {
                continue;
            }
            let stored = make(wish, super::random(), now)?;
            let (key, bytes) = (key(AUTHORITY)?, stored.bytes());
            match self.store.put(&key, &bytes, &When::Absent, None).await {
                Ok(_version) => break Authority::of(stored, &self.place(AUTHORITY), now)?,
                Err(StoreError::Conflict) if looks_left > 0 => {}
                Err(error) => return Err(error.into()),
            }
        };
        self.show(&authority.root).await;
        Ok(self.ready(authority, now).await)
    }

    /// The certificate of the root as PEM, if there is a CA.
    ///
    /// # Errors
    /// When the store cannot be read, or something is missing.
    pub async fn root_pem(&self) -> Result<Option<String>, Error> {
        Ok(match self.found().await? {
            Found::Nothing => None,
            Found::Whole(object) => {
                let stored = Stored::read(&object.bytes);
                Some(stored.ok_or_else(|| self.broken(AUTHORITY))?.root)
            }
            Found::Earlier { root, key: _ } => {
                let text = String::from_utf8(root.bytes);
                Some(text.map_err(|_binary| self.broken(ROOT))?)
            }
        })
    }

    /// A store that was emptied has no CA, but clients trust the one that this host saw there: it comes back, before another is made.
    /// Says whether there is one again.
    ///
    /// # Errors
    /// When the store or the copy cannot be used.
    pub async fn put_back(&self) -> Result<bool, Error> {
        if !self.store.is_copied() {
            return Ok(false);
        }
        let seen = self.store.at_hand();
        let names = match seen.get(&key(AUTHORITY)?).await? {
            Some(_) => &[AUTHORITY][..],
            // The key last: a root alone is not taken for a CA.
            None => &[ROOT, ROOT_KEY][..],
        };
        let mut is_back = false;
        for name in names {
            let name = key(name)?;
            let Some(object) = seen.get(&name).await? else {
                return Ok(is_back);
            };
            let put = self.store.put(&name, &object.bytes, &When::Absent, None);
            match put.await {
                Ok(_) | Err(StoreError::Conflict) => is_back = true,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(is_back)
    }

    /// While the store is down, what this host saw last.
    pub(super) async fn found(&self) -> Result<Found, Error> {
        let store = self.store.or_copy();
        if let Some(object) = store.get(&key(AUTHORITY)?).await? {
            return Ok(Found::Whole(object));
        }
        let root = store.get(&key(ROOT)?).await?;
        let root_key = store.get(&key(ROOT_KEY)?).await?;
        if root.is_some() || root_key.is_some() {
            // Somebody may have made or replaced the CA between these reads.
            if let Some(object) = store.get(&key(AUTHORITY)?).await? {
                return Ok(Found::Whole(object));
            }
        }
        match (root, root_key) {
            (Some(root), Some(key)) => Ok(Found::Earlier { root, key }),
            (None, None) => Ok(Found::Nothing),
            (None, Some(_)) => Err(Error::Missing(self.place(ROOT))),
            (Some(root), None) if is_copy(&root.bytes) => {
                Err(Error::Missing(self.place(AUTHORITY)))
            }
            (Some(_), None) => Err(Error::Missing(self.place(ROOT_KEY))),
        }
    }

    pub(super) fn authority(
        &self,
        found: Found,
        now: SystemTime,
    ) -> Result<Option<Authority>, Error> {
        match found {
            Found::Nothing => Ok(None),
            Found::Whole(object) => {
                let stored = Stored::read(&object.bytes);
                let stored = stored.ok_or_else(|| self.broken(AUTHORITY))?;
                Authority::of(stored, &self.place(AUTHORITY), now).map(Some)
            }
            Found::Earlier { root, key } => {
                let (root_place, key_place) = (self.place(ROOT), self.place(ROOT_KEY));
                Authority::earlier(&root.bytes, &root_place, &key.bytes, &key_place, now).map(Some)
            }
        }
    }

    /// An object in words.
    pub(super) fn place(&self, key: &str) -> String {
        format!("{}/{key}", self.name)
    }

    fn broken(&self, key: &str) -> Error {
        Error::Broken(self.place(key))
    }

    /// Sees to it that the file for people is the root. It is a copy, so what hinders that hinders nobody who serves.
    pub async fn show(&self, root: &str) {
        let (folder, root) = (self.folder.clone(), root.to_owned());
        let is_shared = self.store.is_shared();
        let showing = task::spawn_blocking(move || {
            if is_shared {
                people::written(&folder, &root)
            } else {
                people::mended(&folder, &root).map(|()| None)
            }
        });
        match showing.await {
            Ok(Ok(None)) => {}
            Ok(Ok(Some(aside))) => {
                let aside = aside.display();
                tracing::warn!(%aside, "the storage has a local CA already: this machine's own was moved aside");
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "the local CA's root cannot be written as a file");
            }
            Err(error) => tracing::warn!(%error, "the local CA's root was not written as a file"),
        }
    }

    /// Who may read the key beside its owner, in words.
    async fn exposure(&self) -> Option<String> {
        let places = [AUTHORITY, ROOT_KEY].map(|key| self.folder.path(key));
        let looking = task::spawn_blocking(move || {
            let warning = places.iter().find_map(|place| key_warning(place));
            warning.map(|warning| warning.to_string())
        });
        looking.await.ok().flatten()
    }

    pub(super) async fn ready(&self, authority: Authority, now: SystemTime) -> LocalCa {
        let mut remarks: Vec<String> = self.exposure().await.into_iter().collect();
        if authority.scope.is_everything() {
            let place = self.place(ROOT);
            remarks.push(format!("{place} is of an earlier version and may sign for every name: it goes on working, and `onedoor certs new-ca` makes a CA for local names alone, which every client must then be made to trust"));
        }
        if authority.not_before > now {
            let begins = day(authority.not_before);
            remarks.push(format!("the local CA begins on {begins}, so clients refuse it until then: is the clock of this machine right?"));
        }
        LocalCa::new(authority, self.root_path(), remarks)
    }
}

/// A few digits by which a CA is told from others.
pub(super) fn fingerprint(bytes: &[u8]) -> String {
    let digest = digest(&SHA256, bytes);
    let beginning = digest.as_ref().iter().take(4);
    beginning.map(|octet| format!("{octet:02x}")).collect()
}

/// Whether it is a root of ours, which belongs to another object; those of earlier versions have no constraints.
fn is_copy(root: &[u8]) -> bool {
    let Ok(der) = CertificateDer::from_pem_slice(root) else {
        return false;
    };
    let parsed = x509_parser::parse_x509_certificate(&der);
    parsed.is_ok_and(|(_, root)| !Scope::of_certificate(&root).is_everything())
}

pub(super) fn key(text: &str) -> Result<Key, Error> {
    Key::new(text).map_err(|_bad: BadKey| Error::Broken(text.to_owned()))
}
