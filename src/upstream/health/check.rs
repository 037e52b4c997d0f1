//! Checks of one endpoint. A connection serves several of them, for opening one costs the most of a check; but not too many, for it
//! is to be known whether the endpoint takes new ones.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use http::header::LOCATION;
use http::uri::PathAndQuery;
use rustls::ClientConfig;
use tokio::time;

use super::http::{self as over_http, Answer, Connection, Extent};
use super::subject::Way;
use super::{Finding, grpc};
use crate::config::backends::{Probe, StatusWanted};
use crate::upstream::dial::{self, Call, Protocol, Stream, prelude};
use crate::upstream::endpoint::Endpoint;
use crate::upstream::names::Names;

/// Checks that one connection serves.
const CHECKS_EACH: u32 = 10;
/// Octets of a redirect's aim that are told.
const LOCATION_BYTES_MAX: usize = 200;

/// Checks an endpoint, again and again.
#[derive(Default)]
pub struct Checker {
    kept: Option<Kept>,
}

struct Kept {
    connection: Connection,
    served: u32,
    /// After a reload it is another one.
    client: Option<Arc<ClientConfig>>,
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
enum Question<'a> {
    Get {
        path: &'a PathAndQuery,
        host: Option<&'a HeaderValue>,
        good: Good,
    },
    Grpc {
        service: &'a str,
    },
}

/// Which statuses are good ones.
#[derive(Debug, Clone, Copy)]
enum Good {
    Wanted(StatusWanted),
    Below400,
}

impl Checker {
    /// Checks once, and for no longer than `limit`. Redirects are not followed.
    ///
    /// # Errors
    /// Why it did not pass.
    pub async fn check(
        &mut self,
        endpoint: &Endpoint,
        way: &Way,
        probe: &Probe,
        limit: Duration,
    ) -> Result<(), Finding> {
        let checking = async {
            let question = match probe {
                Probe::Tcp => return connect(endpoint, way).await.map(drop),
                Probe::Grpc { service } => Question::Grpc { service },
                Probe::Http { path, host, status } => Question::Get {
                    path,
                    host: host.as_ref(),
                    good: Good::Wanted(*status),
                },
            };
            self.ask(endpoint, way, question).await
        };
        within(limit, checking).await
    }

    async fn ask(
        &mut self,
        endpoint: &Endpoint,
        way: &Way,
        question: Question<'_>,
    ) -> Result<(), Finding> {
        if let Some(mut kept) = self.kept.take()
            && kept.is_good(way).await
        {
            match kept.ask(endpoint, question).await {
                // It ended while it was not used: that says nothing.
                Err(Finding::NoAnswer(_)) => {}
                answered => return self.conclude(kept, &answered?, question),
            }
        }
        let (stream, protocol) = connect(endpoint, way).await?;
        let mut fresh = Kept {
            connection: Connection::open(stream, protocol).await?,
            served: 0,
            client: way.client.clone(),
        };
        let answer = fresh.ask(endpoint, question).await?;
        self.conclude(fresh, &answer, question)
    }

    fn conclude(
        &mut self,
        used: Kept,
        answer: &Answer,
        question: Question<'_>,
    ) -> Result<(), Finding> {
        question.judge(answer)?;
        self.kept = (answer.extent == Extent::Whole).then_some(used);
        Ok(())
    }
}

impl fmt::Debug for Checker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Checker")
    }
}

impl Kept {
    async fn is_good(&mut self, way: &Way) -> bool {
        let is_same = match (&self.client, &way.client) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        is_same && self.served < CHECKS_EACH && self.connection.is_open().await
    }

    async fn ask(
        &mut self,
        endpoint: &Endpoint,
        question: Question<'_>,
    ) -> Result<Answer, Finding> {
        self.served += 1;
        let (protocol, target) = (self.connection.protocol(), &*endpoint.target);
        let request = match question {
            Question::Get { path, host, .. } => over_http::get(protocol, target, path, host),
            Question::Grpc { service } => grpc::question(protocol, target, service),
        };
        self.connection.exchange(request?).await
    }
}

impl Question<'_> {
    fn judge(self, answer: &Answer) -> Result<(), Finding> {
        let status = answer.head.status;
        let (path, is_good) = match self {
            Self::Grpc { service } => return grpc::judged(answer, service),
            Self::Get { path, good, .. } => match good {
                Good::Wanted(wanted) => (path, wanted.is_met_by(status)),
                Good::Below400 => (path, status.as_u16() < 400),
            },
        };
        if is_good {
            Ok(())
        } else {
            Err(unwanted(answer, path))
        }
    }
}

fn unwanted(answer: &Answer, path: &PathAndQuery) -> Finding {
    let status = answer.head.status;
    let to = answer.head.headers.get(LOCATION);
    Finding::Status {
        status,
        path: path.as_str().into(),
        to: to.filter(|_to| status.is_redirection()).map(|to| {
            let octets = to.as_bytes();
            let cut = &octets[..octets.len().min(LOCATION_BYTES_MAX)];
            String::from_utf8_lossy(cut).into()
        }),
    }
}

/// For whoever waits for a new target: whether it takes a connection and, with a path, answers below 400 under it.
///
/// # Errors
/// Why it does not.
pub async fn answers(
    endpoint: &Endpoint,
    way: &Way,
    path: Option<&PathAndQuery>,
    limit: Duration,
) -> Result<(), Finding> {
    let checking = Box::pin(async {
        match path {
            None => connect(endpoint, way).await.map(drop),
            Some(path) => {
                let question = Question::Get {
                    path,
                    host: None,
                    good: Good::Below400,
                };
                Checker::default().ask(endpoint, way, question).await
            }
        }
    });
    within(limit, checking).await
}

async fn connect(endpoint: &Endpoint, way: &Way) -> Result<(Stream, Protocol), Finding> {
    // Boxed: it is large, and most checks do without.
    Box::pin(dialed(endpoint, way)).await
}

async fn dialed(endpoint: &Endpoint, way: &Way) -> Result<(Stream, Protocol), Finding> {
    // Where the address is known it alone is meant, and no other of the name may answer for it.
    let names = match endpoint.address {
        Some(_) => Names::default(),
        None => way.names.clone(),
    };
    let prelude = way.proxy_protocol.map(prelude::of_ourselves);
    let call = Call {
        endpoint,
        names: &names,
        prelude: prelude.as_deref().unwrap_or_default(),
    };
    let (reached, protocol) = dial::dial(call, way.client.as_ref())
        .await
        .map_err(Finding::Unreached)?;
    Ok((reached.stream, protocol))
}

async fn within(
    limit: Duration,
    checking: impl Future<Output = Result<(), Finding>>,
) -> Result<(), Finding> {
    let ended = time::timeout(limit, checking).await;
    ended.unwrap_or_else(|_late| Err(Finding::Late(limit)))
}
