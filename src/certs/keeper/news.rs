//! What the keeper has to tell, whoever wants to hear it.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use crate::certs::ledger::report::BucketReport;
use crate::certs::schedule::Expiring;

/// One thing that happened. Told again as long as it is so: whoever hears it remembers.
#[derive(Debug, Clone)]
pub enum News {
    Renewed {
        name: String,
        until: SystemTime,
        directory: String,
    },
    Failed {
        name: String,
        /// In the CA's own words where it has any.
        problem: String,
        again: SystemTime,
        /// The end of the certificate in service.
        until: Option<SystemTime>,
    },
    Expiring {
        name: String,
        until: SystemTime,
        left: Expiring,
    },
    /// Little is left of one of a CA's limits.
    QuotaLow {
        directory: String,
        bucket: BucketReport,
    },
    /// The storage would be lost with its container, so nothing is ordered.
    Ephemeral {
        why: String,
    },
    StorageUnreachable {
        problem: String,
    },
    StorageWorks,
}

/// Hears news on the keeper's own thread; must not wait.
#[derive(Clone)]
pub struct Listener(Arc<dyn Fn(News) + Send + Sync>);

impl Listener {
    #[must_use]
    pub fn new(hear: impl Fn(News) + Send + Sync + 'static) -> Self {
        Self(Arc::new(hear))
    }

    pub(super) fn hear(&self, news: News) {
        (self.0)(news);
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}
