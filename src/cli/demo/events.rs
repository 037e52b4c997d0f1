//! The body of the stream: a few server-sent events, each after a pause.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::time::{Interval, interval};

/// The pause between two events.
pub(super) const PAUSE: Duration = Duration::from_millis(300);
/// Events until the stream ends.
pub(super) const EVENTS: usize = 6;

/// Events to come.
#[derive(Debug)]
pub(super) struct Events {
    told: usize,
    pause: Interval,
}

impl Events {
    /// The first event comes at once.
    #[must_use]
    pub(super) fn new() -> Self {
        Self {
            told: 0,
            pause: interval(PAUSE),
        }
    }
}

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.told == EVENTS {
            return Poll::Ready(None);
        }
        ready!(self.pause.poll_tick(cx));
        self.told += 1;
        let event = format!("data: event {} of {EVENTS}\n\n", self.told);
        Poll::Ready(Some(Ok(Frame::data(event.into()))))
    }
}
