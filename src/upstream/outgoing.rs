//! A request's body on its way to the upstream: counted, bounded, and held back until the upstream wants it.

use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::progress::Progress;
use super::replay::{Keep, Place};
use crate::deadline::Deadline;

/// What is sent upstream behind a head.
#[derive(Debug)]
pub enum Outgoing {
    Empty,
    Streamed(Box<Upload>),
}

/// A client's body being passed on, once. Another attempt has an upload of its own.
#[derive(Debug)]
pub struct Upload {
    progress: Rc<Progress>,
    turn: u32,
    place: Place,
    /// How long it is held back for a 100 that may never come; none once it may go.
    patience: Option<Deadline>,
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

impl Upload {
    /// At most `limit` octets of `body`, none before the upstream wants them or the end of `patience`; its trailers go through `clean`.
    /// `keep` says what may be sent a second time.
    #[must_use]
    pub fn new(
        body: Incoming,
        limit: Option<u64>,
        progress: &Rc<Progress>,
        clean: fn(&mut HeaderMap),
        patience: Option<Deadline>,
        keep: Keep,
    ) -> Self {
        progress.begin(body, limit, clean, keep);
        Self {
            patience,
            place: Place::End,
            ..Self::again(progress.clone())
        }
    }

    /// The body from its beginning, as far as that is written down, and then what is still to come.
    pub(super) fn again(progress: Rc<Progress>) -> Self {
        Self {
            turn: progress.next_turn(),
            progress,
            place: Place::Octets,
            patience: None,
        }
    }

    /// The upstream wants it.
    pub(super) fn open(&mut self) {
        self.patience = None;
    }

    /// An octet of the request was written.
    pub(super) fn written(&self) {
        self.progress.written();
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
        self.progress.poll_next(self.turn, &mut self.place, cx)
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
            Self::Streamed(upload) => upload.progress.is_over(upload.place),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Streamed(upload) => upload.progress.size_hint(upload.place),
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
