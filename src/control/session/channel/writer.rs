//! The outgoing half: lines go out whole and in order, descriptors with their first octet.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use tokio::io::Interest;
use tokio::net::UnixStream;

use super::{Broken, CARRIER, DESCRIPTORS_MAX, LINE_BYTES_MAX};
use crate::control::session::rights::{self, DESCRIPTORS_PER_MESSAGE_MAX};

/// The outgoing half. What was pushed goes out whole, in order, by whichever call is awaited next.
#[derive(Debug)]
pub struct Writer {
    stream: Arc<UnixStream>,
    pieces: VecDeque<Piece>,
}

/// Octets whose first one takes the descriptors along.
#[derive(Debug)]
struct Piece {
    octets: Bytes,
    descriptors: Vec<OwnedFd>,
}

impl Writer {
    pub(super) fn new(stream: Arc<UnixStream>) -> Self {
        Self {
            stream,
            pieces: VecDeque::new(),
        }
    }

    /// Puts a line, given without its end, behind those that are on their way.
    ///
    /// # Errors
    /// When it is longer, or has more descriptors, than the other side takes; nothing is sent of it then.
    pub fn push(&mut self, mut line: Vec<u8>, descriptors: Vec<OwnedFd>) -> Result<(), Broken> {
        if line.len() > LINE_BYTES_MAX {
            return Err(Broken::LineTooLong {
                max: LINE_BYTES_MAX,
            });
        }
        if descriptors.len() > DESCRIPTORS_MAX {
            return Err(Broken::TooManyDescriptors {
                max: DESCRIPTORS_MAX,
            });
        }
        let mut left = descriptors;
        while left.len() > DESCRIPTORS_PER_MESSAGE_MAX {
            let rest = left.split_off(DESCRIPTORS_PER_MESSAGE_MAX);
            self.pieces.push_back(Piece {
                octets: carrier(left.len()),
                descriptors: left,
            });
            left = rest;
        }
        line.push(b'\n');
        self.pieces.push_back(Piece {
            octets: line.into(),
            descriptors: left,
        });
        Ok(())
    }

    /// Whether everything that was pushed is gone.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Sends a part as soon as the other side takes one. Dropped before it is ready, it has sent nothing.
    ///
    /// # Errors
    /// When the other side is gone.
    pub async fn advance(&mut self) -> Result<(), Broken> {
        let Some(piece) = self.pieces.front_mut() else {
            return Ok(());
        };
        let stream = &self.stream;
        let sending = stream.async_io(Interest::WRITABLE, || {
            rights::send(stream, &piece.octets, &piece.descriptors)
        });
        let sent = sending.await.map_err(Broken::Failed)?;
        piece.descriptors.clear();
        piece.octets.advance(sent);
        if piece.octets.is_empty() {
            self.pieces.pop_front();
        }
        Ok(())
    }

    /// Sends everything. Dropped before it is ready, the next call goes on.
    ///
    /// # Errors
    /// As [`Self::advance`].
    pub async fn flush(&mut self) -> Result<(), Broken> {
        while !self.is_idle() {
            self.advance().await?;
        }
        Ok(())
    }
}

fn carrier(count: usize) -> Bytes {
    let count = count.to_string();
    [CARRIER, count.as_bytes(), b"}\n"].concat().into()
}
