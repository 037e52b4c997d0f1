//! The upstream connections of one worker: last in, first out, per endpoint; never shared between threads.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU32;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;
use hyper::client::conn::http2;

use super::Outgoing;
use super::dial::Call;
use super::endpoint::Endpoint;
use super::group::place::Named;
use super::http1;
use super::names::Names;
use super::seats::{Row, Seats};
use super::shared::{Shares, UnderWay};
use super::tls::Offer;
use crate::config::target::{Address, Scheme};
use crate::deadline::Wheel;

/// Idle connections kept for one endpoint, and for all of a worker's.
const IDLE_MAX: usize = 256;
const IDLE_OF_ALL_MAX: usize = 4096;
/// How long an idle connection is kept; below the 60 s after which common upstreams close theirs.
const IDLE_TIME: Duration = Duration::from_secs(55);
/// How long before the upstream closes it, where that is known, an idle connection is given up: a request takes time to get there.
const IDLE_MARGIN: Duration = Duration::from_secs(1);

/// All upstream connections of one worker.
#[derive(Debug)]
pub struct Upstreams {
    pools: RefCell<HashMap<Endpoint, Rc<Pool>, RandomState>>,
    idle: Rc<Cell<usize>>,
    wheel: Wheel,
    seats: Seats,
    names: Names,
    prelude: Box<[u8]>,
    /// Those of one client each, as long as the client is here.
    own: RefCell<Vec<Weak<Self>>>,
}

/// The connections to one endpoint.
pub(super) struct Pool {
    idle: RefCell<Vec<Idle>>,
    idle_of_all: Rc<Cell<usize>>,
    pub(super) shares: Shares,
    /// The seats that were asked for last: nearly always those that are asked for next.
    row: RefCell<Option<Arc<Row>>>,
    /// Of an endpoint that is a name at any of its addresses: as it was before the first connection.
    name: Option<Named>,
    wheel: Wheel,
}

struct Idle {
    connection: Box<http1::Connection>,
    until: Duration,
    _place: Place,
}

/// One among all idle connections of a worker.
struct Place(Rc<Cell<usize>>);

/// A connection that can take a request.
pub(super) enum Connection {
    Http1(Box<http1::Connection>),
    Http2(http2::SendRequest<Outgoing>, UnderWay),
}

/// What a request needs of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// It goes out once more if the connection proves dead.
    Any,
    /// That it stands, as far as the system knows at this moment.
    Standing,
    /// That of HTTP/1.1 nobody used it before.
    Fresh,
}

impl Upstreams {
    /// No connections yet. `seats` and `names` are those of all workers.
    #[must_use]
    pub fn new(wheel: Wheel, seats: Seats, names: Names) -> Self {
        Self {
            pools: RefCell::default(),
            idle: Rc::default(),
            wheel,
            seats,
            names,
            prelude: Box::default(),
            own: RefCell::default(),
        }
    }

    /// No connections yet, for one client alone: each will begin with this prelude.
    #[must_use]
    pub fn of_one_client(&self, prelude: Box<[u8]>) -> Rc<Self> {
        let own = Rc::new(Self {
            pools: RefCell::default(),
            idle: self.idle.clone(),
            wheel: self.wheel.clone(),
            seats: self.seats.clone(),
            names: self.names.clone(),
            prelude,
            own: RefCell::default(),
        });
        self.own.borrow_mut().push(Rc::downgrade(&own));
        own
    }

    /// What every connection begins with; mostly nothing.
    #[must_use]
    pub fn prelude(&self) -> &[u8] {
        &self.prelude
    }

    /// A connection to an endpoint that is opened as those of this worker are, and belongs to whoever opens it.
    #[must_use]
    pub fn call<'a>(&'a self, endpoint: &'a Endpoint, prelude: &'a [u8]) -> Call<'a> {
        Call {
            endpoint,
            names: &self.names,
            prelude,
        }
    }

    pub(super) fn pool(&self, endpoint: &Endpoint) -> Rc<Pool> {
        if let Some(pool) = self.pools.borrow().get(endpoint) {
            return pool.clone();
        }
        let pool = Rc::new(Pool {
            idle: RefCell::default(),
            idle_of_all: self.idle.clone(),
            shares: Shares::new(self.wheel.clone(), endpoint.target.scheme == Scheme::H2c),
            row: RefCell::default(),
            name: self.named(endpoint),
            wheel: self.wheel.clone(),
        });
        let endpoint = endpoint.clone();
        self.pools.borrow_mut().insert(endpoint, pool.clone());
        pool
    }

    fn named(&self, endpoint: &Endpoint) -> Option<Named> {
        match (&endpoint.target.address, endpoint.address) {
            (Address::Name { host, .. }, None) => Some(Named::of(self.names.of(host))),
            (Address::Name { .. }, Some(_))
            | (Address::Loopback { .. } | Address::Ip(_) | Address::Unix(_), _) => None,
        }
    }

    /// The seats of an endpoint, of which `limit` may be taken at once.
    pub(super) fn row(&self, endpoint: &Endpoint, limit: NonZeroU32) -> Arc<Row> {
        self.pool(endpoint).row(endpoint, limit, &self.seats)
    }

    /// Closes what has been idle for too long, or was closed by the upstream, and forgets endpoints without connections, and those of
    /// names that are elsewhere now: their connections end with what is under way on them. Called now and then.
    pub fn sweep(&self) {
        let now = self.wheel.elapsed();
        self.pools.borrow_mut().retain(|_target, pool| {
            pool.sweep(now);
            pool.is_current() && (Rc::strong_count(pool) > 1 || !pool.is_empty())
        });
        self.each_own(Self::sweep);
    }

    /// Closes every idle connection: the worker is about to stop.
    pub fn close_idle(&self) {
        self.pools.borrow_mut().clear();
        self.each_own(Self::close_idle);
    }

    /// Forgets those whose client is gone.
    fn each_own(&self, look: fn(&Self)) {
        self.own.borrow_mut().retain(|own| {
            let here = own.upgrade();
            if let Some(own) = &here {
                look(own);
            }
            here.is_some()
        });
    }
}

