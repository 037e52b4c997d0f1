//! Sending one request: on a kept connection or a fresh one, and once more where a kept one turns out dead.

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::header::HOST;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::rt::Executor;
use hyper_util::rt::TokioIo;

use super::dial::{self, Protocol, Stream};
use super::pool::{Connection, Http1, Pool};
use super::spare::Spare;
use super::tls::{Offer, TlsClients};
use super::{Lease, Outgoing, Progress, UpstreamError, Upstreams};
use crate::config::target::{Scheme, Target};

/// Octets of an upstream's response head, and of an HTTP/2 one's field list.
const RESPONSE_HEAD_BYTES_MAX: u32 = 64 << 10;
/// Fields of an upstream's response head.
const RESPONSE_FIELDS_MAX: usize = 256;
/// What one upstream stream may send before it is read, and what all of a connection's may.
const STREAM_WINDOW: u32 = 512 << 10;
const CONNECTION_WINDOW: u32 = 4 << 20;
/// Cancelled streams whose late frames are ignored; those of older ones are answered with another reset.
const CANCELLED_STREAMS_KNOWN: usize = 1024;
/// What one stream keeps of a request body that the upstream does not take.
const SEND_BUFFER: usize = 64 << 10;

/// An answer that began.
#[derive(Debug)]
pub struct Answer {
    pub response: Response<Incoming>,
    pub lease: Lease,
}

/// Whether a request that may have reached the upstream may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resend {
    /// Idempotent, and without a body (RFC 9110 section 9.2.2).
    Allowed,
    /// Without a body: only when the upstream says that it did not begin (RFC 9113 section 8.7).
    IfRefused,
    Forbidden,
}

/// What went wrong on one connection.
enum Lost {
    /// Nothing of the request left; here it is.
    Unsent(Box<Request<Outgoing>>),
    Failed(UpstreamError),
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
            UpstreamError::Unreachable(_)
            | UpstreamError::Unresolved(_)
            | UpstreamError::ConnectTimedOut
            | UpstreamError::Tls(_)
            | UpstreamError::Handshake(_)
            | UpstreamError::Malformed(_)
            | UpstreamError::ResponseTimedOut
            | UpstreamError::ClientBody(_)
            | UpstreamError::Unfit(_) => false,
        }
    }
}

impl Upstreams {
    /// Sends a request. A failure before anything was sent leaves the request in place for another target.
    ///
    /// # Errors
    /// Says which part of the way failed; see [`UpstreamError`].
    pub async fn send(
        &self,
        job: Job<'_>,
        request: &mut Option<Request<Outgoing>>,
    ) -> Result<Answer, UpstreamError> {
        let pool = self.pool(job.target);
        let mut kept = pool.take(job.offer);
        let mut resent = false;
        loop {
            let (connection, age) = match kept.take() {
                Some(connection) => (connection, Age::Kept),
                None => (self.fresh(&pool, &job).await?, Age::Fresh),
            };
            let Some(first) = request.take() else {
                return Err(UpstreamError::ConnectTimedOut);
            };
            let may_need_copy = age == Age::Kept || matches!(connection, Connection::Http2(_));
            let again = (may_need_copy && !resent && job.resend != Resend::Forbidden)
                .then(|| self.shelf.copy(&first));
            match transmit(connection, &pool, &job, first).await {
                Ok(answer) => {
                    if let Some(unneeded) = again {
                        self.shelf.keep(unneeded);
                    }
                    return Ok(answer);
                }
                Err(Lost::Unsent(unsent)) => {
                    *request = Some(*unsent);
                    if age == Age::Fresh {
                        let cause = std::io::ErrorKind::ConnectionReset;
                        return Err(UpstreamError::Unreachable(cause.into()));
                    }
                }
                Err(Lost::Failed(error)) if again.is_some() && job.may_resend(&error, age) => {
                    resent = true;
                    *request = again.map(Spare::into_request);
                }
                Err(Lost::Failed(error)) => return Err(error),
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
            Protocol::Http1 => http1_connection(stream).await.map(Connection::Http1),
            Protocol::Http2 => {
                let sender = http2_connection(stream).await?;
                pool.share(sender.clone());
                Ok(Connection::Http2(sender))
            }
        }
    }
}

async fn http1_connection(stream: Stream) -> Result<Http1, UpstreamError> {
    let (sender, connection) = http1::Builder::new()
        .max_headers(RESPONSE_FIELDS_MAX)
        .max_header_size(RESPONSE_HEAD_BYTES_MAX as usize)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(UpstreamError::Handshake)?;
    let task = tokio::task::spawn_local(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "upstream connection ended");
        }
    });
    Ok(Http1 {
        sender,
        task: task.abort_handle(),
    })
}

async fn http2_connection(stream: Stream) -> Result<http2::SendRequest<Outgoing>, UpstreamError> {
    let (sender, connection) = http2::Builder::new(Local)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(RESPONSE_HEAD_BYTES_MAX)
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

async fn transmit(
    connection: Connection,
    pool: &Rc<Pool>,
    job: &Job<'_>,
    request: Request<Outgoing>,
) -> Result<Answer, Lost> {
    let progress = job.progress;
    progress.sending();
    match connection {
        Connection::Http1(mut connection) => {
            let request = shaped(request, Protocol::Http1, job)?;
            let sending = connection.sender.try_send_request(request);
            let answered = progress.deadline.within(sending).await;
            // From here on the connection is closed unless the answer is read to its end.
            let lease = Lease::of_http1(connection, pool.clone());
            Ok(Answer {
                response: outcome(answered, progress)?,
                lease,
            })
        }
        Connection::Http2(mut sender) => {
            let request = shaped(request, Protocol::Http2, job)?;
            let sending = sender.try_send_request(request);
            let answered = progress.deadline.within(sending).await;
            if answered.is_err() {
                pool.unshare();
            }
            Ok(Answer {
                response: outcome(answered, progress)?,
                lease: Lease::of_http2(),
            })
        }
    }
}

fn shaped(
    request: Request<Outgoing>,
    protocol: Protocol,
    job: &Job<'_>,
) -> Result<Request<Outgoing>, Lost> {
    let (mut parts, body) = request.into_parts();
    restore(&mut parts);
    match (job.shape)(protocol, &mut parts) {
        Ok(()) => Ok(Request::from_parts(parts, body)),
        Err(unfit) => Err(Lost::Failed(UpstreamError::Unfit(unfit))),
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

type Sent = Result<Response<Incoming>, hyper::client::conn::TrySendError<Request<Outgoing>>>;

fn outcome(
    answered: Result<Sent, crate::deadline::Expired>,
    progress: &Progress,
) -> Result<Response<Incoming>, Lost> {
    match answered {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(mut error)) => Err(match error.take_message() {
            Some(unsent) => Lost::Unsent(Box::new(unsent)),
            None => Lost::Failed(UpstreamError::of_exchange(error.into_error())),
        }),
        Err(_expired) => Err(Lost::Failed(progress.lateness())),
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
