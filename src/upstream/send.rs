//! Sending one request: on a kept connection or a fresh one, and once more where a kept one turns out dead.

use std::fmt;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::header::HOST;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, Uri};
use hyper::client::conn::http2;
use hyper::rt::Executor;
use hyper_util::rt::TokioIo;

use super::dial::{self, Protocol, Stream};
use super::pool::{Connection, Pool};
use super::tls::{Offer, TlsClients};
use super::{Incoming, Outgoing, Progress, UpstreamError, Upstreams, http1};
use crate::config::target::{Scheme, Target};

/// What one upstream stream may send before it is read, and what all of a connection's may.
const STREAM_WINDOW: u32 = 512 << 10;
const CONNECTION_WINDOW: u32 = 4 << 20;
/// Cancelled streams whose late frames are ignored; those of older ones are answered with another reset.
const CANCELLED_STREAMS_KNOWN: usize = 1024;
/// What one stream keeps of a request body that the upstream does not take.
const SEND_BUFFER: usize = 64 << 10;
/// Octets of an HTTP/2 answer's field list.
const FIELD_LIST_OCTETS_MAX: u32 = 64 << 10;

/// Whether a request that may have reached the upstream may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resend {
    /// Idempotent, and without a body (RFC 9110 section 9.2.2).
    Allowed,
    /// Without a body: only when the upstream says that it did not begin (RFC 9113 section 8.7).
    IfRefused,
    Forbidden,
}

/// What is to be done for one request at one target.
pub struct Job<'a> {
    pub target: &'a Arc<Target>,
    pub clients: &'a TlsClients,
    pub offer: Offer,
    pub progress: &'a Progress,
    /// To an established connection.
    pub connect: Duration,
    pub resend: Resend,
    /// Gives a head the form of the protocol that turned out to be spoken. May be called once for each attempt.
    pub shape: &'a dyn Fn(Protocol, &mut Parts) -> Result<(), Unfit>,
}

/// Why a head has no form in the protocol that turned out to be spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// It asks for a change of protocols that this one cannot carry.
    Upgrade,
    /// Its target cannot be written.
    Head,
}

impl fmt::Debug for Job<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("target", &self.target)
            .field("offer", &self.offer)
            .finish_non_exhaustive()
    }
}

/// Whether a connection served requests before: only then its end may be none of the request's doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Age {
    Kept,
    Fresh,
}

impl Job<'_> {
    fn may_resend(&self, error: &UpstreamError, age: Age) -> bool {
        match error {
            UpstreamError::Refused(_) => self.resend != Resend::Forbidden,
            UpstreamError::Closed(_) => age == Age::Kept && self.resend == Resend::Allowed,
            UpstreamError::Unsent(_) => age == Age::Kept,
            UpstreamError::Unreachable(_)
            | UpstreamError::Unresolved(_)
            | UpstreamError::ConnectTimedOut
            | UpstreamError::Tls(_)
            | UpstreamError::Handshake(_)
            | UpstreamError::Cut(_)
            | UpstreamError::Malformed(_)
            | UpstreamError::ResponseTimedOut
            | UpstreamError::ClientBody(_)
            | UpstreamError::Unfit(_) => false,
        }
    }
}

impl Upstreams {
    /// Sends a request: its head, which stays with the caller, and its body, which is taken once something was sent. A body that is
    /// still there after a failure may be sent to another target.
    ///
    /// # Errors
    /// Says which part of the way failed; see [`UpstreamError`].
    pub async fn send(
        &self,
        job: Job<'_>,
        head: &mut Parts,
        body: &mut Option<Outgoing>,
    ) -> Result<Response<Incoming>, UpstreamError> {
        let pool = self.pool(job.target);
        let mut kept = pool.take(job.offer);
        let mut resent = false;
        loop {
            let (connection, age) = match kept.take() {
                Some(connection) => (connection, Age::Kept),
                None => (self.fresh(&pool, &job).await?, Age::Fresh),
            };
            let sent = match connection {
                Connection::Http1(connection) => {
                    over_http1(connection, &pool, &job, head, body).await
                }
                Connection::Http2(sender) => {
                    Box::pin(over_http2(sender, &pool, &job, head, body)).await
                }
            };
            match sent {
                Err(error) if !resent && job.may_resend(&error, age) => {
                    resent = true;
                    // One that was begun is sent again only if it has none.
                    body.get_or_insert(Outgoing::Empty);
                }
                outcome => return outcome,
            }
        }
    }

