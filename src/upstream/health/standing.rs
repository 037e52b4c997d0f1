//! How it stands with each endpoint, for the whole process: kept as long as somebody asks, over reloads too.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use foldhash::fast::RandomState;

use crate::upstream::endpoint::Endpoint;

/// Every endpoint that somebody holds.
#[derive(Debug, Clone, Default)]
pub struct Standings(Arc<Mutex<HashMap<Endpoint, Weak<Standing>, RandomState>>>);

/// One endpoint, as all workers see it.
#[derive(Debug)]
pub struct Standing {
    /// What active checks say; up until they say otherwise.
    is_up: AtomicBool,
    /// Exchanges under way.
    busy: AtomicU32,
}

impl Standings {
    /// The one of an endpoint.
    #[must_use]
    pub fn of(&self, endpoint: &Endpoint) -> Arc<Standing> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(standing) = known.get(endpoint).and_then(Weak::upgrade) {
            return standing;
        }
        known.retain(|_endpoint, standing| standing.strong_count() > 0);
        let standing = Arc::new(Standing::default());
        known.insert(endpoint.clone(), Arc::downgrade(&standing));
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
