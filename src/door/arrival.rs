//! Who arrives, and for whom: the PROXY header of a balancer, and how many connections a client has already.

use std::net::SocketAddr;
use std::rc::Rc;

use tokio::net::TcpStream;

use super::accept::Permit;
use super::crowd::Telling;
use super::preface;
use super::worker::Worker;
use crate::config::site::TlsVersion;
use crate::deadline::Deadline;
use crate::hostname::HostName;
use crate::observe::counters::Refused;
use crate::proxy::headers::ClientCertificate;
use crate::proxy::visit::{Arrived, Home, PassedOn, Visit};
use crate::proxy_protocol::Origin;
use crate::routing::SocketSpec;

/// A connection that was accepted and belongs to this worker.
#[derive(Debug)]
pub(super) struct Arrival {
    pub stream: TcpStream,
    pub from: From,
    pub permit: Permit,
}

/// Where a connection comes from and where it arrived.
#[derive(Debug, Clone, Copy)]
pub struct From {
    pub peer: SocketAddr,
    pub local: SocketAddr,
    pub socket: SocketSpec,
    /// Who brought the connection and what for, if not the peer itself.
    pub passed_on: Option<PassedOn>,
}

/// What is known of a client before it asks for anything.
#[derive(Debug, Default)]
pub(super) struct Greeting {
    pub name: Option<HostName>,
    pub tls: Option<TlsVersion>,
    pub home: Option<Home>,
    pub certificate: Option<Box<ClientCertificate>>,
}

/// Whom a balancer passes a connection on for, and what came behind its header; none: it is closed, and was counted.
pub(super) async fn introduce(
    worker: &Worker,
    stream: &mut TcpStream,
    from: From,
    deadline: &Deadline,
) -> Option<(From, Vec<u8>)> {
    let refuse = |error: &dyn std::fmt::Display| {
        worker.context.counters.refused(Refused::BadProxyHeader);
        tracing::debug!(peer = %from.peer, %error, "closed: `trust.proxy_protocol` wants a PROXY header from this peer");
    };
    match deadline.within(preface::read(stream)).await {
        Ok(Ok(preface)) => Some((from.introduced(preface.origin), preface.ahead)),
        Ok(Err(fault)) => {
            refuse(&fault);
            None
        }
        Err(expired) => {
            refuse(&expired);
            None
        }
    }
}

/// Holds the client's address against `limits.connections_per_ip`; none: it has as many connections as it may. A trusted proxy stands for
/// many clients.
pub(super) fn admit(worker: &Worker, from: From, permit: Permit) -> Option<Permit> {
    let table = worker.context.table();
    let Some(max) = table.limits.connections_per_ip else {
        return Some(permit);
    };
    if table.trust.proxies.contains(from.peer.ip()) {
        return Some(permit);
    }
    match worker.crowd.enter(from.peer.ip(), max) {
        Ok(seat) => Some(permit.with(seat)),
        Err(full) => {
            worker.context.counters.refused(Refused::TooManyConnections);
            let client = from.peer.ip().to_canonical();
            match full.telling {
                Telling::Aloud => {
                    tracing::info!(%client, %max, "closed a connection: this client has as many as `limits.connections_per_ip` allows");
                }
                Telling::Quietly => tracing::debug!(%client, "closed one connection too many"),
            }
            None
        }
    }
}

impl From {
    /// As a header tells. Where it arrived stays as it is: the sites of a socket are found by what it is bound to.
    fn introduced(self, origin: Origin) -> Self {
        match origin {
            Origin::Local => self,
            Origin::Proxied {
                source,
                destination,
            } => Self {
                peer: source,
                passed_on: Some(PassedOn {
                    by: self.peer,
                    to: destination,
                }),
                ..self
            },
        }
    }

    pub(super) fn visit(self, worker: &Worker, greeting: Greeting) -> Rc<Visit> {
        let Self {
            peer,
            local,
            socket,
            passed_on,
        } = self;
        let Greeting {
            name,
            tls,
            home,
            certificate,
        } = greeting;
        Rc::new(Visit::new(
            worker.context.clone(),
            Arrived {
                peer,
                local,
                socket,
                passed_on,
                name,
                tls,
                home,
                certificate,
            },
        ))
    }
}
