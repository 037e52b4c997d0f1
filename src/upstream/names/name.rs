//! One name, as workers see it.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

use crate::upstream::UpstreamError;

/// A name and what is known of it now.
#[derive(Debug)]
pub struct Name {
    host: Box<str>,
    generation: AtomicU64,
    found: watch::Sender<Found>,
}

/// What is known of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Zero before the first answer; another number whenever the addresses are others.
    pub generation: u64,
    /// In a lasting order, each once. None: the name is not known, or not yet.
    pub addresses: Arc<[IpAddr]>,
    /// Why there are none.
    reason: Option<Arc<str>>,
}

impl Name {
    pub(super) fn new(host: &str) -> Self {
        Self {
            host: host.into(),
            generation: AtomicU64::new(0),
            found: watch::Sender::new(Found {
                generation: 0,
                addresses: Arc::default(),
                reason: None,
            }),
        }
    }

    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The number of [`Self::now`]: a load, to see whether what is derived from the addresses still holds.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// What is known at this moment; nothing is waited for.
    #[must_use]
    pub fn now(&self) -> Found {
        self.found.borrow().clone()
    }

    /// Waits for the first answer, then says what is known. The caller bounds the time.
    ///
    /// # Errors
    /// [`UpstreamError::Unresolved`]: the name has no address.
    pub async fn found(&self) -> Result<Found, UpstreamError> {
        let mut found = self.found.subscribe();
        let answered = found.wait_for(|found| found.generation > 0).await;
        // The sender is a field beside: it lives as long as we are borrowed.
        let found = answered.map_or_else(|_closed| self.now(), |found| found.clone());
        if found.addresses.is_empty() {
            let reason = found.reason.as_deref().unwrap_or("no address");
            return Err(UpstreamError::Unresolved(io::Error::new(
                io::ErrorKind::NotFound,
                format!("{}: {reason}", self.host),
            )));
        }
        Ok(found)
    }

    /// The name is at these addresses.
    pub(super) fn is_at(&self, addresses: &[IpAddr]) {
        self.turn_into(addresses, None);
    }

    /// The name is nowhere.
    pub(super) fn is_nowhere(&self, reason: &str) {
        self.turn_into(&[], Some(reason));
    }

    fn turn_into(&self, addresses: &[IpAddr], reason: Option<&str>) {
        self.found.send_if_modified(|found| {
            let is_same = found.generation > 0 && *found.addresses == *addresses;
            if is_same && found.reason.as_deref() == reason {
                return false;
            }
            if !is_same {
                found.generation += 1;
                found.addresses = addresses.into();
            }
            found.reason = reason.map(Arc::from);
            self.generation.store(found.generation, Ordering::Release);
            true
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn the_first_question_waits_for_the_first_answer() {
        let name = Name::new("a.test");
        assert_eq!((name.generation(), name.now().addresses.len()), (0, 0));
        let (found, ()) = tokio::join!(name.found(), async { name.is_at(&[ip("192.0.2.1")]) });
        let found = found.unwrap();
        assert_eq!(
            (found.generation, &*found.addresses),
            (1, &[ip("192.0.2.1")][..])
        );
    }

    #[tokio::test]
    async fn a_name_without_addresses_is_unresolved_and_says_why() {
        let name = Name::new("a.test");
        name.is_nowhere("no such name");
        let error = name.found().await.unwrap_err();
        let UpstreamError::Unresolved(error) = error else {
            panic!("{error:?}");
        };
        assert_eq!(error.to_string(), "a.test: no such name");
    }

    #[test]
    fn only_other_addresses_are_another_generation() {
        let name = Name::new("a.test");
        let (one, two) = (ip("192.0.2.1"), ip("192.0.2.2"));
        name.is_at(&[one]);
        name.is_at(&[one]);
        assert_eq!(name.generation(), 1);
        name.is_at(&[one, two]);
        assert_eq!((name.generation(), name.now().generation), (2, 2));
        name.is_nowhere("gone");
        assert_eq!((name.generation(), name.now().addresses.len()), (3, 0));
    }
}
