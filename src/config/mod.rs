//! The configuration: text in, a checked [`Config`] or all its problems at once out. Nothing here opens a socket.
//!
//! `text → DeTable with spans → check → Result<Config, Problems>`; only [`load()`] touches the file system.

pub mod acme;
pub mod alerts;
mod answers;
mod arguments;
pub mod backends;
mod balancing;
mod checks;
mod client_auth;
pub mod command;
mod compressing;
pub mod control;
mod document;
pub mod doorway;
mod enclosed;
mod grammar;
pub mod guard;
mod guarding;
mod headers;
mod htpasswd;
mod keys;
pub mod listen;
mod load;
mod loops;
pub mod merge;
pub mod named;
mod names;
pub mod network;
pub mod offer;
mod outcome;
pub mod pages;
mod paths;
pub mod places;
pub mod problem;
mod problems;
mod rating;
mod read;
mod reader;
mod requests;
mod rewrite;
pub mod roots;
mod rules;
pub mod secret;
mod secure;
mod settings;
pub mod site;
mod sites;
mod sockets;
pub mod storage;
pub mod suggest;
pub mod target;
mod targets;
mod trusting;
mod tunnels;
pub mod units;
mod unquoted;
mod url;
mod walk;

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use load::{find, load, load_with_arguments};
pub use outcome::{Loaded, Refused};
pub use read::{from_arguments, read};
pub use secure::{LOCAL_SUFFIXES, is_local};

use crate::hostname::{HostName, HostPattern};
use acme::Acme;
use acme::names::Ordered;
use alerts::Alerts;
use control::Control;
use listen::Listen;
use network::Networks;
use problem::Located;
use site::Site;
use storage::Storage;

/// Everything that a file, or a command line, asks for. Checked: whoever holds one need not doubt it.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where TLS is spoken for a site that says nothing else.
    pub listen: Arc<[Listen]>,
    /// Where plain HTTP is spoken; empty when `http = false`.
    pub http: Vec<Listen>,
    /// Where certificates live.
    pub storage: Storage,
    /// Public certificates; none: nobody is asked for any.
    pub acme: Option<Acme>,
    pub alerts: Alerts,
    /// Which other users may have sites served.
    pub control: Control,
    /// What happens to a name that nobody serves.
    pub unknown: Unknown,
    /// Data threads; none: the cores available.
    pub workers: Option<NonZeroUsize>,
    /// How long old connections may finish.
    pub drain: Duration,
    /// A folder whose pairs are matched by their SANs.
    pub cert_dir: Option<Located<PathBuf>>,
    /// Suffixes the local CA signs besides the built-in ones.
    pub local_suffixes: Vec<HostName>,
    /// Whether the local CA's root keeps its key once it has signed.
    pub keep_root_key: bool,
    pub limits: Limits,
    pub trust: Trust,
    pub resolver: Resolver,
    pub log: Log,
    /// In the order of the files, each file's in its own order.
    pub sites: Vec<Site>,
}

impl Config {
    /// When a certificate is ordered for a name of a site with [`site::Certificate::Auto`] that no pair covers; none: never.
    #[must_use]
    pub fn ordered(&self, name: &HostPattern) -> Option<Ordered> {
        if is_local(name, &self.local_suffixes) {
            return None;
        }
        self.acme.as_ref()?.ordered(name).ok()
    }
}

/// What happens to a name that nobody serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// `unrecognized_name` to a TLS hello, 421 over TLS, 404 on plain.
    Reject,
    /// The site with this index in [`Config::sites`] serves it.
    Serve(usize),
}

/// Who is believed about the client behind them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// Whose `X-Forwarded-*`, `Forwarded` and `X-Request-Id` count.
    pub proxies: Networks,
    /// Whose connections begin with a PROXY header; without one they are closed.
    pub proxy_protocol: Networks,
}

/// Who finds the addresses of targets' names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Resolver {
    /// The name servers that the system is set up with, asked again as the TTL ends; and the hosts file.
    #[default]
    Dns,
    /// The system's own resolver, with all that is configured for it, asked again now and then.
    System,
}

/// Bounds on what one client, or all of them, may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Client connections at once, never above what the descriptor limit allows.
    pub connections: usize,
    /// Client connections at once from one address (IPv6: from one /64); none: as many as there are.
    pub connections_per_ip: Option<NonZeroU32>,
    /// Header fields of a request.
    pub headers: usize,
    /// Octets of a request head.
    pub header_bytes: u64,
    /// Octets of a request target.
    pub uri_bytes: u64,
    /// HTTP/2 streams at once on one connection.
    pub streams: u32,
    /// From accept to the end of the TLS handshake.
    pub handshake: Duration,
    /// From the first octet of a request head to its last.
    pub header_read: Duration,
    /// Between requests on a connection that is kept alive.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            connections_per_ip: None,
            headers: 100,
            header_bytes: 64 << 10,
            uri_bytes: 16 << 10,
            streams: 128,
            handshake: Duration::from_secs(10),
            header_read: Duration::from_secs(15),
            idle: Duration::from_secs(300),
        }
    }
}

/// Where and how requests are logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    pub access: AccessLog,
    pub format: LogFormat,
    /// A `tracing` filter directive for events.
    pub level: Level,
}

/// Where access-log lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessLog {
    Off,
    Stdout,
    Stderr,
    File(PathBuf),
}

/// How an access-log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
    /// The combined format of Apache and nginx.
    Combined,
}

/// How much is told of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            access: AccessLog::Stdout,
            format: LogFormat::Text,
            level: Level::Info,
        }
    }
}
