//! An answer's body on its way to the client: counted, timed, and the end of its exchange when dropped.

use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{StatusCode, Version};
use http_body::{Body as _, Frame, SizeHint};

use super::compress::{self, Compressed, Lease};
use super::forwarded::Forwarded;
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
    Compressed(Box<Compressed<Source>>),
}

/// What is encoded.
#[derive(Debug)]
enum Source {
    Own(Bytes),
    Forwarded(Box<Forwarded>),
}

/// Why an answer breaks off; the client sees a broken answer, never a complete one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokenBody {
    /// The upstream ended early, or framed badly.
    Upstream,
    /// The upstream sent nothing for too long.
    Idle,
    /// There was no memory to encode it.
    Encoder,
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
            Content::Forwarded(Box::new(Forwarded::new(incoming, progress)))
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

    /// The same, through an encoder. Where there is nothing, there is nothing to encode.
    pub(super) fn compressed(mut self, lease: Lease) -> Self {
        let content = std::mem::replace(&mut self.content, Content::Empty);
        let through = |source| Content::Compressed(Box::new(Compressed::new(source, lease)));
        self.content = match content {
            Content::Full(bytes) if !bytes.is_empty() => through(Source::Own(bytes)),
            Content::Forwarded(forwarded) => through(Source::Forwarded(forwarded)),
            Content::Empty | Content::Told | Content::Full(_) | Content::Compressed(_) => content,
        };
        self
    }

    fn poll_content(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenBody>>> {
        match &mut self.content {
            Content::Empty | Content::Told => Poll::Ready(None),
            Content::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Content::Forwarded(forwarded) => Pin::new(&mut **forwarded).poll_frame(cx),
            Content::Compressed(compressed) => {
                Pin::new(&mut **compressed)
                    .poll_frame(cx)
                    .map_err(|broken| match broken {
                        compress::Broken::Source(broken) => broken,
                        compress::Broken::Encoder => BrokenBody::Encoder,
                    })
            }
        }
    }

    /// Whether nothing is to come, as far as is known without asking.
    fn is_over(&self) -> bool {
        match &self.content {
            Content::Empty | Content::Told => true,
            Content::Full(bytes) => bytes.is_empty(),
            Content::Forwarded(forwarded) => forwarded.is_end_stream(),
            Content::Compressed(compressed) => compressed.is_end_stream(),
        }
    }
}

impl http_body::Body for Source {
    type Data = Bytes;
    type Error = BrokenBody;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenBody>>> {
        match &mut *self {
            Self::Own(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Own(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Forwarded(forwarded) => Pin::new(&mut **forwarded).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(bytes) => bytes.is_empty(),
            Self::Forwarded(forwarded) => forwarded.is_end_stream(),
        }
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
        let next = self.poll_content(cx);
        match &next {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Some(Err(broken))) => self.record.outcome = Some(broken.outcome()),
            Poll::Ready(Some(Ok(frame))) => {
                self.record.sent += frame.data_ref().map_or(0, |data| data.len() as u64);
                if self.is_over() {
                    self.content = Content::Empty;
                }
            }
            Poll::Ready(None) => self.content = Content::Empty,
        }
        if let (Poll::Ready(Some(Ok(_))), Some(patience)) = (&next, &self.patience) {
            patience.deadline.arm(patience.take_time);
        }
        next
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Empty => true,
            Content::Full(bytes) => bytes.is_empty(),
            Content::Told | Content::Forwarded(_) | Content::Compressed(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Empty => SizeHint::with_exact(0),
            Content::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Told | Content::Compressed(_) => SizeHint::default(),
            Content::Forwarded(forwarded) => forwarded.size_hint(),
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        let is_under_way = matches!(self.content, Content::Forwarded(_) | Content::Compressed(_));
        if is_under_way && self.record.outcome.is_none() {
            self.record.outcome = Some("client-left");
        }
    }
}

impl BrokenBody {
    /// The stable word for the access log.
    fn outcome(self) -> &'static str {
        match self {
            Self::Upstream => "upstream-cut",
            Self::Idle => "upstream-idle",
            Self::Encoder => "compress-failed",
        }
    }
}

impl fmt::Display for BrokenBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Upstream => "the upstream's answer broke off",
            Self::Idle => "the upstream sent nothing for too long",
            Self::Encoder => "there was no memory to compress the answer",
        })
    }
}

impl std::error::Error for BrokenBody {}
