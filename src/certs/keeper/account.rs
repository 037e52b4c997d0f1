//! The account of a CA in the store.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::certs::acme::adopted;
use crate::certs::acme::fault::{OrderError, Side};
use crate::certs::acme::seams::{AccountKeeper, BoxFuture, KeepError};
use crate::certs::keeper::ledgers::ca_id;
use crate::certs::keeper::works::fault;
use crate::certs::retry::Class;
use crate::storage::store::{Key, Lease, Object, Store, StoreError, When};

/// How long making an account may take.
const ACCOUNT_LEASE: Duration = Duration::from_secs(120);

/// How long somebody else who makes it is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at whether that one is done.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Where it is kept, and the lease under which it is made.
pub(in crate::certs) struct Account<'a> {
    store: &'a Store,
    key: Key,
    lease: Key,
    /// What every write is under, once it is taken: who is late writes nothing then.
    held: Option<Lease>,
}

impl<'a> Account<'a> {
    pub(in crate::certs) fn of(directory: &str, store: &'a Store) -> Result<Self, OrderError> {
        let id = ca_id(directory);
        let key = |text: String| {
            Key::new(&text).map_err(|error| {
                let problem = format!("the URL {directory} cannot be kept under a name: {error}");
                OrderError::new(Class::Human, Side::Options, problem)
            })
        };
        Ok(Self {
            store,
            key: key(format!("acme/{id}/account"))?,
            lease: key(format!("account-{id}"))?,
            held: None,
        })
    }

    pub(in crate::certs) async fn object(&self) -> Result<Option<Object>, StoreError> {
        self.store.get(&self.key).await
    }

    /// Has the lease taken for whatever is written from now on. Not if somebody else has it.
    pub(in crate::certs) async fn hold(&mut self) -> Result<bool, StoreError> {
        self.held = self.store.lease(&self.lease, ACCOUNT_LEASE).await?;
        Ok(self.held.is_some())
    }

    /// Keeps it if there is none.
    pub(in crate::certs) async fn save_first(&self, bytes: &[u8]) -> Result<(), StoreError> {
        let held = self.held.as_ref();
        let put = self.store.put(&self.key, bytes, &When::Absent, held);
        put.await.map(drop)
    }

    pub(in crate::certs) async fn remove(&self) -> Result<(), StoreError> {
        let held = self.held.as_ref();
        self.store.delete(&self.key, &When::Always, held).await
    }

    /// Whether it is to be made, and by us: nobody else makes it then. Waits for somebody who does. Neither does anybody else take it
    /// over from another tool then, if that is still to be finished.
    pub(in crate::certs) async fn take_turn(&mut self) -> Result<bool, OrderError> {
        let broken = |error: StoreError| fault(Side::Storage, error);
        let until = Instant::now() + PATIENCE;
        loop {
            let known = self.store.get(&self.key).await.map_err(broken)?;
            if known.is_some_and(|known| adopted::own(&known.bytes).is_some()) {
                return Ok(false);
            }
            if self.hold().await.map_err(broken)? {
                // Whoever had it before us may have been done.
                let known = self.store.get(&self.key).await.map_err(broken)?;
                return Ok(known.is_none());
            }
            if Instant::now() >= until {
                let problem = "another process is making the account";
                return Err(fault(Side::Storage, problem));
            }
            sleep(LOOK_EVERY).await;
        }
    }
}

impl AccountKeeper for Account<'_> {
    fn place(&self) -> String {
        self.key.to_string()
    }

    fn load(&self) -> BoxFuture<'_, Result<Option<Vec<u8>>, KeepError>> {
        Box::pin(async {
            let object = self.store.get(&self.key).await;
            let object = object.map_err(|error| KeepError(error.into()))?;
            Ok(object.map(|object| object.bytes))
        })
    }

    fn save<'b>(&'b self, bytes: &'b [u8]) -> BoxFuture<'b, Result<(), KeepError>> {
        Box::pin(async move {
            let held = self.held.as_ref();
            let put = self.store.put(&self.key, bytes, &When::Always, held).await;
            put.map(drop).map_err(|error| KeepError(error.into()))
        })
    }
}
