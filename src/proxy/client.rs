//! Who asks.

use std::net::IpAddr;

use http::HeaderValue;

use super::visit::Visit;

/// The client of one request: the peer, or whom a trusted proxy names.
#[derive(Debug, Clone)]
pub struct Client {
    pub ip: IpAddr,
    /// The same as a field value.
    pub text: HeaderValue,
}

impl Client {
    /// Whoever sits at the other end of the connection.
    #[must_use]
    pub fn peer(visit: &Visit) -> Self {
        Self {
            ip: visit.peer.ip().to_canonical(),
            text: visit.client_ip.clone(),
        }
    }
}
