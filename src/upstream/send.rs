//! Sending one request: on a kept connection or a fresh one, and once more where a kept one turns out dead.

use std::cell::Cell;
use std::error::Error as _;
use std::fmt;
use std::future::poll_fn;
use std::rc::Rc;
use std::time::Duration;

use http::header::HOST;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, Uri};
use hyper::client::conn::http2::SendRequest;

use super::dial::{self, Protocol, Reached};
use super::endpoint::Endpoint;
use super::pool::{Connection, Need, Pool};
use super::resend::{Age, Resend};
use super::shared::{Turn, UnderWay};
use super::tls::{Offer, TlsClients};
use super::{Incoming, Outgoing, Progress, UpstreamError, Upstreams, http1, http2};
use crate::config::target::Scheme;

/// What is to be done for one request at one endpoint.
pub struct Job<'a> {
    pub endpoint: &'a Endpoint,
    pub clients: &'a TlsClients,
    pub offer: Offer,
    pub progress: &'a Rc<Progress>,
    /// To an established connection.
    pub connect: Duration,
    pub resend: Resend,
    /// Set when the endpoint kept silent, and another address of its name was reached in its place.
    pub detour: &'a Cell<bool>,
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
        let mut pool = self.pool(job.endpoint);
        let mut kept = pool.take(job.offer, job.need(body.as_ref()));
        let mut resent = false;
        loop {
            let (connection, age) = match kept.take() {
                Some(connection) => (connection, Age::Kept),
                None => {
                    let (connection, age, home) = self.fresh(&pool, &job).await?;
                    pool = home;
                    (connection, age)
                }
            };
            let sent = match connection {
                Connection::Http1(connection) => {
                    over_http1(connection, &pool, &job, head, body).await
                }
                Connection::Http2(sender, under_way) => {
                    Box::pin(over_http2(sender, under_way, &pool, &job, head, body)).await
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

    /// A connection, new or just opened by another request, and the pool that it belongs to.
    async fn fresh(
        &self,
        pool: &Rc<Pool>,
        job: &Job<'_>,
    ) -> Result<(Connection, Age, Rc<Pool>), UpstreamError> {
        job.progress.deadline.arm(job.connect);
        // Rare beside requests on kept connections, and large: boxed, it does not swell every exchange.
        let connecting = Box::pin(self.connect(pool, job));
        let connected = job.progress.deadline.within(connecting).await;
        connected.map_err(|_expired| UpstreamError::ConnectTimedOut)?
    }

    async fn connect(
        &self,
        pool: &Rc<Pool>,
        job: &Job<'_>,
    ) -> Result<(Connection, Age, Rc<Pool>), UpstreamError> {
        let _opening = match job.offer {
            Offer::Http1Only => None,
            Offer::Any => match pool.shares.turn().await {
                Turn::Open(opening) => Some(opening),
                Turn::Take(sender, under_way) => {
                    let connection = Connection::Http2(sender, under_way);
                    return Ok((connection, Age::Kept, pool.clone()));
                }
            },
        };
        let endpoint = job.endpoint;
        let client = match &endpoint.target.scheme {
            Scheme::Https(options) => job.clients.client(options, job.offer),
            Scheme::Http | Scheme::H2c => None,
        };
        let call = self.call(endpoint, self.prelude());
        let (Reached { stream, instead }, protocol) = dial::dial(call, client).await?;
        let home = match instead {
            None => pool.clone(),
            Some(_) => {
                job.detour.set(true);
                self.pool(&Endpoint {
                    target: endpoint.target.clone(),
                    address: instead,
                })
            }
        };
        let connection = match protocol {
            Protocol::Http1 => Connection::Http1(Box::new(http1::Connection::new(stream))),
            Protocol::Http2 => {
                let (sender, load) = http2::connection(stream, &home.shares).await?;
                let under_way = home.shares.share(&sender, load);
                Connection::Http2(sender, under_way)
            }
        };
        Ok((connection, Age::Fresh, home))
    }
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
    mut sender: SendRequest<Outgoing>,
    under_way: UnderWay,
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
        Ok(Ok(response)) => Ok(response.map(|body| Incoming::http2(body, under_way))),
        Ok(Err(mut error)) => {
            if ends_connection(error.error()) {
                pool.shares.unshare(&under_way);
            }
            Err(match error.take_message() {
                Some(unsent) => {
                    *body = Some(unsent.into_body());
                    UpstreamError::Unsent(error.into_error().into())
                }
                None => UpstreamError::of_exchange(error.into_error()),
            })
        }
        Err(_expired) => {
            let late = progress.lateness();
            // A client that is slow says nothing of the connection.
            if matches!(late, UpstreamError::ResponseTimedOut) {
                pool.shares.unshare(&under_way);
            }
            Err(late)
        }
    }
}

/// Whether more than one stream is concerned: a GOAWAY, or an end without one.
fn ends_connection(error: &hyper::Error) -> bool {
    let cause = error
        .source()
        .and_then(|cause| cause.downcast_ref::<h2::Error>());
    error.is_canceled() || error.is_closed() || cause.is_some_and(|cause| !cause.is_reset())
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
