//! What a connection to a target begins with: a PROXY header, if the configuration says so.

use std::net::SocketAddr;

use crate::config::backends::ProxyVersion;
use crate::proxy_protocol::{Origin, write};

/// The header for a connection that serves one client: who it is, and where it came to. Such a connection belongs to this client alone.
#[must_use]
pub fn of_client(version: ProxyVersion, client: SocketAddr, local: SocketAddr) -> Box<[u8]> {
    header(
        version,
        Origin::Proxied {
            source: client,
            destination: local,
        },
    )
}

/// The header for a connection of our own, as a health check.
#[must_use]
pub fn of_ourselves(version: ProxyVersion) -> Box<[u8]> {
    header(version, Origin::Local)
}

fn header(version: ProxyVersion, origin: Origin) -> Box<[u8]> {
    match version {
        ProxyVersion::V1 => write::v1(origin),
        ProxyVersion::V2 => write::v2(origin),
    }
    .into()
}
