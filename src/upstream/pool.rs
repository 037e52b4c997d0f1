//! The upstream connections of one worker: last in, first out, per target; never shared between threads.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;
use hyper::client::conn::{http1, http2};
use tokio::task::AbortHandle;

use super::Outgoing;
use super::spare::Shelf;
use super::tls::Offer;
use crate::config::target::Target;
use crate::deadline::Wheel;

/// Idle connections kept for one target.
const IDLE_MAX: usize = 256;
/// How long an idle connection is kept; below the 60 s after which common upstreams close theirs.
const IDLE_TIME: Duration = Duration::from_secs(55);

/// All upstream connections of one worker.
#[derive(Debug)]
pub struct Upstreams {
    pools: RefCell<HashMap<Arc<Target>, Rc<Pool>, RandomState>>,
    pub(super) wheel: Wheel,
    pub(super) shelf: Shelf,
}

/// The connections to one target.
pub(super) struct Pool {
    idle: RefCell<Vec<Idle>>,
    shared: RefCell<Option<Shared>>,
    wheel: Wheel,
}

struct Idle {
    connection: Http1,
    since: Duration,
}

struct Shared {
    sender: http2::SendRequest<Outgoing>,
    used: Cell<Duration>,
}

/// An HTTP/1.1 connection; whoever drops it without keeping it closes it.
pub(super) struct Http1 {
    pub(super) sender: http1::SendRequest<Outgoing>,
    pub(super) task: AbortHandle,
}

/// A connection that can take a request.
pub(super) enum Connection {
    Http1(Http1),
    Http2(http2::SendRequest<Outgoing>),
}

/// The right to a connection while an answer is being read. Dropped unfinished, it closes the connection (HTTP/1.1) or leaves
/// the reset of the stream to the dropped body (HTTP/2).
pub struct Lease {
    held: Option<(Http1, Rc<Pool>)>,
}

impl Upstreams {
    /// No connections yet.
    #[must_use]
    pub fn new(wheel: Wheel) -> Self {
        Self {
            pools: RefCell::default(),
            wheel,
            shelf: Shelf::default(),
        }
    }

    pub(super) fn pool(&self, target: &Arc<Target>) -> Rc<Pool> {
        if let Some(pool) = self.pools.borrow().get(target) {
            return pool.clone();
        }
        let pool = Rc::new(Pool {
            idle: RefCell::default(),
            shared: RefCell::default(),
            wheel: self.wheel.clone(),
        });
        self.pools.borrow_mut().insert(target.clone(), pool.clone());
        pool
    }

    /// Closes what has been idle for too long and forgets targets without connections. Called now and then.
    pub fn sweep(&self) {
        let now = self.wheel.elapsed();
        self.pools.borrow_mut().retain(|_target, pool| {
            pool.sweep(now);
            Rc::strong_count(pool) > 1 || !pool.is_empty()
        });
    }

    /// Closes every idle connection: the worker is about to stop.
    pub fn close_idle(&self) {
        self.pools.borrow_mut().clear();
    }
}

impl Pool {
    /// The connection used last that still lives.
    pub(super) fn take(&self, offer: Offer) -> Option<Connection> {
        if offer == Offer::Any
            && let Some(sender) = self.take_shared()
        {
            return Some(Connection::Http2(sender));
        }
        let mut idle = self.idle.borrow_mut();
        idle.retain(|idle| !idle.connection.sender.is_closed());
        let ready = idle
            .iter()
            .rposition(|idle| idle.connection.sender.is_ready())?;
        Some(Connection::Http1(idle.remove(ready).connection))
    }

    fn take_shared(&self) -> Option<http2::SendRequest<Outgoing>> {
        let mut shared = self.shared.borrow_mut();
        if shared.as_ref()?.sender.is_closed() {
            *shared = None;
        }
        let shared = shared.as_ref()?;
        shared.used.set(self.wheel.elapsed());
        Some(shared.sender.clone())
    }

    pub(super) fn share(&self, sender: http2::SendRequest<Outgoing>) {
        let used = Cell::new(self.wheel.elapsed());
        *self.shared.borrow_mut() = Some(Shared { sender, used });
    }

    /// New requests get another connection: this one may be dead without a word. Those under way on it keep it.
    pub(super) fn unshare(&self) {
        *self.shared.borrow_mut() = None;
    }

    fn keep(&self, connection: Http1) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < IDLE_MAX && !connection.sender.is_closed() {
            idle.push(Idle {
                connection,
                since: self.wheel.elapsed(),
            });
        }
    }

    fn sweep(&self, now: Duration) {
        let is_old = |since: Duration| now.saturating_sub(since) > IDLE_TIME;
        self.idle
            .borrow_mut()
            .retain(|idle| !is_old(idle.since) && !idle.connection.sender.is_closed());
        let mut shared = self.shared.borrow_mut();
        if shared
            .as_ref()
            .is_some_and(|shared| is_old(shared.used.get()) || shared.sender.is_closed())
        {
            *shared = None;
        }
    }

    fn is_empty(&self) -> bool {
        self.idle.borrow().is_empty() && self.shared.borrow().is_none()
    }
}

impl Lease {
    pub(super) fn of_http1(connection: Http1, pool: Rc<Pool>) -> Self {
        Self {
            held: Some((connection, pool)),
        }
    }

    pub(super) fn of_http2() -> Self {
        Self { held: None }
    }

    /// Both messages ended cleanly: the connection may serve the next request.
    pub fn finish(mut self) {
        if let Some((connection, pool)) = self.held.take() {
            pool.keep(connection);
        }
    }

    /// The connection belongs to an upgraded protocol from now on.
    pub fn release(mut self) {
        if let Some((connection, _pool)) = self.held.take() {
            // The connection's own task ends when the upgraded stream does.
            drop(connection);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some((connection, _pool)) = self.held.take() {
            connection.task.abort();
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("idle", &self.idle.borrow().len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("http1", &self.held.is_some())
            .finish()
    }
}
