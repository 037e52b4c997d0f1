//! Where one worker's access-log lines go: to the log, to the guest whose site they are of, and to whoever watches.

use std::sync::Arc;

use super::record::{Format, Record};
use super::taps::{Addressed, TapWriter, Taps};
use super::writer::AccessWriter;

/// One worker's way to all who read its lines.
#[derive(Debug)]
pub struct Lines {
    log: Option<AccessWriter>,
    taps: TapWriter,
}

/// Whom a line is for, besides those who watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// The log of this process.
    Log,
    /// The guest with this lease; the log while there is none.
    Guest(u32),
}

/// What is wanted of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    Everything,
    /// All but the target's address, which takes work to write and no reader shows.
    Untargeted,
    /// Nobody reads it.
    Nothing,
}

impl Lines {
    /// Writes to `log`, if there is one, and to those who read along.
    #[must_use]
    pub fn new(log: Option<AccessWriter>, taps: Arc<Taps>) -> Self {
        Self {
            log,
            taps: TapWriter::new(taps),
        }
    }

    /// What is wanted of a line for this reader. To be asked before each [`write`](Self::write).
    #[must_use]
    pub fn wanted(&self, reader: Reader) -> Wanted {
        self.taps.look();
        let guest = match reader {
            Reader::Log => None,
            Reader::Guest(lease) => self.taps.format_of(lease),
        };
        let own = || self.log.as_ref().map(AccessWriter::format);
        match guest.or_else(own) {
            _ if self.taps.is_watched() => Wanted::Everything,
            Some(Format::Text | Format::Json) => Wanted::Everything,
            Some(Format::Combined) => Wanted::Untargeted,
            None => Wanted::Nothing,
        }
    }

    /// Adds a line. Never waits: who reads too slowly loses lines, which are counted.
    pub fn write(&self, reader: Reader, record: &Record<'_>) {
        let addressed = match reader {
            Reader::Log if !self.taps.is_watched() => Addressed::Left,
            Reader::Log => self.taps.write(None, record),
            Reader::Guest(lease) => self.taps.write(Some(lease), record),
        };
        if let (Addressed::Left, Some(log)) = (addressed, &self.log) {
            log.write(record);
        }
    }

    /// Hands over what was gathered.
    pub fn flush(&self) {
        if let Some(log) = &self.log {
            log.flush();
        }
        self.taps.flush();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use tempfile::TempDir;

    use super::super::access::{AccessLog, Destination};
    use super::super::record::tests::{full, written};
    use super::*;

    fn log(format: Format) -> (TempDir, AccessLog) {
        let folder = tempfile::tempdir().unwrap();
        let destination = Destination::File(folder.path().join("access.log"));
        let log = AccessLog::open(destination, format).unwrap();
        (folder, log)
    }

    #[test]
    fn lines_of_a_guest_that_is_gone_are_in_the_log() {
        let (folder, log) = log(Format::Text);
        let taps = Arc::new(Taps::default());
        let lines = Lines::new(Some(log.writer()), taps.clone());
        let mut guest = taps.guest(1, Format::Json);
        for _ in 0..2 {
            assert_eq!(lines.wanted(Reader::Guest(1)), Wanted::Everything);
            lines.write(Reader::Guest(1), &full());
            taps.remove(1);
        }
        drop(lines);
        log.close(Duration::from_secs(60)).unwrap();
        let logged = fs::read_to_string(folder.path().join("access.log")).unwrap();
        assert_eq!(logged, written(Format::Text, &full()));
        assert_eq!(
            *guest.try_recv().unwrap(),
            *written(Format::Json, &full()).as_bytes()
        );
    }

    #[test]
    fn only_what_somebody_reads_is_found_out() {
        let taps = Arc::new(Taps::default());
        let unlogged = Lines::new(None, taps.clone());
        assert_eq!(unlogged.wanted(Reader::Log), Wanted::Nothing);
        assert_eq!(unlogged.wanted(Reader::Guest(1)), Wanted::Nothing);
        let (_folder, log) = log(Format::Combined);
        let logged = Lines::new(Some(log.writer()), taps.clone());
        assert_eq!(logged.wanted(Reader::Log), Wanted::Untargeted);
        let _guest = taps.guest(1, Format::Text);
        assert_eq!(logged.wanted(Reader::Guest(1)), Wanted::Everything);
        assert_eq!(unlogged.wanted(Reader::Log), Wanted::Nothing);
        let mut watching = taps.watch(None, Format::Combined).unwrap();
        assert_eq!(unlogged.wanted(Reader::Log), Wanted::Everything);
        unlogged.write(Reader::Log, &full());
        unlogged.flush();
        assert_eq!(
            *watching.try_recv().unwrap(),
            *written(Format::Combined, &full()).as_bytes()
        );
    }
}
