//! The targets that one exchange asks, one after another: whom its group chooses, and where `max_conns` is set, with a seat.
//!
//! Where all seats of the chosen target are taken, another one with a free seat is asked instead, unless the client belongs to the
//! chosen one. Only where nobody has a free seat, the exchange waits, at the one that was chosen first.

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::Upstreams;
use super::group::{Asking, Group, Groups, Tried, Wish};
use super::seats::Row;
use crate::deadline::Deadline;

/// A search that goes on as long as targets are left.
pub struct Seating<'a> {
    groups: &'a Groups,
    upstreams: &'a Upstreams,
    group: Rc<Group>,
    wish: Wish,
    tried: Tried,
    /// The first one at which no seat was free.
    full: Option<(Asking, Arc<Row>)>,
}

/// No seat became free in time at this target.
#[derive(Debug)]
pub struct Busy(pub Asking);

impl<'a> Seating<'a> {
    /// Nobody was asked yet.
    #[must_use]
    pub fn new(groups: &'a Groups, upstreams: &'a Upstreams, group: Rc<Group>, wish: Wish) -> Self {
        Self {
            groups,
            upstreams,
            group,
            wish,
            tried: Tried::default(),
            full: None,
        }
    }

    /// The next one that can be asked at once.
    pub fn at_once(&mut self) -> Option<Asking> {
        while self.full.is_none() || self.wish == Wish::Anyone {
            let now = self.groups.now();
            let mut asking = self.group.choose(&mut self.tried, self.wish, now)?;
            let Some(limit) = self.group.max_conns() else {
                return Some(asking);
            };
            let row = self.upstreams.row(asking.endpoint(), limit);
            if let Some(seat) = row.try_take() {
                asking.sit(seat);
                return Some(asking);
            }
            self.full.get_or_insert((asking, row));
        }
        None
    }

    /// The same, or the one at which a seat becomes free within `time`. None when no target is left.
    ///
    /// # Errors
    /// Nobody had a free seat, and none became free in time. Another target may be left.
    pub async fn in_time(
        &mut self,
        deadline: &Deadline,
        time: Duration,
    ) -> Option<Result<Asking, Busy>> {
        if let Some(asking) = self.at_once() {
            return Some(Ok(asking));
        }
        let (mut asking, row) = self.full.take()?;
        deadline.arm(time);
        Some(match deadline.within(row.take()).await {
            Ok(Ok(seat)) => {
                asking.sit(seat);
                Ok(asking)
            }
            Ok(Err(_)) | Err(_) => Err(Busy(asking)),
        })
    }
}

impl fmt::Debug for Seating<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seating")
            .field("tried", &self.tried)
            .finish_non_exhaustive()
    }
}
