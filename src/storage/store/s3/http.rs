//! How requests reach the store: over the program's own HTTP and TLS, each in its time. Notes what the store's clock shows.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{AUTHORIZATION, DATE};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Collected, Limited};
use hyper::body::Body as _;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector as Tcp;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody,
    HttpResponse, HttpResponseBody, HttpService,
};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tokio::time::Instant;

use super::error::BadRoots;
use crate::storage::files::FILE_BYTES_MAX;

/// How long the store may take to accept a connection.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// For one request, from its start to the end of its answer.
const ANSWER_TIME: Duration = Duration::from_secs(8);
/// The longest answer: the largest object with what envelops it, or a page of a listing.
const ANSWER_BYTES_MAX: usize = FILE_BYTES_MAX as usize + (1 << 20);
const IDLE_CONNECTIONS_MAX: usize = 4;
/// Shorter than stores keep theirs.
const IDLE_TIME: Duration = Duration::from_secs(15);

/// Carries requests; clones share connections.
#[derive(Clone)]
pub(super) struct Carrier {
    connections: legacy::Client<HttpsConnector<Tcp>, HttpRequestBody>,
    clock: Arc<Mutex<Option<Reading>>>,
}

/// What the store's clock showed when an answer came.
#[derive(Debug, Clone, Copy)]
struct Reading {
    shown: SystemTime,
    came: Instant,
}

impl Carrier {
    /// Trusts the system's roots, and `roots` in PEM.
    ///
    /// # Errors
    /// Roots that cannot be used.
    pub(super) fn trusting(roots: &[u8]) -> Result<Self, BadRoots> {
        let mut trusted = RootCertStore::empty();
        // What cannot be read is not trusted; a store that needs it is told of when it is met.
        trusted.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        for root in CertificateDer::pem_slice_iter(roots) {
            let root = root.map_err(BadRoots::NoPem)?;
            trusted.add(root).map_err(BadRoots::Unusable)?;
        }
        let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("aws-lc-rs has all versions of TLS that rustls has")
            .with_root_certificates(trusted)
            .with_no_client_auth();
        let mut tcp = Tcp::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIME));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let connections = legacy::Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .pool_idle_timeout(IDLE_TIME)
            .pool_timer(TokioTimer::new())
            .build(connector);
        Ok(Self {
            connections,
            clock: Arc::default(),
        })
    }

    /// What the store's clock shows now, going by its newest answer; none if no answer had a date.
    pub(super) fn store_time(&self) -> Option<SystemTime> {
        let reading = *self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        reading.map(|reading| reading.shown + reading.came.elapsed())
    }

    /// The status of the answer to a request without a body.
    pub(super) async fn ask(
        &self,
        method: Method,
        url: &str,
        headers: HeaderMap,
    ) -> Result<StatusCode, HttpError> {
        let request = Request::builder().method(method).uri(url);
        let request = request.body(HttpRequestBody::empty());
        let mut request = request.map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?;
        request.headers_mut().extend(headers);
        Ok(self.exchange(request).await?.status())
    }

    async fn exchange(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        // Others who are asked, for keys that are lent, have clocks of their own.
        let signed = request.headers().contains_key(AUTHORIZATION);
        let whole = async {
            let (head, body) = self.connections.request(request).await?.into_parts();
            if signed {
                self.note(&head.headers);
            }
            // Its declared length tells whoever asked for it why it is not there.
            let is_too_large = body.size_hint().lower() > ANSWER_BYTES_MAX as u64;
            let body = if is_too_large {
                Ok(Bytes::new())
            } else {
                let whole = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
                whole.map(Collected::to_bytes)
            };
            Ok((head, body))
        };
        let answered = tokio::time::timeout(ANSWER_TIME, whole).await;
        let (head, body) = answered
            .map_err(|elapsed| HttpError::new(HttpErrorKind::Timeout, elapsed))?
            .map_err(unreachable)?;
        let body = body.map_err(|error| HttpError::new_boxed(HttpErrorKind::Interrupted, error))?;
        Ok(HttpResponse::from_parts(head, HttpResponseBody::from(body)))
    }

    fn note(&self, headers: &HeaderMap) {
        let date = headers.get(DATE).and_then(|date| date.to_str().ok());
        let shown = date.and_then(|date| httpdate::parse_http_date(date).ok());
        let Some(shown) = shown else { return };
        let came = Instant::now();
        let mut clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        *clock = Some(Reading { shown, came });
    }
}

/// Whatever broke on the way: a write that is sent again is known again by its nonce.
fn unreachable(error: legacy::Error) -> HttpError {
    let kind = if error.is_connect() {
        HttpErrorKind::Connect
    } else {
        HttpErrorKind::Request
    };
    HttpError::new(kind, error)
}

impl HttpService for Carrier {
    // What the attribute of the library's trait makes of an `async fn`.
    fn call<'service, 'answer>(
        &'service self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'answer>>
    where
        'service: 'answer,
        Self: 'answer,
    {
        Box::pin(self.exchange(request))
    }
}

impl HttpConnector for Carrier {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

impl fmt::Debug for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Carrier").finish_non_exhaustive()
    }
}
