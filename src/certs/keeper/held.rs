//! The ephemeral guard: a storage that goes with its container would be found empty by the next start, and the CA would be asked
//! again and again, until it answers no more.

use std::path::Path;

use crate::storage::ephemeral::Ephemeral;

/// Nothing is ordered, for the storage would be lost and every certificate in it.
#[derive(Debug, Clone)]
pub struct Held {
    /// What the storage lies on.
    pub kind: String,
    /// What that means and how to mend it.
    pub why: String,
}

impl Held {
    /// If what is written to `folder`, which is of this kind, is known to be lost one day.
    #[must_use]
    pub fn where_lost(folder: &Path, kind: Ephemeral) -> Option<Self> {
        kind.is_lost().then(|| Self {
            kind: kind.to_string(),
            why: format!(
                "the storage {} is on {kind}, and its certificates would be lost with it: mount a volume there, as with `docker run -v onedoor:/data`, \
                 name another folder with `storage`, or accept it with `storage = {{ url = \"…\", ephemeral = \"allow\" }}`",
                folder.display()
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_surely_lost_is_held_and_the_sentence_says_how_to_mend_it() {
        let held = |kind| Held::where_lost(Path::new("/data/onedoor"), kind);
        assert!(held(Ephemeral::Kept).is_none() && held(Ephemeral::Unknown).is_none());
        for kind in [Ephemeral::Overlay, Ephemeral::Tmpfs] {
            let held = held(kind).unwrap();
            for part in [
                "/data/onedoor",
                &held.kind,
                "docker run -v",
                "`storage`",
                "ephemeral = \"allow\"",
            ] {
                assert!(held.why.contains(part), "{part}: {}", held.why);
            }
        }
    }
}
