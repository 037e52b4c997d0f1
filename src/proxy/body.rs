//! An answer's body on its way to the client: counted, timed, and the end of its exchange when dropped.

use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{StatusCode, Version};
use http_body::{Body as _, Frame, SizeHint};

use super::headers;
use super::record::Record;
use crate::deadline::{Deadline, Wheel};
use crate::upstream::{Incoming, Progress};

/// What a client gets behind the head.
#[derive(Debug)]
pub struct Body {
    content: Content,
    patience: Option<Rc<Patience>>,
    record: Box<Record>,
}

#[derive(Debug)]
enum Content {
    Empty,
    /// Nothing, of a length that the head tells: hyper drops the length of a 304 that it knows to be empty.
    Told,
    Full(Bytes),
    Forwarded(Box<Forwarded>),
}

#[derive(Debug)]
struct Forwarded {
    incoming: Incoming,
    progress: Rc<Progress>,
    /// It broke off; what came before is on its way to the client.
    broken: bool,
}

/// Why an answer breaks off; the client sees a broken answer, never a complete one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokenBody {
    /// The upstream ended early, or framed badly.
    Upstream,
    /// The upstream sent nothing for too long.
    Idle,
}

/// How long one HTTP/2 stream waits for its client. hyper asks a body for more only when the client took what it had: so the time
/// between two questions is the client's.
#[derive(Debug)]
pub struct Patience {
    deadline: Deadline,
    /// The longest a client may leave one piece of an answer untaken.
    take_time: Duration,
}

impl Patience {
    /// Starts when the first piece of an answer is handed over.
    #[must_use]
    pub fn new(wheel: &Wheel, take_time: Duration) -> Self {
        Self {
            deadline: wheel.deadline(),
            take_time,
        }
    }

    /// Ready when the client has not taken a piece in time.
    pub fn poll_lost(&self, cx: &Context<'_>) -> Poll<()> {
        self.deadline.poll_expired(cx)
    }
}

impl Body {
    pub(super) fn empty(record: Box<Record>) -> Self {
        Self {
            content: Content::Empty,
            patience: None,
            record,
        }
    }

    pub(super) fn full(bytes: Bytes, record: Box<Record>) -> Self {
        Self {
            content: Content::Full(bytes),
            patience: None,
            record,
        }
    }

    /// What an upstream sends.
    pub(super) fn forwarded(
        incoming: Incoming,
        progress: Rc<Progress>,
        record: Box<Record>,
    ) -> Self {
        let content = if incoming.is_end_stream() {
            match (record.status, record.version) {
                (StatusCode::NOT_MODIFIED, Version::HTTP_10 | Version::HTTP_11) => Content::Told,
                _ => Content::Empty,
            }
        } else {
            Content::Forwarded(Box::new(Forwarded {
                incoming,
                progress,
                broken: false,
            }))
        };
        Self {
            content,
            patience: None,
            record,
        }
    }

    pub(super) fn watched_by(mut self, patience: Option<Rc<Patience>>) -> Self {
        self.patience = patience;
        self
    }

    fn poll_forwarded(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenBody>>> {
        let Content::Forwarded(forwarded) = &mut self.content else {
            return Poll::Ready(None);
        };
        if forwarded.broken {
            self.record.outcome = Some("upstream-cut");
            return Poll::Ready(Some(Err(BrokenBody::Upstream)));
        }
        let next = match Pin::new(&mut forwarded.incoming).poll_frame(cx) {
            Poll::Ready(next) => next,
            Poll::Pending => {
                if forwarded.progress.deadline.poll_expired(cx).is_pending() {
                    return Poll::Pending;
                }
                self.record.outcome = Some("upstream-idle");
                return Poll::Ready(Some(Err(BrokenBody::Idle)));
            }
        };
        Poll::Ready(match next {
            Some(Ok(mut frame)) => {
                forwarded.progress.moved();
                self.record.sent += frame.data_ref().map_or(0, |data| data.len() as u64);
                if let Some(trailers) = frame.trailers_mut() {
                    headers::trailers(trailers);
                }
                if forwarded.incoming.is_end_stream() {
                    self.content = Content::Empty;
                }
                Some(Ok(frame))
            }
            Some(Err(error)) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "answer broke off");
                // The end of a broken answer overtakes what is not flushed: one turn lets it leave.
                forwarded.broken = true;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            None => {
                self.content = Content::Empty;
                None
            }
        })
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BrokenBody;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenBody>>> {
        if let Some(patience) = &self.patience {
            patience.deadline.disarm();
        }
        let next = match &mut self.content {
            Content::Empty | Content::Told => Poll::Ready(None),
            Content::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                self.content = Content::Empty;
                self.record.sent += bytes.len() as u64;
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Content::Forwarded(_) => self.poll_forwarded(cx),
        };
        if let (Poll::Ready(Some(Ok(_))), Some(patience)) = (&next, &self.patience) {
            patience.deadline.arm(patience.take_time);
        }
        next
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Empty => true,
            Content::Full(bytes) => bytes.is_empty(),
            Content::Told | Content::Forwarded(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Empty => SizeHint::with_exact(0),
            Content::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Told => SizeHint::default(),
            Content::Forwarded(forwarded) => forwarded.incoming.size_hint(),
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if matches!(self.content, Content::Forwarded(_)) && self.record.outcome.is_none() {
            self.record.outcome = Some("client-left");
        }
    }
}

impl fmt::Display for BrokenBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Upstream => "the upstream's answer broke off",
            Self::Idle => "the upstream sent nothing for too long",
        })
    }
}

impl std::error::Error for BrokenBody {}
