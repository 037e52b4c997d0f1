//! The access log's way out: opened, reopened and closed here, written by one thread of its own.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::record::Format;
use super::sink::{Block, Message, Shared, Sink};
use super::writer::AccessWriter;

/// Blocks of all workers that wait to be written; what comes on top is dropped and counted.
pub const BLOCKS_QUEUED_MAX: usize = 64;
/// The log may hold addresses of people: the group reads, others do not.
const FILE_MODE: u32 = 0o640;

/// Where lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    Stdout,
    Stderr,
    /// Appended to; created if it is not there.
    File(PathBuf),
}

/// One log of the process, and the thread that writes it. Shared by all who need to reopen, close or watch it.
#[derive(Debug)]
pub struct AccessLog {
    destination: Destination,
    format: Format,
    shared: Arc<Shared>,
    blocks: SyncSender<Message>,
    thread: Mutex<Option<WriterThread>>,
}

/// The log was not written to its end when the time was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StillWriting;

impl AccessLog {
    /// Opens the destination and starts the thread that writes to it.
    ///
    /// # Errors
    /// When the file cannot be opened for appending, or no thread can be started.
    pub fn open(destination: Destination, format: Format) -> io::Result<Self> {
        let file = match &destination {
            Destination::Stdout => File::from(io::stdout().as_fd().try_clone_to_owned()?),
            Destination::Stderr => File::from(io::stderr().as_fd().try_clone_to_owned()?),
            Destination::File(path) => append_to(path)?,
        };
        Self::start(file, destination, format)
    }

    fn start(file: File, destination: Destination, format: Format) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (blocks, inbox) = mpsc::sync_channel(BLOCKS_QUEUED_MAX);
        let (end, ended) = mpsc::sync_channel(1);
        let sink = Sink::new(file, Arc::clone(&shared));
        let handle = thread::Builder::new()
            .name("access-log".into())
            .spawn(move || {
                sink.write_all_from(&inbox);
                drop(end);
            })?;
        Ok(Self {
            destination,
            format,
            shared,
            blocks,
            thread: Mutex::new(Some(WriterThread { handle, ended })),
        })
    }

    /// A writer for one worker.
    #[must_use]
    pub fn writer(&self) -> AccessWriter {
        AccessWriter::new(self.format, self.blocks.clone(), Arc::clone(&self.shared))
    }

    /// Takes whole lines that were written elsewhere, in the form of the log.
    pub fn hand_on(&self, lines: String) {
        let count = lines.bytes().filter(|octet| *octet == b'\n').count();
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        // Nobody wants the buffer back.
        let (home, _spares) = mpsc::sync_channel(0);
        let block = Block {
            bytes: lines.into_bytes(),
            lines: count,
            home,
        };
        if self.blocks.try_send(Message::Block(block)).is_err() {
            self.shared.dropped.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// Opens the file again under its name, after someone moved it away. Lines written from now on go there; the standard
    /// streams stay as they are.
    ///
    /// # Errors
    /// When the file cannot be opened; the log goes on in the old one.
    pub fn reopen(&self) -> io::Result<()> {
        let Destination::File(path) = &self.destination else {
            return Ok(());
        };
        self.shared.replace_file(append_to(path)?);
        self.wake();
        Ok(())
    }

    /// Lines that were lost since the start, because the queue was full or could not be written.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Writes that failed since the start.
    #[must_use]
    pub fn write_errors(&self) -> u64 {
        self.shared.write_errors.load(Ordering::Relaxed)
    }

    /// The latest reason why a write failed, told once.
    #[must_use]
    pub fn take_error(&self) -> Option<io::Error> {
        self.shared.take_error()
    }

    /// Writes what was handed over and ends the thread; blocks for at most `within`. Writers flush before; what they hand over
    /// later is dropped. Closing twice is closing once.
    ///
    /// # Errors
    /// When the destination does not take the lines in time; the thread is left to itself.
    pub fn close(&self, within: Duration) -> Result<(), StillWriting> {
        self.shared.closing.store(true, Ordering::Release);
        self.wake();
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(WriterThread { handle, ended }) = thread else {
            return Ok(());
        };
        match ended.recv_timeout(within) {
            Err(RecvTimeoutError::Timeout) => Err(StillWriting),
            Ok(()) | Err(RecvTimeoutError::Disconnected) => {
                // A panic of the thread has been reported by the panic hook.
                let _ = handle.join();
                Ok(())
            }
        }
    }

    /// A full queue wakes the thread by itself.
    fn wake(&self) {
        let _ = self.blocks.try_send(Message::Wake);
    }
}

impl fmt::Display for StillWriting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the access log was not written to its end in time")
    }
}

