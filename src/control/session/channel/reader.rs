//! The incoming half: octets to lines, descriptors kept until they are taken.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::Interest;
use tokio::net::UnixStream;

use super::{Bounds, Broken, CARRIER};
use crate::control::session::rights;

/// What one call reads at most.
const PIECE_BYTES: usize = 16 << 10;

/// The incoming half.
#[derive(Debug)]
pub struct Reader {
    stream: Arc<UnixStream>,
    bounds: Bounds,
    buffer: BytesMut,
    /// Octets of the buffer that hold no end of a line.
    searched: usize,
    descriptors: VecDeque<OwnedFd>,
}

impl Reader {
    pub(super) fn new(stream: Arc<UnixStream>, ahead: &[u8], bounds: Bounds) -> Self {
        Self {
            stream,
            bounds,
            buffer: BytesMut::from(ahead),
            searched: 0,
            descriptors: VecDeque::new(),
        }
    }

    /// The next line without its end. Dropped before it is ready, it has lost nothing.
    ///
    /// # Errors
    /// [`Broken::Ended`] when there is none; a bound that is exceeded ends the channel.
    pub async fn line(&mut self) -> Result<Bytes, Broken> {
        loop {
            if let Some(line) = self.buffered()? {
                return Ok(line);
            }
            if !self.more().await? {
                return Err(match self.buffer.is_empty() {
                    true => Broken::Ended,
                    false => Broken::Cut,
                });
            }
        }
    }

    /// The oldest descriptors that came and were not taken: fewer than asked for if fewer came.
    pub fn take_descriptors(&mut self, count: usize) -> Vec<OwnedFd> {
        let count = count.min(self.descriptors.len());
        self.descriptors.drain(..count).collect()
    }

    /// At least these many octets of what comes, without taking them from the lines.
    pub(in crate::control) async fn peek(&mut self, least: usize) -> Result<&[u8], Broken> {
        while self.buffer.len() < least {
            if !self.more().await? {
                return Err(Broken::Ended);
            }
        }
        Ok(&self.buffer)
    }

    /// Drops octets that [`Self::peek`] showed.
    pub(in crate::control) fn skip(&mut self, octets: usize) {
        self.buffer.advance(octets);
    }

    fn buffered(&mut self) -> Result<Option<Bytes>, Broken> {
        let max = self.bounds.line_bytes;
        loop {
            let fresh = &self.buffer[self.searched..];
            let end = fresh.iter().position(|octet| *octet == b'\n');
            let length = end.map_or(self.buffer.len(), |end| self.searched + end);
            if length > max {
                return Err(Broken::LineTooLong { max });
            }
            self.searched = length;
            if end.is_none() {
                return Ok(None);
            }
            let line = self.buffer.split_to(length).freeze();
            self.buffer.advance(1);
            self.searched = 0;
            if self.buffer.is_empty() {
                // So that the memory of a long line goes with the line.
                self.buffer = BytesMut::new();
            }
            if !line.starts_with(CARRIER) {
                return Ok(Some(line));
            }
        }
    }

    /// False: nothing comes any more.
    async fn more(&mut self) -> Result<bool, Broken> {
        let (stream, buffer) = (&self.stream, &mut self.buffer);
        let receiving = stream.async_io(Interest::READABLE, || {
            let mut piece = [0; PIECE_BYTES];
            let received = rights::receive(stream, &mut piece)?;
            buffer.extend_from_slice(&piece[..received.octets]);
            Ok(received)
        });
        let received = receiving.await.map_err(Broken::Failed)?;
        if received.truncated {
            return Err(Broken::DescriptorsLost);
        }
        self.descriptors.extend(received.descriptors);
        let max = self.bounds.descriptors;
        if self.descriptors.len() > max {
            return Err(Broken::TooManyDescriptors { max });
        }
        Ok(received.octets > 0)
    }
}
