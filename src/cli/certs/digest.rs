//! How every wanted certificate is, in a few words, for verbs that look at more than certificates.

use std::path::Path;

use super::entry::State;
use super::judge::{Level, verdict};
use super::known::Scene;

/// One certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Digest {
    pub(in crate::cli) name: String,
    pub(in crate::cli) health: Health,
    /// Negative once it is over; none without a certificate.
    pub(in crate::cli) days_left: Option<i64>,
    pub(in crate::cli) reasons: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Health {
    Fine,
    Warning,
    Critical,
    Unknown,
    /// It is made or ordered once onedoor serves.
    NotYet,
}

/// Looks at the configuration and the storage; none if one of them cannot be read, which has been told.
pub(in crate::cli) async fn digest(config: &Path) -> Option<Vec<Digest>> {
    let scene = Scene::open(Some(config)).ok()?;
    let known = scene.known().await.ok()?;
    let wanted = known.entries.iter().filter(|entry| entry.is_wanted());
    let digests = wanted.map(|entry| {
        let verdict = verdict(entry, &entry.pattern, scene.now);
        let health = match (&entry.state, verdict.level) {
            (State::NoCertificate, _) => Health::NotYet,
            (_, Level::Fine) => Health::Fine,
            (_, Level::Warning) => Health::Warning,
            (_, Level::Critical) => Health::Critical,
            (_, Level::Unknown) => Health::Unknown,
        };
        Digest {
            name: verdict.name,
            health,
            days_left: verdict.certificate.map(|leaf| leaf.days_left),
            reasons: verdict.reasons,
        }
    });
    Some(digests.collect())
}
