//! A body on its way through an encoder. It never waits with octets that the client could already have, does a bounded piece of work
//! at a time, and ends exactly as its source does: with its trailers, or broken.

use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use http::HeaderMap;
use http_body::{Body, Frame};

use super::encoder::{EncoderFailed, Then};
use super::encoders::{Lease, Pace};
use super::fitness;

/// Octets encoded before others of the thread get their turn: about a millisecond.
const WORK_MAX: usize = 64 << 10;
/// Octets encoded at once.
const PIECE_MAX: usize = 16 << 10;

/// A source's frames, encoded.
#[derive(Debug)]
pub(in crate::proxy) struct Compressed<S: Body> {
    source: S,
    lease: Lease,
    /// What the source gave and the encoder did not take yet.
    input: Bytes,
    stage: Stage<S::Error>,
    /// Octets since others had their turn.
    worked: usize,
}

#[derive(Debug)]
enum Stage<E> {
    /// The encoder holds nothing back.
    Clear,
    /// The encoder holds something back, and more may come at once.
    Held,
    /// The source had nothing more; it is asked once again before all is flushed, since much may have arrived meanwhile.
    Doubting,
    Flushing,
    Ending(Option<HeaderMap>),
    Trailing(HeaderMap),
    /// What came before the end goes out first.
    Breaking(E),
    /// The end of a broken answer overtakes what is not flushed: one turn lets it leave.
    Leaving(E),
    Broken(E),
    Over,
}

/// Why an encoded body breaks off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum Broken<E> {
    Source(E),
    /// There was no memory for it.
    Encoder,
}

impl<S: Body<Data = Bytes> + Unpin> Compressed<S>
where
    S::Error: Unpin,
{
    pub(in crate::proxy) fn new(source: S, lease: Lease) -> Self {
        Self {
            source,
            lease,
            input: Bytes::new(),
            stage: Stage::Clear,
            worked: 0,
        }
    }

    /// What the encoder has to do next, once there is something.
    fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<Then> {
        while self.input.is_empty() && self.stage.wants_more() {
            match Pin::new(&mut self.source).poll_frame(cx) {
                Poll::Ready(next) => self.take(next),
                Poll::Pending if matches!(self.stage, Stage::Doubting) => {
                    self.stage = Stage::Flushing;
                }
                Poll::Pending => {
                    self.worked = 0;
                    if matches!(self.stage, Stage::Held) {
                        self.stage = Stage::Doubting;
                        let_others(cx);
                    }
                    return Poll::Pending;
                }
            }
        }
        if self.worked >= WORK_MAX {
            self.worked = 0;
            let_others(cx);
            return Poll::Pending;
        }
        Poll::Ready(if self.input.len() > PIECE_MAX {
            Then::More
        } else {
            self.stage.then()
        })
    }

    fn take(&mut self, next: Option<Result<Frame<Bytes>, S::Error>>) {
        self.stage = match next {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(octets) => {
                    self.input = octets;
                    if self.source.is_end_stream() {
                        Stage::Ending(None)
                    } else if self.lease.pace() == Pace::Events {
                        Stage::Flushing
                    } else {
                        Stage::Held
                    }
                }
                Err(frame) => Stage::Ending(frame.into_trailers().ok()),
            },
            Some(Err(error)) => Stage::Breaking(error),
            None => Stage::Ending(None),
        };
    }

    fn encode(&mut self, then: Then) -> Result<Bytes, EncoderFailed> {
        let piece = &self.input[..self.input.len().min(PIECE_MAX)];
        let (octets, step) = self.lease.step(piece, then)?;
        self.input.advance(step.taken);
        self.worked += step.taken;
        if step.done && then != Then::More {
            self.stage = std::mem::replace(&mut self.stage, Stage::Over).done();
        }
        Ok(octets)
    }
}

impl<S: Body<Data = Bytes> + Unpin> Body for Compressed<S>
where
    S::Error: Unpin,
{
    type Data = Bytes;
    type Error = Broken<S::Error>;

    /// After an error there is nothing more.
    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken<S::Error>>>> {
        loop {
            let then = match std::mem::replace(&mut self.stage, Stage::Over) {
                Stage::Over => return Poll::Ready(None),
                Stage::Trailing(trailers) => {
                    return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                }
                Stage::Leaving(error) => {
                    self.stage = Stage::Broken(error);
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Stage::Broken(error) => return Poll::Ready(Some(Err(Broken::Source(error)))),
                stage @ (Stage::Clear
                | Stage::Held
                | Stage::Doubting
                | Stage::Flushing
                | Stage::Ending(_)
                | Stage::Breaking(_)) => {
                    self.stage = stage;
                    ready!(self.poll_due(cx))
                }
            };
            let octets = match self.encode(then) {
                Ok(octets) => octets,
                Err(EncoderFailed) => {
                    self.stage = Stage::Over;
                    return Poll::Ready(Some(Err(Broken::Encoder)));
                }
            };
            if !octets.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(octets))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }
}

impl<E> Stage<E> {
    fn wants_more(&self) -> bool {
        matches!(self, Self::Clear | Self::Held | Self::Doubting)
    }

    /// What the encoder is told with the last of the input.
    fn then(&self) -> Then {
        match self {
            Self::Ending(_) => Then::Finish,
            Self::Flushing | Self::Breaking(_) => Then::Flush,
            Self::Clear
            | Self::Held
            | Self::Doubting
            | Self::Trailing(_)
            | Self::Leaving(_)
            | Self::Broken(_)
            | Self::Over => Then::More,
        }
    }

    /// After the encoder did what it was told.
    fn done(self) -> Self {
        match self {
            Self::Flushing => Self::Clear,
            Self::Breaking(error) => Self::Leaving(error),
            Self::Ending(None) => Self::Over,
            Self::Ending(Some(mut trailers)) => {
                fitness::without_digests(&mut trailers);
                Self::Trailing(trailers)
            }
            other @ (Self::Clear
            | Self::Held
            | Self::Doubting
            | Self::Trailing(_)
            | Self::Leaving(_)
            | Self::Broken(_)
            | Self::Over) => other,
        }
    }
}

/// Wakes this task again behind all others, and behind whatever the sockets have meanwhile.
fn let_others(cx: &mut Context<'_>) {
    let turn = pin!(tokio::task::yield_now());
    let _always_pending = turn.poll(cx);
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
