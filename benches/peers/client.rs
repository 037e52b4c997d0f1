//! A TLS client that opens connections one by one: full TLS 1.3 handshakes, each with one suite and one group, so that every peer does the same cryptography.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use clap::ValueEnum;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::{http1, http2};
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, DigitallySignedStruct, HandshakeKind, ProtocolVersion, SignatureScheme,
};
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::ground::SITE;

const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
const ANSWER_PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

/// Opens connections to one port.
#[derive(Clone)]
pub(crate) struct Client {
    connector: TlsConnector,
    address: SocketAddr,
    protocol: Protocol,
}

/// An open connection, driven by a task of the [`LocalSet`] it was opened in.
pub(crate) struct Connection {
    sender: Sender,
    driver: JoinHandle<()>,
}

/// The right to send requests on a connection; HTTP/2 has many of them.
pub(crate) enum Sender {
    Http1(http1::SendRequest<Empty<Bytes>>),
    Http2(http2::SendRequest<Empty<Bytes>>),
}

/// Whether a request announces that no other will follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    KeepAlive,
    Close,
}

/// Runs a future, and the connections it opens, on this thread.
///
/// # Errors
/// As the future; or there is no runtime to be had.
pub(crate) fn run<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, work)
}

impl Client {
    /// # Errors
    /// The cryptography refuses the settings.
    pub(crate) fn new(port: u16, protocol: Protocol) -> Result<Self> {
        let provider = Arc::new(CryptoProvider {
            cipher_suites: vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256],
            kx_groups: vec![aws_lc_rs::kx_group::X25519],
            ..aws_lc_rs::default_provider()
        });
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Trusting))
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        config.alpn_protocols = match protocol {
            Protocol::Http1 => vec![b"http/1.1".to_vec()],
            Protocol::Http2 => vec![b"h2".to_vec()],
        };
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
            address: (Ipv4Addr::LOCALHOST, port).into(),
            protocol,
        })
    }

    /// A new connection after a full handshake.
    ///
    /// # Errors
    /// Refused, too slow, resumed, or another protocol than asked for.
    pub(crate) async fn connect(&self) -> Result<Connection> {
        let stream = timeout(CONNECT_PATIENCE, self.handshake())
            .await
            .context("no handshake in time")??;
        let stream = TokioIo::new(stream);
        let (sender, driver) = match self.protocol {
            Protocol::Http1 => {
                let (sender, connection) = http1::handshake(stream).await?;
                // What goes wrong with the connection is seen by the request on it.
                let driver = spawn_local(async { drop(connection.await) });
                (Sender::Http1(sender), driver)
            }
            Protocol::Http2 => {
                let (sender, connection) = http2::handshake(OnThisThread, stream).await?;
                let driver = spawn_local(async { drop(connection.await) });
                (Sender::Http2(sender), driver)
            }
        };
        Ok(Connection { sender, driver })
    }

    async fn handshake(&self) -> Result<TlsStream<TcpStream>> {
        let tcp = TcpStream::connect(self.address).await?;
        tcp.set_nodelay(true)?;
        let stream = self
            .connector
            .connect(ServerName::try_from(SITE)?, tcp)
            .await?;
        let (_, session) = stream.get_ref();
        ensure!(
            session.handshake_kind() == Some(HandshakeKind::Full),
            "the handshake was not a full one"
        );
        ensure!(
            session.protocol_version() == Some(ProtocolVersion::TLSv1_3),
            "the handshake was not TLS 1.3"
        );
        let wanted = match self.protocol {
            Protocol::Http1 => b"http/1.1".as_slice(),
            Protocol::Http2 => b"h2".as_slice(),
        };
        ensure!(
            session.alpn_protocol() == Some(wanted),
            "another protocol was chosen"
        );
        Ok(stream)
    }
}

impl Connection {
    /// A sender for this connection; HTTP/1.1 has one only.
    pub(crate) fn into_senders(self, wanted: usize) -> Vec<Sender> {
        match self.sender {
            Sender::Http1(sender) => vec![Sender::Http1(sender)],
            Sender::Http2(sender) => (0..wanted).map(|_| Sender::Http2(sender.clone())).collect(),
        }
    }

    /// # Errors
    /// As [`Sender::get`].
    pub(crate) async fn get(&mut self, path: &str, then: Then) -> Result<()> {
        self.sender.get(path, then).await
    }

    /// Waits until the other side has closed.
    ///
    /// # Errors
    /// It does not.
    pub(crate) async fn closed(self) -> Result<()> {
        timeout(ANSWER_PATIENCE, self.driver)
            .await
            .context("the connection was not closed")??;
        Ok(())
    }

    pub(crate) fn is_open(&self) -> bool {
        !self.driver.is_finished()
    }
}

impl Sender {
    /// One request, its answer read to the end.
    ///
    /// # Errors
    /// No answer in time, or one that is not 200.
    pub(crate) async fn get(&mut self, path: &str, then: Then) -> Result<()> {
        timeout(ANSWER_PATIENCE, self.exchange(path, then))
            .await
            .context("no answer in time")?
    }

    async fn exchange(&mut self, path: &str, then: Then) -> Result<()> {
        let response = match self {
            Self::Http1(sender) => {
                let mut request = Request::get(path).header(header::HOST, SITE);
                if then == Then::Close {
                    request = request.header(header::CONNECTION, "close");
                }
                sender.ready().await?;
                sender.send_request(request.body(Empty::new())?).await?
            }
            Self::Http2(sender) => {
                let request = Request::get(format!("https://{SITE}{path}")).body(Empty::new())?;
                sender.ready().await?;
                sender.send_request(request).await?
            }
        };
        let status = response.status();
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            frame?;
        }
        ensure!(status == StatusCode::OK, "the answer was {status}");
        Ok(())
    }
}

#[derive(Clone)]
struct OnThisThread;

impl<F: Future + 'static> hyper::rt::Executor<F> for OnThisThread {
    fn execute(&self, future: F) {
        spawn_local(async { drop(future.await) });
    }
}

/// Believes every certificate: what the client spends must not hold the proxy back.
#[derive(Debug)]
struct Trusting;

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _leaf: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _leaf: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}