    async fn fresh(&self, pool: &Pool, job: &Job<'_>) -> Result<Connection, UpstreamError> {
        job.progress.deadline.arm(job.connect);
        // Rare beside requests on kept connections, and large: boxed, it does not swell every exchange.
        let connecting = Box::pin(self.connect(pool, job));
        let connected = job.progress.deadline.within(connecting).await;
        connected.map_err(|_expired| UpstreamError::ConnectTimedOut)?
    }

    async fn connect(&self, pool: &Pool, job: &Job<'_>) -> Result<Connection, UpstreamError> {
        let target = job.target;
        let client = match &target.scheme {
            Scheme::Https(options) => job.clients.client(options, job.offer),
            Scheme::Http | Scheme::H2c => None,
        };
        let (stream, protocol) = dial::dial(target, client).await?;
        match protocol {
            Protocol::Http1 => {
                let connection = http1::Connection::new(stream);
                Ok(Connection::Http1(Box::new(connection)))
            }
            Protocol::Http2 => {
                let sender = http2_connection(stream).await?;
                pool.share(sender.clone());
                Ok(Connection::Http2(sender))
            }
        }
    }
}

async fn http2_connection(stream: Stream) -> Result<http2::SendRequest<Outgoing>, UpstreamError> {
    let (sender, connection) = http2::Builder::new(Local)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(FIELD_LIST_OCTETS_MAX)
        .max_send_buf_size(SEND_BUFFER)
        .max_concurrent_reset_streams(CANCELLED_STREAMS_KNOWN)
        // h2 takes late frames of cancelled streams for faults, and would end everybody's connection after so many.
        .max_local_error_reset_streams(None)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(UpstreamError::Handshake)?;
    tokio::task::spawn_local(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "upstream connection ended");
        }
    });
    Ok(sender)
}

async fn over_http1(
    mut connection: Box<http1::Connection>,
    pool: &Rc<Pool>,
    job: &Job<'_>,
    head: &mut Parts,
    body: &mut Option<Outgoing>,
) -> Result<Response<Incoming>, UpstreamError> {
    let progress = job.progress;
    progress.sending();
    restore(head);
    (job.shape)(Protocol::Http1, head).map_err(UpstreamError::Unfit)?;
    connection.ask(head, body.take().unwrap_or(Outgoing::Empty));
    let answering = poll_fn(|cx| connection.poll_answer(cx));
    match progress.deadline.within(answering).await {
        Ok(answer) => {
            let answer = answer?;
            let body = Incoming::http1(connection, pool.clone());
            Ok(Response::from_parts(answer, body))
        }
        Err(_expired) => Err(progress.lateness()),
    }
}

async fn over_http2(
    mut sender: http2::SendRequest<Outgoing>,
    pool: &Pool,
    job: &Job<'_>,
    head: &mut Parts,
    body: &mut Option<Outgoing>,
) -> Result<Response<Incoming>, UpstreamError> {
    let progress = job.progress;
    progress.sending();
    (job.shape)(Protocol::Http2, head).map_err(UpstreamError::Unfit)?;
    let outgoing = body.take().unwrap_or(Outgoing::Empty);
    let request = Request::from_parts(head.clone(), outgoing);
    match progress
        .deadline
        .within(sender.try_send_request(request))
        .await
    {
        Ok(Ok(response)) => Ok(response.map(Incoming::http2)),
        Ok(Err(mut error)) => Err(match error.take_message() {
            Some(unsent) => {
                *body = Some(unsent.into_body());
                UpstreamError::Unsent(error.into_error())
            }
            None => UpstreamError::of_exchange(error.into_error()),
        }),
        Err(_expired) => {
            pool.unshare();
            Err(progress.lateness())
        }
    }
}

/// Undoes the form of an attempt over HTTP/2: the authority becomes a Host field again.
fn restore(parts: &mut Parts) {
    if let Some(authority) = parts.uri.authority() {
        if let Ok(host) = HeaderValue::from_str(authority.as_str()) {
            parts.headers.insert(HOST, host);
        }
        let path = parts.uri.path_and_query().cloned();
        parts.uri = Uri::from(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
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
