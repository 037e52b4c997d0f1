//! A request's body on its way to the upstream: counted, bounded, and held back until the upstream wants it.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::UpstreamError;
use crate::deadline::Deadline;

/// What is sent upstream behind a head.
#[derive(Debug)]
pub enum Outgoing {
    Empty,
    Streamed(Box<Upload>),
}

/// A client's body being passed on.
#[derive(Debug)]
pub struct Upload {
    /// Octets that may still come.
    left: u64,
    progress: Rc<Progress>,
    /// Removes from trailers what may not stand there.
    clean: fn(&mut HeaderMap),
    /// How long it is held back for a 100 that may never come; none once it may go.
    patience: Option<Deadline>,
}

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
    body: RefCell<Option<Incoming>>,
    /// Who waits for more of the body.
    waiting: RefCell<Option<Waker>>,
}

/// Why a body cannot be passed on: always the client's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyError {
    /// Beyond `max_body`.
    TooLarge,
    /// Ended early, or is badly framed.
    Broken,
    /// Nothing of it came for too long.
    TooSlow,
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
            body: RefCell::new(None),
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

    /// The answer began: what is waited for from now on is its body.
    pub fn answered(&self) {
        self.answered.set(true);
        self.moved();
    }

    /// How long the bodies may rest from now on.
    pub fn set_idle(&self, idle: Duration) {
        self.idle.set(idle);
        self.moved();
    }

    /// The exchange is over: what is still to come of the request's body is nobody's, and must not be read as the next request.
    pub fn abandon(&self) {
        drop(self.body.take());
        if let Some(waiting) = self.waiting.take() {
            waiting.wake();
        }
    }

    fn poll_body(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut held = self.body.borrow_mut();
        let Some(body) = &mut *held else {
            return Poll::Ready(Some(Err(BodyError::Broken)));
        };
        let polled = Pin::new(body).poll_frame(cx);
        self.starved.set(polled.is_pending());
        if polled.is_pending() {
            *self.waiting.borrow_mut() = Some(cx.waker().clone());
        }
        polled.map_err(|_broken| BodyError::Broken)
    }

    fn has_whole_body(&self) -> bool {
        self.body.borrow().as_ref().is_some_and(Body::is_end_stream)
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

impl Upload {
    /// At most `limit` octets of `body`, none before the upstream wants them or the end of `patience`; its trailers go through `clean`.
    #[must_use]
    pub fn new(
        body: Incoming,
        limit: Option<u64>,
        progress: Rc<Progress>,
        clean: fn(&mut HeaderMap),
        patience: Option<Deadline>,
    ) -> Self {
        *progress.body.borrow_mut() = Some(body);
        Self {
            left: limit.unwrap_or(u64::MAX),
            progress,
            clean,
            patience,
        }
    }

    /// The upstream wants it.
    pub(super) fn open(&mut self) {
        self.patience = None;
    }

    /// The next part of the body, or its end.
    pub(super) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(patience) = &self.patience {
            ready!(patience.poll_expired(cx));
            self.patience = None;
        }
        let next = ready!(self.progress.poll_body(cx));
        let passed = match next {
            Some(Ok(mut frame)) => Some(self.pass(&mut frame).map(|()| frame)),
            ended => ended,
        };
        if passed.is_none() || self.progress.has_whole_body() {
            self.progress.upload_ended();
        }
        Poll::Ready(passed)
    }

    fn pass(&mut self, frame: &mut Frame<Bytes>) -> Result<(), BodyError> {
        self.progress.moved();
        if let Some(trailers) = frame.trailers_mut() {
            (self.clean)(trailers);
        }
        let octets = frame.data_ref().map_or(0, |data| data.len() as u64);
        self.left = self.left.checked_sub(octets).ok_or(BodyError::TooLarge)?;
        self.progress
            .received
            .set(self.progress.received.get() + octets);
        Ok(())
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut *self {
            Self::Empty => Poll::Ready(None),
            Self::Streamed(upload) => upload.poll_next(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Streamed(upload) => upload.progress.has_whole_body(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Streamed(upload) => {
                let body = upload.progress.body.borrow();
                body.as_ref()
                    .map_or_else(SizeHint::default, Body::size_hint)
            }
        }
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "the body is larger than the site takes",
            Self::Broken => "the body ended early or is badly framed",
            Self::TooSlow => "the body stopped coming",
        })
    }
}

impl std::error::Error for BodyError {}
