//! Driving an HTTP/2 connection: its streams are tasks of the worker, each watched for a client that does not read.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use super::http1::{farewell, linger, park, stall_time};
use super::loan::Loan;
use super::stream::Stream;
use super::wire::{Protocol, Watch, Wire};
use crate::config::Limits;
use crate::deadline::Deadline;
use crate::proxy::body::Patience;
use crate::proxy::exchange::exchange;
use crate::proxy::visit::{Leave, Step, Visit};

/// What a client may send on one stream, and on all of a connection's, before it is passed on.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 2 << 20;
/// What is kept of an answer that the client does not take.
const SEND_BUFFER: usize = 64 << 10;
/// Resets that a connection may cause, of streams nobody looked at and by its own errors (CVE-2023-44487, CVE-2025-8671).
const RESETS_PENDING_MAX: usize = 50;
const RESETS_PROVOKED_MAX: usize = 200;

/// How hyper's part of a connection ended.
enum Ended {
    /// The last frame was said, if only a GOAWAY.
    Closed,
    /// The client does not read, or had its time.
    Cut,
}

/// Serves a connection to its end. `ahead` was read of it before.
pub(super) async fn serve(mut stream: Stream, mut ahead: Bytes, visit: Rc<Visit>) {
    let limits = visit.context.table().limits;
    let deadline = visit.context.wheel.deadline();
    if ahead.is_empty() {
        let Some(first) = park(&mut stream, &visit, &deadline, limits.idle).await else {
            return farewell(&mut stream, &visit).await;
        };
        ahead = first;
    }
    let watch = Rc::new(Watch::new(
        visit.clone(),
        Protocol::Http2,
        stall_time(&visit),
    ));
    let streams = Streams::default();
    let next = streams.next.clone();
    let service = service_fn(|request| {
        let patience = Rc::new(Patience::new(&visit.context.wheel, stall_time(&visit)));
        *next.borrow_mut() = Some(patience.clone());
        exchange(visit.clone(), request, Some(patience))
    });
    let (loan, returned) = Loan::of(Wire::new(stream, ahead, watch.clone()));
    let mut connection = builder(streams, &limits).serve_connection(TokioIo::new(loan), service);
    let mut leave = Leave::of(&visit);
    let mut rest = Rest {
        deadline,
        idle: limits.idle,
        resting: None,
        told: false,
    };
    let ended = poll_fn(|cx| {
        loop {
            if watch
                .gathering(|| Pin::new(&mut connection).poll(cx))
                .is_ready()
            {
                return Poll::Ready(Ended::Closed);
            }
            if watch.poll_stalled(cx).is_ready() {
                return Poll::Ready(Ended::Cut);
            }
            let step = match leave.poll(cx, &visit) {
                Step::Stay => rest.poll(cx, visit.exchanges()),
                step @ (Step::Finish | Step::End) => step,
            };
            match step {
                Step::Stay => return Poll::Pending,
                Step::Finish => Pin::new(&mut connection).graceful_shutdown(),
                Step::End => return Poll::Ready(Ended::Cut),
            }
        }
    })
    .await;
    drop(connection);
    if let (Ended::Closed, Some(mut wire)) = (ended, returned.take()) {
        // Rare, and large: boxed, it does not swell every connection.
        Box::pin(async {
            farewell(&mut wire.stream, &visit).await;
            linger(&mut wire.stream, &visit).await;
        })
        .await;
    }
}

fn builder(streams: Streams, limits: &Limits) -> http2::Builder<Streams> {
    let mut builder = http2::Builder::new(streams);
    builder
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .max_send_buf_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(RESETS_PENDING_MAX)
        .max_local_error_reset_streams(RESETS_PROVOKED_MAX)
        .enable_connect_protocol();
    builder
}

/// Ends a connection without streams after the idle time, and for good if that does not help: a client that opens no window for
/// the rest of an answer would keep it for ever.
struct Rest {
    deadline: Deadline,
    idle: Duration,
    /// None before the first look.
    resting: Option<bool>,
    told: bool,
}

impl Rest {
    fn poll(&mut self, cx: &Context<'_>, exchanges: u32) -> Step {
        let resting = exchanges == 0;
        if self.resting.replace(resting) != Some(resting) {
            if resting {
                self.deadline.arm(self.idle)
            } else {
                self.deadline.disarm()
            }
        }
        if self.deadline.poll_expired(cx).is_pending() {
            return Step::Stay;
        }
        self.deadline.arm(self.idle);
        if std::mem::replace(&mut self.told, true) {
            Step::End
        } else {
            Step::Finish
        }
    }
}

/// Runs hyper's stream tasks on the worker's thread; the first of a request is watched with the patience made for it.
#[derive(Debug, Clone, Default)]
struct Streams {
    next: Rc<RefCell<Option<Rc<Patience>>>>,
}

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + 'static,
{
    fn execute(&self, stream: F) {
        let Some(patience) = self.next.borrow_mut().take() else {
            tokio::task::spawn_local(stream);
            return;
        };
        tokio::task::spawn_local(async move {
            let mut stream = std::pin::pin!(stream);
            // Dropping the stream resets it.
            poll_fn(|cx| {
                if stream.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(());
                }
                patience.poll_lost(cx)
            })
            .await;
        });
    }
}
