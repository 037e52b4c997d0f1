//! A lease in Redis: a key with our nonce, which ends with its time.

use std::fmt;
use std::time::Duration;

use tokio::runtime::Handle;

use super::{Redis, millis, scripts};
use crate::storage::store::{Claim, Hold, Pending, StoreError};

pub(super) struct Held {
    claim: Claim,
    time: Duration,
    store: Redis,
}

impl Held {
    pub(super) fn new(claim: Claim, time: Duration, store: Redis) -> Self {
        Self { claim, time, store }
    }
}

impl Hold for Held {
    fn claim(&self) -> &Claim {
        &self.claim
    }

    fn renew(&mut self) -> Pending<'_, ()> {
        Box::pin(async move {
            let mut asked = scripts::RENEW.prepare_invoke();
            asked
                .key(self.store.lease_name(&self.claim.name))
                .arg(&*self.claim.nonce)
                .arg(millis(self.time));
            match self.store.ask_again::<u64>(&asked).await? {
                0 => Err(StoreError::Fenced),
                _ => Ok(()),
            }
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Without a runtime nobody is left to give it back, and it ends by itself.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let (store, claim) = (self.store.clone(), self.claim.clone());
        let giving = runtime.spawn(async move {
            let mut asked = scripts::GIVE_BACK.prepare_invoke();
            asked.key(store.lease_name(&claim.name)).arg(&*claim.nonce);
            if let Err(error) = store.ask::<u64>(&asked).await {
                tracing::debug!(%error, "a lease was not given back, and ends by itself");
            }
        });
        self.store.ends(giving);
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Held").field(&self.claim).finish()
    }
}
