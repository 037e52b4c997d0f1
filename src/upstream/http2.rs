//! Opening HTTP/2 connections: hyper's client on the worker's own thread.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;

use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::rt::Executor;
use hyper_util::rt::TokioIo;

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
/// Requests at once before the upstream said how many it allows: what is too much waits for others to end.
const FIRST_STREAMS: usize = 8;

/// Begins HTTP/2 on a stream. What the upstream allows is kept in the load.
pub(super) async fn connection(
    stream: Stream,
    shares: &Shares,
) -> Result<(SendRequest<Outgoing>, Rc<Load>), UpstreamError> {
    let (sender, connection) = Builder::new(Local)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(FIELD_LIST_OCTETS_MAX)
        .max_send_buf_size(SEND_BUFFER)
        .initial_max_send_streams(FIRST_STREAMS)
        .max_concurrent_reset_streams(CANCELLED_STREAMS_KNOWN)
        // h2 takes late frames of cancelled streams for faults, and would end everybody's connection after so many.
        .max_local_error_reset_streams(None)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(UpstreamError::Handshake)?;
    let load = shares.load(FIRST_STREAMS);
    let limited = load.clone();
    tokio::task::spawn_local(async move {
        let mut connection = pin!(connection);
        let ended = poll_fn(|cx| {
            let polled = connection.as_mut().poll(cx);
            limited.limit_to(connection.current_max_send_streams());
            polled
        });
        if let Err(error) = ended.await {
            tracing::debug!(%error, "upstream connection ended");
        }
    });
    Ok((sender, load))
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
