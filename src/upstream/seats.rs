//! `max_conns`: how many exchanges there are at once at one endpoint, of the whole process. Whoever finds no seat waits in line: first
//! come, first served, whichever worker it came to.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use foldhash::fast::RandomState;
use tokio::sync::{Semaphore, TryAcquireError};

use super::endpoint::Endpoint;

/// Exchanges that wait in one line; the next one is turned away at once.
pub const WAITING_MAX: usize = 1024;

/// The seats of every endpoint that somebody uses with a limit. Those who name the same endpoint and the same limit share them, whatever
/// their site; with different limits each counts its own exchanges alone.
#[derive(Clone, Default)]
pub struct Seats(Arc<Mutex<Rows>>);

type Rows = HashMap<(Endpoint, NonZeroU32), Weak<Row>, RandomState>;

/// The seats of one endpoint, and the line before them.
#[derive(Debug)]
pub struct Row {
    limit: NonZeroU32,
    free: Semaphore,
    waiting: AtomicUsize,
}

/// The right to one exchange. Dropped, it goes to whoever stands first in line.
#[derive(Debug)]
pub struct Seat(Arc<Row>);

/// All seats are taken, and so is every place in the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// A place in a line.
struct Place<'a>(&'a AtomicUsize);

impl Seats {
    /// Those of an endpoint, of which `limit` may be taken at once.
    #[must_use]
    pub fn row(&self, endpoint: &Endpoint, limit: NonZeroU32) -> Arc<Row> {
        let mut rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (endpoint.clone(), limit);
        if let Some(row) = rows.get(&key).and_then(Weak::upgrade) {
            return row;
        }
        rows.retain(|_key, row| row.strong_count() > 0);
        let row = Arc::new(Row {
            limit,
            free: Semaphore::new(usize::try_from(limit.get()).unwrap_or(usize::MAX)),
            waiting: AtomicUsize::new(0),
        });
        rows.insert(key, Arc::downgrade(&row));
        row
    }
}

impl Row {
    /// How many there are, taken ones included.
    #[must_use]
    pub fn limit(&self) -> NonZeroU32 {
        self.limit
    }

    /// A seat, if one is free.
    #[must_use]
    pub fn try_take(self: &Arc<Self>) -> Option<Seat> {
        match self.free.try_acquire() {
            Ok(permit) => {
                permit.forget();
                Some(Seat(self.clone()))
            }
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => None,
        }
    }

    /// A seat, once it is this one's turn. The caller bounds the time; whoever gives up leaves the line.
    ///
    /// # Errors
    /// The line is full.
    pub async fn take(self: &Arc<Self>) -> Result<Seat, Full> {
        if let Some(seat) = self.try_take() {
            return Ok(seat);
        }
        let _place = Place::behind(&self.waiting)?;
        let permit = self.free.acquire().await.map_err(|_closed| Full)?;
        permit.forget();
        Ok(Seat(self.clone()))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.free.add_permits(1);
    }
}

impl<'a> Place<'a> {
    fn behind(waiting: &'a AtomicUsize) -> Result<Self, Full> {
        let place = Self(waiting);
        if waiting.fetch_add(1, Ordering::Relaxed) < WAITING_MAX {
            Ok(place)
        } else {
            Err(Full)
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Seats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seats")
    }
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too many exchanges wait already")
    }
}

impl std::error::Error for Full {}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll};

    use super::*;
    use crate::config::target::{Address, Scheme, Target};

    fn endpoint(port: u16) -> Endpoint {
        Endpoint::of(Arc::new(Target {
            scheme: Scheme::Http,
            address: Address::Loopback { port },
        }))
    }

    fn limit(seats: u32) -> NonZeroU32 {
        NonZeroU32::new(seats).unwrap()
    }

    fn is_waiting<F: Future>(future: Pin<&mut F>) -> bool {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        future.poll(&mut cx).is_pending()
    }

    #[test]
    fn equal_endpoints_with_equal_limits_share_their_seats() {
        let seats = Seats::default();
        let row = seats.row(&endpoint(1), limit(1));
        let seat = row.try_take().unwrap();
        assert!(seats.row(&endpoint(1), limit(1)).try_take().is_none());
        assert!(seats.row(&endpoint(1), limit(2)).try_take().is_some());
        assert!(seats.row(&endpoint(2), limit(1)).try_take().is_some());
        // The one who sits keeps the row, also when nobody else knows it any more.
        drop(row);
        assert!(seats.row(&endpoint(1), limit(1)).try_take().is_none());
        drop(seat);
        assert!(seats.row(&endpoint(1), limit(1)).try_take().is_some());
        drop(seats.row(&endpoint(3), limit(1)));
        assert_eq!(seats.0.lock().unwrap().len(), 1, "the unused are forgotten");
    }

    #[tokio::test(flavor = "local")]
    async fn who_comes_first_sits_first() {
        let row = Seats::default().row(&endpoint(1), limit(1));
        let seat = row.take().await.unwrap();
        let mut second = pin!(row.take());
        let mut third = pin!(row.take());
        assert!(is_waiting(second.as_mut()) && is_waiting(third.as_mut()));
        drop(seat);
        assert!(row.try_take().is_none(), "the line comes first");
        assert!(is_waiting(third.as_mut()));
        let seat = second.await.unwrap();
        assert!(is_waiting(third.as_mut()));
        drop(seat);
        third.await.unwrap();
        assert_eq!(row.waiting.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(flavor = "local")]
    async fn who_leaves_the_line_keeps_nobody_waiting() {
        let row = Seats::default().row(&endpoint(1), limit(1));
        let seat = row.take().await.unwrap();
        let mut first = Box::pin(row.take());
        let mut second = pin!(row.take());
        assert!(is_waiting(first.as_mut()) && is_waiting(second.as_mut()));
        // It was given the seat and left before it knew.
        drop(seat);
        drop(first);
        let seat = poll_fn(|cx| match second.as_mut().poll(cx) {
            Poll::Ready(seat) => Poll::Ready(Some(seat.unwrap())),
            Poll::Pending => Poll::Ready(None),
        });
        assert!(seat.await.is_some());
    }

    #[tokio::test(flavor = "local")]
    async fn a_full_line_turns_away_at_once() {
        let row = Seats::default().row(&endpoint(1), limit(1));
        let _seat = row.take().await.unwrap();
        let mut line: Vec<_> = (0..WAITING_MAX).map(|_| Box::pin(row.take())).collect();
        assert!(line.iter_mut().all(|waiting| is_waiting(waiting.as_mut())));
        assert_eq!(row.take().await.unwrap_err(), Full);
        line.pop();
        assert!(is_waiting(pin!(row.take()).as_mut()));
    }
}
