//! Counting HTTP/2 frames that cost the receiver and not the sender. hyper's `h2` bounds resets, CONTINUATION, empty DATA and
//! header lists by itself; SETTINGS, PING, PRIORITY and unknown frames it answers or skips without end.

use std::time::Duration;

/// A client's connection preface (RFC 9113 section 3.4), which is no frame.
const PREFACE_OCTETS: usize = 24;
const HEAD_OCTETS: usize = 9;
/// How many idle frames a connection may send beyond what time and its useful frames earn.
const IDLE_FRAMES_MAX: u32 = 1000;
/// What one useful frame earns, and one second.
const EARNED_BY_USEFUL: u32 = 4;
const EARNED_BY_SECOND: u32 = 10;
/// What one frame costs that continues a head.
const CONTINUATION_COST: u32 = 2;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

/// Follows the frames of one direction of a connection.
#[derive(Debug)]
pub(super) struct FrameMeter {
    /// Octets until the next frame head begins.
    skip: usize,
    head: [u8; HEAD_OCTETS],
    gathered: usize,
    idle: u32,
    seconds: u64,
}

impl Default for FrameMeter {
    fn default() -> Self {
        Self {
            skip: PREFACE_OCTETS,
            head: [0; HEAD_OCTETS],
            gathered: 0,
            idle: 0,
            seconds: 0,
        }
    }
}

impl FrameMeter {
    /// Takes the next bytes in order, at a time counted from any fixed point; true once there were too many idle frames.
    pub(super) fn floods(&mut self, mut bytes: &[u8], now: Duration) -> bool {
        let passed = u32::try_from(now.as_secs().saturating_sub(self.seconds)).unwrap_or(u32::MAX);
        self.seconds = now.as_secs();
        self.idle = self
            .idle
            .saturating_sub(passed.saturating_mul(EARNED_BY_SECOND));
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            let wanted = (HEAD_OCTETS - self.gathered).min(bytes.len());
            self.head[self.gathered..self.gathered + wanted].copy_from_slice(&bytes[..wanted]);
            self.gathered += wanted;
            bytes = &bytes[wanted..];
            if self.gathered == HEAD_OCTETS {
                self.count();
            }
        }
        self.idle > IDLE_FRAMES_MAX
    }

    fn count(&mut self) {
        let [a, b, c, kind, ..] = self.head;
        self.gathered = 0;
        self.skip = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        match kind {
            DATA | HEADERS => self.idle = self.idle.saturating_sub(EARNED_BY_USEFUL),
            // Only heads near or beyond the limit need more than a few; those earn less than they cost.
            CONTINUATION => self.idle += CONTINUATION_COST,
            // Our own DATA provokes these: one for each frame that was read, and streams and connection apart.
            WINDOW_UPDATE => {}
            _ => self.idle += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::ZERO;

    fn frame(kind: u8, length: u8) -> Vec<u8> {
        let mut frame = vec![0, 0, length, kind, 0, 0, 0, 0, 1];
        frame.extend(std::iter::repeat_n(0, usize::from(length)));
        frame
    }

    fn meter() -> FrameMeter {
        let mut meter = FrameMeter::default();
        assert!(!meter.floods(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", NOW));
        meter
    }

    #[test]
    fn pings_without_end_are_a_flood() {
        let mut meter = meter();
        let ping = frame(6, 8);
        assert!(!(0..IDLE_FRAMES_MAX).any(|_| meter.floods(&ping, NOW)));
        assert!(meter.floods(&ping, NOW));
    }

    #[test]
    fn frames_are_found_at_any_split() {
        let mut meter = meter();
        let mut bytes: Vec<u8> = Vec::new();
        for _ in 0..=IDLE_FRAMES_MAX {
            bytes.extend(frame(4, 6));
        }
        let (last, rest) = bytes.split_last().unwrap();
        assert!(
            !rest
                .iter()
                .take(rest.len() - 6)
                .any(|byte| meter.floods(&[*byte], NOW))
        );
        assert!(meter.floods(&rest[rest.len() - 6..], NOW) || meter.floods(&[*last], NOW));
    }

    #[test]
    fn requests_earn_their_pings() {
        let mut meter = meter();
        for _ in 0..10 * IDLE_FRAMES_MAX {
            assert!(!meter.floods(&frame(1, 3), NOW));
            assert!(!meter.floods(&frame(6, 8), NOW));
        }
    }

    #[test]
    fn heads_beyond_the_limit_are_a_flood_and_long_ones_are_none() {
        let floods = |continued: usize| {
            let mut meter = meter();
            (0..10 * IDLE_FRAMES_MAX).any(|_| {
                meter.floods(&frame(1, 3), NOW)
                    || (0..continued).any(|_| meter.floods(&frame(9, 3), NOW))
            })
        };
        assert!(!floods(2));
        assert!(floods(4));
    }

    #[test]
    fn a_connection_that_is_kept_alive_for_days_is_no_flood() {
        let mut meter = meter();
        assert!(
            !(0..100_000).any(|second| meter.floods(&frame(6, 8), Duration::from_secs(second)))
        );
    }
}
