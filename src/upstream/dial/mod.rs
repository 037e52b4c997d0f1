//! From an endpoint to an open stream: the addresses of names in a race, a PROXY header if one is sent, TLS where it is asked for.

mod addresses;
pub mod prelude;
mod race;
mod stream;

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use self::addresses::Addresses;
pub use self::stream::Stream;

use super::UpstreamError;
use super::endpoint::Endpoint;
use super::names::Names;
use crate::config::target::{Address, Scheme};

/// What both sides agreed to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Http1,
    Http2,
}

/// A connection to be opened.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// One of a name is reached at its address; if that keeps silent, at the others of the name too. One without an address is reached
    /// at any of them.
    pub endpoint: &'a Endpoint,
    pub names: &'a Names,
    /// What the connection begins with, before TLS: see [`prelude`]. Empty: nothing.
    pub prelude: &'a [u8],
}

/// An open connection.
#[derive(Debug)]
pub struct Reached {
    pub stream: Stream,
    /// The address of a name at which it was opened, where that is another than was asked for.
    pub instead: Option<SocketAddr>,
}

/// Opens a stream to an endpoint and agrees on what is spoken. The caller bounds the time.
///
/// # Errors
/// [`UpstreamError::Unreachable`], [`UpstreamError::Unresolved`], [`UpstreamError::Tls`].
pub async fn dial(
    call: Call<'_>,
    client: Option<&Arc<ClientConfig>>,
) -> Result<(Reached, Protocol), UpstreamError> {
    let target = &call.endpoint.target;
    let Reached { stream, instead } = open(call).await?;
    let (stream, protocol) = match (&target.scheme, client, stream) {
        (Scheme::Http, _, stream) => (stream, Protocol::Http1),
        (Scheme::H2c, _, stream) => (stream, Protocol::Http2),
        (Scheme::Https(tls), Some(client), Stream::Tcp(tcp)) => {
            let name =
                server_name(&target.address, tls.sni.as_deref()).map_err(UpstreamError::Tls)?;
            secure(tcp, name, client.clone()).await?
        }
        (Scheme::Https(_), _, _) => {
            return Err(UpstreamError::Tls(io::ErrorKind::Unsupported.into()));
        }
    };
    Ok((Reached { stream, instead }, protocol))
}

/// Opens the plain stream below an endpoint.
///
/// # Errors
/// [`UpstreamError::Unreachable`], which names the addresses if several were tried, or [`UpstreamError::Unresolved`].
pub async fn open(call: Call<'_>) -> Result<Reached, UpstreamError> {
    let mut reached = reach(call).await?;
    if !call.prelude.is_empty() {
        let begun = reached.stream.write_all(call.prelude).await;
        begun.map_err(UpstreamError::Unreachable)?;
    }
    Ok(reached)
}

async fn reach(call: Call<'_>) -> Result<Reached, UpstreamError> {
    let Endpoint { target, address } = call.endpoint;
    let addresses = match (&target.address, address) {
        (Address::Unix(path), _) => {
            let stream = UnixStream::connect(path).await;
            return Ok(Reached {
                stream: Stream::Unix(stream.map_err(UpstreamError::Unreachable)?),
                instead: None,
            });
        }
        (Address::Ip(address), _) => Addresses::One(*address),
        (Address::Loopback { port }, _) => Addresses::any([
            SocketAddr::from((Ipv4Addr::LOCALHOST, *port)),
            SocketAddr::from((Ipv6Addr::LOCALHOST, *port)),
        ]),
        (Address::Name { host, .. }, Some(address)) => {
            let known = call.names.of(host).now().addresses;
            let others = known.iter().map(|ip| SocketAddr::new(*ip, address.port()));
            Addresses::with_others(*address, others)
        }
        (Address::Name { host, port }, None) => {
            let found = call.names.of(host).found().await?;
            let found = found.addresses.iter();
            Addresses::any(found.map(|ip| SocketAddr::new(*ip, *port)))
        }
    };
    let (tcp, at) = race::run(&addresses).await?;
    let instead = address.and_then(|address| (at != address).then_some(at));
    Ok(Reached {
        stream: Stream::Tcp(tcp),
        instead,
    })
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
