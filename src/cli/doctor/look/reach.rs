//! Connecting to everything that the door listens on, as a client would, with a name that nobody has.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{AlertDescription, ClientConfig};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::ports::has_ipv6;
use crate::cli::doctor::judge::reach::{Answer, Reach};
use crate::control::health::{Health, Kind};
use crate::ports::holder;
use crate::upstream::tls::AnyCertificate;

const PATIENCE: Duration = Duration::from_secs(3);

/// One for each way to each listener.
pub(in crate::cli::doctor) async fn reaches(health: &Health) -> Vec<Reach> {
    let mut reaches = Vec::new();
    for listening in &health.listeners {
        for target in targets(listening.address) {
            let answer = match listening.kind {
                Kind::Tls => greeted(target).await,
                Kind::Plain => connected(target).await,
            };
            let stranger = holder::stranger(target, health.pid);
            reaches.push(Reach {
                target,
                answer,
                stranger: stranger.map(|process| (process.name, process.pid)),
            });
        }
    }
    reaches
}

/// A wildcard is reached by loopback and by the machine's own address.
fn targets(listening: SocketAddr) -> Vec<SocketAddr> {
    let port = listening.port();
    if listening.is_ipv6() && !has_ipv6() {
        return Vec::new();
    }
    if !listening.ip().is_unspecified() {
        return vec![listening];
    }
    let loopback: IpAddr = if listening.is_ipv4() {
        Ipv4Addr::LOCALHOST.into()
    } else {
        Ipv6Addr::LOCALHOST.into()
    };
    let own = own_address(listening.is_ipv4());
    let all = std::iter::once(loopback).chain(own);
    all.map(|ip| SocketAddr::new(ip, port)).collect()
}

/// The address that packets to others leave by. None is sent for it.
fn own_address(is_ipv4: bool) -> Option<IpAddr> {
    let (from, to): (SocketAddr, SocketAddr) = if is_ipv4 {
        let elsewhere = Ipv4Addr::new(192, 0, 2, 1);
        ((Ipv4Addr::UNSPECIFIED, 0).into(), (elsewhere, 9).into())
    } else {
        let elsewhere = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
        ((Ipv6Addr::UNSPECIFIED, 0).into(), (elsewhere, 9).into())
    };
    let socket = UdpSocket::bind(from).ok()?;
    socket.connect(to).ok()?;
    let own = socket.local_addr().ok()?.ip();
    (!own.is_loopback() && !own.is_unspecified()).then_some(own)
}

async fn connected(target: SocketAddr) -> Answer {
    match timeout(PATIENCE, TcpStream::connect(target)).await {
        Ok(Ok(_stream)) => Answer::Connected,
        Ok(Err(error)) => Answer::Refused(error.to_string()),
        Err(_late) => Answer::TimedOut,
    }
}

async fn greeted(target: SocketAddr) -> Answer {
    match timeout(PATIENCE, Box::pin(greet(target))).await {
        Ok(answer) => answer,
        Err(_late) => Answer::TimedOut,
    }
}

async fn greet(target: SocketAddr) -> Answer {
    let stream = match TcpStream::connect(target).await {
        Ok(stream) => stream,
        Err(error) => return Answer::Refused(error.to_string()),
    };
    let nobody = format!("{:016x}.onedoor-probe.invalid", fastrand::u64(..));
    let provider = Arc::new(default_provider());
    let config =
        ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
    let (Ok(config), Ok(name)) = (config, ServerName::try_from(nobody)) else {
        return Answer::Other("no hello could be made".to_owned());
    };
    let config = config
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
    match connecting.await {
        Ok(stream) => {
            let shown = stream.get_ref().1.peer_certificates();
            let leaf = shown.and_then(<[_]>::first);
            Answer::Certificate(leaf.and_then(|leaf| issuer(leaf)).unwrap_or_default())
        }
        Err(error) => refused(&error),
    }
}

fn issuer(leaf: &[u8]) -> Option<String> {
    let (_rest, leaf) = x509_parser::parse_x509_certificate(leaf).ok()?;
    Some(leaf.issuer().to_string())
}

fn refused(error: &io::Error) -> Answer {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    match cause {
        Some(rustls::Error::AlertReceived(AlertDescription::UnrecognisedName)) => {
            Answer::UnknownName
        }
        Some(rustls::Error::AlertReceived(alert)) => {
            Answer::Other(format!("whoever is there answers {alert:?}"))
        }
        Some(_) | None => Answer::Other(format!("whoever is there speaks no TLS: {error}")),
    }
}
