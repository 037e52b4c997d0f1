//! How it stands with each endpoint, for the whole process: kept as long as somebody asks, over reloads too.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use foldhash::fast::RandomState;

use crate::config::backends::Health;
use crate::upstream::endpoint::Endpoint;

/// Every endpoint that somebody holds. Who checks it otherwise sees another standing: nobody's checks decide over somebody else's
/// requests.
#[derive(Debug, Clone, Default)]
pub struct Standings(Arc<Mutex<HashMap<Seen, Weak<Standing>, RandomState>>>);

/// An endpoint, and with which checks it is looked at.
type Seen = (Endpoint, Option<Arc<Health>>);

/// One endpoint, as all workers see it.
#[derive(Debug)]
pub struct Standing {
    /// What active checks say; up until they say otherwise.
    is_up: AtomicBool,
    /// Exchanges under way.
    busy: AtomicU32,
}

impl Standings {
    /// The one of an endpoint, shared by all who check it in the same way, or not at all.
    #[must_use]
    pub fn of(&self, endpoint: &Endpoint, health: Option<&Arc<Health>>) -> Arc<Standing> {
        let seen = (endpoint.clone(), health.cloned());
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(standing) = known.get(&seen).and_then(Weak::upgrade) {
            return standing;
        }
        known.retain(|_endpoint, standing| standing.strong_count() > 0);
        let standing = Arc::new(Standing::default());
        known.insert(seen, Arc::downgrade(&standing));
        standing
    }
}

impl Default for Standing {
    fn default() -> Self {
        Self {
            is_up: AtomicBool::new(true),
            busy: AtomicU32::new(0),
        }
    }
}

impl Standing {
    /// Whether active checks let it be asked.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.is_up.load(Ordering::Relaxed)
    }

    /// What active checks found.
    pub fn set_up(&self, is_up: bool) {
        self.is_up.store(is_up, Ordering::Relaxed);
    }

    /// Exchanges under way, of all workers.
    #[must_use]
    pub fn busy(&self) -> u32 {
        self.busy.load(Ordering::Relaxed)
    }
}