impl std::error::Error for StillWriting {}

#[derive(Debug)]
struct WriterThread {
    handle: JoinHandle<()>,
    /// Disconnected when the thread is done.
    ended: Receiver<()>,
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(FILE_MODE)
        .open(path)
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::{full, written};
    use super::super::writer::BLOCK_BYTES;
    use super::*;
    use std::fs;
    use std::io::Read as _;
    use std::os::fd::OwnedFd;
    use std::os::unix::fs::PermissionsExt as _;

    const SOON: Duration = Duration::from_secs(60);

    fn to_file(path: &Path) -> AccessLog {
        AccessLog::open(Destination::File(path.into()), Format::Text).unwrap()
    }

    #[test]
    fn lines_of_all_workers_reach_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let log = to_file(&path);
        thread::scope(|scope| {
            for _ in 0..4 {
                let writer = log.writer();
                scope.spawn(move || (0..1000).for_each(|_| writer.write(&full())));
            }
        });
        log.close(SOON).unwrap();
        let line = written(Format::Text, &full());
        assert_eq!(fs::read_to_string(&path).unwrap(), line.repeat(4000));
        assert_eq!(log.dropped(), 0);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777 & !FILE_MODE, 0);
    }

    #[test]
    fn a_full_queue_drops_lines_and_counts_them() {
        let (mut reader, log) = to_pipe();
        let writer = log.writer();
        let line = written(Format::Text, &full());
        let lines = (BLOCKS_QUEUED_MAX + 8) * BLOCK_BYTES / line.len();
        for _ in 0..lines {
            writer.write(&full());
        }
        assert!(log.dropped() > 0);

        let reading = thread::spawn(move || {
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            text
        });
        drop(writer);
        log.close(SOON).unwrap();
        let text = reading.join().unwrap();
        let arrived = text.len() / line.len();
        assert_eq!(text, line.repeat(arrived));
        assert_eq!(arrived as u64 + log.dropped(), lines as u64);
    }

    #[test]
    fn closing_does_not_wait_for_a_stalled_reader() {
        let (_reader, log) = to_pipe();
        let writer = log.writer();
        let line = written(Format::Text, &full());
        for _ in 0..4 * BLOCK_BYTES / line.len() {
            writer.write(&full());
        }
        assert_eq!(log.close(Duration::from_millis(1)), Err(StillWriting));
        assert_eq!(log.close(SOON), Ok(()));
    }

    fn to_pipe() -> (io::PipeReader, AccessLog) {
        let (reader, pipe) = io::pipe().unwrap();
        let file = File::from(OwnedFd::from(pipe));
        let log = AccessLog::start(file, Destination::Stdout, Format::Text).unwrap();
        (reader, log)
    }

    #[test]
    fn a_moved_file_is_left_for_a_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let log = to_file(&path);
        let moved = folder.path().join("access.log.1");
        fs::rename(&path, &moved).unwrap();
        log.reopen().unwrap();
        let writer = log.writer();
        writer.write(&full());
        writer.flush();
        log.close(SOON).unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            written(Format::Text, &full())
        );
        assert_eq!(fs::read_to_string(&moved).unwrap(), "");
    }

    #[test]
    fn a_file_that_cannot_be_reopened_is_written_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let log = to_file(&path);
        let moved = folder.path().join("access.log.1");
        fs::rename(&path, &moved).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(log.reopen().is_err());
        let writer = log.writer();
        writer.write(&full());
        drop(writer);
        log.close(SOON).unwrap();
        assert_eq!(
            fs::read_to_string(&moved).unwrap(),
            written(Format::Text, &full())
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_counted_and_told_once() {
        let log = to_file(Path::new("/dev/full"));
        let writer = log.writer();
        writer.write(&full());
        writer.write(&full());
        writer.flush();
        log.close(SOON).unwrap();
        assert_eq!((log.dropped(), log.write_errors()), (2, 1));
        let error = log.take_error().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(log.take_error().is_none());
        writer.write(&full());
        drop(writer);
        assert_eq!(log.dropped(), 3);
    }
}
