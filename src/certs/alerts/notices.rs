//! Which events are news: what was told stays told over restarts, until it is over, or has lasted for so long that it is told again.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::event::{Bucket, Event, Left, Upstream};
use super::told::Told;

/// A trouble that lasts is told again after this time.
const REMIND_AFTER: Duration = Duration::from_secs(86_400);
/// Troubles that are remembered. Of more, the one told longest ago is forgotten, so it may be told twice.
pub const STANDING_MAX: usize = 4_096;
/// Renewals that are remembered.
pub const RENEWED_MAX: usize = 512;

/// What was told and is not over. The owner keeps it in storage, and writes it whenever [`Notices::offer`] answers something.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Notices {
    /// By [`Trouble::key`].
    pub(super) standing: BTreeMap<String, Standing>,
    pub(super) renewed: VecDeque<Renewal>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Standing {
    /// Seconds of Unix time.
    told_at: u64,
    /// How bad it was: something worse is news.
    #[serde(default)]
    grade: u64,
    /// What it was about: something else is news.
    #[serde(default)]
    about: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Renewal {
    certificate: String,
    not_after: u64,
}

/// Kinds of trouble that last until something ends them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    Failed,
    Expiring,
    QuotaLow,
    Ephemeral,
    Unreachable,
    Upstream,
    Config,
}

impl Notices {
    /// Takes an event in, and returns what is to be told, if it is news. The ends of troubles that nobody was told of are none.
    pub fn offer(&mut self, event: Event, now: SystemTime) -> Option<Told> {
        let ends = match &event {
            Event::Renewed {
                certificate,
                not_after,
                ..
            } => {
                let ends = self.end(&[Trouble::Failed, Trouble::Expiring], certificate);
                if !self.is_new(certificate, *not_after) {
                    return None;
                }
                ends
            }
            Event::Failed {
                certificate, kind, ..
            } => {
                let about = format!("{kind:?}");
                return self.begin(Trouble::Failed, certificate, (0, about), event.clone(), now);
            }
            Event::Expiring {
                certificate,
                left,
                not_after,
                ..
            } => {
                let mark = (grade(*left), unix(*not_after).to_string());
                return self.begin(Trouble::Expiring, certificate, mark, event.clone(), now);
            }
            Event::QuotaLow { bucket, .. } => {
                let of = subject(bucket);
                return self.begin(Trouble::QuotaLow, &of, NOTHING, event.clone(), now);
            }
            Event::StorageEphemeral { storage, .. } => {
                return self.begin(Trouble::Ephemeral, storage, NOTHING, event.clone(), now);
            }
            Event::StorageUnreachable { storage, .. } => {
                return self.begin(Trouble::Unreachable, storage, NOTHING, event.clone(), now);
            }
            Event::UpstreamDown { upstream, .. } => {
                let of = checked(upstream);
                return self.begin(Trouble::Upstream, &of, NOTHING, event.clone(), now);
            }
            Event::ConfigRefused { problem } => {
                let mark = (0, problem.clone());
                return self.begin(Trouble::Config, "", mark, event.clone(), now);
            }
            Event::ConfigAccepted => self.over(Trouble::Config, "")?,
            Event::QuotaRefilled { bucket } => self.over(Trouble::QuotaLow, &subject(bucket))?,
            Event::StorageKept { storage } => self.over(Trouble::Ephemeral, storage)?,
            Event::StorageReachable { storage } => self.over(Trouble::Unreachable, storage)?,
            Event::UpstreamUp { upstream } => self.over(Trouble::Upstream, &checked(upstream))?,
        };
        Some(Told {
            event,
            at: now,
            ends,
        })
    }

    /// Forgets what was told of a certificate that nobody wants any more.
    pub fn forget(&mut self, certificate: &str) {
        let _over = self.end(&[Trouble::Failed, Trouble::Expiring], certificate);
        self.renewed
            .retain(|known| known.certificate != certificate);
    }

    /// Takes back what nobody could be told after all, so that the next offer is news again.
    pub fn retract(&mut self, told: &Told) {
        match &told.event {
            Event::Renewed { certificate, .. } => {
                self.renewed
                    .retain(|known| known.certificate != *certificate);
            }
            Event::Failed { certificate, .. } => self.remove(Trouble::Failed, certificate),
            Event::Expiring { certificate, .. } => self.remove(Trouble::Expiring, certificate),
            Event::QuotaLow { bucket, .. } => self.remove(Trouble::QuotaLow, &subject(bucket)),
            Event::StorageEphemeral { storage, .. } => self.remove(Trouble::Ephemeral, storage),
            Event::StorageUnreachable { storage, .. } => self.remove(Trouble::Unreachable, storage),
            Event::UpstreamDown { upstream, .. } => {
                self.remove(Trouble::Upstream, &checked(upstream));
            }
            Event::ConfigRefused { .. } => self.remove(Trouble::Config, ""),
            Event::QuotaRefilled { .. }
            | Event::StorageKept { .. }
            | Event::StorageReachable { .. }
            | Event::UpstreamUp { .. }
            | Event::ConfigAccepted => {}
        }
    }

