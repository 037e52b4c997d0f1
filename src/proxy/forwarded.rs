//! What an upstream sends behind a head, timed: silence for too long, or an early end, breaks it off.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::body::BrokenBody;
use super::headers;
use crate::upstream::{Incoming, Progress};

/// An upstream's body on its way.
#[derive(Debug)]
pub(super) struct Forwarded {
    incoming: Incoming,
    progress: Rc<Progress>,
    /// It broke off; what came before is on its way to the client.
    broken: bool,
}

impl Forwarded {
    pub(super) fn new(incoming: Incoming, progress: Rc<Progress>) -> Self {
        Self {
            incoming,
            progress,
            broken: false,
        }
    }
}

impl Body for Forwarded {
    type Data = Bytes;
    type Error = BrokenBody;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenBody>>> {
        if self.broken {
            return Poll::Ready(Some(Err(BrokenBody::Upstream)));
        }
        let next = match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Ready(next) => next,
            Poll::Pending => {
                if self.progress.deadline.poll_expired(cx).is_pending() {
                    return Poll::Pending;
                }
                return Poll::Ready(Some(Err(BrokenBody::Idle)));
            }
        };
        Poll::Ready(match next {
            Some(Ok(mut frame)) => {
                self.progress.moved();
                if let Some(trailers) = frame.trailers_mut() {
                    headers::trailers(trailers);
                }
                Some(Ok(frame))
            }
            Some(Err(error)) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "answer broke off");
                // The end of a broken answer overtakes what is not flushed: one turn lets it leave.
                self.broken = true;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
