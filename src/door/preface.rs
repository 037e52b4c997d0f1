//! The PROXY header in front of a connection from a balancer: read before anything else, and only from whom it is wanted.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

use super::READ_BYTES;
use crate::proxy_protocol::Origin;
use crate::proxy_protocol::read::{self, header};

/// What was read.
#[derive(Debug)]
pub(super) struct Preface {
    pub origin: Origin,
    /// What came with it and belongs to the connection.
    pub ahead: Vec<u8>,
}

/// Why there is no header.
#[derive(Debug)]
pub(super) enum Fault {
    /// The peer left, or the connection broke.
    Gone,
    Refused(read::Fault),
}

/// Reads until the header is complete.
///
/// # Errors
/// As soon as it cannot become one.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Preface, Fault> {
    let mut kept = Vec::new();
    poll_fn(|cx| {
        loop {
            // On the stack: in the future it would be carried about.
            let mut space = [0; READ_BYTES];
            let mut buffer = ReadBuf::new(&mut space);
            ready!(Pin::new(&mut *stream).poll_read(cx, &mut buffer))
                .map_err(|_gone| Fault::Gone)?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Err(Fault::Gone));
            }
            kept.extend_from_slice(buffer.filled());
            if let Some(found) = header(&kept).map_err(Fault::Refused)? {
                return Poll::Ready(Ok(Preface {
                    origin: found.origin,
                    ahead: kept.split_off(found.octets),
                }));
            }
        }
    })
    .await
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("the connection ended before a PROXY header"),
            Self::Refused(fault) => fault.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy_protocol::write;

    async fn read_all(octets: &[u8], pieces: usize) -> Result<Preface, Fault> {
        let mut reader = in_pieces(octets, pieces);
        read(&mut reader).await
    }

    /// A reader that gives this many octets at a time.
    fn in_pieces(octets: &[u8], at_a_time: usize) -> impl AsyncRead + Unpin + use<> {
        struct Pieces(std::vec::IntoIter<Vec<u8>>);
        impl AsyncRead for Pieces {
            fn poll_read(
                mut self: Pin<&mut Self>,
                _cx: &mut std::task::Context<'_>,
                buffer: &mut ReadBuf<'_>,
            ) -> Poll<std::io::Result<()>> {
                if let Some(piece) = self.0.next() {
                    buffer.put_slice(&piece);
                }
                Poll::Ready(Ok(()))
            }
        }
        let pieces: Vec<Vec<u8>> = octets.chunks(at_a_time).map(<[u8]>::to_vec).collect();
        Pieces(pieces.into_iter())
    }

    #[tokio::test]
    async fn what_comes_with_a_header_is_kept() {
        let origin = Origin::Proxied {
            source: "192.0.2.1:1".parse().unwrap(),
            destination: "192.0.2.2:2".parse().unwrap(),
        };
        for header in [write::v1(origin), write::v2(origin)] {
            let octets = [&header[..], b"GET / HTTP/1.1\r\n\r\n"].concat();
            let whole = read_all(&octets, READ_BYTES).await.unwrap();
            assert_eq!(whole.origin, origin);
            assert_eq!(whole.ahead, b"GET / HTTP/1.1\r\n\r\n");
            let cut = read_all(&octets, 1).await.unwrap();
            assert_eq!((cut.origin, cut.ahead), (origin, Vec::new()));
        }
    }

    #[tokio::test]
    async fn a_header_that_breaks_off_is_none() {
        let broken = read_all(b"PROXY TCP4 192.0.2.1 ", 1).await;
        assert!(matches!(broken, Err(Fault::Gone)), "{broken:?}");
        let strange = read_all(b"GET / HTTP/1.1\r\n", 1).await;
        assert!(
            matches!(strange, Err(Fault::Refused(read::Fault::NoHeader))),
            "{strange:?}"
        );
    }
}
