//! The targets of a rule or a tunnel: how one of them is chosen, watched, tried again and spared.

use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, StatusCode};

use super::target::Target;

/// `to`, and every key about what stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backends {
    /// Never empty, and never backups alone.
    pub members: Box<[Member]>,
    pub balance: Balance,
    /// None: a target is taken to be well until requests fail.
    pub health: Option<Arc<Health>>,
    pub eject: Eject,
    pub retry: Retry,
    /// Exchanges at once at one target, all workers together.
    pub max_conns: Option<NonZeroU32>,
    /// The PROXY header that every connection to a target begins with.
    pub proxy_protocol: Option<ProxyVersion>,
}

/// One entry of `to`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub target: Arc<Target>,
    /// Its share, in proportion to the others'.
    pub weight: NonZeroU16,
    pub role: Role,
}

/// When a target is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Main,
    /// `backup = true`: only when no main target can be asked.
    Backup,
}

/// `balance`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Balance {
    /// In turn, by weight, and without bursts at the heavier ones.
    #[default]
    RoundRobin,
    /// The one with the fewest exchanges under way, for its weight.
    LeastConn,
    /// The less busy one of two that chance picks.
    Random,
    /// Each client address its own, by consistent hashing.
    IpHash,
    /// Sticky: the target that a cookie of this name says; who has none is given one.
    Cookie(Box<str>),
    /// Each value of a request header its own, by consistent hashing.
    Header(HeaderName),
}

/// `health`: active checks, one after another, for each target by itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Health {
    pub probe: Probe,
    pub every: Duration,
    /// For one check, connecting included.
    pub timeout: Duration,
    /// Failed checks in a row that make a target down.
    pub fails: NonZeroU32,
    /// Passed checks in a row that make it up again.
    pub passes: NonZeroU32,
}

/// What is checked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Probe {
    /// A GET that is answered with a status as wanted.
    Http {
        path: PathAndQuery,
        /// None: the target's own authority.
        host: Option<HeaderValue>,
        status: StatusWanted,
    },
    /// That a connection opens; TLS included, where the target speaks it.
    Tcp,
    /// That `grpc.health.v1.Health/Check` says SERVING for a service; empty: for the server.
    Grpc { service: Box<str> },
}

/// `health.status`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StatusWanted {
    /// `"2xx"`: the first digit.
    Class(u8),
    /// `204`
    Exactly(StatusCode),
}

impl StatusWanted {
    /// Whether a check that got `status` passed.
    #[must_use]
    pub fn is_met_by(self, status: StatusCode) -> bool {
        match self {
            Self::Class(digit) => status.as_u16() / 100 == u16::from(digit),
            Self::Exactly(wanted) => status == wanted,
        }
    }
}

/// `eject`: a target whose exchanges fail is left out for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Eject {
    /// Failed exchanges within [`Self::within`].
    pub fails: NonZeroU32,
    pub within: Duration,
    /// `for`: how long it is left out.
    pub duration: Duration,
}

impl Default for Eject {
    fn default() -> Self {
        Self {
            fails: NonZeroU32::new(3).unwrap_or(NonZeroU32::MIN),
            within: Duration::from_secs(10),
            duration: Duration::from_secs(10),
        }
    }
}

/// `retry`: only what is safe is tried again, whatever is said here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// Exchanges that may begin. A target that no connection can be opened to costs none: each is tried once.
    pub tries: NonZeroU32,
    pub on: RetryOn,
    /// From the first try on; nothing is tried again after it.
    pub within: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            tries: NonZeroU32::new(2).unwrap_or(NonZeroU32::MIN),
            on: RetryOn::default(),
            within: Duration::from_secs(10),
        }
    }
}

/// What is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryOn {
    /// No connection: nothing was sent.
    pub connect: bool,
    /// The connection ended before an answer.
    pub reset: bool,
    /// The upstream's own answer has one of these: 502, 503, 504.
    pub statuses: Box<[StatusCode]>,
}

impl Default for RetryOn {
    /// What no upstream has answered.
    fn default() -> Self {
        Self {
            connect: true,
            reset: true,
            statuses: Box::default(),
        }
    }
}

/// `proxy_protocol`: which PROXY header is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProxyVersion {
    V1,
    V2,
}

impl Backends {
    /// Every target once, in the order of the text, with nothing else said about them.
    #[must_use]
    pub fn of(targets: impl IntoIterator<Item = Arc<Target>>) -> Self {
        let member = |target| Member {
            target,
            weight: NonZeroU16::MIN,
            role: Role::Main,
        };
        Self {
            members: targets.into_iter().map(member).collect(),
            balance: Balance::default(),
            health: None,
            eject: Eject::default(),
            retry: Retry::default(),
            max_conns: None,
            proxy_protocol: None,
        }
    }

    /// The targets in the order of the text.
    pub fn targets(&self) -> impl ExactSizeIterator<Item = &Arc<Target>> + Clone {
        self.members.iter().map(|member| &member.target)
    }

    /// The target that stands first.
    #[must_use]
    pub fn first(&self) -> Option<&Arc<Target>> {
        self.targets().next()
    }
}
