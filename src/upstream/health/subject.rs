//! What is looked at, and what is told of it.

use std::fmt;
use std::sync::Arc;

use rustls::ClientConfig;

use super::verdict::State;
use crate::config::backends::Health;
use crate::upstream::endpoint::Endpoint;

/// What one prober looks at, and how. Equal ones are one, whichever sites name them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Subject {
    pub endpoint: Endpoint,
    pub health: Arc<Health>,
}

/// A subject that somebody wants to be looked at, and with what TLS is spoken to it.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub subject: Subject,
    pub client: Option<Arc<ClientConfig>>,
}

/// That a target went down or came up, as far as people are to be told: one that flaps is told of seldom. The first check that
/// passes is told too, for it may end what was told by an earlier process.
#[derive(Debug, Clone)]
pub struct Turn {
    pub subject: Subject,
    pub state: State,
    /// Of one that is down.
    pub why: Option<String>,
}

/// Who hears of turns: on the probers' thread, so it must not wait.
#[derive(Clone)]
pub struct Turns(Arc<dyn Fn(&Turn) + Send + Sync>);

impl Turns {
    #[must_use]
    pub fn new(hear: impl Fn(&Turn) + Send + Sync + 'static) -> Self {
        Self(Arc::new(hear))
    }

    pub(super) fn tell(&self, turn: &Turn) {
        (self.0)(turn);
    }
}

impl fmt::Debug for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Turns")
    }
}
