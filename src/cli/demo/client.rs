//! A small client: HTTPS over a real socket to the demo's door, verified by its local CA.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use http::header::{
    CONNECTION, HOST, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderValue, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::upgrade::Upgraded;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::guide::WEBSOCKET_KEY;
use super::websocket;
use crate::shutdown::Shutdown;

/// Connects to one door and trusts one CA.
#[derive(Debug)]
pub(super) struct Client {
    door: SocketAddr,
    roots: Arc<RootCertStore>,
    shutdown: Shutdown,
}

/// What was seen before any body.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) version: Version,
    /// Who signed the certificate.
    pub(super) issuer: String,
}

/// What may be spoken inside TLS.
#[derive(Debug, Clone, Copy)]
enum Offer {
    Both,
    Http1,
}

impl Client {
    pub(super) fn new(door: SocketAddr, ca: &Path, shutdown: &Shutdown) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(ca)?)?;
        Ok(Self {
            door,
            roots: Arc::new(roots),
            shutdown: shutdown.clone(),
        })
    }

    /// GET `/` by whichever version of HTTP both sides like best.
    pub(super) async fn get(&self, host: &str) -> Result<(Head, Incoming)> {
        let (stream, issuer) = self.connect(host, Offer::Both).await?;
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let stream = TokioIo::new(stream);
        let response = if is_http2 {
            let request = Request::get(format!("https://{host}/")).body(String::new())?;
            let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
            self.drive(connection);
            sender.send_request(request).await?
        } else {
            let request = Request::get("/").header(HOST, host).body(String::new())?;
            let (mut sender, connection) = http1::handshake(stream).await?;
            self.drive(connection);
            sender.send_request(request).await?
        };
        Ok(seen(response, issuer))
    }

    /// A WebSocket at `/`, opened and its acceptance checked.
    pub(super) async fn websocket(&self, host: &str) -> Result<(Head, TokioIo<Upgraded>)> {
        let (stream, issuer) = self.connect(host, Offer::Http1).await?;
        let request = Request::get("/")
            .header(HOST, host)
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "websocket")
            .header(SEC_WEBSOCKET_VERSION, "13")
            .header(SEC_WEBSOCKET_KEY, WEBSOCKET_KEY)
            .body(String::new())?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        self.drive(connection.with_upgrades());
        let mut response = sender.send_request(request).await?;
        let accepted = websocket::accept(&HeaderValue::from_static(WEBSOCKET_KEY));
        anyhow::ensure!(
            response.status() == StatusCode::SWITCHING_PROTOCOLS,
            "answered {} and not 101",
            response.status()
        );
        anyhow::ensure!(
            response
                .headers()
                .get(SEC_WEBSOCKET_ACCEPT)
                .map(HeaderValue::as_bytes)
                == Some(accepted.as_bytes()),
            "the key was not answered as RFC 6455 says"
        );
        let upgraded = hyper::upgrade::on(&mut response).await?;
        let (head, _no_body) = seen(response, issuer);
        Ok((head, TokioIo::new(upgraded)))
    }

    async fn connect(&self, host: &str, offer: Offer) -> Result<(TlsStream<TcpStream>, String)> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth();
        let protocols: &[&[u8]] = match offer {
            Offer::Both => &[b"h2", b"http/1.1"],
            Offer::Http1 => &[b"http/1.1"],
        };
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        let socket = TcpStream::connect(self.door).await?;
        let name = ServerName::try_from(host.to_owned())?;
        let connector = TlsConnector::from(Arc::new(config));
        let stream = connector.connect(name, socket).await?;
        let issuer = issuer(&stream)?;
        Ok((stream, issuer))
    }

    /// Ends with the connection, or at the cut.
    fn drive<E: std::fmt::Display>(
        &self,
        connection: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        self.shutdown.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection of the demo's client ended");
            }
        });
    }
}

fn seen(response: Response<Incoming>, issuer: String) -> (Head, Incoming) {
    let head = Head {
        status: response.status(),
        version: response.version(),
        issuer,
    };
    (head, response.into_body())
}

fn issuer(stream: &TlsStream<TcpStream>) -> Result<String> {
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let leaf = chain.first().context("no certificate was shown")?;
    let (_rest, leaf) = x509_parser::parse_x509_certificate(leaf)?;
    Ok(leaf.issuer().to_string())
}
