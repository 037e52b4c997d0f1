//! The encoders of one worker: how much memory they may take together, and a few that are kept for the next answer.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

use bytes::Bytes;

use super::encoder::{Encoder, EncoderFailed, Step, Then};
use crate::config::site::Coding;

/// How the content of an answer comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum Pace {
    Steady,
    /// Now and then, for hours, and each at once.
    Events,
}

/// What the open encodings of one worker may occupy together. Answers beyond it go out as they are.
const MEMORY_MAX: usize = 64 << 20;
/// Encoders of a coding kept for reuse: their tables need not be laid out again.
const SPARE_MAX: usize = 4;
/// The most that one step writes.
const OUTPUT_MAX: usize = 16 << 10;

/// Shared by the exchanges of one thread.
#[derive(Clone, Default)]
pub struct Encoders(Rc<Shared>);

#[derive(Default)]
struct Shared {
    /// Octets that leases stand for.
    leased: Cell<usize>,
    gzip: RefCell<Vec<Encoder>>,
    zstd: RefCell<Vec<Encoder>>,
    /// What a step writes before it is copied.
    output: RefCell<Vec<u8>>,
}

/// The right to encode one answer. There is no encoder until the first octet.
pub(in crate::proxy) struct Lease {
    encoders: Encoders,
    coding: Coding,
    pace: Pace,
    encoder: Option<Encoder>,
}

impl Encoders {
    /// None when too many are under way.
    pub(super) fn lease(&self, coding: Coding, pace: Pace) -> Option<Lease> {
        let leased = self.0.leased.get() + Encoder::memory(coding, pace);
        if leased > MEMORY_MAX {
            return None;
        }
        self.0.leased.set(leased);
        Some(Lease {
            encoders: self.clone(),
            coding,
            pace,
            encoder: None,
        })
    }
}

impl Shared {
    /// Where encoders of a kind wait, if they can be used again.
    fn spare(&self, coding: Coding, pace: Pace) -> Option<&RefCell<Vec<Encoder>>> {
        match (coding, pace) {
            (Coding::Gzip, Pace::Steady | Pace::Events) => Some(&self.gzip),
            (Coding::Zstd, Pace::Steady) => Some(&self.zstd),
            (Coding::Zstd, Pace::Events) | (Coding::Brotli, Pace::Steady | Pace::Events) => None,
        }
    }
}

impl Lease {
    pub(super) fn pace(&self) -> Pace {
        self.pace
    }

    /// Encodes a piece; what comes of it may be nothing.
    pub(super) fn step(
        &mut self,
        input: &[u8],
        then: Then,
    ) -> Result<(Bytes, Step), EncoderFailed> {
        let Self {
            encoders: Encoders(shared),
            coding,
            pace,
            encoder,
        } = self;
        let encoder = match encoder {
            Some(encoder) => encoder,
            None => {
                let spare = shared.spare(*coding, *pace);
                let kept = spare.and_then(|spare| spare.borrow_mut().pop());
                let fresh = match kept {
                    Some(kept) => kept,
                    None => Encoder::new(*coding, *pace)?,
                };
                encoder.insert(fresh)
            }
        };
        let mut output = shared.output.borrow_mut();
        output.clear();
        output.reserve_exact(OUTPUT_MAX);
        let step = encoder.step(input, then, &mut output)?;
        Ok((Bytes::copy_from_slice(&output), step))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let shared = &self.encoders.0;
        let memory = Encoder::memory(self.coding, self.pace);
        shared.leased.set(shared.leased.get() - memory);
        let Some(spare) = shared.spare(self.coding, self.pace) else {
            return;
        };
        let mut spare = spare.borrow_mut();
        if spare.len() < SPARE_MAX {
            spare.extend(self.encoder.take().and_then(Encoder::again));
        }
    }
}

impl fmt::Debug for Encoders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoders")
            .field("leased", &self.0.leased.get())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("coding", &self.coding)
            .field("pace", &self.pace)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_beyond_the_memory_are_refused_until_others_end() {
        let encoders = Encoders::default();
        let lease = || encoders.lease(Coding::Brotli, Pace::Steady);
        let mut held: Vec<Lease> = std::iter::from_fn(lease).collect();
        let each = Encoder::memory(Coding::Brotli, Pace::Steady);
        assert_eq!(held.len(), MEMORY_MAX / each);
        assert!(lease().is_none());
        held.pop();
        assert!(lease().is_some());
        held.clear();
        assert_eq!(encoders.0.leased.get(), 0);
    }

    #[test]
    fn an_encoder_left_in_the_middle_begins_anew_for_the_next() {
        for coding in [Coding::Gzip, Coding::Zstd] {
            let encoders = Encoders::default();
            let whole = |text: &[u8]| {
                let mut lease = encoders.lease(coding, Pace::Steady).unwrap();
                let (octets, step) = lease.step(text, Then::Finish).unwrap();
                assert!(step.done);
                octets
            };
            let alone = whole(b"second");
            let mut broken = encoders.lease(coding, Pace::Steady).unwrap();
            broken.step(b"first, and no end", Then::More).unwrap();
            drop(broken);
            assert_eq!(whole(b"second"), alone);
        }
    }

    #[test]
    fn few_encoders_are_kept() {
        let encoders = Encoders::default();
        let mut leases: Vec<Lease> = (0..2 * SPARE_MAX)
            .filter_map(|_number| encoders.lease(Coding::Gzip, Pace::Steady))
            .collect();
        for lease in &mut leases {
            lease.step(b"x", Then::More).unwrap();
        }
        leases.clear();
        assert_eq!(encoders.0.gzip.borrow().len(), SPARE_MAX);
    }
}
