//! One check of an endpoint, on a connection of its own: what is to be known is whether it takes a new one, and a kept one would not
//! show that.

use std::time::Duration;

use http::header::LOCATION;
use http::uri::PathAndQuery;
use http::{HeaderMap, StatusCode};
use tokio::time;

use super::subject::Way;
use super::{Finding, grpc, http as over_http};
use crate::config::backends::Probe;
use crate::upstream::dial::{self, Call, Protocol, Stream, prelude};
use crate::upstream::endpoint::Endpoint;
use crate::upstream::names::Names;

/// Octets of a redirect's aim that are told.
const LOCATION_BYTES_MAX: usize = 200;

/// Checks once, and for no longer than `limit`. Redirects are not followed.
///
/// # Errors
/// Why it did not pass.
pub async fn check(
    endpoint: &Endpoint,
    way: &Way,
    probe: &Probe,
    limit: Duration,
) -> Result<(), Finding> {
    // Boxed: it is large, and there are many.
    let checking = Box::pin(async {
        let (stream, protocol) = connect(endpoint, way).await?;
        let target = &*endpoint.target;
        match probe {
            Probe::Tcp => Ok(()),
            Probe::Grpc { service } => grpc::ask(stream, protocol, target, service).await,
            Probe::Http { path, host, status } => {
                let got = over_http::get(stream, protocol, target, path, host.as_ref()).await?;
                let wanted = |got| status.is_met_by(got);
                judged(got, path, wanted)
            }
        }
    });
    within(limit, checking).await
}

/// The same for whoever waits for a new target: whether it takes a connection and, with a path, answers below 400 under it.
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
        let (stream, protocol) = connect(endpoint, way).await?;
        let Some(path) = path else {
            return Ok(());
        };
        let got = over_http::get(stream, protocol, &endpoint.target, path, None).await?;
        judged(got, path, |status| status.as_u16() < 400)
    });
    within(limit, checking).await
}

async fn connect(endpoint: &Endpoint, way: &Way) -> Result<(Stream, Protocol), Finding> {
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

fn judged(
    (status, fields): (StatusCode, HeaderMap),
    path: &PathAndQuery,
    is_good: impl Fn(StatusCode) -> bool,
) -> Result<(), Finding> {
    if is_good(status) {
        return Ok(());
    }
    let to = fields.get(LOCATION).filter(|_to| status.is_redirection());
    Err(Finding::Status {
        status,
        path: path.as_str().into(),
        to: to.map(|to| {
            let octets = to.as_bytes();
            let cut = &octets[..octets.len().min(LOCATION_BYTES_MAX)];
            String::from_utf8_lossy(cut).into()
        }),
    })
}
