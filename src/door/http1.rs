//! Driving an HTTP/1.1 connection: hyper while messages are under way, a few words of memory while not.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};

use super::FAREWELL_TIME;
use super::stream::Stream;
use super::wire::{Protocol, Watch, Wire};
use crate::config::Limits;
use crate::deadline::Deadline;
use crate::proxy::exchange::exchange;
use crate::proxy::reply::Reply;
use crate::proxy::visit::{Leave, Outlook, Phase, Step, Visit};
use crate::proxy::{record, replies};
use crate::relay::relay;

/// How long a quiet connection keeps hyper's buffers.
const PARK_AFTER: Duration = Duration::from_secs(1);
/// What is read of a message before hyper is there to read the rest.
const FIRST_READ: usize = 4096;

/// How hyper's part of a connection ended.
enum Ended {
    /// By the rules: the last answer was said.
    Closed,
    /// In the middle of something, or on the client's side.
    Cut,
    /// Nothing under way for a while: hyper and its buffers may go.
    Quiet,
    /// The head did not come in time.
    SlowHead,
    /// hyper refused the message with this status.
    Refused(u16),
    /// The stream belongs to another protocol now.
    Upgraded,
}

/// Serves a connection to its end. `ahead` was read of it before.
pub(super) async fn serve(mut stream: Stream, mut ahead: Bytes, visit: Rc<Visit>) {
    let limits = visit.context.table().limits;
    let watch = Rc::new(Watch::new(
        visit.clone(),
        Protocol::Http1,
        stall_time(&visit),
    ));
    let deadline = visit.context.wheel.deadline();
    if !ahead.is_empty() {
        visit.phase.set(Phase::Head);
    }
    loop {
        if ahead.is_empty() {
            let Some(first) = park(&mut stream, &visit, &deadline, limits.idle).await else {
                farewell(&mut stream, &visit).await;
                return;
            };
            ahead = first;
        }
        let heads = Cell::new(0_u64);
        let service = service_fn(|request| {
            heads.set(heads.get() + 1);
            exchange(visit.clone(), request, None)
        });
        let wire = TokioIo::new(Wire::new(stream, ahead, watch.clone()));
        let mut connection = builder(&limits).serve_connection(wire, service);
        let ended = drive(&mut connection, &visit, &watch, &heads, &deadline, &limits).await;
        let parts = connection.into_parts();
        let wire = parts.io.into_inner();
        (stream, ahead) = (wire.stream, joined(parts.read_buf, wire.ahead));
        match ended {
            Ended::Quiet => {}
            Ended::Closed => {
                // hyper leaves a refused CONNECT open.
                farewell(&mut stream, &visit).await;
                return linger(&mut stream, &visit).await;
            }
            Ended::Cut => {
                // A tunnel that nobody took over holds this visit, and the visit holds it.
                drop(visit.take_tunnel());
                return;
            }
            // Rare, and large: boxed, they do not swell every idle connection.
            Ended::Upgraded => return Box::pin(tunnel(stream, ahead, &visit, &deadline)).await,
            Ended::SlowHead => {
                return Box::pin(refuse(&mut stream, &visit, replies::slow_head())).await;
            }
            Ended::Refused(status) => {
                let reply = replies::unreadable(status, &ahead);
                return Box::pin(refuse(&mut stream, &visit, reply)).await;
            }
        }
    }
}

/// The longest a client may take nothing of an answer.
pub(super) fn stall_time(visit: &Visit) -> Duration {
    visit
        .context
        .table()
        .limits
        .idle
        .min(Duration::from_secs(60))
}

fn builder(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .max_headers(limits.headers)
        .max_header_size(usize::try_from(limits.header_bytes).unwrap_or(usize::MAX))
        .header_read_timeout(None);
    builder
}

fn joined(first: Bytes, then: Bytes) -> Bytes {
    if first.is_empty() {
        return then;
    }
    if then.is_empty() {
        return first;
    }
    [first, then].concat().into()
}

/// Waits for the next message without any buffer. None: the client left, or stayed silent for too long, or should go.
pub(super) async fn park(
    stream: &mut Stream,
    visit: &Visit,
    deadline: &Deadline,
    idle: Duration,
) -> Option<Bytes> {
    deadline.arm(idle);
    poll_fn(|cx| {
        let mut space = [0; FIRST_READ];
        let mut buffer = ReadBuf::new(&mut space);
        if let Poll::Ready(read) = Pin::new(&mut *stream).poll_read(cx, &mut buffer) {
            let some = read.is_ok() && !buffer.filled().is_empty();
            return Poll::Ready(some.then(|| {
                visit.phase.set(Phase::Head);
                Bytes::copy_from_slice(buffer.filled())
            }));
        }
        if visit.outlook(cx) != Outlook::Stays {
            return Poll::Ready(None);
        }
        deadline.poll_expired(cx).map(|()| None)
    })
    .await
}