impl Pool {
    /// The connection used last that still lives, and is as good as a request needs it.
    pub(super) fn take(&self, offer: Offer, need: Need) -> Option<Connection> {
        if offer == Offer::Any
            && let Some((sender, under_way)) = self.shares.take()
        {
            return Some(Connection::Http2(sender, under_way));
        }
        if need == Need::Fresh {
            return None;
        }
        let is_enough =
            |connection: &http1::Connection| need == Need::Any || connection.is_standing();
        let now = self.wheel.elapsed();
        let mut idle = self.idle.borrow_mut();
        while let Some(mut last) = idle.pop() {
            let is_alive = now < last.until && last.connection.is_quiet();
            if is_alive && is_enough(&last.connection) {
                return Some(Connection::Http1(last.connection));
            }
        }
        None
    }

    fn row(&self, endpoint: &Endpoint, limit: NonZeroU32, seats: &Seats) -> Arc<Row> {
        let mut known = self.row.borrow_mut();
        match &*known {
            Some(row) if row.limit() == limit => row.clone(),
            Some(_) | None => known.insert(seats.row(endpoint, limit)).clone(),
        }
    }

    /// Takes a connection back whose exchange is over; it is closed unless the next one may use it.
    pub(super) fn keep(&self, mut connection: Box<http1::Connection>) {
        let mut idle = self.idle.borrow_mut();
        let has_place = idle.len() < IDLE_MAX && self.idle_of_all.get() < IDLE_OF_ALL_MAX;
        if has_place && connection.is_clean() {
            connection.rest();
            idle.push(Idle {
                until: self.wheel.elapsed() + idle_time(connection.kept_for()),
                connection,
                _place: Place::among(&self.idle_of_all),
            });
        }
    }

    fn sweep(&self, now: Duration) {
        self.idle
            .borrow_mut()
            .retain_mut(|idle| now < idle.until && idle.connection.is_quiet());
        self.shares.sweep(now, IDLE_TIME);
    }

    fn is_current(&self) -> bool {
        self.name.as_ref().is_none_or(Named::is_current)
    }

    fn is_empty(&self) -> bool {
        self.idle.borrow().is_empty() && self.shares.is_empty()
    }
}

/// How long an idle connection is kept that the upstream keeps for `said`.
fn idle_time(said: Option<Duration>) -> Duration {
    said.map_or(IDLE_TIME, |said| {
        let margin = IDLE_MARGIN.min(said / 2);
        IDLE_TIME.min(said - margin)
    })
}

impl Place {
    fn among(all: &Rc<Cell<usize>>) -> Self {
        all.set(all.get() + 1);
        Self(all.clone())
    }
}

impl Drop for Place {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::target::Target;

    #[test]
    fn what_belongs_to_one_client_is_swept_too_and_forgotten_with_the_client() {
        let all = Upstreams::new(Wheel::new(), Seats::default(), Names::default());
        let own = all.of_one_client(b"PROXY UNKNOWN\r\n".as_slice().into());
        let target = Target {
            scheme: Scheme::Http,
            address: Address::Loopback { port: 1 },
        };
        drop(own.pool(&Endpoint::of(Arc::new(target))));
        assert_eq!(own.pools.borrow().len(), 1);
        all.sweep();
        assert!(own.pools.borrow().is_empty());
        drop(own);
        all.sweep();
        assert!(all.own.borrow().is_empty());
    }

    #[test]
    fn an_idle_connection_is_given_up_before_the_upstream_closes_it() {
        let seconds = Duration::from_secs;
        assert_eq!(idle_time(None), IDLE_TIME);
        assert_eq!(idle_time(Some(seconds(3600))), IDLE_TIME);
        assert_eq!(idle_time(Some(seconds(5))), seconds(4));
        assert_eq!(idle_time(Some(seconds(1))), seconds(1) / 2);
        assert_eq!(idle_time(Some(Duration::ZERO)), Duration::ZERO);
    }
}
