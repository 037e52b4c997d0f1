//! Saved leases as they lie in the storage: written by the holder, and by `onedoor add` and `rm` while nobody holds the door.

use std::error::Error;
use std::fmt;

use crate::control::saved::SavedLease;
use crate::storage::store::{BadKey, Key, Store, StoreError, When};

/// Where they lie in the storage.
const PREFIX: &str = "saved-leases/";

/// Why a saved lease was not kept, or not removed; nothing changed then.
#[derive(Debug)]
pub enum NotKept {
    /// The host cannot be a key: it is too long.
    Host(BadKey),
    /// It has a path that is no text.
    Unwritable(serde_json::Error),
    Store(StoreError),
}

/// What removing it led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forgotten {
    Removed,
    /// Nothing was kept for the host.
    Unknown,
}

/// Keeps a saved lease, in place of what was kept for the same host.
///
/// # Errors
/// As [`NotKept`] says.
pub async fn keep(store: &Store, saved: &SavedLease) -> Result<(), NotKept> {
    let key = key_of(&saved.host)?;
    let text = serde_json::to_vec(saved).map_err(NotKept::Unwritable)?;
    store.put(&key, &text, &When::Always, None).await?;
    Ok(())
}

/// Removes what is kept for a host.
///
/// # Errors
/// As [`NotKept`] says.
pub async fn forget(store: &Store, host: &str) -> Result<Forgotten, NotKept> {
    let key = key_of(host)?;
    // What cannot be read can be removed all the same.
    let known = store.list(PREFIX).await?.contains(&key);
    store.delete(&key, &When::Always, None).await?;
    Ok(if known {
        Forgotten::Removed
    } else {
        Forgotten::Unknown
    })
}

/// Everything that is kept, in order; for what cannot be read, why.
///
/// # Errors
/// When the storage as a whole cannot be read.
pub async fn all(store: &Store) -> Result<Vec<(Key, Result<SavedLease, String>)>, StoreError> {
    let mut kept = Vec::new();
    for key in store.list(PREFIX).await? {
        let saved = match store.get(&key).await {
            Ok(Some(object)) => {
                serde_json::from_slice(&object.bytes).map_err(|error| error.to_string())
            }
            // Removed meanwhile.
            Ok(None) => continue,
            Err(error) => Err(error.to_string()),
        };
        kept.push((key, saved));
    }
    Ok(kept)
}

/// Names hold characters that keys may not.
fn key_of(host: &str) -> Result<Key, NotKept> {
    let safe: String = host
        .bytes()
        .map(|octet| match octet {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' => char::from(octet).to_string(),
            other => format!("_{other:02x}"),
        })
        .collect();
    Key::new(&format!("{PREFIX}{safe}")).map_err(NotKept::Host)
}

impl From<StoreError> for NotKept {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl fmt::Display for NotKept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host(_) => "the host name cannot be kept",
            Self::Unwritable(_) => "the folder or the target is no text",
            Self::Store(_) => "the storage did not take it",
        })
    }
}

impl Error for NotKept {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Host(bad) => Some(bad),
            Self::Unwritable(error) => Some(error),
            Self::Store(error) => Some(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::control::leases::Insistence;
    use crate::control::owner::Owner;

    #[tokio::test]
    async fn what_is_kept_is_found_until_it_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::files(folder.path().join("storage"), Clock::system());
        assert!(all(&store).await.unwrap().is_empty());
        let hosts = ["*.dev.test", "[::1]:8443", "shop.test"];
        for host in hosts {
            keep(&store, &saved(host, "3000")).await.unwrap();
        }
        keep(&store, &saved("shop.test", "4000")).await.unwrap();
        let mut kept: Vec<(String, String)> = Vec::new();
        for (_key, saved) in all(&store).await.unwrap() {
            let saved = saved.unwrap();
            kept.push((saved.host, saved.target));
        }
        kept.sort();
        let expected = hosts.map(|host| {
            let target = if host == "shop.test" { "4000" } else { "3000" };
            (host.to_owned(), target.to_owned())
        });
        assert_eq!(kept, expected);
        for host in hosts {
            assert_eq!(forget(&store, host).await.unwrap(), Forgotten::Removed);
            assert_eq!(forget(&store, host).await.unwrap(), Forgotten::Unknown);
        }
        assert!(all(&store).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_told_and_can_be_removed() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::files(folder.path().join("storage"), Clock::system());
        let key = key_of("shop.test").unwrap();
        store.put(&key, b"{", &When::Always, None).await.unwrap();
        keep(&store, &saved("a.test", "3000")).await.unwrap();
        let kept = all(&store).await.unwrap();
        assert_eq!(kept.iter().filter(|(_key, saved)| saved.is_ok()).count(), 1);
        assert_eq!(kept.len(), 2);
        let removed = forget(&store, "shop.test").await.unwrap();
        assert_eq!(removed, Forgotten::Removed);
    }

    fn saved(host: &str, target: &str) -> SavedLease {
        SavedLease {
            host: host.to_owned(),
            target: target.to_owned(),
            owner: Owner {
                pid: 1,
                uid: 1000,
                command: "onedoor add".to_owned(),
                folder: "/src".into(),
                since: "2026-01-31T12:00:00Z".parse().unwrap(),
            },
            insistence: Insistence::Asks,
            folder: "/src".into(),
        }
    }
}
