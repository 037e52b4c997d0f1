//! An exchange under way at a member of a group; dropped when it is over, its tunnel included.

use std::error::Error as _;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;

use super::member::Member;
use super::{Counting, Group, Wish};
use crate::config::backends::Backends;
use crate::config::target::Target;
use crate::upstream::UpstreamError;
use crate::upstream::balance::sticky::Transport;
use crate::upstream::endpoint::Endpoint;
use crate::upstream::health::{Standing, Turn};
use crate::upstream::seats::Seat;

/// One exchange at one member.
#[derive(Debug)]
pub struct Asking {
    group: Rc<Group>,
    index: usize,
    began: Duration,
    /// Where `max_conns` is set.
    seat: Option<Seat>,
}

impl Asking {
    pub(super) fn begin(group: Rc<Group>, index: usize, now: Duration) -> Self {
        let asking = Self {
            group,
            index,
            began: now,
            seat: None,
        };
        let standing = asking.standing();
        standing.chosen(now);
        if asking.group.counting == Counting::Counted {
            standing.begin();
        }
        asking
    }

    /// Whom it asks.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.member().endpoint
    }

    /// Takes a seat there until it is over.
    pub(in crate::upstream) fn sit(&mut self, seat: Seat) {
        self.seat = Some(seat);
    }

    /// Whom it asks, as the configuration has it.
    #[must_use]
    pub fn target(&self) -> &Arc<Target> {
        &self.endpoint().target
    }

    /// Among whom it was chosen.
    #[must_use]
    pub fn backends(&self) -> &Backends {
        &self.group.backends
    }

    /// What all workers know of it.
    #[must_use]
    pub fn standing(&self) -> &Arc<Standing> {
        &self.member().standing
    }

    /// The `Set-Cookie` that binds the client to this member; none if it is bound already, or need not be.
    #[must_use]
    pub fn cookie(&self, wish: Wish, transport: Transport) -> Option<&HeaderValue> {
        let cookie = self.member().cookie.as_ref()?;
        (wish != Wish::Member(self.index))
            .then(|| cookie.field(transport))
            .flatten()
    }

    /// It was answered, whatever the status.
    pub fn succeeded(&self, now: Duration) {
        if self.standing().succeeded(self.began, now) == Turn::Returned {
            tracing::info!(target = %self.endpoint(), "answers again: it gets its share back little by little");
        }
    }

    /// It was not, for this reason; the client's faults and its own refusals are not held against the member.
    pub fn failed(&self, error: &UpstreamError, now: Duration) {
        if is_members_fault(error) {
            self.failed_for(now, || {
                error
                    .source()
                    .map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
            });
        }
    }

    /// It was not, for a reason in words.
    pub fn failed_for(&self, now: Duration, why: impl FnOnce() -> String) {
        // The only one is asked whatever happens.
        if self.group.members.len() < 2 {
            return;
        }
        let eject = &self.group.backends.eject;
        if self.standing().failed(eject, self.began, now, why) == Turn::Ejected {
            let (endpoint, seconds) = (self.endpoint(), eject.duration.as_secs_f32());
            let why = self.standing().last_failure();
            tracing::warn!(target = %endpoint, seconds, %why, "left out, for its exchanges fail");
        }
    }

    fn member(&self) -> &Member {
        &self.group.members[self.index]
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        if self.group.counting == Counting::Counted {
            self.standing().end();
        }
    }
}

fn is_members_fault(error: &UpstreamError) -> bool {
    match error {
        UpstreamError::Unreachable(_)
        | UpstreamError::Unresolved(_)
        | UpstreamError::ConnectTimedOut
        | UpstreamError::Tls(_)
        | UpstreamError::Handshake(_)
        | UpstreamError::Unsent(_)
        | UpstreamError::Closed(_)
        | UpstreamError::Cut(_)
        | UpstreamError::Malformed(_)
        | UpstreamError::ResponseTimedOut => true,
        UpstreamError::Busy
        | UpstreamError::Refused(_)
        | UpstreamError::ClientBody(_)
        | UpstreamError::Unfit(_) => false,
    }
}
