//! From a target to an open stream: addresses in turn, TLS where it is asked for.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::UpstreamError;
use crate::config::target::{Address, Scheme, Target};

/// A name's addresses that are tried before giving up.
const ADDRESSES_MAX: usize = 8;

/// An open stream to an upstream.
#[derive(Debug)]
pub enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// What both sides agreed to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Http1,
    Http2,
}

/// Opens a stream to a target. The caller bounds the time.
///
/// # Errors
/// [`UpstreamError::Unreachable`], [`UpstreamError::Unresolved`], [`UpstreamError::Tls`].
pub async fn dial(
    target: &Target,
    client: Option<&Arc<ClientConfig>>,
) -> Result<(Stream, Protocol), UpstreamError> {
    let stream = open(&target.address).await?;
    match (&target.scheme, client, stream) {
        (Scheme::Http, _, stream) => Ok((stream, Protocol::Http1)),
        (Scheme::H2c, _, stream) => Ok((stream, Protocol::Http2)),
        (Scheme::Https(tls), Some(client), Stream::Tcp(tcp)) => {
            let name =
                server_name(&target.address, tls.sni.as_deref()).map_err(UpstreamError::Tls)?;
            secure(tcp, name, client.clone()).await
        }
        (Scheme::Https(_), _, _) => Err(UpstreamError::Tls(io::ErrorKind::Unsupported.into())),
    }
}

/// Opens the plain stream below a target.
///
/// # Errors
/// [`UpstreamError::Unreachable`] with the last address's error, or [`UpstreamError::Unresolved`].
pub async fn open(address: &Address) -> Result<Stream, UpstreamError> {
    match address {
        Address::Loopback { port } => {
            let addresses = [
                SocketAddr::from((Ipv4Addr::LOCALHOST, *port)),
                SocketAddr::from((Ipv6Addr::LOCALHOST, *port)),
            ];
            first_that_answers(addresses).await
        }
        Address::Ip(address) => first_that_answers([*address]).await,
        Address::Name { host, port } => {
            let found = tokio::net::lookup_host((&**host, *port))
                .await
                .map_err(UpstreamError::Unresolved)?;
            first_that_answers(found.take(ADDRESSES_MAX)).await
        }
        Address::Unix(path) => UnixStream::connect(path)
            .await
            .map(Stream::Unix)
            .map_err(UpstreamError::Unreachable),
    }
}

async fn first_that_answers(
    addresses: impl IntoIterator<Item = SocketAddr>,
) -> Result<Stream, UpstreamError> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                stream
                    .set_nodelay(true)
                    .map_err(UpstreamError::Unreachable)?;
                return Ok(Stream::Tcp(stream));
            }
            Err(error) => last = error,
        }
    }
    Err(UpstreamError::Unreachable(last))
}

/// SNI is sent for names, not for addresses (RFC 6066 section 3); an address is still verified.
fn server_name(address: &Address, sni: Option<&str>) -> io::Result<ServerName<'static>> {
    let invalid = |error| io::Error::new(io::ErrorKind::InvalidInput, error);
    if let Some(name) = sni {
        return ServerName::try_from(name.to_owned()).map_err(invalid);
    }
    match address {
        Address::Name { host, .. } => ServerName::try_from(host.to_string()).map_err(invalid),
        Address::Ip(address) => Ok(ServerName::from(address.ip())),
        Address::Loopback { .. } => ServerName::try_from("localhost").map_err(invalid),
        Address::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
    }
}

async fn secure(
    tcp: TcpStream,
    name: ServerName<'static>,
    client: Arc<ClientConfig>,
) -> Result<(Stream, Protocol), UpstreamError> {
    let stream = TlsConnector::from(client)
        .connect(name, tcp)
        .await
        .map_err(UpstreamError::Tls)?;
    let protocol = match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => Protocol::Http2,
        Some(_) | None => Protocol::Http1,
    };
    Ok((Stream::Tls(Box::new(stream)), protocol))
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // Most requests are one piece, and the plain system call is the cheaper one.
        if let [only] = slices {
            return self.poll_write(cx, only);
        }
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
