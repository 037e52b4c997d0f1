//! How far an exchange is, and the client's body on its way through it.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::UpstreamError;
use super::outgoing::{BodyError, Outgoing, Upload};
use super::replay::{Keep, Place, Replay};
use crate::deadline::Deadline;

/// How far an exchange is. Its deadline always belongs to what is waited for now.
#[derive(Debug)]
pub struct Progress {
    pub deadline: Deadline,
    /// Octets of the request's body so far.
    pub received: Cell<u64>,
    /// Whether the whole request was handed over.
    pub uploaded: Cell<bool>,
    /// Whether the client is waited for, and nobody else.
    starved: Cell<bool>,
    idle: Cell<Duration>,
    response: Duration,
    answered: Cell<bool>,
    /// The client's body. Here, and not in the upload, so that it ends with the exchange, however long the upstream holds the upload.
    source: RefCell<Option<Source>>,
    /// The upload that may take from the body. Those of former attempts may not.
    turn: Cell<u32>,
    /// Who waits for more of the body.
    waiting: RefCell<Option<Waker>>,
}

/// A client's body, and what was taken of it.
#[derive(Debug)]
struct Source {
    body: Incoming,
    /// Octets that may still come.
    left: u64,
    /// Removes from trailers what may not stand there.
    clean: fn(&mut HeaderMap),
    replay: Replay,
    /// Whether its end was seen.
    ended: bool,
}

impl Progress {
    /// Disarmed: arm it with the first thing that is waited for.
    #[must_use]
    pub fn new(deadline: Deadline, idle: Duration, response: Duration) -> Self {
        Self {
            deadline,
            received: Cell::new(0),
            uploaded: Cell::new(false),
            starved: Cell::new(false),
            idle: Cell::new(idle),
            response,
            answered: Cell::new(false),
            source: RefCell::new(None),
            turn: Cell::new(0),
            waiting: RefCell::new(None),
        }
    }

    /// The request is on its way: what is waited for is the body or, without one, the answer.
    pub fn sending(&self) {
        self.deadline.arm(if self.uploaded.get() {
            self.response
        } else {
            self.idle.get()
        });
    }

    /// Why an exchange that made no progress ends.
    #[must_use]
    pub(super) fn lateness(&self) -> UpstreamError {
        if self.starved.get() {
            UpstreamError::ClientBody(BodyError::TooSlow)
        } else {
            UpstreamError::ResponseTimedOut
        }
    }

    /// A body moved.
    pub fn moved(&self) {
        self.deadline.arm(self.idle.get());
    }

    /// The answer began: what is waited for from now on is its body, and nothing is sent again.
    pub fn answered(&self) {
        self.answered.set(true);
        if let Some(source) = &mut *self.source.borrow_mut() {
            source.replay.settle();
        }
        self.moved();
    }

    /// How long the bodies may rest from now on.
    pub fn set_idle(&self, idle: Duration) {
        self.idle.set(idle);
        self.moved();
    }

    /// The exchange is over: what is still to come of the request's body is nobody's, and must not be read as the next request.
    pub fn abandon(&self) {
        drop(self.source.take());
        if let Some(waiting) = self.waiting.take() {
            waiting.wake();
        }
    }

    /// Whether the request can be sent from its beginning, whatever was sent of it.
    #[must_use]
    pub fn is_replayable(&self) -> bool {
        match &*self.source.borrow() {
            Some(source) => source.replay.is_whole(),
            None => self.turn.get() == 0,
        }
    }

    /// The request's body from its beginning, for one more attempt; none where that is impossible. Former uploads get nothing more.
    #[must_use]
    pub fn again(self: &Rc<Self>) -> Option<Outgoing> {
        if !self.is_replayable() {
            return None;
        }
        if self.source.borrow().is_none() {
            return Some(Outgoing::Empty);
        }
        self.uploaded.set(false);
        self.starved.set(false);
        Some(Outgoing::Streamed(Box::new(Upload::again(self.clone()))))
    }

