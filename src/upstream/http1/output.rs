//! What is still to be written to an upstream: text of ours, one piece of a body behind it, and the end of its chunk.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;

/// A buffer beyond this is given back between two exchanges.
const IDLE_OCTETS_MAX: usize = 4 << 10;
/// A write that failed may have sent something only if it was more than this: in TLS more than one record, and half a record is
/// nothing that anybody can read; in clear text one call, all of which failed.
const RECORD_OCTETS_MAX: usize = 16 << 10;

/// Octets on their way out.
#[derive(Debug, Default)]
pub(super) struct Output {
    pub(super) text: Vec<u8>,
    written: usize,
    piece: Bytes,
    tail: &'static [u8],
    unflushed: bool,
    begun: bool,
}

impl Output {
    /// A new message: nothing of it was written.
    pub(super) fn begin(&mut self) {
        self.begun = false;
    }

    /// Whether an octet of the message may have gone out.
    pub(super) fn is_begun(&self) -> bool {
        self.begun
    }

    /// Whether a piece can be taken.
    pub(super) fn has_room(&self) -> bool {
        self.piece.is_empty() && self.tail.is_empty()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.written == self.text.len() && self.has_room() && !self.unflushed
    }

    /// Takes a piece as it is.
    pub(super) fn plain(&mut self, piece: Bytes) {
        self.piece = piece;
    }

    /// Takes a piece as a chunk (RFC 9112 section 7.1).
    pub(super) fn chunk(&mut self, piece: Bytes) {
        if piece.is_empty() {
            return;
        }
        let size = format!("{:x}\r\n", piece.len());
        self.text.extend_from_slice(size.as_bytes());
        self.piece = piece;
        self.tail = b"\r\n";
    }

    /// Writes until nothing is left.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<io::Result<()>> {
        while self.written < self.text.len() || !self.has_room() {
            let slices = [
                IoSlice::new(&self.text[self.written..]),
                IoSlice::new(&self.piece),
                IoSlice::new(self.tail),
            ];
            let offered: usize = slices.iter().map(|slice| slice.len()).sum();
            let stream = Pin::new(&mut *stream);
            let written = ready!(if self.has_room() {
                stream.poll_write(cx, &slices[0])
            } else {
                stream.poll_write_vectored(cx, &slices)
            });
            self.begun |= written.is_ok() || offered > RECORD_OCTETS_MAX;
            let written = written?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unflushed = true;
            self.advance(written);
        }
        if self.unflushed {
            ready!(Pin::new(stream).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, octets: usize) {
        let text = octets.min(self.text.len() - self.written);
        self.written += text;
        if self.written == self.text.len() {
            self.text.clear();
            self.written = 0;
        }
        let piece = (octets - text).min(self.piece.len());
        self.piece.advance(piece);
        self.tail = &self.tail[octets - text - piece..];
    }

    /// Forgets what nobody will take.
    pub(super) fn discard(&mut self) {
        *self = Self {
            begun: self.begun,
            ..Self::default()
        };
    }

    /// Nothing is under way: memory that is not needed goes.
    pub(super) fn rest(&mut self) {
        if self.text.capacity() > IDLE_OCTETS_MAX {
            self.text = Vec::new();
        }
    }
}
