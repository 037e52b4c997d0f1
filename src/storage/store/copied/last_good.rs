//! A view for those who serve: what the store says, or what this host saw last while the store is down or silent.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::timeout;

use super::Copied;
use super::reach::PATIENCE;
use crate::storage::store::{
    Backend, Claim, Hold, Key, Mark, Object, Pending, Store, StoreError, Version, When,
};

pub(super) struct LastGood(Copied);

impl LastGood {
    pub(super) fn of(copied: Copied) -> Self {
        Self(copied)
    }

    fn folder(&self) -> &Store {
        self.0.0.copies.folder()
    }

    /// None if the store does not say.
    async fn ask<T>(
        &self,
        asked: impl Future<Output = Result<T, StoreError>>,
    ) -> Option<Result<T, StoreError>> {
        let inner = &self.0.0;
        if !inner.reach.may_ask() {
            return None;
        }
        match timeout(PATIENCE, asked).await {
            Ok(Err(error)) if error.concerns_all() => {
                tracing::debug!(%error, "read from the local copy");
                None
            }
            Ok(answer) => Some(answer),
            Err(_silent) => {
                inner.reach.failed();
                None
            }
        }
    }
}

impl Backend for LastGood {
    fn get<'a>(&'a self, key: &'a Key) -> Pending<'a, Option<Object>> {
        Box::pin(async move {
            match self.ask(self.0.0.read(key)).await {
                // What cannot be read there may have been good here.
                Some(Err(StoreError::Damaged { key, source })) => {
                    match self.folder().get(&key).await {
                        Ok(Some(object)) => Ok(Some(object)),
                        Ok(None) | Err(_) => Err(StoreError::Damaged { key, source }),
                    }
                }
                Some(answer) => answer,
                None => self.folder().get(key).await,
            }
        })
    }

    fn put<'a>(
        &'a self,
        key: &'a Key,
        bytes: &'a [u8],
        when: &'a When,
        claim: Option<&'a Claim>,
    ) -> Pending<'a, Version> {
        self.0.put(key, bytes, when, claim)
    }

    fn delete<'a>(
        &'a self,
        key: &'a Key,
        when: &'a When,
        claim: Option<&'a Claim>,
    ) -> Pending<'a, ()> {
        self.0.delete(key, when, claim)
    }

    fn list<'a>(&'a self, prefix: &'a str) -> Pending<'a, Vec<Key>> {
        Box::pin(async move {
            match self.ask(self.0.0.list(prefix)).await {
                Some(answer) => answer,
                None => self.folder().list(prefix).await,
            }
        })
    }

    fn lease<'a>(&'a self, name: &'a Key, time: Duration) -> Pending<'a, Option<Box<dyn Hold>>> {
        self.0.lease(name, time)
    }

    fn try_out(&self) -> Pending<'_, ()> {
        self.0.try_out()
    }

    fn shown<'a>(&'a self, prefix: &'a str) -> Pending<'a, BTreeMap<Key, Box<str>>> {
        self.0.shown(prefix)
    }

    fn changed<'a>(&'a self, prefix: &'a str, since: &'a Mark) -> Pending<'a, (Vec<Key>, Mark)> {
        self.0.changed(prefix, since)
    }

    fn hint(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.0.hint()
    }

    fn is_shared(&self) -> bool {
        self.0.is_shared()
    }

    fn at_hand(&self) -> Option<Store> {
        self.0.at_hand()
    }

    fn orders_nothing(&self) {
        self.0.orders_nothing();
    }
}

impl fmt::Debug for LastGood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, or what was seen of it last", self.0)
    }
}