    /// Takes over the client's body.
    pub(super) fn begin(
        &self,
        body: Incoming,
        limit: Option<u64>,
        clean: fn(&mut HeaderMap),
        keep: Keep,
    ) {
        let replay = Replay::new(keep, body.size_hint().exact());
        *self.source.borrow_mut() = Some(Source {
            body,
            left: limit.unwrap_or(u64::MAX),
            clean,
            replay,
            ended: false,
        });
    }

    /// From now on the upload of this turn alone may take from the body.
    pub(super) fn next_turn(&self) -> u32 {
        self.turn.set(self.turn.get().wrapping_add(1));
        self.turn.get()
    }

    /// An octet of the request was written.
    pub(super) fn written(&self) {
        if let Some(source) = &mut *self.source.borrow_mut() {
            source.replay.written();
        }
    }

    /// The next frame for the upload of a turn, which is as far as `place` in what is sent once more.
    pub(super) fn poll_next(
        &self,
        turn: u32,
        place: &mut Place,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut held = self.source.borrow_mut();
        let Some(source) = held.as_mut().filter(|_| turn == self.turn.get()) else {
            return Poll::Ready(Some(Err(BodyError::Broken)));
        };
        let next = match source.replay.next(place) {
            Some(frame) => Some(Ok(frame)),
            None if source.ended => None,
            None => {
                let polled = source.poll(cx);
                self.starved.set(polled.is_pending());
                let Poll::Ready(next) = polled else {
                    *self.waiting.borrow_mut() = Some(cx.waker().clone());
                    return Poll::Pending;
                };
                self.count(&next);
                next
            }
        };
        if next.is_none() || source.is_over(*place) {
            drop(held);
            self.upload_ended();
        }
        Poll::Ready(next)
    }

    fn count(&self, next: &Option<Result<Frame<Bytes>, BodyError>>) {
        if let Some(Ok(frame)) = next {
            self.moved();
            let octets = frame.data_ref().map_or(0, |data| data.len() as u64);
            self.received.set(self.received.get() + octets);
        }
    }

    /// Whether an upload that is as far as `place` has nothing more to come.
    pub(super) fn is_over(&self, place: Place) -> bool {
        let source = self.source.borrow();
        source.as_ref().is_some_and(|source| source.is_over(place))
    }

    /// What is known of the length of what an upload that is as far as `place` has still to send.
    pub(super) fn size_hint(&self, place: Place) -> SizeHint {
        let held = self.source.borrow();
        let Some(source) = &*held else {
            return SizeHint::default();
        };
        let again = source.replay.left(place);
        let mut hint = source.body.size_hint();
        match hint.exact() {
            Some(rest) => hint.set_exact(rest + again),
            None => hint.set_lower(hint.lower() + again),
        }
        hint
    }

    fn upload_ended(&self) {
        self.uploaded.set(true);
        if self.answered.get() {
            self.moved()
        } else {
            self.deadline.arm(self.response)
        }
    }
}

impl Source {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = ready!(Pin::new(&mut self.body).poll_frame(cx));
        Poll::Ready(match polled {
            Some(Ok(frame)) => Some(self.pass(frame)),
            Some(Err(_broken)) => Some(Err(BodyError::Broken)),
            None => {
                self.ended = true;
                None
            }
        })
    }

    fn pass(&mut self, mut frame: Frame<Bytes>) -> Result<Frame<Bytes>, BodyError> {
        if let Some(trailers) = frame.trailers_mut() {
            (self.clean)(trailers);
        }
        let octets = frame.data_ref().map_or(0, |data| data.len() as u64);
        self.left = self.left.checked_sub(octets).ok_or(BodyError::TooLarge)?;
        self.replay.took(&frame);
        self.ended |= frame.is_trailers();
        Ok(frame)
    }

    fn is_over(&self, place: Place) -> bool {
        self.replay.is_past(place) && (self.ended || self.body.is_end_stream())
    }
}
