//! Where a socket listens, as the file says it: a port, `"addr:port"`, `"localhost:port"`.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// One entry of a `listen` or `http` list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Listen {
    pub host: ListenHost,
    pub port: u16,
}

/// The addresses that an entry stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ListenHost {
    /// A bare port: every address, IPv4 and IPv6, as two sockets.
    Any,
    /// `localhost`: 127.0.0.1 and `[::1]`.
    Loopback,
    /// This address alone. An unspecified address (`0.0.0.0`, `[::]`) is every address of that family.
    Address(IpAddr),
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host {
            ListenHost::Any => write!(f, "{}", self.port),
            ListenHost::Loopback => write!(f, "localhost:{}", self.port),
            ListenHost::Address(IpAddr::V4(ip)) => write!(f, "{ip}:{}", self.port),
            ListenHost::Address(IpAddr::V6(ip)) => write!(f, "[{ip}]:{}", self.port),
        }
    }
}
