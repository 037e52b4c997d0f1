//! Who asks.

use std::net::IpAddr;

use http::HeaderValue;
use http::request::Parts;

use super::headers::{Forwarded, Hop, Received, is_passed_on};
use super::record::Record;
use super::reply::Audience;
use crate::config::network::Networks;

/// The client of one request: the peer, or whom a trusted proxy names.
///
/// The peer is who sent the HTTP: behind a PROXY header, the address in it. So whoever comes through a balancer that only passes
/// octets on is trusted for what it is itself, and not for what the balancer is.
#[derive(Debug, Clone)]
pub struct Client {
    pub ip: IpAddr,
    /// The same as a field value.
    pub text: HeaderValue,
}

impl Client {
    /// As the request was introduced.
    #[must_use]
    pub(super) fn of(record: &Record) -> Self {
        let ip = match &record.forwarded {
            Some(forwarded) => forwarded.client,
            None => record.visit.peer.ip().to_canonical(),
        };
        Self {
            ip,
            text: record.client_text().clone(),
        }
    }
}

impl Record {
    /// Notes whom the request comes from, if not from the peer. A head that was refused has nothing `received`.
    pub(super) fn introduce(
        &mut self,
        head: &Parts,
        received: Option<&Received>,
        trusted: &Networks,
    ) {
        if received.is_some_and(|received| !received.is_forwarded()) {
            return;
        }
        let visit = &self.visit;
        let peer = visit.peer.ip().to_canonical();
        if trusted.is_empty() || !trusted.contains(peer) {
            if visit.is_local() && is_passed_on(&head.headers) {
                self.audience = Audience::Remote;
            }
            return;
        }
        let hop = Hop {
            peer,
            text: &visit.client_ip,
            scheme: visit.scheme(),
            port: &visit.port,
            authority: received.and_then(|received| received.authority.as_ref()),
        };
        let forwarded = Forwarded::read(&head.headers, hop, trusted);
        if !forwarded.is_local() {
            self.audience = Audience::Remote;
        }
        if let Some(id) = &forwarded.request_id {
            self.id = id.clone();
        }
        self.forwarded = Some(Box::new(forwarded));
    }
}
