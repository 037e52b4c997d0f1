//! What is looked at, and what is told of it.

use std::fmt;
use std::sync::Arc;

use rustls::ClientConfig;

use super::verdict::State;
use crate::config::backends::{Health, Member, ProxyVersion};
use crate::upstream::endpoint::Endpoint;
use crate::upstream::names::Names;

/// What one prober looks at, and how. Equal ones are one, whichever sites name them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Subject {
    pub endpoint: Endpoint,
    pub health: Arc<Health>,
}

/// A target that somebody wants to be looked at; of one that is a name, every address is a subject of its own.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub listed: Member,
    pub health: Arc<Health>,
    pub way: Way,
}

/// How a connection to a target begins.
#[derive(Debug, Clone)]
pub struct Way {
    /// Speaks TLS to a target that does.
    pub client: Option<Arc<ClientConfig>>,
    /// The PROXY header that is sent first.
    pub proxy_protocol: Option<ProxyVersion>,
    /// Where names are.
    pub names: Names,
}

/// That a target went down or came up, as far as people are to be told: one that flaps is told of seldom. The first check that
/// passes is told too, for it may end what was told by an earlier process.
#[derive(Debug, Clone)]
pub struct Report {
    pub subject: Subject,
    pub state: State,
    /// Of one that is down.
    pub why: Option<String>,
}

/// Who hears of reports: on the probers' thread, so it must not wait.
#[derive(Clone)]
pub struct Reports(Arc<dyn Fn(&Report) + Send + Sync>);

impl Reports {
    #[must_use]
    pub fn new(hear: impl Fn(&Report) + Send + Sync + 'static) -> Self {
        Self(Arc::new(hear))
    }

    pub(super) fn tell(&self, turn: &Report) {
        (self.0)(turn);
    }
}

impl fmt::Debug for Reports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reports")
    }
}
