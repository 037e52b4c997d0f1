//! One worker's way to those who read along. As long as nobody does, a line costs a look at a number.

use std::cell::{Cell, RefCell};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::{Tap, TapTable, Taps};
use crate::observe::record::{self, Format, Record};
use crate::observe::stamp::Stamp;

/// Octets of lines for one reader at which they are handed over before the next flush. The last line may go beyond it.
const BLOCK_BYTES: usize = 16 << 10;

/// Whether a line has found the guest whose rule it is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::observe) enum Addressed {
    /// The guest with this lease reads it.
    Taken,
    /// No guest does.
    Left,
}

/// What one worker writes to readers with. Lines leave at [`flush`](Self::flush), or when there are many; dropping it flushes.
#[derive(Debug)]
pub(in crate::observe) struct TapWriter {
    taps: Arc<Taps>,
    /// The generation of the drafts.
    known: Cell<u64>,
    is_watched: Cell<bool>,
    drafts: RefCell<Drafts>,
}

/// Lines that were not handed over yet, for the readers of one generation.
#[derive(Debug)]
struct Drafts {
    table: Arc<TapTable>,
    /// As the table's.
    guests: Vec<Draft>,
    /// As the table's.
    watchers: Vec<Draft>,
    stamp: Stamp,
}

#[derive(Debug)]
struct Draft {
    tap: Arc<Tap>,
    bytes: Vec<u8>,
    lines: u64,
}

impl TapWriter {
    pub(in crate::observe) fn new(taps: Arc<Taps>) -> Self {
        let writer = Self {
            drafts: RefCell::new(Drafts::of(taps.table.load_full())),
            taps,
            known: Cell::new(0),
            is_watched: Cell::new(false),
        };
        writer.renew();
        writer
    }

    /// Finds out who reads now: one load, mostly. A change that is not seen yet is seen the next time.
    pub(in crate::observe) fn look(&self) {
        if self.taps.generation.load(Ordering::Relaxed) != self.known.get() {
            self.renew();
        }
    }

    /// Whether anybody watched at the last look.
    pub(in crate::observe) fn is_watched(&self) -> bool {
        self.is_watched.get()
    }

    /// The form in which the guest with this lease reads its lines, if it does.
    pub(in crate::observe) fn format_of(&self, lease: u32) -> Option<Format> {
        let drafts = self.drafts.borrow();
        let index = drafts.table.guest(lease)?;
        drafts.guests.get(index).map(|draft| draft.tap.format)
    }

    /// Adds the line for the guest whose rule it is of, if it is a guest's, and for all who watch such lines.
    pub(in crate::observe) fn write(&self, lease: Option<u32>, record: &Record<'_>) -> Addressed {
        let mut drafts = self.drafts.borrow_mut();
        let Drafts {
            table,
            guests,
            watchers,
            stamp,
        } = &mut *drafts;
        for (draft, watcher) in watchers.iter_mut().zip(&table.watchers) {
            if watcher.filter.admits(record.site, record.host) {
                draft.write(stamp, record);
            }
        }
        let index = lease.and_then(|lease| table.guest(lease));
        match index.and_then(|index| guests.get_mut(index)) {
            Some(draft) => {
                draft.write(stamp, record);
                Addressed::Taken
            }
            None => Addressed::Left,
        }
    }

    /// Hands over what there is; what a reader's queue does not take stays for the next time. Readers that are gone are forgotten.
    pub(in crate::observe) fn flush(&self) {
        let mut is_anyone_gone = false;
        for draft in self.drafts.borrow_mut().all() {
            draft.hand_over();
            is_anyone_gone |= draft.tap.lines.is_closed();
        }
        if is_anyone_gone {
            self.taps.sweep();
        }
        self.look();
    }

    /// Takes over the newest readers. Lines for those of before go out first.
    fn renew(&self) {
        let mut drafts = self.drafts.borrow_mut();
        for draft in drafts.all() {
            draft.finish();
        }
        *drafts = Drafts::of(self.taps.table.load_full());
        self.known.set(drafts.table.generation);
        self.is_watched.set(!drafts.watchers.is_empty());
    }
}

impl Drop for TapWriter {
    fn drop(&mut self) {
        for draft in self.drafts.borrow_mut().all() {
            draft.finish();
        }
    }
}

impl Drafts {
    fn of(table: Arc<TapTable>) -> Self {
        let guests = table.guests.iter().map(|(_lease, tap)| Draft::of(tap));
        let watchers = table.watchers.iter();
        Self {
            guests: guests.collect(),
            watchers: watchers.map(|watcher| Draft::of(&watcher.tap)).collect(),
            stamp: Stamp::new(),
            table,
        }
    }

    fn all(&mut self) -> impl Iterator<Item = &mut Draft> {
        self.guests.iter_mut().chain(&mut self.watchers)
    }
}

impl Draft {
    fn of(tap: &Arc<Tap>) -> Self {
        Self {
            tap: tap.clone(),
            bytes: Vec::new(),
            lines: 0,
        }
    }

    fn write(&mut self, stamp: &mut Stamp, record: &Record<'_>) {
        record::line(&mut self.bytes, stamp, self.tap.format, record);
        self.lines += 1;
        if self.bytes.len() >= BLOCK_BYTES {
            self.finish();
        }
    }

    /// Hands over what there is, or drops it.
    fn finish(&mut self) {
        self.hand_over();
        if self.lines > 0 {
            self.tap.dropped.fetch_add(self.lines, Ordering::Release);
            self.lines = 0;
            self.bytes.clear();
        }
    }

