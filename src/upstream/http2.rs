//! Opening HTTP/2 connections: hyper's client on the worker's own thread.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::rt::Executor;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::dial::Stream;
use super::shared::{Load, Shares};
use super::{Outgoing, UpstreamError};

/// What one upstream stream may send before it is read, and what all of a connection's may.
const STREAM_WINDOW: u32 = 512 << 10;
const CONNECTION_WINDOW: u32 = 4 << 20;
/// Cancelled streams whose late frames are ignored; those of older ones are answered with another reset.
const CANCELLED_STREAMS_KNOWN: usize = 1024;
/// What one stream keeps of a request body that the upstream does not take.
const SEND_BUFFER: usize = 64 << 10;
/// Octets of an HTTP/2 answer's field list.
const FIELD_LIST_OCTETS_MAX: u32 = 64 << 10;
/// Requests at once before the upstream said how many it allows: some count strictly from the beginning.
const FIRST_STREAMS: usize = 1;

/// Begins HTTP/2 on a stream. The load knows what the upstream allows, and when it said something.
pub(super) async fn connection(
    stream: Stream,
    shares: &Shares,
) -> Result<(SendRequest<Outgoing>, Rc<Load>), UpstreamError> {
    let load = shares.load();
    let heard = Heard {
        stream,
        load: load.clone(),
    };
    let (sender, connection) = Builder::new(Local)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(FIELD_LIST_OCTETS_MAX)
        .max_send_buf_size(SEND_BUFFER)
        .initial_max_send_streams(FIRST_STREAMS)
        .max_concurrent_reset_streams(CANCELLED_STREAMS_KNOWN)
        // h2 takes late frames of cancelled streams for faults, and would end everybody's connection after so many.
        .max_local_error_reset_streams(None)
        .handshake(TokioIo::new(heard))
        .await
        .map_err(UpstreamError::Handshake)?;
    let connection = Rc::new(RefCell::new(connection));
    // The load must not keep the connection, which keeps the load.
    let limits = Rc::downgrade(&connection);
    load.limit_by(move || {
        let connection = limits.upgrade();
        let connection = connection
            .as_ref()
            .and_then(|known| known.try_borrow().ok());
        connection.map_or(FIRST_STREAMS, |known| known.current_max_send_streams())
    });
    tokio::task::spawn_local(async move {
        let ended = poll_fn(|cx| Pin::new(&mut *connection.borrow_mut()).poll(cx));
        if let Err(error) = ended.await {
            tracing::debug!(%error, "upstream connection ended");
        }
    });
    Ok((sender, load))
}

/// A stream that tells when something comes.
struct Heard {
    stream: Stream,
    load: Rc<Load>,
}

impl AsyncRead for Heard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        self.load.heard();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Heard {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Runs hyper's HTTP/2 tasks on the worker's own thread.
#[derive(Debug, Clone, Copy)]
struct Local;

impl<F> Executor<F> for Local
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}
