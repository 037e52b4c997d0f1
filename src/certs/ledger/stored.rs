//! The ledger as bytes: JSON with a version, bounded when written and when read.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::Ledger;
use super::subject::{SUBJECT_BYTES_MAX, cut};

/// Fields that this version does not know are stepped over; a version above it is refused.
pub(super) const VERSION: u32 = 1;
/// Octets of a stored ledger.
pub const LEDGER_BYTES_MAX: usize = 16 * 1024 * 1024;

#[derive(Debug)]
pub enum Error {
    TooLong {
        bytes: usize,
    },
    /// Not JSON, not a ledger, or of a newer version.
    Damaged(serde_json::Error),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooLong { bytes } => write!(
                f,
                "the stored ledger is {bytes} bytes long, and {LEDGER_BYTES_MAX} are the most: it was not written by onedoor"
            ),
            Self::Damaged(_) => f.write_str("the stored ledger cannot be read"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::TooLong { .. } => None,
            Self::Damaged(cause) => Some(cause),
        }
    }
}

impl Ledger {
    /// Reads what `bytes` wrote. What cannot be read is an error, never an empty ledger, which would permit everything.
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > LEDGER_BYTES_MAX {
            return Err(Error::TooLong { bytes: bytes.len() });
        }
        let mut ledger: Self = serde_json::from_slice(bytes).map_err(Error::Damaged)?;
        ledger.trim();
        Ok(ledger)
    }

    /// For the store.
    pub fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self)
            .expect("numbers and texts under textual keys are always JSON")
    }

    fn trim(&mut self) {
        for bucket in self.buckets.values_mut().flat_map(|of| of.values_mut()) {
            bucket.trim();
        }
        for block in self.blocks.values_mut() {
            block.words = cut(&block.words, super::block::WORDS_BYTES_MAX);
        }
        for subjects in self.buckets.values_mut() {
            subjects.retain(|subject, _| subject.len() <= SUBJECT_BYTES_MAX);
        }
        self.bound();
    }
}

pub(super) fn version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let version = u32::deserialize(deserializer)?;
    if version == 0 || version > VERSION {
        return Err(D::Error::custom(format_args!(
            "version {version} is not one that this onedoor knows: a newer one wrote it"
        )));
    }
    Ok(version)
}
