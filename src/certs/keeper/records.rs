//! Who shows DNS-01 records to the world.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use crate::certs::acme::seams::BoxFuture;
use crate::certs::acme::solver::SolveError;
use crate::certs::dns::resolver::Resolver;
use crate::certs::dns::wait::{VISIBLE_WITHIN, until_visible};
use crate::certs::dns::{Published, Publisher};
use crate::clock::Clock;

/// Records that are remembered as published; what is forgotten is asked for again when it is withdrawn.
const PUBLISHED_MAX: usize = 1_000;

/// TXT records that come and go.
pub trait Records: Send + Sync + fmt::Debug {
    /// Returns once all authoritative servers show `value` at `name`, beside what is there.
    fn publish<'a>(
        &'a self,
        name: &'a str,
        value: &'a str,
    ) -> BoxFuture<'a, Result<(), SolveError>>;

    /// Takes it away; also what an earlier process published, or what never was.
    fn withdraw<'a>(
        &'a self,
        name: &'a str,
        value: &'a str,
    ) -> BoxFuture<'a, Result<(), SolveError>>;
}

/// By somebody who publishes, seen by a resolver of ours.
pub struct Dns {
    publisher: Publisher,
    resolver: Resolver,
    clock: Clock,
    /// By name and value.
    published: Mutex<HashMap<(String, String), Published>>,
}

impl Dns {
    #[must_use]
    pub fn new(publisher: Publisher, resolver: Resolver, clock: Clock) -> Self {
        Self {
            publisher,
            resolver,
            clock,
            published: Mutex::default(),
        }
    }

    fn remember(&self, name: &str, value: &str, published: Published) {
        let mut all = self
            .published
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if all.len() >= PUBLISHED_MAX {
            all.clear();
        }
        all.insert((name.to_owned(), value.to_owned()), published);
    }

    fn recall(&self, name: &str, value: &str) -> Option<Published> {
        let mut all = self
            .published
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        all.remove(&(name.to_owned(), value.to_owned()))
    }
}

impl Records for Dns {
    fn publish<'a>(
        &'a self,
        name: &'a str,
        value: &'a str,
    ) -> BoxFuture<'a, Result<(), SolveError>> {
        Box::pin(async move {
            let publishing = self.publisher.publish(&self.resolver, name, value).await;
            let published = publishing.map_err(|error| SolveError(error.into()))?;
            let record = published.record().to_owned();
            self.remember(name, value, published);
            until_visible(&self.resolver, &self.clock, &record, value, VISIBLE_WITHIN)
                .await
                .map_err(|error| SolveError(error.into()))
        })
    }

    fn withdraw<'a>(
        &'a self,
        name: &'a str,
        value: &'a str,
    ) -> BoxFuture<'a, Result<(), SolveError>> {
        Box::pin(async move {
            let withdrawn = async {
                let published = match self.recall(name, value) {
                    Some(published) => published,
                    None => self.publisher.recall(&self.resolver, name, value).await?,
                };
                self.publisher.withdraw(&published).await
            };
            withdrawn.await.map_err(|error| SolveError(error.into()))
        })
    }
}

impl fmt::Debug for Dns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dns")
            .field("publisher", &self.publisher)
            .finish_non_exhaustive()
    }
}
