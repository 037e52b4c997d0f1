//! From a decision to a visit: the handshake, and then whoever speaks what was agreed.

use std::error::Error as _;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use rustls::sign::CertifiedKey;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::StartHandshake;
use tokio_rustls::server::TlsStream;

use super::accept::Permit;
use super::arrival::{From, Greeting};
use super::hello::{self, Hello};
use super::serve::say;
use super::stream::Stream;
use super::worker::Worker;
use super::{client_certificate, http1, http2, tunnel};
use crate::config::site::{Service, TlsVersion};
use crate::deadline::Deadline;
use crate::hostname::HostName;
use crate::observe::counters::Refused;
use crate::proxy::visit::{Home, Visit};

pub(super) async fn open(
    worker: Rc<Worker>,
    mut stream: TcpStream,
    hello: Hello,
    from: From,
    home: Home,
    permit: Permit,
    deadline: Deadline,
) {
    let mut found = policy(&worker, &hello, from, &home, Worker::certificate);
    if found.is_none()
        && let Some(name) = worker.obtainable(home.slot, hello.name.as_ref())
        && deadline.within(Box::pin(worker.obtain(name))).await == Ok(true)
    {
        found = policy(&worker, &hello, from, &home, Worker::certificate);
    }
    // Last: it would hide that there is a better one in the store, or to be had.
    let found = found.or_else(|| policy(&worker, &hello, from, &home, Worker::stand_in));
    let Some(policy) = found else {
        worker.context.counters.refused(Refused::NoCertificate);
        tracing::debug!(peer = %from.peer, site = %home.site.name, "no certificate at hand");
        return Box::pin(say(&worker, &mut stream, &hello::INTERNAL_ERROR)).await;
    };
    let handshake = StartHandshake::from_parts(*hello.accepted, stream).into_stream(policy);
    match deadline.within(Box::pin(handshake.into_fallible())).await {
        Ok(Ok(stream)) => opened(&worker, stream, hello.name, from, home, permit, deadline),
        Ok(Err((error, stream))) => Box::pin(fail(&worker, stream, from, error)).await,
        Err(_expired) => worker.context.counters.refused(Refused::HandshakeTooSlow),
    }
}

/// What the handshake goes by; none without a certificate.
fn policy(
    worker: &Worker,
    hello: &Hello,
    from: From,
    home: &Home,
    source: fn(&Worker, u32, &HostName) -> Option<Arc<CertifiedKey>>,
) -> Option<Arc<rustls::ServerConfig>> {
    let (Service::Secure(tls, _) | Service::Tcp(tls, _)) = &home.site.service else {
        return None;
    };
    let address = || HostName::from_ip(from.local.ip());
    let name = hello.name.clone().unwrap_or_else(address);
    let certificate = source(worker, home.slot, &name)?;
    match worker.policies.handshake(tls, certificate) {
        Ok(policy) => Some(policy),
        Err(error) => {
            let cause = error.source().map(tracing::field::display);
            tracing::debug!(site = %home.site.name, %error, cause, "no policy");
            None
        }
    }
}

/// Why no session came about. A client that was asked for a certificate has spoken on by now, and closing at once would reset the
/// alert on its way.
async fn fail(worker: &Worker, mut stream: TcpStream, from: From, error: std::io::Error) {
    let cause = error
        .get_ref()
        .and_then(|cause| cause.downcast_ref::<rustls::Error>());
    let refused = match cause {
        Some(rustls::Error::NoCertificatesPresented) => Refused::NoClientCertificate,
        Some(rustls::Error::InvalidCertificate(_)) => Refused::BadClientCertificate,
        Some(_) | None => Refused::BadHandshake,
    };
    worker.context.counters.refused(refused);
    tracing::debug!(peer = %from.peer, %error, reason = refused.name(), "handshake failed");
    if refused != Refused::BadHandshake {
        say(worker, &mut stream, &[]).await;
    }
}

fn opened(
    worker: &Rc<Worker>,
    stream: TlsStream<TcpStream>,
    name: Option<HostName>,
    from: From,
    home: Home,
    permit: Permit,
    deadline: Deadline,
) {
    let session = stream.get_ref().1;
    let version = match session.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_2) => TlsVersion::V1_2,
        Some(_) | None => TlsVersion::V1_3,
    };
    let protocol = match session.alpn_protocol() {
        Some(b"h2") => Protocol::Http2,
        Some(_) | None => Protocol::Http1,
    };
    let shown = session.peer_certificates().and_then(<[_]>::first);
    let certificate = shown.map(|der| client_certificate::read(der, worker.context.now()));
    let certificate = match certificate.transpose() {
        Ok(certificate) => certificate.map(Box::new),
        Err(fault) => {
            worker
                .context
                .counters
                .refused(Refused::BadClientCertificate);
            tracing::debug!(peer = %from.peer, error = %fault, "handshake failed");
            return;
        }
    };
    let site = home.site.clone();
    let greeting = Greeting {
        name,
        tls: Some(version),
        home: Some(home),
        certificate,
    };
    let visit = from.visit(worker, greeting);
    if let Service::Tcp(_, to) = &site.service {
        let to = to.clone();
        tokio::task::spawn_local(async move {
            tunnel::opened(stream, &to, &visit, deadline).await;
            drop(permit);
        });
        return;
    }
    let stream = Stream::Secure(Box::new(stream));
    speak(stream, Bytes::new(), protocol, visit, permit);
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// In a task of its own, so that the handshake's memory ends with the handshake.
/// `ahead` was read of the stream before.
pub(super) fn speak(
    stream: Stream,
    ahead: Bytes,
    protocol: Protocol,
    visit: Rc<Visit>,
    permit: Permit,
) {
    match protocol {
        Protocol::Http1 => tokio::task::spawn_local(async move {
            http1::serve(stream, ahead, visit).await;
            drop(permit);
        }),
        Protocol::Http2 => tokio::task::spawn_local(async move {
            http2::serve(stream, ahead, visit).await;
            drop(permit);
        }),
    };
}

/// The handshake is the whole answer (RFC 8737 section 3).
pub(super) async fn answer(
    worker: Rc<Worker>,
    stream: TcpStream,
    hello: Hello,
    from: From,
    certificate: Arc<CertifiedKey>,
    deadline: Deadline,
) {
    let policy = worker.policies.answer(certificate);
    let handshake = StartHandshake::from_parts(*hello.accepted, stream).into_stream(policy);
    match deadline.within(handshake).await {
        Ok(Ok(mut stream)) => {
            tracing::debug!(peer = %from.peer, "a CA's question was answered");
            // The asker has what it came for.
            let _closed = deadline.within(stream.shutdown()).await;
        }
        Ok(Err(error)) => tracing::debug!(peer = %from.peer, %error, "handshake failed"),
        Err(_expired) => worker.context.counters.refused(Refused::HandshakeTooSlow),
    }
}
