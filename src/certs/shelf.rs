//! Where kept certificates lie ready: the keeper puts them there, handshakes take them. At most so many lie ready at a time; the others
//! are fetched from the store when a handshake wants them.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use arc_swap::ArcSwapOption;
use rustls::sign::CertifiedKey;

use crate::certs::bundle::Ready;
use crate::hostname::{HostName, HostPattern};

/// Certificates that lie ready, some 5 KiB each.
pub const READY_MAX: usize = 20_000;
/// Fewer places than this are never looked through for idle ones.
const PLACES_MIN: usize = 1_000;

/// The places of all names that are kept. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Shelf(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limit: usize,
    places: Mutex<Places>,
}

#[derive(Debug, Default)]
struct Places {
    by_name: HashMap<HostPattern, Arc<Place>>,
    /// How many of them there may be before those that nobody needs are looked for.
    looked_for_at: usize,
    /// Those with something in them, in the order in which they are thought of when room is needed.
    round: VecDeque<Weak<Place>>,
}

/// One name's certificate, if it lies ready.
#[derive(Debug, Default)]
pub struct Place {
    shown: ArcSwapOption<Ready>,
    /// Whether a handshake took it since it was last thought of.
    used: AtomicBool,
    /// Whether the store may have what does not lie here.
    away: AtomicBool,
}

/// Why something is put on the shelf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// It is new, or a handshake waits for it.
    Needed,
    /// It was looked at in passing: it lies here if there is room, or if an older one does.
    Passing,
}

impl Default for Shelf {
    fn default() -> Self {
        Self::with_room_for(READY_MAX)
    }
}

impl Shelf {
    /// At most `limit` certificates lie ready.
    #[must_use]
    pub fn with_room_for(limit: usize) -> Self {
        Self(Arc::new(Inner {
            limit: limit.max(1),
            places: Mutex::default(),
        }))
    }

    /// The place of a name; empty if nothing was put there yet.
    #[must_use]
    pub fn place(&self, name: &HostPattern) -> Arc<Place> {
        let mut places = self.lock();
        if let Some(place) = places.by_name.get(name) {
            return place.clone();
        }
        places.forget_idle();
        let place = Arc::<Place>::default();
        places.by_name.insert(name.clone(), place.clone());
        place
    }

    /// Whether a certificate of this name lies ready.
    #[must_use]
    pub fn has(&self, name: &HostPattern) -> bool {
        let places = self.lock();
        let place = places.by_name.get(name);
        place.is_some_and(|place| place.generation().is_some())
    }

    /// Takes away what nobody sees to any more: shown on, it would be shown until long after its end.
    pub fn clear(&self, names: &[HostPattern]) {
        let mut places = self.lock();
        for name in names {
            if let Some(place) = places.by_name.get(name) {
                place.shown.store(None);
                place.is_nowhere();
            }
        }
        places.round.retain(|place| {
            let place = place.upgrade();
            place.is_some_and(|place| place.generation().is_some())
        });
    }

    /// Puts a certificate into the place of a name. One that finds no room is remembered as being in the store.
    pub fn put(&self, name: &HostPattern, ready: &Ready, wish: Wish) {
        let place = self.place(name);
        let mut places = self.lock();
        let is_new = place.shown.load().is_none();
        if is_new {
            places.make_room(self.0.limit, wish);
            if places.round.len() >= self.0.limit {
                place.away.store(true, Ordering::Relaxed);
                return;
            }
            places.round.push_back(Arc::downgrade(&place));
        }
        place.shown.store(Some(Arc::new(ready.without_texts())));
    }

    /// Remembers that the store may have something for a name.
    pub fn leave_away(&self, name: &HostPattern) {
        self.place(name).away.store(true, Ordering::Relaxed);
    }