    /// The troubles that were told and are not over.
    #[must_use]
    pub fn standing(&self) -> usize {
        self.standing.len()
    }

    fn begin(
        &mut self,
        trouble: Trouble,
        subject: &str,
        (grade, about): (u64, String),
        event: Event,
        now: SystemTime,
    ) -> Option<Told> {
        let key = trouble.key(subject);
        let known = self.standing.get(&key);
        if known.is_some_and(|known| {
            let again = trouble.is_told_again() && known.is_stale(now);
            known.grade >= grade && known.about == about && !again
        }) {
            return None;
        }
        let standing = Standing {
            told_at: unix(now),
            grade,
            about,
        };
        self.standing.insert(key, standing);
        self.make_room();
        Some(Told {
            event,
            at: now,
            ends: Vec::new(),
        })
    }

    fn over(&mut self, trouble: Trouble, subject: &str) -> Option<Vec<&'static str>> {
        let ended = self.end(&[trouble], subject);
        (!ended.is_empty()).then_some(ended)
    }

    fn end(&mut self, troubles: &[Trouble], subject: &str) -> Vec<&'static str> {
        let mut ended = Vec::new();
        for trouble in troubles {
            if self.standing.remove(&trouble.key(subject)).is_some() {
                ended.push(trouble.name());
            }
        }
        ended
    }

    fn remove(&mut self, trouble: Trouble, subject: &str) {
        self.standing.remove(&trouble.key(subject));
    }

    pub(super) fn make_room(&mut self) {
        while self.standing.len() > STANDING_MAX {
            let oldest = self.standing.iter().min_by_key(|(_, known)| known.told_at);
            let Some(key) = oldest.map(|(key, _)| key.clone()) else {
                return;
            };
            self.standing.remove(&key);
        }
    }

    /// Whether this renewal was not offered before.
    fn is_new(&mut self, certificate: &str, not_after: SystemTime) -> bool {
        let renewal = Renewal {
            certificate: certificate.to_owned(),
            not_after: unix(not_after),
        };
        if self.renewed.contains(&renewal) {
            return false;
        }
        self.renewed
            .retain(|known| known.certificate != renewal.certificate);
        self.renewed.push_back(renewal);
        while self.renewed.len() > RENEWED_MAX {
            self.renewed.pop_front();
        }
        true
    }
}

const NOTHING: (u64, String) = (0, String::new());

impl Standing {
    /// Whether it is time to tell it again. A clock that was set back does not silence it.
    fn is_stale(&self, now: SystemTime) -> bool {
        unix(now).abs_diff(self.told_at) >= REMIND_AFTER.as_secs()
    }
}

impl Trouble {
    fn name(self) -> &'static str {
        match self {
            Self::Failed => "certificate.failed",
            Self::Expiring => "certificate.expiring",
            Self::QuotaLow => "quota.low",
            Self::Ephemeral => "storage.ephemeral",
            Self::Unreachable => "storage.unreachable",
            Self::Upstream => "upstream.down",
            Self::Config => "config.refused",
        }
    }

    /// An expiry has its own stages.
    fn is_told_again(self) -> bool {
        match self {
            Self::Failed
            | Self::QuotaLow
            | Self::Ephemeral
            | Self::Unreachable
            | Self::Upstream => true,
            Self::Expiring | Self::Config => false,
        }
    }

    fn key(self, subject: &str) -> String {
        format!("{} {subject}", self.name())
    }
}

fn grade(left: Left) -> u64 {
    match left {
        Left::Third => 1,
        Left::Tenth => 2,
        Left::Fiftieth => 3,
    }
}

fn subject(bucket: &Bucket) -> String {
    let Bucket { ca, limit, subject } = bucket;
    format!("{ca} {limit} {subject}")
}

fn checked(upstream: &Upstream) -> String {
    format!("{} {}", upstream.target, upstream.check)
}

fn unix(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
#[path = "notices_tests.rs"]
mod tests;