/// `heads` counts the whole ones: several may go by in one turn, and each has its own time.
async fn drive<F, S>(
    connection: &mut http1::Connection<TokioIo<Wire>, S>,
    visit: &Visit,
    watch: &Watch,
    heads: &Cell<u64>,
    deadline: &Deadline,
    limits: &Limits,
) -> Ended
where
    S: hyper::service::HttpService<
            hyper::body::Incoming,
            ResBody = crate::proxy::body::Body,
            Error = std::convert::Infallible,
            Future = F,
        >,
    F: Future,
{
    let mut leave = Leave::of(visit);
    let mut timed = None;
    poll_fn(|cx| {
        loop {
            if let Poll::Ready(ended) = Pin::new(&mut *connection).poll(cx) {
                return Poll::Ready(ending(ended.is_ok(), visit, watch));
            }
            match leave.poll(cx, visit) {
                Step::Stay => break,
                Step::Finish => Pin::new(&mut *connection).graceful_shutdown(),
                Step::End => return Poll::Ready(Ended::Cut),
            }
        }
        if watch.poll_stalled(cx).is_ready() {
            return Poll::Ready(Ended::Cut);
        }
        let phase = visit.phase.get();
        let now = Some((heads.get(), phase));
        if std::mem::replace(&mut timed, now) != now {
            arm(deadline, phase, limits);
        }
        poll_overdue(cx, deadline, phase)
    })
    .await
}

fn ending(clean: bool, visit: &Visit, watch: &Watch) -> Ended {
    if let Some(status) = watch.refused.get() {
        return Ended::Refused(status);
    }
    match clean {
        true if visit.has_tunnel() => Ended::Upgraded,
        true => Ended::Closed,
        false => Ended::Cut,
    }
}

fn arm(deadline: &Deadline, phase: Phase, limits: &Limits) {
    match phase {
        Phase::Quiet => deadline.arm(PARK_AFTER.min(limits.idle)),
        Phase::Head => deadline.arm(limits.header_read),
        Phase::Busy => deadline.disarm(),
    }
}

fn poll_overdue(cx: &Context<'_>, deadline: &Deadline, phase: Phase) -> Poll<Ended> {
    match phase {
        Phase::Busy => Poll::Pending,
        Phase::Quiet => deadline.poll_expired(cx).map(|()| Ended::Quiet),
        Phase::Head => deadline.poll_expired(cx).map(|()| Ended::SlowHead),
    }
}

/// Says why, and closes.
async fn refuse(stream: &mut Stream, visit: &Visit, reply: Reply) {
    let words = replies::last_words(&reply, visit);
    record::unreadable(visit, &reply, &words);
    let deadline = visit.context.wheel.deadline_in(FAREWELL_TIME);
    let said = deadline.within(stream.write_all(&words.bytes)).await;
    if matches!(said, Ok(Ok(()))) {
        farewell(stream, visit).await;
        linger(stream, visit).await;
    }
}

pub(super) async fn farewell(stream: &mut Stream, visit: &Visit) {
    let deadline = visit.context.wheel.deadline_in(FAREWELL_TIME);
    // The client may be gone already, or not reading; there is nobody to tell.
    let _closed = deadline.within(stream.shutdown()).await;
}

/// Gives the client a moment to hear the last words: closing while it still sends would reset them.
pub(super) async fn linger(stream: &mut Stream, visit: &Visit) {
    let deadline = visit.context.wheel.deadline_in(FAREWELL_TIME);
    let drained = poll_fn(|cx| {
        let mut space = [0; FIRST_READ];
        loop {
            let mut buffer = ReadBuf::new(&mut space);
            match Pin::new(&mut *stream).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                Poll::Ready(_ended) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    });
    let _late = deadline.within(drained).await;
}

async fn tunnel(stream: Stream, ahead: Bytes, visit: &Rc<Visit>, deadline: &Deadline) {
    let Some(tunnel) = visit.take_tunnel() else {
        return;
    };
    let client = Wire::new(
        stream,
        ahead,
        Rc::new(Watch::new(
            visit.clone(),
            Protocol::Http1,
            stall_time(visit),
        )),
    );
    let context = &visit.context;
    let mut leave = Leave::of(visit);
    let stop = |cx: &mut Context<'_>| leave.poll(cx, visit) == Step::End;
    let (carried, ending) = relay(
        &context.scratch,
        deadline,
        tunnel.idle,
        stop,
        client,
        tunnel.upstream,
    )
    .await;
    tunnel.record.tunnelled(carried, ending);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An idle connection costs its task, so nobody makes the task large without noticing.
    const TASK_OCTETS_MAX: usize = 2048;

    fn future_size<A, B, C, F>(_make: fn(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn an_idle_connection_is_small() {
        assert!(
            future_size(serve) <= TASK_OCTETS_MAX,
            "{}",
            future_size(serve)
        );
        assert!(
            future_size(super::super::http2::serve) <= 2 * TASK_OCTETS_MAX,
            "{}",
            future_size(super::super::http2::serve)
        );
    }
}
