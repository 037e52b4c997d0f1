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

#[cfg(test)]
mod tests {
    use rustls::ServerConfig;
    use rustls_pki_types::PrivatePkcs8KeyDer;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;
    use crate::certs::acme::options::KeyKind;
    use crate::certs::fixture::{Authority, days};
    use crate::clock::Clock;

    /// Answers one connection with these octets, and gives what it was asked.
    async fn serve(listener: TcpListener, tls: TlsAcceptor, answer: Vec<u8>) -> String {
        let (stream, _) = listener.accept().await.unwrap();
        let Ok(mut stream) = tls.accept(stream).await else {
            return String::new();
        };
        let mut asked = Vec::new();
        let mut octets = [0; 4096];
        while !asked.ends_with(b"\r\n\r\n") {
            let count = stream.read(&mut octets).await.unwrap();
            asked.extend_from_slice(&octets[..count]);
        }
        let _may_be_refused = stream.write_all(&answer).await;
        let _may_be_gone = stream.shutdown().await;
        String::from_utf8(asked).unwrap()
    }

    async fn ask(answer: Vec<u8>, trusted: bool) -> (String, Result<Bytes, String>) {
        let now = Clock::system().now();
        let authority = Authority::new();
        let leaf = authority.leaf(&["127.0.0.1"], now - days(1)..now + days(1));
        let key = rcgen::KeyPair::from_pem(&leaf.key_pem).unwrap();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der], key)
            .unwrap();
        let options = CaOptions {
            directory: String::new(),
            email: None,
            eab: None,
            profile: None,
            roots: trusted.then(|| authority.pem.into_bytes()),
            key: KeyKind::P256,
        };
        let client = Client::new(&options).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/directory", listener.local_addr().unwrap());
        let request = Request::get(url).body(BodyWrapper::default()).unwrap();
        let serving = serve(listener, TlsAcceptor::from(Arc::new(config)), answer);
        let (asked, answered) = tokio::join!(serving, client.request(request));
        let body = match answered {
            Ok(mut answered) => Ok(answered.body.into_bytes().await.unwrap()),
            Err(error) => Err(crate::certs::acme::fault::chain(&error)),
        };
        (asked, body)
    }

    fn answer(length: usize) -> Vec<u8> {
        let mut answer =
            format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n").into_bytes();
        answer.resize(answer.len() + length, b'x');
        answer
    }

    #[tokio::test]
    async fn own_roots_are_trusted_and_the_agent_is_named() {
        let (asked, body) = ask(answer(5), true).await;
        assert_eq!(body.unwrap(), "xxxxx");
        assert!(
            asked
                .to_lowercase()
                .contains(&format!("user-agent: {AGENT}")),
            "{asked}"
        );
    }

    #[tokio::test]
    async fn a_ca_that_nobody_vouches_for_is_refused_with_the_reason() {
        let (asked, body) = ask(answer(5), false).await;
        assert_eq!(asked, "");
        assert!(body.unwrap_err().contains("invalid peer certificate"));
    }

    #[tokio::test]
    async fn an_endless_answer_is_cut() {
        let (_, body) = ask(answer(ANSWER_BYTES_MAX), true).await;
        assert_eq!(body.unwrap().len(), ANSWER_BYTES_MAX);
        let (_, body) = ask(answer(ANSWER_BYTES_MAX + 1), true).await;
        assert_eq!(body.unwrap_err(), ClientError::TooLong.to_string());
    }

    #[tokio::test]
    async fn roots_that_are_none_are_named() {
        let options = CaOptions {
            directory: String::new(),
            email: None,
            eab: None,
            profile: None,
            roots: Some(b"-----BEGIN CERTIFICATE-----\n!!!\n".to_vec()),
            key: KeyKind::P256,
        };
        let error = Client::new(&options).unwrap_err();
        assert!(matches!(error, ClientError::BadRoots(_)), "{error}");
    }

    #[tokio::test]
    async fn nothing_is_asked_without_tls() {
        let options = CaOptions {
            directory: String::new(),
            email: None,
            eab: None,
            profile: None,
            roots: None,
            key: KeyKind::P256,
        };
        let client = Client::new(&options).unwrap();
        let request = Request::get("http://127.0.0.1:9/directory");
        let request = request.body(BodyWrapper::default()).unwrap();
        assert!(client.request(request).await.is_err());
    }
}
