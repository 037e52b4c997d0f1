//! What a worker writes the access log with: lines into blocks of its own, handed over without ever waiting.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::{fmt, mem};

use super::record::{self, Format, LINE_BYTES_MAX, Record};
use super::sink::{Block, Message, Shared};
use super::stamp::Stamp;

/// Octets of the buffer that a worker fills before it hands it over.
pub(super) const BLOCK_BYTES: usize = 64 << 10;
/// Empty buffers that a worker keeps for reuse.
const SPARES_MAX: usize = 2;

const _: () = assert!(LINE_BYTES_MAX < BLOCK_BYTES);

/// What one worker writes with. Lines leave when a block is full and at [`flush`](Self::flush); dropping it flushes.
pub struct AccessWriter {
    format: Format,
    shared: Arc<Shared>,
    blocks: SyncSender<Message>,
    home: SyncSender<Vec<u8>>,
    spares: Receiver<Vec<u8>>,
    draft: RefCell<Draft>,
}

impl AccessWriter {
    /// How lines look: what a format does not say need not be found out.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    pub(super) fn new(format: Format, blocks: SyncSender<Message>, shared: Arc<Shared>) -> Self {
        let (home, spares) = mpsc::sync_channel(SPARES_MAX);
        Self {
            format,
            shared,
            blocks,
            home,
            spares,
            draft: RefCell::new(Draft {
                bytes: Vec::with_capacity(BLOCK_BYTES),
                lines: 0,
                stamp: Stamp::new(),
            }),
        }
    }

    /// Adds a line. Never waits: when the thread is that far behind, the lines of a whole block are dropped and counted.
    pub fn write(&self, record: &Record<'_>) {
        let mut draft = self.draft.borrow_mut();
        let Draft {
            bytes,
            lines,
            stamp,
        } = &mut *draft;
        record::line(bytes, stamp, self.format, record);
        *lines += 1;
        if bytes.len() + LINE_BYTES_MAX > BLOCK_BYTES && !self.hand_over(&mut draft) {
            self.drop_lines(&mut draft);
        }
    }

    /// Hands over what there is; when the thread is far behind, the lines stay for the next time.
    pub fn flush(&self) {
        let mut draft = self.draft.borrow_mut();
        if draft.lines > 0 {
            self.hand_over(&mut draft);
        }
    }

    /// Whether the queue took the lines; if not, the draft still has them.
    fn hand_over(&self, draft: &mut Draft) -> bool {
        let block = Block {
            bytes: mem::take(&mut draft.bytes),
            lines: mem::take(&mut draft.lines),
            home: self.home.clone(),
        };
        match self.blocks.try_send(Message::Block(block)) {
            Ok(()) => {
                draft.bytes = self
                    .spares
                    .try_recv()
                    .unwrap_or_else(|_none| Vec::with_capacity(BLOCK_BYTES));
                true
            }
            Err(
                TrySendError::Full(Message::Block(block))
                | TrySendError::Disconnected(Message::Block(block)),
            ) => {
                draft.bytes = block.bytes;
                draft.lines = block.lines;
                false
            }
            Err(TrySendError::Full(Message::Wake) | TrySendError::Disconnected(Message::Wake)) => {
                false
            }
        }
    }

    fn drop_lines(&self, draft: &mut Draft) {
        self.shared
            .dropped
            .fetch_add(draft.lines, Ordering::Relaxed);
        draft.bytes.clear();
        draft.lines = 0;
    }
}

impl Drop for AccessWriter {
    fn drop(&mut self) {
        self.flush();
        self.drop_lines(&mut self.draft.borrow_mut());
    }
}

impl fmt::Debug for AccessWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessWriter")
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

/// Lines that were not handed over yet.
struct Draft {
    bytes: Vec<u8>,
    lines: u64,
    stamp: Stamp,
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::full;
    use super::*;

    #[test]
    fn a_buffer_never_grows_beyond_its_block() {
        let (blocks, inbox) = mpsc::sync_channel(1);
        let writer = AccessWriter::new(Format::Json, blocks, Arc::default());
        let long = vec![0xff; BLOCK_BYTES];
        for turn in 0..10_000 {
            let target: &[u8] = if turn % 100 == 0 { &long } else { b"/" };
            writer.write(&Record { target, ..full() });
            assert_eq!(writer.draft.borrow().bytes.capacity(), BLOCK_BYTES);
            if turn % 3 == 0 {
                let _ = inbox.try_recv();
            }
        }
    }

    #[test]
    fn a_buffer_that_comes_home_is_used_again() {
        let (blocks, inbox) = mpsc::sync_channel(1);
        let writer = AccessWriter::new(Format::Text, blocks, Arc::default());
        let mut seen = Vec::new();
        for _ in 0..6 {
            writer.write(&full());
            writer.flush();
            let Message::Block(mut block) = inbox.try_recv().unwrap() else {
                panic!("a block was flushed");
            };
            seen.push(block.bytes.as_ptr());
            block.bytes.clear();
            block.home.try_send(block.bytes).unwrap();
        }
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 2);
    }

    #[test]
    fn a_flush_into_a_full_queue_keeps_the_lines() {
        let (blocks, inbox) = mpsc::sync_channel(1);
        blocks.send(Message::Wake).unwrap();
        let shared = Arc::new(Shared::default());
        let writer = AccessWriter::new(Format::Text, blocks, Arc::clone(&shared));
        writer.write(&full());
        writer.flush();
        assert!(matches!(inbox.recv(), Ok(Message::Wake)));
        writer.flush();
        assert!(matches!(inbox.recv(), Ok(Message::Block(block)) if block.lines == 1));
        drop(inbox);
        writer.write(&full());
        drop(writer);
        assert_eq!(shared.dropped.load(Ordering::Relaxed), 1);
    }
}
