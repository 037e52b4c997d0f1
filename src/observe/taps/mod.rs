//! Who reads access-log lines besides the log itself: guests, whose sites they are of, and people who watch. Workers look here whether
//! anybody does; a reader that is slow loses lines and delays nobody.

mod filter;
mod writer;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::sync::mpsc::{self, Receiver, Sender};

use super::record::Format;
use crate::hostname::HostPattern;
use filter::Filter;
pub(super) use writer::{Addressed, TapWriter};

/// Blocks of lines that wait for one reader; what comes on top is dropped and counted.
pub const LINES_QUEUED_MAX: usize = 64;
/// Who may watch at once.
pub const WATCHERS_MAX: usize = 32;

/// All readers, shared by the workers and whoever lets readers in.
#[derive(Debug, Default)]
pub struct Taps {
    /// Of the newest table; workers compare it with that of the table they know.
    generation: AtomicU64,
    table: ArcSwap<TapTable>,
}

/// So many watch that nobody else may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyWatchers;

impl Taps {
    /// From now on, lines of this lease's rules go here, in this form: whole lines, some at once. A second call for a lease replaces the
    /// first. Known to all workers before their next line, so call it before the rules are in service.
    ///
    /// Once the receiver is dropped or the lease removed, its lines go to the log again.
    pub fn guest(&self, lease: u32, format: Format) -> Receiver<Bytes> {
        let (tap, lines) = Tap::new(format);
        self.change(|table| {
            let place = table.place_of(lease);
            let entry = (lease, tap.clone());
            match place {
                Ok(index) => table.guests[index] = entry,
                Err(index) => table.guests.insert(index, entry),
            }
        });
        lines
    }

    /// Lines of this lease's rules go to the log from now on. The receiver gets what was gathered before, and ends.
    pub fn remove(&self, lease: u32) {
        self.change(|table| table.guests.retain(|(other, _tap)| *other != lease));
    }

    /// Lines that this lease's guest lost since it is a reader, because it read too slowly: those before any block that the receiver
    /// gave are counted.
    #[must_use]
    pub fn dropped(&self, lease: u32) -> u64 {
        let table = self.table.load();
        let tap = table.guest(lease).map(|index| &table.guests[index].1);
        tap.map_or(0, |tap| tap.dropped.load(Ordering::Acquire))
    }

    /// Lines of all rules that are logged, as they come, whosever they are; with a host, those of a site that is called so or of
    /// requests for it. Ends when the receiver is dropped.
    ///
    /// # Errors
    /// When [`WATCHERS_MAX`] watch already.
    pub fn watch(
        &self,
        host: Option<HostPattern>,
        format: Format,
    ) -> Result<Receiver<Bytes>, TooManyWatchers> {
        let (tap, lines) = Tap::new(format);
        let watcher = Arc::new(Watcher {
            filter: Filter::of(host),
            tap,
        });
        let mut is_in = false;
        self.change(|table| {
            table.drop_closed();
            is_in = table.watchers.len() < WATCHERS_MAX;
            if is_in {
                table.watchers.push(watcher.clone());
            }
        });
        is_in.then_some(lines).ok_or(TooManyWatchers)
    }

    /// Forgets readers that are gone.
    fn sweep(&self) {
        self.change(TapTable::drop_closed);
    }

    /// Puts a changed copy into place. The change may be asked for again when another one was quicker.
    fn change(&self, mut change: impl FnMut(&mut TapTable)) {
        let mut generation = 0;
        self.table.rcu(|table| {
            let mut next = TapTable::clone(table);
            next.generation += 1;
            generation = next.generation;
            change(&mut next);
            next
        });
        self.generation.fetch_max(generation, Ordering::Release);
    }
}

impl fmt::Display for TooManyWatchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{WATCHERS_MAX} watch the log already")
    }
}

impl std::error::Error for TooManyWatchers {}

/// One generation of all readers.
#[derive(Debug, Default, Clone)]
struct TapTable {
    generation: u64,
    /// By lease; no more than there are leases.
    guests: Vec<(u32, Arc<Tap>)>,
    watchers: Vec<Arc<Watcher>>,
}

impl TapTable {
    fn place_of(&self, lease: u32) -> Result<usize, usize> {
        self.guests.binary_search_by_key(&lease, |(own, _tap)| *own)
    }

    fn guest(&self, lease: u32) -> Option<usize> {
        self.place_of(lease).ok()
    }

    fn drop_closed(&mut self) {
        self.guests.retain(|(_lease, tap)| !tap.lines.is_closed());
        self.watchers
            .retain(|watcher| !watcher.tap.lines.is_closed());
    }
}

/// A reader, from the writers' side.
#[derive(Debug)]
struct Tap {
    format: Format,
    lines: Sender<Bytes>,
    dropped: AtomicU64,
}

impl Tap {
    fn new(format: Format) -> (Arc<Self>, Receiver<Bytes>) {
        let (lines, inbox) = mpsc::channel(LINES_QUEUED_MAX);
        let dropped = AtomicU64::new(0);
        let tap = Self {
            format,
            lines,
            dropped,
        };
        (Arc::new(tap), inbox)
    }
}

#[derive(Debug)]
struct Watcher {
    filter: Filter,
    tap: Arc<Tap>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_may_watch_and_no_more() {
        let taps = Taps::default();
        let mut watching: Vec<_> = (0..WATCHERS_MAX)
            .map(|_| taps.watch(None, Format::Text).unwrap())
            .collect();
        let refused = taps.watch(None, Format::Text);
        assert_eq!(refused.err(), Some(TooManyWatchers));
        watching.pop();
        assert!(taps.watch(None, Format::Text).is_ok());
    }

    #[test]
    fn changes_at_the_same_time_are_all_made() {
        let taps = Taps::default();
        std::thread::scope(|scope| {
            for lease in 0..8 {
                let taps = &taps;
                scope.spawn(move || {
                    for _ in 0..100 {
                        let _lines = taps.guest(lease, Format::Text);
                        taps.remove(lease);
                    }
                    drop(taps.guest(lease, Format::Json));
                });
            }
        });
        let table = taps.table.load();
        let leases: Vec<u32> = table.guests.iter().map(|(lease, _tap)| *lease).collect();
        assert_eq!(leases, [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(table.generation, taps.generation.load(Ordering::Relaxed));
    }
}
