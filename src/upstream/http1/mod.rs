//! An own HTTP/1.1 client: a connection is polled by whoever waits for its answer, so a request costs no task and no channel.

mod chunks;
mod head;
mod input;
mod output;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::io;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode, request, response};
use http_body::{Frame, SizeHint};

use super::dial::Stream;
use super::{BodyError, Outgoing, Upload, UpstreamError, liveness};
use crate::framing::Framing;
use chunks::{Chunks, Next};
use head::{BadHead, Ends};
use input::Input;
use output::Output;

/// Interim answers before a final one.
const INTERIM_MAX: u32 = 32;

/// An open connection and the exchange that is under way on it, if one is.
#[derive(Debug)]
pub(super) struct Connection {
    stream: Stream,
    input: Input,
    output: Output,
    sending: Sending,
    receiving: Receiving,
    /// Whether the next exchange may use it.
    keep: bool,
    kept_for: Option<Duration>,
}

/// The body that goes up.
#[derive(Debug)]
enum Sending {
    Nothing,
    /// As many octets as the head told; so many are left.
    Counted(Box<Upload>, u64),
    Chunked(Box<Upload>),
}

/// What is awaited.
#[derive(Debug)]
enum Receiving {
    Nothing,
    Head {
        method: Method,
        interim: u32,
    },
    Counted(u64),
    Chunked(Chunks),
    ToTheEnd,
    /// Another protocol took over.
    Switched,
}

impl Connection {
    /// Nothing was said on `stream` so far.
    pub(super) fn new(stream: Stream) -> Self {
        Self {
            stream,
            input: Input::default(),
            output: Output::default(),
            sending: Sending::Nothing,
            receiving: Receiving::Nothing,
            keep: true,
            kept_for: None,
        }
    }

    /// Whether it may take a request: still open, and nothing came that nobody asked for.
    pub(super) fn is_quiet(&mut self) -> bool {
        input::is_quiet(&mut self.stream)
    }

    /// The same at this very moment, by a call to the system.
    pub(super) fn is_standing(&self) -> bool {
        liveness::is_standing(&self.stream)
    }

    /// How long the upstream said that it keeps an idle connection.
    pub(super) fn kept_for(&self) -> Option<Duration> {
        self.kept_for
    }

    /// Whether both messages ended, no octet is left over and the upstream wants to go on.
    pub(super) fn is_clean(&self) -> bool {
        self.keep
            && self.is_over()
            && matches!(self.sending, Sending::Nothing)
            && self.output.is_empty()
            && self.input.octets.is_empty()
    }