    /// Whether nothing more finds room without something else going.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.lock().round.len() >= self.0.limit
    }

    /// What lies ready for an exact name, if anything does.
    #[must_use]
    pub fn certified(&self, name: &HostName) -> Option<Arc<CertifiedKey>> {
        let place = self
            .lock()
            .by_name
            .get(&HostPattern::Exact(name.clone()))?
            .clone();
        place.certified()
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        self.0.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Places {
    /// Places that no plan points to and in which nothing lies are made again when they are asked for.
    fn forget_idle(&mut self) {
        if self.by_name.len() < self.looked_for_at.max(PLACES_MIN) {
            return;
        }
        self.by_name
            .retain(|_name, place| Arc::strong_count(place) > 1 || place.generation().is_some());
        self.looked_for_at = 2 * self.by_name.len();
    }

    /// Takes away what nobody used for a whole round: the second chance of an old operating system's pages.
    fn make_room(&mut self, limit: usize, wish: Wish) {
        let mut looks = 2 * self.round.len();
        while wish == Wish::Needed && self.round.len() >= limit && looks > 0 {
            looks -= 1;
            let Some(first) = self.round.pop_front() else {
                return;
            };
            let Some(place) = first.upgrade() else {
                continue;
            };
            if place.used.swap(false, Ordering::Relaxed) {
                self.round.push_back(first);
            } else {
                place.away.store(true, Ordering::Relaxed);
                place.shown.store(None);
            }
        }
    }
}

impl Place {
    /// What is shown.
    #[must_use]
    pub fn certified(&self) -> Option<Arc<CertifiedKey>> {
        let shown = self.shown.load();
        let certified = shown.as_ref().map(|shown| shown.certified.clone())?;
        // Written only when it changes: many threads read here.
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
        Some(certified)
    }

    /// Of what lies here.
    #[must_use]
    pub fn generation(&self) -> Option<u64> {
        let shown = self.shown.load();
        shown.as_ref().map(|shown| shown.bundle.generation)
    }

    /// What lies here, without the texts that it was read from.
    #[must_use]
    pub fn ready(&self) -> Option<Arc<Ready>> {
        self.shown.load_full()
    }

    /// The store has nothing for it.
    pub fn is_nowhere(&self) {
        self.away.store(false, Ordering::Relaxed);
    }

    /// Whether the store may have what does not lie here.
    #[must_use]
    pub fn is_away(&self) -> bool {
        self.away.load(Ordering::Relaxed) && self.shown.load().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certs::bundle::{Bundle, Origin};
    use crate::certs::fixture::{Authority, days, noon};

    fn ready(generation: u64) -> Ready {
        let leaf = Authority::new().leaf(&["a.test"], noon()..noon() + days(90));
        let origin = Origin {
            generation,
            directory: "https://ca.test/",
            profile: None,
        };
        Bundle::of(leaf.pem, leaf.key_pem, origin, noon()).unwrap()
    }

    fn name(number: usize) -> HostPattern {
        HostPattern::parse(&format!("n{number}.test")).unwrap()
    }

    #[test]
    fn what_was_used_stays_and_what_was_not_can_be_fetched_again() {
        let (shelf, ready) = (Shelf::with_room_for(3), ready(1));
        for number in 0..3 {
            shelf.put(&name(number), &ready, Wish::Needed);
        }
        assert!(shelf.place(&name(0)).certified().is_some());
        assert!(shelf.place(&name(2)).certified().is_some());
        shelf.put(&name(3), &ready, Wish::Needed);
        let lies: Vec<bool> = (0..4)
            .map(|number| shelf.place(&name(number)).generation().is_some())
            .collect();
        assert_eq!(lies, [true, false, true, true]);
        assert!(shelf.place(&name(1)).is_away());
    }

    #[test]
    fn what_comes_in_passing_displaces_nothing_but_its_own_elder() {
        let (shelf, elder, younger) = (Shelf::with_room_for(1), ready(1), ready(2));
        shelf.put(&name(0), &elder, Wish::Passing);
        assert!(shelf.is_full());
        shelf.put(&name(1), &elder, Wish::Passing);
        assert!(shelf.place(&name(1)).is_away());
        shelf.put(&name(0), &younger, Wish::Passing);
        assert_eq!(shelf.place(&name(0)).generation(), Some(2));
    }

    #[test]
    fn what_is_cleared_is_shown_no_more_and_makes_room() {
        let (shelf, ready) = (Shelf::with_room_for(2), ready(1));
        let place = shelf.place(&name(0));
        for number in 0..2 {
            shelf.put(&name(number), &ready, Wish::Needed);
        }
        shelf.clear(&[name(0), name(7)]);
        assert!(!shelf.has(&name(0)) && shelf.has(&name(1)) && !shelf.is_full());
        assert!(place.certified().is_none() && !place.is_away());
        shelf.put(&name(0), &ready, Wish::Passing);
        assert!(place.certified().is_some());
    }

    #[test]
    fn places_that_nobody_needs_are_forgotten() {
        let (shelf, ready) = (Shelf::default(), ready(1));
        let needed = shelf.place(&name(0));
        shelf.put(&name(1), &ready, Wish::Needed);
        for number in 2..10 * PLACES_MIN {
            let _idle = shelf.place(&name(number));
        }
        assert!(shelf.lock().by_name.len() <= PLACES_MIN);
        assert!(Arc::ptr_eq(&needed, &shelf.place(&name(0))));
        assert!(shelf.has(&name(1)));
    }

    #[test]
    fn everybody_in_use_still_makes_room_for_one_more() {
        let (shelf, ready) = (Shelf::with_room_for(8), ready(1));
        for number in 0..100 {
            shelf.put(&name(number), &ready, Wish::Needed);
            assert!(shelf.place(&name(number)).certified().is_some(), "{number}");
        }
    }
}
