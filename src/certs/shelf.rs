//! Where kept certificates lie ready: the keeper puts them there, handshakes take them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use rustls::sign::CertifiedKey;

use crate::certs::bundle::Ready;
use crate::hostname::{HostName, HostPattern};

/// The places of all names that ever were kept by this process. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Shelf(Arc<Mutex<HashMap<HostPattern, Arc<Place>>>>);

/// One name's certificate, if it has one by now.
#[derive(Debug, Default)]
pub struct Place(ArcSwapOption<Ready>);

impl Shelf {
    /// The place of a name; empty if nothing was put there yet.
    #[must_use]
    pub fn place(&self, name: &HostPattern) -> Arc<Place> {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = places.get(name) {
            return place.clone();
        }
        let place = Arc::<Place>::default();
        places.insert(name.clone(), place.clone());
        place
    }

    /// What lies ready for an exact name, if anything does.
    #[must_use]
    pub fn certified(&self, name: &HostName) -> Option<Arc<CertifiedKey>> {
        let places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.get(&HostPattern::Exact(name.clone()))?.certified()
    }

    /// Forgets the places that nobody holds and nothing lies in.
    pub fn sweep(&self) {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.retain(|_name, place| Arc::strong_count(place) > 1 || place.0.load().is_some());
    }
}

impl Place {
    /// Shows this from the next handshake on.
    pub fn put(&self, ready: Ready) {
        self.0.store(Some(Arc::new(ready)));
    }

    /// What is shown.
    #[must_use]
    pub fn certified(&self) -> Option<Arc<CertifiedKey>> {
        let ready = self.0.load();
        ready.as_ref().map(|ready| ready.certified.clone())
    }

    /// What is known of it.
    #[must_use]
    pub fn ready(&self) -> Option<Arc<Ready>> {
        self.0.load_full()
    }
}
