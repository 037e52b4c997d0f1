//! Sending one request: on a kept connection or a fresh one, and once more where a kept one turns out dead.

use std::fmt;
use std::future::poll_fn;
use std::rc::Rc;
use std::time::Duration;

use http::header::HOST;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, Uri};
use hyper::client::conn::http2;
use hyper::rt::Executor;
use hyper_util::rt::TokioIo;

use super::dial::{self, Protocol, Stream};
use super::endpoint::Endpoint;
use super::pool::{Connection, Need, Pool};
use super::resend::{Age, Resend};
use super::tls::{Offer, TlsClients};
use super::{Incoming, Outgoing, Progress, UpstreamError, Upstreams, http1};
use crate::config::target::Scheme;

/// What one upstream stream may send before it is read, and what all of a connection's may.
const STREAM_WINDOW: u32 = 512 << 10;
const CONNECTION_WINDOW: u32 = 4 << 20;
/// Cancelled streams whose late frames are ignored; those of older ones are answered with another reset.
const CANCELLED_STREAMS_KNOWN: usize = 1024;
/// What one stream keeps of a request body that the upstream does not take.
const SEND_BUFFER: usize = 64 << 10;
/// Octets of an HTTP/2 answer's field list.
const FIELD_LIST_OCTETS_MAX: u32 = 64 << 10;

/// What is to be done for one request at one endpoint.
pub struct Job<'a> {
    pub endpoint: &'a Endpoint,
    pub clients: &'a TlsClients,
    pub offer: Offer,
    pub progress: &'a Rc<Progress>,
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
            .field("endpoint", &self.endpoint)
            .field("offer", &self.offer)
            .finish_non_exhaustive()
    }
}

impl Job<'_> {
    fn need(&self, body: Option<&Outgoing>) -> Need {
        match (self.resend, body) {
            (Resend::Allowed, Some(Outgoing::Empty)) => Need::Any,
            (Resend::Allowed | Resend::IfRefused, _) => Need::Standing,
            // It would use a kept one up, so that a fresh one costs nothing more.
            (Resend::Forbidden, _) => Need::Fresh,
        }
    }
}

impl Upstreams {
    /// Sends a request: its head, which stays with the caller, and its body, which is taken once something was sent. Goes out once more
    /// where [`Resend`] says so. A body that is still there after a failure, or that [`Progress::again`] gives, may be sent elsewhere.
    ///
    /// # Errors
    /// Says which part of the way failed; see [`UpstreamError`].
    pub async fn send(
        &self,
        job: Job<'_>,
        head: &mut Parts,
        body: &mut Option<Outgoing>,
    ) -> Result<Response<Incoming>, UpstreamError> {
        let pool = self.pool(job.endpoint);
        let mut kept = pool.take(job.offer, job.need(body.as_ref()));
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
                Err(error) if !resent && job.resend.follows(&error, age) => {
                    resent = true;
                    if body.is_none() {
                        *body = job.progress.again();
                    }
                    if body.is_none() {
                        return Err(error);
                    }
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
        let target = &job.endpoint.target;
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
                UpstreamError::Unsent(error.into_error().into())
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
