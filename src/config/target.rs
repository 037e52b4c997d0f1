//! One upstream address: `"3000"`, `"host:port"`, `"http://…"`, `"https://…"`, `"h2c://…"`, `"unix:/path"`.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// One upstream address and how it is spoken to. Equal targets share connections.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    pub scheme: Scheme,
    pub address: Address,
}

/// What is spoken to a target.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// HTTP/1.1 in the clear.
    Http,
    /// HTTP/2 with prior knowledge in the clear.
    H2c,
    /// HTTP/2 or HTTP/1.1 over TLS, as ALPN decides.
    Https(Arc<UpstreamTls>),
}

/// How an upstream's certificate is verified and what is shown to it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct UpstreamTls {
    /// PEM file with the roots to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// Whether any certificate will do (`insecure = true`).
    pub verification: Verification,
    /// The name to send and verify instead of the target's host.
    pub sni: Option<Box<str>>,
    /// A client certificate chain and its key, PEM files.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Whether an upstream's certificate must be good.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Verification {
    #[default]
    Required,
    /// `insecure = true`: encrypted, not authenticated.
    Skipped,
}

/// Where a target is dialed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// `localhost` or a bare port: 127.0.0.1 and `[::1]`, the first that answers.
    Loopback { port: u16 },
    /// A literal address.
    Ip(SocketAddr),
    /// A name for the resolver.
    Name { host: Box<str>, port: u16 },
    /// A Unix socket.
    Unix(PathBuf),
}

impl Target {
    /// The target's own authority, for a Host field: default ports are left out, a Unix socket is `localhost`.
    #[must_use]
    pub fn authority(&self) -> String {
        let default = match self.scheme {
            Scheme::Http | Scheme::H2c => 80,
            Scheme::Https(_) => 443,
        };
        match &self.address {
            Address::Loopback { port } | Address::Name { port, .. } if *port == default => {
                self.host()
            }
            Address::Ip(address) if address.port() == default => self.host(),
            Address::Loopback { port } | Address::Name { port, .. } => {
                format!("{}:{port}", self.host())
            }
            Address::Ip(address) => address.to_string(),
            Address::Unix(_) => self.host(),
        }
    }

    fn host(&self) -> String {
        match &self.address {
            Address::Loopback { .. } | Address::Unix(_) => "localhost".to_owned(),
            Address::Ip(SocketAddr::V4(address)) => address.ip().to_string(),
            Address::Ip(SocketAddr::V6(address)) => format!("[{}]", address.ip()),
            Address::Name { host, .. } => host.to_string(),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loopback { port } => write!(f, "localhost:{port}"),
            Self::Ip(address) => address.fmt(f),
            Self::Name { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scheme {
            Scheme::Http => self.address.fmt(f),
            Scheme::H2c => write!(f, "h2c://{}", self.address),
            Scheme::Https(_) => write!(f, "https://{}", self.address),
        }
    }
}
