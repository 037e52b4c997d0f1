//! A local CA as the store keeps it: one object, so that there is never half a CA.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Everything as PEM. Its `Debug` is blind.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stored {
    pub(super) root: String,
    pub(super) intermediate: String,
    pub(super) intermediate_key: String,
    /// Only if the user wants it kept: nothing here needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) root_key: Option<String>,
}

impl Stored {
    /// None: it cannot be made sense of.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        (text + "\n").into_bytes()
    }
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stored")
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}
