//! What lies between hyper and a client's stream: bytes that were read before hyper was there, and a watch on what goes by.
//!
//! The watch knows whether a message is under way, so idle time, slow heads and slow readers can be told apart without a timer
//! inside hyper, and hyper's own bare error answers can be replaced by ours.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frames::FrameMeter;
use super::stream::Stream;
use crate::deadline::Deadline;
use crate::observe::counters::Refused;
use crate::proxy::visit::{Phase, Visit};

/// A client that takes fewer octets than this in one idle time does not read.
const TAKEN_OCTETS_MIN: u64 = 1024;

/// GOAWAY with ENHANCE_YOUR_CALM (RFC 9113 sections 6.8 and 7); no stream was processed that the client need know of.
const CALM: [u8; 17] = [
    0, 0, 8, 7, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 11,
];

/// The plain text of a full TLS record (RFC 8446 section 5.1).
const RECORD_OCTETS: usize = 16 << 10;

/// A client's stream as hyper sees it.
#[derive(Debug)]
pub(super) struct Wire {
    pub stream: Stream,
    /// Read before, to be read again.
    pub ahead: Bytes,
    watch: Rc<Watch>,
    meter: Option<FrameMeter>,
    /// Written by hyper, and not yet to the stream: see [`Watch::gathering`].
    gathered: Vec<u8>,
}

/// What is spoken on a wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// What is known about a connection from its bytes.
#[derive(Debug)]
pub(super) struct Watch {
    visit: Rc<Visit>,
    protocol: Protocol,
    /// Octets written, in clear text.
    sent: Cell<u64>,
    /// The status that hyper wanted to refuse a message with by itself.
    pub refused: Cell<Option<u16>>,
    /// Whether everything written has left.
    flushed: Cell<bool>,
    /// Whether the last word was said: nothing that comes now is a message.
    closing: Cell<bool>,
    /// Whether frames are being gathered, to leave together: see [`Watch::gathering`].
    gathers: Cell<bool>,
    /// Whether something waits for the client to take it.
    waiting: Cell<bool>,
    /// Runs while something waits.
    stalled: Deadline,
    stall_time: Duration,
    sent_when_stalled: Cell<u64>,
}

impl Watch {
    /// `stall_time`: how long a client may take nothing while something waits for it.
    #[must_use]
    pub(super) fn new(visit: Rc<Visit>, protocol: Protocol, stall_time: Duration) -> Self {
        let stalled = visit.context.wheel.deadline();
        Self {
            visit,
            protocol,
            sent: Cell::new(0),
            refused: Cell::new(None),
            flushed: Cell::new(true),
            closing: Cell::new(false),
            gathers: Cell::new(false),
            waiting: Cell::new(false),
            stalled,
            stall_time,
            sent_when_stalled: Cell::new(0),
        }
    }

    /// Ready when the client has not been reading for too long.
    pub(super) fn poll_stalled(&self, cx: &Context<'_>) -> Poll<()> {
        if !self.waiting.get() || self.stalled.poll_expired(cx).is_pending() {
            return Poll::Pending;
        }
        if self.sent.get() - self.sent_when_stalled.get() < TAKEN_OCTETS_MIN {
            return Poll::Ready(());
        }
        self.start_stall();
        self.stalled.poll_expired(cx)
    }

    /// Polls an HTTP/2 connection so that the small frames of a turn leave in one TLS record and one system call. `h2` flushes after
    /// every DATA frame; in the first round its frames are kept, and in the second, if there are any, they leave.
    pub(super) fn gathering<T>(&self, mut poll: impl FnMut() -> Poll<T>) -> Poll<T> {
        self.gathers.set(true);
        let first = poll();
        self.gathers.set(false);
        if first.is_pending() && !self.flushed.get() {
            poll()
        } else {
            first
        }
    }

    /// The client takes nothing at the moment.
    fn waits(&self) {
        self.flushed.set(false);
        if !self.waiting.replace(true) {
            self.start_stall();
        }
    }

    fn start_stall(&self) {
        self.sent_when_stalled.set(self.sent.get());
        self.stalled.arm(self.stall_time);
    }

    fn read(&self, octets: usize) {
        if octets > 0 && self.visit.phase.get() == Phase::Quiet {
            self.visit.phase.set(Phase::Head);
        }
    }

    fn everything_left(&self) {
        self.flushed.set(true);
        self.waiting.set(false);
        if self.protocol == Protocol::Http1
            && !self.closing.get()
            && self.visit.phase.get() == Phase::Busy
            && self.visit.exchanges() == 0
        {
            self.visit.phase.set(Phase::Quiet);
        }
    }

