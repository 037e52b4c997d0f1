//! What an upstream sent and nobody has understood yet.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use http::response;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use super::head::{self, BadHead};

/// What is read at once: little at first, more where more keeps coming.
const ROOM_MIN: usize = 4 << 10;
const ROOM_MAX: usize = 256 << 10;
/// A buffer beyond this is given back between two exchanges.
const IDLE_OCTETS_MAX: usize = 2 * ROOM_MIN;

/// A read buffer that grows with what comes.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) octets: BytesMut,
    room: usize,
    /// Octets in which no head ended.
    searched: usize,
}

impl Default for Input {
    fn default() -> Self {
        Self {
            octets: BytesMut::new(),
            room: ROOM_MIN,
            searched: 0,
        }
    }
}

impl Input {
    /// Reads once. Zero octets: there will be no more.
    pub(super) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut (impl AsyncRead + Unpin),
    ) -> Poll<io::Result<usize>> {
        self.octets.reserve(self.room);
        let read = ready!(pin!(stream.read_buf(&mut self.octets)).poll(cx))?;
        if read >= self.room {
            self.room = (self.room * 2).min(ROOM_MAX);
        } else if read < self.room / 4 {
            self.room = (self.room / 2).max(ROOM_MIN);
        }
        Poll::Ready(Ok(read))
    }

    /// Takes a head that is whole. One that comes in many small pieces is not read again for each of them.
    pub(super) fn head(&mut self) -> Result<Option<response::Parts>, BadHead> {
        if self.octets.is_empty() {
            return Ok(None);
        }
        let fresh = &self.octets[self.searched.saturating_sub(2)..];
        let may_end =
            self.searched == 0 || fresh.iter().filter(|octet| **octet == b'\n').count() > 1;
        let is_too_long = self.octets.len() > head::HEAD_OCTETS_MAX;
        self.searched = self.octets.len();
        if !may_end && !is_too_long {
            return Ok(None);
        }
        let head = head::read(&mut self.octets)?;
        if head.is_some() {
            self.searched = 0;
        }
        Ok(head)
    }

    /// Nothing is under way: memory that is not needed goes.
    pub(super) fn rest(&mut self) {
        if self.octets.capacity() > IDLE_OCTETS_MAX {
            *self = Self::default();
        }
    }
}

/// Whether a stream on which nothing should come is open, and nothing came.
pub(super) fn is_quiet(stream: &mut (impl AsyncRead + Unpin)) -> bool {
    let mut space = [0];
    let mut cx = Context::from_waker(std::task::Waker::noop());
    Pin::new(stream)
        .poll_read(&mut cx, &mut ReadBuf::new(&mut space))
        .is_pending()
}
