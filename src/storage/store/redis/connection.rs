//! The one connection of a process to Redis: made when first needed, and again when it broke or the runtime that drove it has ended.

use std::future::pending;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, RedisResult};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// To an open connection, its password told.
pub(super) const CONNECT_TIME: Duration = Duration::from_secs(5);
/// For one answer.
const ANSWER_TIME: Duration = Duration::from_secs(5);
/// Between two tries to connect again, at most.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// Tries to connect again before an operation fails; the next one tries anew.
const TRIES: usize = 1;

pub(super) struct Connection {
    client: Client,
    current: Mutex<Option<Driven>>,
}

/// A connection, and a task that ends with the runtime that drives it.
struct Driven {
    manager: ConnectionManager,
    witness: JoinHandle<()>,
}

impl Connection {
    pub(super) fn of(client: Client) -> Self {
        Self {
            client,
            current: Mutex::default(),
        }
    }

    /// One that can be asked. To be called within a runtime.
    pub(super) fn manager(&self) -> RedisResult<ConnectionManager> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(driven) = &*current
            && !driven.witness.is_finished()
        {
            return Ok(driven.manager.clone());
        }
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT_TIME))
            .set_response_timeout(Some(ANSWER_TIME))
            .set_number_of_retries(TRIES)
            .set_max_delay(PAUSE_MAX);
        let manager = ConnectionManager::new_lazy_with_config(self.client.clone(), config)?;
        let driven = current.insert(Driven {
            manager,
            witness: Handle::current().spawn(pending()),
        });
        Ok(driven.manager.clone())
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        self.witness.abort();
    }
}
