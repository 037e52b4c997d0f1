//! The thread that writes the access log: blocks in, octets out, never giving up.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How often a destination that takes nothing at the moment is asked again, and how long in between.
const STALLED_TRIES_MAX: u32 = 200;
const STALLED_PAUSE: Duration = Duration::from_millis(10);

/// What the log, its writers and its thread know together.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) dropped: AtomicU64,
    pub(super) write_errors: AtomicU64,
    pub(super) closing: AtomicBool,
    next_file: Mutex<Option<File>>,
    error: Mutex<Option<io::Error>>,
}

#[derive(Debug)]
pub(super) enum Message {
    Block(Block),
    /// Something in [`Shared`] changed.
    Wake,
}

/// Whole lines of one worker.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) bytes: Vec<u8>,
    pub(super) lines: u64,
    /// Takes the emptied buffer back.
    pub(super) home: SyncSender<Vec<u8>>,
}

impl Shared {
    pub(super) fn replace_file(&self, file: File) {
        *lock(&self.next_file) = Some(file);
    }

    pub(super) fn take_error(&self) -> Option<io::Error> {
        lock(&self.error).take()
    }
}

/// Where the thread writes to.
pub(super) struct Sink {
    file: File,
    shared: Arc<Shared>,
    torn: Torn,
}

impl Sink {
    pub(super) fn new(file: File, shared: Arc<Shared>) -> Self {
        Self {
            file,
            shared,
            torn: Torn::Whole,
        }
    }

    /// Returns when the log is closed and all that was handed over by then is written, or when nobody is left to hand over.
    pub(super) fn write_all_from(mut self, inbox: &Receiver<Message>) {
        while let Ok(message) = inbox.recv() {
            self.take(message);
            if self.shared.closing.load(Ordering::Acquire) {
                while let Ok(message) = inbox.try_recv() {
                    self.take(message);
                }
                return;
            }
        }
    }

    fn take(&mut self, message: Message) {
        if let Some(file) = lock(&self.shared.next_file).take() {
            self.file = file;
            self.torn = Torn::Whole;
        }
        let Message::Block(block) = message else {
            return;
        };
        let Block {
            mut bytes, home, ..
        } = block;
        if let Err(Unwritten { lines, error }) = write_lines(&mut self.file, &mut self.torn, &bytes)
        {
            self.shared.dropped.fetch_add(lines, Ordering::Relaxed);
            self.shared.write_errors.fetch_add(1, Ordering::Relaxed);
            *lock(&self.shared.error) = Some(error);
        }
        bytes.clear();
        // The worker may be gone, or have enough of them.
        let _ = home.try_send(bytes);
    }
}

/// Whether the file ends in the middle of a line, which must not swallow the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Torn {
    Whole,
    Torn,
}

/// What a failed write left out.
#[derive(Debug)]
struct Unwritten {
    lines: u64,
    error: io::Error,
}

fn write_lines(file: &mut impl Write, torn: &mut Torn, lines: &[u8]) -> Result<(), Unwritten> {
    let unwritten = |rest: &[u8], error| Unwritten {
        lines: rest.iter().filter(|&&byte| byte == b'\n').count() as u64,
        error,
    };
    if *torn == Torn::Torn {
        write_some(file, b"\n").map_err(|error| unwritten(lines, error))?;
        *torn = Torn::Whole;
    }
    let mut rest = lines;
    while !rest.is_empty() {
        match write_some(file, rest) {
            Ok(written) => {
                *torn = match rest[..written].last() {
                    Some(b'\n') => Torn::Whole,
                    Some(_) | None => Torn::Torn,
                };
                rest = &rest[written..];
            }
            Err(error) => return Err(unwritten(rest, error)),
        }
    }
    Ok(())
}

/// At least one octet, or the reason why not. A stream that its other users made non-blocking gets some time.
fn write_some(file: &mut impl Write, bytes: &[u8]) -> io::Result<usize> {
    let mut stalled = 0;
    loop {
        match file.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => return Ok(written),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock && stalled < STALLED_TRIES_MAX => {
                stalled += 1;
                thread::sleep(STALLED_PAUSE);
            }
            Err(error) => return Err(error),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes as many octets as it has room for, then has no space.
    struct Disk {
        content: Vec<u8>,
        room: usize,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.room - self.content.len());
            if taken == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            self.content.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_torn_line_does_not_swallow_the_next() {
        let mut disk = Disk {
            content: Vec::new(),
            room: 6,
        };
        let mut torn = Torn::Whole;
        let lost = write_lines(&mut disk, &mut torn, b"one\ntwo\nthree\n").unwrap_err();
        assert_eq!((lost.lines, torn), (2, Torn::Torn));
        let lost = write_lines(&mut disk, &mut torn, b"four\n").unwrap_err();
        assert_eq!((lost.lines, torn), (1, Torn::Torn));
        disk.room = 100;
        write_lines(&mut disk, &mut torn, b"five\n").unwrap();
        assert_eq!(disk.content, b"one\ntw\nfive\n");
        assert_eq!(torn, Torn::Whole);
    }

    #[test]
    fn a_stream_that_is_slow_for_a_moment_is_waited_for() {
        struct Slow(u32);
        impl Write for Slow {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0 += 1;
                if self.0 < 3 {
                    return Err(ErrorKind::WouldBlock.into());
                }
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut slow = Slow(0);
        write_lines(&mut slow, &mut Torn::Whole, b"line\n").unwrap();
        assert_eq!(slow.0, 3);
    }
}
