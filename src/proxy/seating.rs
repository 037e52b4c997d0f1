//! The targets that one exchange asks, one after another: whom its group chooses, and where `max_conns` is set, with a seat.
//!
//! Where all seats of the chosen target are taken, another one with a free seat is asked instead, unless the client belongs to the
//! chosen one. Only where nobody has a free seat, the exchange waits, at the one that was chosen first.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::context::{Common, Context};
use crate::config::backends::Backends;
use crate::upstream::group::{Asking, Group, Tried, Wish};
use crate::upstream::seats::Row;
use crate::upstream::{Progress, UpstreamError};

/// A search that goes on as long as targets are left.
pub(super) struct Seating<'a> {
    context: &'a Context,
    common: &'a Common,
    backends: &'a Backends,
    progress: &'a Progress,
    pub(super) group: Rc<Group>,
    pub(super) wish: Wish,
    tried: Tried,
    /// The first one at which no seat was free.
    full: Option<(Asking, Arc<Row>)>,
}

impl<'a> Seating<'a> {
    /// Nobody was asked yet.
    pub(super) fn new(
        context: &'a Context,
        common: &'a Common,
        backends: &'a Arc<Backends>,
        progress: &'a Progress,
        wish: impl FnOnce(&Group) -> Wish,
    ) -> Self {
        let group = context.groups.of(backends);
        Self {
            context,
            common,
            backends,
            progress,
            wish: wish(&group),
            group,
            tried: Tried::default(),
            full: None,
        }
    }

    /// The next one that can be asked at once.
    pub(super) fn next(&mut self) -> Option<Asking> {
        if self.full.is_some() && self.wish != Wish::Anyone {
            return None;
        }
        loop {
            let now = self.context.groups.now();
            let asking = self.group.choose(&mut self.tried, self.wish, now)?;
            let Some(limit) = self.backends.max_conns else {
                return Some(asking);
            };
            let endpoint = asking.endpoint();
            let row = self
                .context
                .upstreams
                .row(endpoint, limit, &self.common.seats);
            if let Some(seat) = row.try_take() {
                self.progress.sit(seat);
                return Some(asking);
            }
            if self.full.is_none() {
                self.full = Some((asking, row));
                if self.wish != Wish::Anyone {
                    return None;
                }
            }
        }
    }

    /// The one at which a seat becomes free in time, when nobody can be asked at once. None if nobody is left at all.
    ///
    /// # Errors
    /// [`UpstreamError::Busy`] at this target.
    pub(super) async fn wait(
        &mut self,
        time: Duration,
    ) -> Option<Result<Asking, (Asking, UpstreamError)>> {
        let (asking, row) = self.full.take()?;
        let deadline = &self.progress.deadline;
        deadline.arm(time);
        Some(match deadline.within(row.take()).await {
            Ok(Ok(seat)) => {
                self.progress.sit(seat);
                Ok(asking)
            }
            Ok(Err(_)) | Err(_) => Err((asking, UpstreamError::Busy)),
        })
    }
}
