//! The upstream connections of one worker: last in, first out, per target; never shared between threads.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;
use hyper::client::conn::http2;

use super::Outgoing;
use super::http1;
use super::tls::Offer;
use crate::config::target::Target;
use crate::deadline::Wheel;

/// Idle connections kept for one target, and for all of a worker's.
const IDLE_MAX: usize = 256;
const IDLE_OF_ALL_MAX: usize = 4096;
/// How long an idle connection is kept; below the 60 s after which common upstreams close theirs.
const IDLE_TIME: Duration = Duration::from_secs(55);

/// All upstream connections of one worker.
#[derive(Debug)]
pub struct Upstreams {
    pools: RefCell<HashMap<Arc<Target>, Rc<Pool>, RandomState>>,
    idle: Rc<Cell<usize>>,
    wheel: Wheel,
}

/// The connections to one target.
pub(super) struct Pool {
    idle: RefCell<Vec<Idle>>,
    idle_of_all: Rc<Cell<usize>>,
    shared: RefCell<Option<Shared>>,
    wheel: Wheel,
}

struct Idle {
    connection: Box<http1::Connection>,
    since: Duration,
    _seat: Seat,
}

/// One among all idle connections of a worker.
struct Seat(Rc<Cell<usize>>);

struct Shared {
    sender: http2::SendRequest<Outgoing>,
    used: Cell<Duration>,
}

/// A connection that can take a request.
pub(super) enum Connection {
    Http1(Box<http1::Connection>),
    Http2(http2::SendRequest<Outgoing>),
}

impl Upstreams {
    /// No connections yet.
    #[must_use]
    pub fn new(wheel: Wheel) -> Self {
        Self {
            pools: RefCell::default(),
            idle: Rc::default(),
            wheel,
        }
    }

    pub(super) fn pool(&self, target: &Arc<Target>) -> Rc<Pool> {
        if let Some(pool) = self.pools.borrow().get(target) {
            return pool.clone();
        }
        let pool = Rc::new(Pool {
            idle: RefCell::default(),
            idle_of_all: self.idle.clone(),
            shared: RefCell::default(),
            wheel: self.wheel.clone(),
        });
        self.pools.borrow_mut().insert(target.clone(), pool.clone());
        pool
    }

    /// Closes what has been idle for too long, or was closed by the upstream, and forgets targets without connections. Called now
    /// and then.
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
        while let Some(mut last) = idle.pop() {
            if last.connection.is_quiet() {
                return Some(Connection::Http1(last.connection));
            }
        }
        None
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

    /// Takes a connection back whose exchange is over; it is closed unless the next one may use it.
    pub(super) fn keep(&self, mut connection: Box<http1::Connection>) {
        let mut idle = self.idle.borrow_mut();
        let has_place = idle.len() < IDLE_MAX && self.idle_of_all.get() < IDLE_OF_ALL_MAX;
        if has_place && connection.is_clean() {
            connection.rest();
            idle.push(Idle {
                connection,
                since: self.wheel.elapsed(),
                _seat: Seat::among(&self.idle_of_all),
            });
        }
    }

    fn sweep(&self, now: Duration) {
        let is_old = |since: Duration| now.saturating_sub(since) > IDLE_TIME;
        self.idle
            .borrow_mut()
            .retain_mut(|idle| !is_old(idle.since) && idle.connection.is_quiet());
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

impl Seat {
    fn among(all: &Rc<Cell<usize>>) -> Self {
        all.set(all.get() + 1);
        Self(all.clone())
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("idle", &self.idle.borrow().len())
            .finish_non_exhaustive()
    }
}