    fn written(&self, outcome: &Poll<io::Result<usize>>) {
        match outcome {
            Poll::Ready(Ok(octets)) => {
                self.sent.set(self.sent.get() + *octets as u64);
                self.flushed.set(false);
            }
            Poll::Pending => self.waits(),
            Poll::Ready(Err(_)) => {}
        }
    }
}

impl Wire {
    /// A stream of which `ahead` has been read.
    #[must_use]
    pub(super) fn new(stream: Stream, ahead: Bytes, watch: Rc<Watch>) -> Self {
        let meter = match watch.protocol {
            Protocol::Http1 => None,
            Protocol::Http2 => {
                watch.visit.phase.set(Phase::Busy);
                Some(FrameMeter::default())
            }
        };
        Self {
            stream,
            ahead,
            watch,
            meter,
            gathered: Vec::new(),
        }
    }

    fn poll_more(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        let taken = self.ahead.len().min(buffer.remaining());
        buffer.put_slice(&self.ahead[..taken]);
        self.ahead.advance(taken);
        Poll::Ready(Ok(()))
    }

    /// Keeps what is written, up to one TLS record; none if it does not fit.
    fn gather(&mut self, slices: &[io::IoSlice<'_>]) -> Option<usize> {
        let octets = slices.iter().map(|slice| slice.len()).sum::<usize>();
        if self.gathered.len() + octets > RECORD_OCTETS {
            return None;
        }
        for slice in slices {
            self.gathered.extend_from_slice(slice);
        }
        Some(octets)
    }

    /// Writes what was gathered, and gives its buffer back.
    fn poll_gathered(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.gathered.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.gathered))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            if written == self.gathered.len() {
                self.gathered = Vec::new();
            } else {
                self.gathered.drain(..written);
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_pass(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.watch.gathers.get()
            && let Some(octets) = self.gather(slices)
        {
            return Poll::Ready(Ok(octets));
        }
        ready!(self.poll_gathered(cx))?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    /// Tells a flooding client to calm down, if no frame is half written.
    fn calm(&mut self, cx: &mut Context<'_>) {
        tracing::debug!(peer = %self.watch.visit.peer, "HTTP/2 flood");
        self.watch.visit.context.counters.refused(Refused::Flood);
        if self.watch.flushed.get() {
            // A client that floods may not be reading either; the connection ends all the same.
            let _said = Pin::new(&mut self.stream).poll_write(cx, &CALM);
            let _left = Pin::new(&mut self.stream).poll_flush(cx);
        }
    }

    /// hyper writes while no exchange answers: its own refusal of a message. It is kept back, and ours takes its place.
    fn keeps_back(&self, first: &[u8]) -> bool {
        if self.watch.visit.phase.get() != Phase::Head {
            return false;
        }
        if self.watch.refused.get().is_none() {
            self.watch
                .refused
                .set(Some(status_of(first).unwrap_or(400)));
        }
        true
    }
}

fn status_of(head: &[u8]) -> Option<u16> {
    std::str::from_utf8(head.get(9..12)?).ok()?.parse().ok()
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        let before = buffer.filled().len();
        let outcome = wire.poll_more(cx, buffer);
        let fresh = &buffer.filled()[before..];
        wire.watch.read(fresh.len());
        if let Some(meter) = &mut wire.meter
            && meter.floods(fresh, wire.watch.stalled.now())
        {
            wire.calm(cx);
            return Poll::Ready(Err(io::ErrorKind::QuotaExceeded.into()));
        }
        outcome
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        if wire.keeps_back(slices.first().map_or(&[], |slice| slice)) {
            return Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()));
        }
        let outcome = wire.poll_pass(cx, slices);
        wire.watch.written(&outcome);
        outcome
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        if wire.watch.gathers.get() {
            return Poll::Ready(Ok(()));
        }
        let outcome = match wire.poll_gathered(cx) {
            Poll::Ready(Ok(())) => Pin::new(&mut wire.stream).poll_flush(cx),
            unwritten @ (Poll::Ready(Err(_)) | Poll::Pending) => unwritten,
        };
        match &outcome {
            Poll::Ready(Ok(())) => wire.watch.everything_left(),
            Poll::Pending => wire.watch.waits(),
            Poll::Ready(Err(_)) => {}
        }
        outcome
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        if wire.watch.refused.get().is_some() {
            return Poll::Ready(Ok(()));
        }
        wire.watch.closing.set(true);
        wire.watch.visit.phase.set(Phase::Busy);
        let outcome = match wire.poll_gathered(cx) {
            Poll::Ready(Ok(())) => Pin::new(&mut wire.stream).poll_shutdown(cx),
            unwritten @ (Poll::Ready(Err(_)) | Poll::Pending) => unwritten,
        };
        if outcome.is_pending() {
            wire.watch.waits();
        }
        outcome
    }
}
