//! Answers in a shared store, so that any host of a fleet can be asked. They end by themselves.

use std::sync::PoisonError;
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Challenges, asked_as};
use crate::certs::ledger::instant::CLOCKS_DIFFER;
use crate::clock::Clock;
use crate::hostname::HostName;
use crate::storage::store::{Key, Lease, SEGMENT_BYTES_MAX, Store, StoreError, When};

/// Below it lie the answers.
pub(super) const PREFIX: &str = "challenges/";
/// How long an answer holds; an order that takes longer shows it again.
pub(super) const LASTS: Duration = Duration::from_secs(60 * 60);
/// Between two looks for answers that were left behind.
const SWEEP_EVERY: Duration = Duration::from_secs(10 * 60);
/// Answers that one look reads.
const SWEPT_MAX: usize = 1_000;

/// What is stored of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stored {
    pub(super) key_authorization: String,
    /// The name or address that a certificate shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    expires: Timestamp,
}

/// What is said, if it still holds. Clocks of hosts may differ a little.
pub(super) fn read(bytes: &[u8], now: SystemTime) -> Option<Stored> {
    let stored: Stored = serde_json::from_slice(bytes).ok()?;
    let is_over = SystemTime::from(stored.expires) + CLOCKS_DIFFER < now;
    (!is_over).then_some(stored)
}

/// Where the answer for a token is.
pub(super) fn http_key(token: &str) -> Option<Key> {
    Key::new(&format!("{PREFIX}http/{}", hash(token))).ok()
}

/// Where the answer for a name is, as a hello asks for it.
pub(super) fn alpn_key(asked: &HostName) -> Option<Key> {
    let name = asked.as_str();
    let segment = if name.len() > SEGMENT_BYTES_MAX {
        hash(name)
    } else {
        name.to_owned()
    };
    Key::new(&format!("{PREFIX}alpn/{segment}")).ok()
}

fn hash(text: &str) -> String {
    let digest = digest(&SHA256, text.as_bytes());
    digest
        .as_ref()
        .iter()
        .map(|octet| format!("{octet:02x}"))
        .collect()
}

/// What of an answer is shared.
#[derive(Debug, Clone, Copy)]
pub(in crate::certs) enum Shared<'a> {
    Http { token: &'a str },
    Alpn { name: &'a HostName },
}

impl Shared<'_> {
    fn key(self) -> Option<Key> {
        match self {
            Self::Http { token } => http_key(token),
            Self::Alpn { name } => alpn_key(&asked_as(name)),
        }
    }

    fn name(self) -> Option<String> {
        match self {
            Self::Http { .. } => None,
            Self::Alpn { name } => Some(name.to_string()),
        }
    }
}

impl Challenges {
    /// Lets every host of the fleet answer so, if the store is one of a fleet.
    pub(in crate::certs) async fn share(
        &self,
        (store, lease): (&Store, &Lease),
        challenge: Shared<'_>,
        key_authorization: &str,
        clock: &Clock,
    ) -> Result<(), StoreError> {
        let Some(key) = challenge.key().filter(|_key| store.is_shared()) else {
            return Ok(());
        };
        let expires = Timestamp::try_from(clock.now() + LASTS).unwrap_or(Timestamp::MAX);
        let stored = Stored {
            key_authorization: key_authorization.to_owned(),
            name: challenge.name(),
            expires,
        };
        let bytes = serde_json::to_vec(&stored).unwrap_or_default();
        store.put(&key, &bytes, &When::Always, Some(lease)).await?;
        if self.may_sweep()
            && let Err(error) = sweep(store, clock.now()).await
        {
            tracing::debug!(%error, "answers to CAs may have been left in the storage");
        }
        Ok(())
    }

    /// Takes it back. What is left behind ends by itself.
    pub(in crate::certs) async fn unshare(
        &self,
        (store, lease): (&Store, &Lease),
        challenge: Shared<'_>,
    ) {
        let Some(key) = challenge.key().filter(|_key| store.is_shared()) else {
            return;
        };
        // Whoever lost the lease must not take away what its successor shows.
        if let Err(error) = store.delete(&key, &When::Always, Some(lease)).await {
            tracing::debug!(%key, %error, "an answer to a CA was left in the storage, and ends by itself");
        }
    }

    fn may_sweep(&self) -> bool {
        let mut swept = self.0.swept.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let is_due = swept.is_none_or(|last| now >= last + SWEEP_EVERY);
        if is_due {
            *swept = Some(now);
        }
        is_due
    }
}

/// Removes what has ended: whoever showed it died.
async fn sweep(store: &Store, now: SystemTime) -> Result<(), StoreError> {
    for key in store.list(PREFIX).await?.into_iter().take(SWEPT_MAX) {
        let Some(object) = store.get(&key).await? else {
            continue;
        };
        if read(&object.bytes, now).is_none() {
            match store.delete(&key, &When::Is(object.version), None).await {
                Ok(()) | Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::store::memory::Memory;

    const LEASED: Duration = Duration::from_secs(60);

    fn host(text: &str) -> HostName {
        HostName::parse(text).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_shared_under_a_lease_and_ends_by_itself() {
        let (store, faults) = Memory::new();
        faults.share();
        let clock = Clock::virtual_from(SystemTime::UNIX_EPOCH + LASTS);
        let name = Key::new("work").unwrap();
        let lease = store.lease(&name, LEASED).await.unwrap().unwrap();
        let (challenges, name) = (Challenges::default(), host("a.test"));
        for challenge in [Shared::Http { token: "t" }, Shared::Alpn { name: &name }] {
            let shared = challenges.share((&store, &lease), challenge, "t.k", &clock);
            shared.await.unwrap();
        }
        let all = store.list(PREFIX).await.unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].as_str(), "challenges/alpn/a.test");
        let object = store.get(&all[1]).await.unwrap().unwrap();
        let found = read(&object.bytes, clock.now()).unwrap();
        assert_eq!(found.key_authorization, "t.k");
        let later = clock.now() + LASTS + CLOCKS_DIFFER + Duration::from_secs(1);
        assert_eq!(read(&object.bytes, later), None);
        challenges
            .unshare((&store, &lease), Shared::Http { token: "t" })
            .await;
        assert_eq!(store.list(PREFIX).await.unwrap(), all[..1]);
        sweep(&store, clock.now()).await.unwrap();
        assert_eq!(store.list(PREFIX).await.unwrap().len(), 1);
        sweep(&store, later).await.unwrap();
        assert!(store.list(PREFIX).await.unwrap().is_empty());
        faults.empty();
        let shared = challenges.share((&store, &lease), Shared::Http { token: "u" }, "u.k", &clock);
        assert!(matches!(shared.await, Err(StoreError::Fenced)));
    }

    #[test]
    fn every_name_and_token_has_a_key() {
        let long = format!("{}.test", ["a".repeat(60).as_str(); 4].join("."));
        for name in ["a.test", "7.2.0.192.in-addr.arpa", "_x.test", &long] {
            assert!(alpn_key(&host(name)).is_some(), "{name}");
        }
        assert!(http_key("Ab_-").is_some() && http_key("").is_some());
        assert_ne!(http_key("a"), http_key("A"));
    }
}