    fn hand_over(&mut self) {
        if self.lines == 0 {
            return;
        }
        // A slow reader costs neither a copy nor an allocation.
        let Ok(place) = self.tap.lines.try_reserve() else {
            return;
        };
        place.send(Bytes::from(mem::take(&mut self.bytes)));
        self.lines = 0;
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::Receiver;
    use tokio::sync::mpsc::error::TryRecvError;

    use super::super::LINES_QUEUED_MAX;
    use super::*;
    use crate::hostname::HostPattern;
    use crate::observe::record::LINE_BYTES_MAX;
    use crate::observe::record::tests::{full, written};

    fn writer() -> (Arc<Taps>, TapWriter) {
        let taps = Arc::new(Taps::default());
        (taps.clone(), TapWriter::new(taps))
    }

    fn text(lines: &mut Receiver<Bytes>) -> String {
        let mut text = String::new();
        while let Ok(block) = lines.try_recv() {
            text.push_str(str::from_utf8(&block).unwrap());
        }
        text
    }

    fn write(writer: &TapWriter, lease: Option<u32>) -> Addressed {
        writer.look();
        writer.write(lease, &full())
    }

    #[test]
    fn a_guest_reads_its_own_lines_in_its_own_form() {
        let (taps, writer) = writer();
        let mut one = taps.guest(1, Format::Json);
        let mut two = taps.guest(2, Format::Text);
        assert_eq!(write(&writer, Some(1)), Addressed::Taken);
        assert_eq!(write(&writer, Some(3)), Addressed::Left);
        assert_eq!(write(&writer, None), Addressed::Left);
        assert_eq!(writer.format_of(1), Some(Format::Json));
        assert_eq!(writer.format_of(3), None);
        writer.flush();
        assert_eq!(text(&mut one), written(Format::Json, &full()));
        assert_eq!(text(&mut two), "");
    }

    #[test]
    fn a_removed_guest_gets_what_was_gathered_and_then_the_end() {
        let (taps, writer) = writer();
        let mut lines = taps.guest(1, Format::Text);
        write(&writer, Some(1));
        taps.remove(1);
        assert_eq!(write(&writer, Some(1)), Addressed::Left);
        assert_eq!(text(&mut lines), written(Format::Text, &full()));
        assert_eq!(lines.try_recv(), Err(TryRecvError::Disconnected));
    }

    #[test]
    fn a_guest_that_is_gone_is_forgotten_at_the_next_flush() {
        let (taps, writer) = writer();
        drop(taps.guest(1, Format::Text));
        assert_eq!(write(&writer, Some(1)), Addressed::Taken);
        writer.flush();
        assert_eq!(write(&writer, Some(1)), Addressed::Left);
    }

    #[test]
    fn who_watches_sees_the_lines_of_a_name_whosever_they_are() {
        let (taps, writer) = writer();
        assert!(!writer.is_watched());
        let name = |text| Some(HostPattern::parse(text).unwrap());
        let mut all = taps.watch(None, Format::Text).unwrap();
        let mut dao = taps.watch(name("dao.example.com"), Format::Text).unwrap();
        let mut other = taps.watch(name("other.test"), Format::Text).unwrap();
        let mut guest = taps.guest(1, Format::Text);
        write(&writer, None);
        assert!(writer.is_watched());
        write(&writer, Some(1));
        writer.flush();
        let line = written(Format::Text, &full());
        assert_eq!(text(&mut all), line.repeat(2));
        assert_eq!(text(&mut dao), line.repeat(2));
        assert_eq!(text(&mut other), "");
        assert_eq!(text(&mut guest), line);
        drop((all, dao, other));
        writer.flush();
        assert!(!writer.is_watched());
    }

    #[test]
    fn a_slow_guest_loses_lines_and_learns_how_many() {
        let (taps, writer) = writer();
        let mut lines = taps.guest(1, Format::Text);
        let line = written(Format::Text, &full());
        let count = (LINES_QUEUED_MAX + 4) * (BLOCK_BYTES / line.len() + 1);
        for _ in 0..count {
            write(&writer, Some(1));
        }
        let dropped = taps.dropped(1);
        assert!(dropped > 0);
        let mut arrived = text(&mut lines).len();
        writer.flush();
        arrived += text(&mut lines).len();
        assert_eq!(
            arrived / line.len() + usize::try_from(dropped).unwrap(),
            count
        );
        assert_eq!(taps.dropped(1), dropped);
        assert_eq!(taps.dropped(2), 0);
    }

    #[test]
    fn what_a_full_queue_does_not_take_stays_for_the_next_flush() {
        let (taps, writer) = writer();
        let mut lines = taps.guest(1, Format::Text);
        for _ in 0..=LINES_QUEUED_MAX {
            write(&writer, Some(1));
            writer.flush();
        }
        let line = written(Format::Text, &full());
        assert_eq!(text(&mut lines), line.repeat(LINES_QUEUED_MAX));
        writer.flush();
        assert_eq!(text(&mut lines), line);
        assert_eq!(taps.dropped(1), 0);
    }

    #[test]
    fn a_block_has_its_limit() {
        let (taps, writer) = writer();
        let mut lines = taps.guest(1, Format::Json);
        let long = vec![0xff; 64 << 10];
        for turn in 0..1000 {
            let target: &[u8] = if turn % 10 == 0 { &long } else { b"/" };
            writer.look();
            writer.write(Some(1), &Record { target, ..full() });
            while let Ok(block) = lines.try_recv() {
                assert!(block.len() <= BLOCK_BYTES + LINE_BYTES_MAX);
            }
        }
    }
}
