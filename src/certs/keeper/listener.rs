//! Who hears what the keeper has to tell.

use std::fmt;
use std::sync::Arc;

use crate::certs::alerts::event::Event;

/// Hears events on the keeper's own thread, again and again as long as they are so; must not wait.
#[derive(Clone)]
pub struct Listener(Arc<dyn Fn(Event) + Send + Sync>);

impl Listener {
    #[must_use]
    pub fn new(hear: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(hear))
    }

    pub(super) fn hear(&self, event: Event) {
        (self.0)(event);
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}
