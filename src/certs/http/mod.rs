//! The HTTP client of all who speak to others because of certificates: CAs, providers of DNS, webhooks, whoever is asked on demand.
//! One request, one short answer, one deadline; redirects are not followed.

pub mod error;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::request::Builder;
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_rustls::builderstates::WantsSchemes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use error::{BadRoots, HttpError};

/// How long a server may take to accept a connection.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest answer that is read.
pub const ANSWER_BYTES_MAX: usize = 1 << 20;

const IDLE_CONNECTIONS_MAX: usize = 2;
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
const AGENT: &str = concat!("onedoor/", env!("CARGO_PKG_VERSION"));

/// Carries requests over real connections; clones share them. Verifies servers by the system's roots, which are read once.
#[derive(Clone)]
pub struct Client {
    connections: legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    patience: Duration,
}

impl Client {
    /// For many requests to one server: nothing but HTTPS, and connections are kept for the next request. `roots` are PEM
    /// certificates that are trusted besides the system's. Each request has `patience` from its start to the end of its answer.
    ///
    /// # Errors
    /// Roots that cannot be used.
    pub fn kept(roots: Option<&[u8]>, patience: Duration) -> Result<Self, BadRoots> {
        let connector = trusting(roots.unwrap_or_default())?
            .https_only()
            .enable_http1()
            .enable_http2()
            .wrap_connector(tcp());
        let connections = legacy::Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_timer(TokioTimer::new())
            .build(connector);
        Ok(Self {
            connections,
            patience,
        })
    }

    /// For a request now and then, with or without TLS: each on a connection of its own.
    #[must_use]
    pub fn single(patience: Duration) -> Self {
        let connector = trusting(&[])
            .expect("no roots are no bad ones")
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp());
        let connections = legacy::Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build(connector);
        Self {
            connections,
            patience,
        }
    }

    /// The answer, whatever its status, read to its end.
    ///
    /// # Errors
    /// There is none, or not all of it.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let peer = peer(request.uri());
        let whole = async {
            let (head, body) = self.begin(&peer, request).await?.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|error| {
                let peer = peer.clone();
                if error.is::<LengthLimitError>() {
                    HttpError::TooLong { peer }
                } else {
                    HttpError::Broken { peer, error }
                }
            })?;
            Ok(Response::from_parts(head, body.to_bytes()))
        };
        self.in_time(&peer, whole).await
    }

    /// The status of the answer, whose body is not read.
    ///
    /// # Errors
    /// There is none.
    pub async fn status(&self, request: Request<Bytes>) -> Result<StatusCode, HttpError> {
        let peer = peer(request.uri());
        let head = self.in_time(&peer, self.begin(&peer, request)).await?;
        Ok(head.status())
    }

    async fn begin(
        &self,
        peer: &str,
        mut request: Request<Bytes>,
    ) -> Result<Response<Incoming>, HttpError> {
        let agent = HeaderValue::from_static(AGENT);
        request.headers_mut().insert(USER_AGENT, agent);
        let answer = self.connections.request(request.map(Full::new)).await;
        answer.map_err(|error| HttpError::Unreachable {
            peer: peer.to_owned(),
            error,
        })
    }

    async fn in_time<T>(
        &self,
        peer: &str,
        exchange: impl Future<Output = Result<T, HttpError>>,
    ) -> Result<T, HttpError> {
        let answer = tokio::time::timeout(self.patience, exchange).await;
        answer.unwrap_or_else(|_elapsed| {
            Err(HttpError::TimedOut {
                peer: peer.to_owned(),
                patience: self.patience,
            })
        })
    }
}

/// A request that has JSON for its body.
///
/// # Errors
/// Its address or a header cannot be written.
pub fn with_json(request: Builder, json: impl Into<Bytes>) -> Result<Request<Bytes>, HttpError> {
    let json_type = HeaderValue::from_static("application/json");
    let request = request.header(CONTENT_TYPE, json_type).body(json.into());
    request.map_err(HttpError::Unwritable)
}

/// A request without a body.
///
/// # Errors
/// Its address or a header cannot be written.
pub fn bare(request: Builder) -> Result<Request<Bytes>, HttpError> {
    request.body(Bytes::new()).map_err(HttpError::Unwritable)
}

fn trusting(pem: &[u8]) -> Result<HttpsConnectorBuilder<WantsSchemes>, BadRoots> {
    let mut roots = RootCertStore::empty();
    // What cannot be read is not trusted; a server that needs it is told of when it is met.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    for root in CertificateDer::pem_slice_iter(pem) {
        let root = root.map_err(BadRoots::NoPem)?;
        roots.add(root).map_err(BadRoots::Unusable)?;
    }
    let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("aws-lc-rs has all versions of TLS that rustls has")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(HttpsConnectorBuilder::new().with_tls_config(tls))
}

fn tcp() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    tcp
}

/// Whom an error names: never the path, which may hold a token, nor what stands before an `@`.
pub(in crate::certs) fn peer(url: &Uri) -> String {
    let host = url.host().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
