//! Lines with descriptors beside them, over a Unix stream. What the lines say is not looked at.
//!
//! Descriptors arrive with the first octet of their line, so they are there when the line is. More than one message carries go
//! ahead in lines of their own, `{"descriptors":64}`, which the reader keeps to itself.

mod reader;
mod writer;

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use tokio::net::UnixStream;

pub use reader::Reader;
pub use writer::Writer;

/// Octets of a line without its end.
pub const LINE_BYTES_MAX: usize = 64 << 20;
/// Descriptors that were sent with one line, or wait to be taken.
pub const DESCRIPTORS_MAX: usize = 1024;
/// How a line begins that only carries descriptors.
const CARRIER: &[u8] = br#"{"descriptors":"#;

/// What a reader takes from the other side.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub line_bytes: usize,
    pub descriptors: usize,
}

/// Why a channel is of no more use.
#[derive(Debug)]
pub enum Broken {
    /// The other side closed between two lines.
    Ended,
    /// The other side closed in the middle of a line.
    Cut,
    LineTooLong {
        max: usize,
    },
    TooManyDescriptors {
        max: usize,
    },
    /// The system dropped descriptors on the way: too many in one message, or this process may open no more.
    DescriptorsLost,
    /// A line is not in our protocol.
    Garbage(serde_json::Error),
    /// The other side did not read, or did not answer, in time.
    TimedOut,
    Failed(io::Error),
}

/// Both directions of a stream, for use from one task. `ahead` was read from the stream already.
#[must_use]
pub fn open(stream: UnixStream, ahead: &[u8], bounds: Bounds) -> (Reader, Writer) {
    let stream = Arc::new(stream);
    let reader = Reader::new(Arc::clone(&stream), ahead, bounds);
    (reader, Writer::new(stream))
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended => f.write_str("the other side closed the connection"),
            Self::Cut => f.write_str("the connection ended in the middle of a message"),
            Self::LineTooLong { max } => write!(f, "a message is longer than {max} octets"),
            Self::TooManyDescriptors { max } => {
                write!(f, "more than {max} descriptors came with a message")
            }
            Self::DescriptorsLost => f.write_str(
                "descriptors were lost on the way: the limit on open files (`ulimit -n`) may be too low",
            ),
            Self::Garbage(_) => f.write_str("a message is not in our protocol"),
            Self::TimedOut => f.write_str("the other side is too slow"),
            Self::Failed(_) => f.write_str("the connection broke"),
        }
    }
}

impl Error for Broken {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Garbage(source) => Some(source),
            Self::Failed(source) => Some(source),
            Self::Ended
            | Self::Cut
            | Self::LineTooLong { .. }
            | Self::TooManyDescriptors { .. }
            | Self::DescriptorsLost
            | Self::TimedOut => None,
        }
    }
}

#[cfg(test)]
mod tests;