    /// Whether the whole answer was taken.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.receiving, Receiving::Nothing)
    }

    /// Gives back what an idle connection does not need.
    pub(super) fn rest(&mut self) {
        self.input.rest();
        self.output.rest();
    }

    /// Begins an exchange. `head` is as it shall be written; its framing is that of `body`.
    pub(super) fn ask(&mut self, head: &request::Parts, body: Outgoing) {
        self.output.begin();
        head::write(&mut self.output.text, head);
        let framing = Framing::of(&head.headers);
        self.sending = match (body, framing) {
            (Outgoing::Empty, Ok(Framing::Open)) => {
                self.output.text.extend_from_slice(b"0\r\n\r\n");
                Sending::Nothing
            }
            (Outgoing::Empty, _) => Sending::Nothing,
            (Outgoing::Streamed(upload), Ok(Framing::Length(length))) => {
                Sending::Counted(upload, length)
            }
            (Outgoing::Streamed(upload), _) => Sending::Chunked(upload),
        };
        self.receiving = Receiving::Head {
            method: head.method.clone(),
            interim: 0,
        };
    }

    /// The head of the answer, once it is there. The body goes up meanwhile.
    pub(super) fn poll_answer(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<response::Parts, UpstreamError>> {
        self.go_on_sending(cx)?;
        loop {
            if let Some(head) = self.input.head().map_err(malformed)? {
                if let Some(head) = self.begin_answer(head)? {
                    return Poll::Ready(Ok(head));
                }
                self.go_on_sending(cx)?;
                continue;
            }
            let cause = match ready!(self.input.poll_fill(cx, &mut self.stream)) {
                Ok(0) => io::ErrorKind::UnexpectedEof.into(),
                Ok(_more) => continue,
                Err(error) => error,
            };
            return Poll::Ready(Err(self.ended(cause)));
        }
    }

    /// The next part of the answer's body. The body of the request goes up meanwhile, if it is not over.
    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UpstreamError>>> {
        self.go_on_sending(cx)?;
        loop {
            match self.next().map_err(malformed)? {
                Next::Piece(piece) => return Poll::Ready(Some(Ok(Frame::data(piece)))),
                Next::Trailers(fields) => {
                    self.receiving = Receiving::Nothing;
                    return Poll::Ready(Some(Ok(Frame::trailers(fields))));
                }
                Next::End => {
                    self.receiving = Receiving::Nothing;
                    return Poll::Ready(None);
                }
                Next::Unread => {}
            }
            match ready!(self.input.poll_fill(cx, &mut self.stream)) {
                Ok(0) if matches!(self.receiving, Receiving::ToTheEnd) => {
                    self.receiving = Receiving::Nothing;
                    return Poll::Ready(None);
                }
                Ok(0) => return Poll::Ready(Some(Err(cut(io::ErrorKind::UnexpectedEof.into())))),
                Ok(_more) => {}
                Err(error) => return Poll::Ready(Some(Err(cut(error)))),
            }
        }
    }

    /// What is known of the length of what is left.
    pub(super) fn size_hint(&self) -> SizeHint {
        match self.receiving {
            Receiving::Counted(left) => SizeHint::with_exact(left),
            Receiving::Nothing => SizeHint::with_exact(0),
            Receiving::Head { .. }
            | Receiving::Chunked(_)
            | Receiving::ToTheEnd
            | Receiving::Switched => SizeHint::default(),
        }
    }

    /// The stream, and what was read of it, once another protocol took over.
    pub(super) fn into_switched(self) -> Option<(Stream, BytesMut)> {
        let is_switched = matches!(self.receiving, Receiving::Switched) && self.output.is_empty();
        is_switched.then_some((self.stream, self.input.octets))
    }

    /// Looks at an answer's head: none if it was an interim one.
    fn begin_answer(
        &mut self,
        head: response::Parts,
    ) -> Result<Option<response::Parts>, UpstreamError> {
        let Receiving::Head { method, interim } = &mut self.receiving else {
            return Ok(Some(head));
        };
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            self.receiving = Receiving::Switched;
            self.keep = false;
            return Ok(Some(head));
        }
        if head.status.is_informational() {
            *interim += 1;
            if *interim > INTERIM_MAX {
                return Err(malformed(BadHead::Interim));
            }
            if let (StatusCode::CONTINUE, Sending::Counted(upload, _) | Sending::Chunked(upload)) =
                (head.status, &mut self.sending)
            {
                upload.open();
            }
            return Ok(None);
        }
        self.keep &= head::keeps_connection(&head);
        self.kept_for = head::kept_for(&head);
        self.receiving = match head::ends(&head, method) {
            Ends::AtOnce => Receiving::Nothing,
            Ends::After(length) => Receiving::Counted(length),
            Ends::WithLastChunk => Receiving::Chunked(Chunks::default()),
            Ends::WithConnection => {
                self.keep = false;
                Receiving::ToTheEnd
            }
        };
        Ok(Some(head))
    }

    fn next(&mut self) -> Result<Next, chunks::BadChunk> {
        let octets = &mut self.input.octets;
        match &mut self.receiving {
            Receiving::Chunked(chunks) => {
                let next = chunks.next(octets)?;
                if matches!(next, Next::Piece(_)) && chunks.ends(octets) {
                    self.receiving = Receiving::Nothing;
                }
                Ok(next)
            }
            Receiving::Counted(_) | Receiving::ToTheEnd if octets.is_empty() => Ok(Next::Unread),
            Receiving::ToTheEnd => Ok(Next::Piece(octets.split().freeze())),
            Receiving::Counted(left) => {
                let here =
                    usize::try_from(*left).map_or(octets.len(), |left| left.min(octets.len()));
                *left -= here as u64;
                if *left == 0 {
                    self.receiving = Receiving::Nothing;
                }
                Ok(Next::Piece(octets.split_to(here).freeze()))
            }
            Receiving::Nothing | Receiving::Head { .. } | Receiving::Switched => Ok(Next::End),
        }
    }

    /// Sends what can be sent now. An upstream that takes no more may have answered already: its silence or its answer will tell.
    fn go_on_sending(&mut self, cx: &mut Context<'_>) -> Result<(), UpstreamError> {
        if matches!(self.sending, Sending::Nothing) && self.output.is_empty() {
            return Ok(());
        }
        match self.poll_send(cx) {
            Poll::Ready(Err(Unsent::Upstream(error))) => {
                tracing::debug!(%error, "upstream takes no more of a request");
                self.sending = Sending::Nothing;
                self.output.discard();
                self.keep = false;
                Ok(())
            }
            Poll::Ready(Err(Unsent::Client(fault))) => Err(UpstreamError::ClientBody(fault)),
            Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Unsent>> {
        loop {
            let is_starved = self.output.has_room()
                && self.sending.poll_gather(cx, &mut self.output)?.is_pending();
            let written = self.output.poll_write(cx, &mut self.stream);
            if self.output.is_begun() {
                self.sending.written();
            }
            ready!(written.map_err(Unsent::Upstream))?;
            if matches!(self.sending, Sending::Nothing) {
                return Poll::Ready(Ok(()));
            }
            if is_starved {
                return Poll::Pending;
            }
        }
    }

    fn ended(&self, cause: io::Error) -> UpstreamError {
        let is_untouched = matches!(self.receiving, Receiving::Head { interim: 0, .. });
        if !is_untouched || !self.input.octets.is_empty() {
            cut(cause)
        } else if self.output.is_begun() {
            UpstreamError::Closed(cause.into())
        } else {
            UpstreamError::Unsent(cause.into())
        }
    }
}

/// Why a request is not sent to its end.
enum Unsent {
    Client(BodyError),
    Upstream(io::Error),
}

impl Sending {
    /// An octet of the message was written.
    fn written(&self) {
        match self {
            Self::Nothing => {}
            Self::Counted(upload, _) | Self::Chunked(upload) => upload.written(),
        }
    }

    /// Puts the next piece of the body into an output that has room for it.
    fn poll_gather(
        &mut self,
        cx: &mut Context<'_>,
        output: &mut Output,
    ) -> Poll<Result<(), Unsent>> {
        let upload = match self {
            Self::Nothing => return Poll::Ready(Ok(())),
            Self::Counted(upload, _) | Self::Chunked(upload) => upload,
        };
        let frame = ready!(upload.poll_next(cx))
            .transpose()
            .map_err(Unsent::Client)?;
        match (frame.map(Frame::into_data), &mut *self) {
            (Some(Ok(piece)), Self::Counted(_, left)) => {
                let enough = left.checked_sub(piece.len() as u64);
                *left = enough.ok_or(Unsent::Client(BodyError::Broken))?;
                output.plain(piece);
            }
            (Some(Ok(piece)), _) => output.chunk(piece),
            (Some(Err(trailers)), Self::Chunked(_)) => {
                let none = HeaderMap::new();
                self.finish(output, trailers.trailers_ref().unwrap_or(&none));
            }
            (Some(Err(_trailers)), _) => {}
            (None, Self::Counted(_, left)) if *left > 0 => {
                return Poll::Ready(Err(Unsent::Client(BodyError::Broken)));
            }
            (None, _) => self.finish(output, &HeaderMap::new()),
        }
        Poll::Ready(Ok(()))
    }

    fn finish(&mut self, output: &mut Output, trailers: &HeaderMap) {
        if matches!(self, Self::Chunked(_)) {
            output.text.extend_from_slice(b"0\r\n");
            head::write_fields(&mut output.text, trailers);
        }
        *self = Self::Nothing;
    }
}

fn malformed(fault: impl Error + Send + Sync + 'static) -> UpstreamError {
    UpstreamError::Malformed(fault.into())
}

fn cut(cause: io::Error) -> UpstreamError {
    UpstreamError::Cut(cause.into())
}
