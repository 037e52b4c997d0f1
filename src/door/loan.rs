//! A wire that comes back: hyper does not return an HTTP/2 connection's stream, and whoever closes it needs it once more.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::wire::Wire;

/// Reads and writes a wire, and returns it when dropped.
#[derive(Debug)]
pub(super) struct Loan {
    wire: Option<Wire>,
    back: Returned,
}

/// Where a lent wire is found once its loan was dropped.
#[derive(Debug, Clone, Default)]
pub(super) struct Returned(Rc<RefCell<Option<Wire>>>);

impl Loan {
    #[must_use]
    pub(super) fn of(wire: Wire) -> (Self, Returned) {
        let back = Returned::default();
        let loan = Self {
            wire: Some(wire),
            back: back.clone(),
        };
        (loan, back)
    }

    fn lent(self: Pin<&mut Self>) -> io::Result<Pin<&mut Wire>> {
        let wire = self.get_mut().wire.as_mut();
        wire.map(Pin::new)
            .ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Returned {
    /// The wire, once; none before the loan was dropped.
    pub(super) fn take(&self) -> Option<Wire> {
        self.0.borrow_mut().take()
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        *self.back.0.borrow_mut() = self.wire.take();
    }
}

impl AsyncRead for Loan {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.lent()?.poll_read(cx, buffer)
    }
}

impl AsyncWrite for Loan {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.lent()?.poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.lent()?.poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.wire.as_ref().is_some_and(Wire::is_write_vectored)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.lent()?.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.lent()?.poll_shutdown(cx)
    }
}
