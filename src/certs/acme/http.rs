//! Our HTTP client towards a CA: HTTPS only, bounded in time and size.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::USER_AGENT;
use http::{HeaderValue, Request};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use instant_acme::{BodyWrapper, BytesResponse};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::certs::acme::options::CaOptions;
use crate::certs::acme::seams::BoxFuture;

/// Whatever carries requests to a CA.
pub use instant_acme::HttpClient as Transport;

/// How long a CA may take to accept a connection.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long one request may take from its start to the end of its answer.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// The longest answer that is read.
pub const ANSWER_BYTES_MAX: usize = 1024 * 1024;

const IDLE_CONNECTIONS_MAX: usize = 2;
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
const AGENT: &str = concat!("onedoor/", env!("CARGO_PKG_VERSION"));

/// Carries requests over real connections. Clones share them.
#[derive(Clone)]
pub struct Client {
    connections: legacy::Client<HttpsConnector<HttpConnector>, BodyWrapper<Bytes>>,
}

/// Why there is no client, or no answer.
#[derive(Debug)]
pub enum ClientError {
    /// The extra roots are not PEM certificates: the operator's fault.
    BadRoots(rustls_pki_types::pem::Error),
    /// One of the extra roots cannot be used: the operator's fault.
    UnusableRoot(rustls::Error),
    /// The TLS library offers none of the versions wanted.
    NoTls(rustls::Error),
    /// No connection, or it broke.
    Network(legacy::Error),
    /// The answer broke off.
    Body(hyper::Error),
    /// Longer than [`REQUEST_TIMEOUT`].
    TimedOut,
    /// Longer than [`ANSWER_BYTES_MAX`].
    TooLong,
}

impl Client {
    /// Trusts the system's roots and those of the options.
    ///
    /// # Errors
    /// Roots that cannot be used.
    pub fn new(options: &CaOptions) -> Result<Self, ClientError> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        for root in CertificateDer::pem_slice_iter(options.roots.as_deref().unwrap_or_default()) {
            let root = root.map_err(ClientError::BadRoots)?;
            roots.add(root).map_err(ClientError::UnusableRoot)?;
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(ClientError::NoTls)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_only()
            .enable_http1()
            .enable_http2()
            .wrap_connector(tcp);
        let connections = legacy::Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_timer(hyper_util::rt::TokioTimer::new())
            .build(connector);
        Ok(Self { connections })
    }
}

impl Transport for Client {
    fn request(
        &self,
        mut request: Request<BodyWrapper<Bytes>>,
    ) -> BoxFuture<'static, Result<BytesResponse, instant_acme::Error>> {
        let agent = HeaderValue::from_static(AGENT);
        request.headers_mut().insert(USER_AGENT, agent);
        let sending = self.connections.request(request);
        Box::pin(async move {
            let answer = tokio::time::timeout(REQUEST_TIMEOUT, answer(sending)).await;
            answer
                .unwrap_or(Err(ClientError::TimedOut))
                .map_err(|error| instant_acme::Error::Other(Box::new(error)))
        })
    }
}

async fn answer(sending: legacy::ResponseFuture) -> Result<BytesResponse, ClientError> {
    let (parts, body) = sending.await.map_err(ClientError::Network)?.into_parts();
    let body = Box::new(collect(body).await?);
    Ok(BytesResponse { parts, body })
}

async fn collect(body: Incoming) -> Result<Bytes, ClientError> {
    let mut body = pin!(body);
    let mut collected = BytesMut::new();
    while let Some(frame) = poll_fn(|context| body.as_mut().poll_frame(context)).await {
        let Ok(octets) = frame.map_err(ClientError::Body)?.into_data() else {
            continue;
        };
        if collected.len() + octets.len() > ANSWER_BYTES_MAX {
            return Err(ClientError::TooLong);
        }
        collected.extend_from_slice(&octets);
    }
    Ok(collected.freeze())
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadRoots(_) => f.write_str("the extra roots are not PEM certificates"),
            Self::UnusableRoot(_) => f.write_str("one of the extra roots cannot be used"),
            Self::NoTls(_) => f.write_str("TLS cannot be used"),
            Self::Network(_) => f.write_str("the CA cannot be reached"),
            Self::Body(_) => f.write_str("the answer of the CA broke off"),
            Self::TimedOut => write!(f, "the CA did not answer within {REQUEST_TIMEOUT:?}"),
            Self::TooLong => write!(f, "the CA sent more than {ANSWER_BYTES_MAX} octets"),
        }
    }
}

impl std::error::Error for ClientError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::BadRoots(error) => Some(error),
            Self::UnusableRoot(error) | Self::NoTls(error) => Some(error),
            Self::Network(error) => Some(error),
            Self::Body(error) => Some(error),
            Self::TimedOut | Self::TooLong => None,
        }
    }
}
