//! How bad it is: a level for monitoring, by the share of the life that is left, and the reasons in words.

use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::entry::{Entry, Source, State};
use super::leaf::Leaf;
use crate::certs::schedule::Validity;
use crate::certs::utc::minute;
use crate::cli::table::left;
use crate::hostname::HostPattern;

/// A warning when less than this part of the life is left.
const WARNING_PART: u32 = 5;
/// Critical when less than this part is.
const CRITICAL_PART: u32 = 10;
/// The part of the life that a renewal may take, with its retries, before it is overdue.
const OVERDUE_PART: u32 = 50;

/// What monitoring is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    Fine,
    Warning,
    Unknown,
    Critical,
}

/// What is said of one name.
#[derive(Debug, Serialize)]
pub(super) struct Verdict {
    pub(super) name: String,
    pub(super) level: Level,
    pub(super) source: Source,
    pub(super) reasons: Vec<String>,
    pub(super) certificate: Option<Leaf>,
}

impl Level {
    /// As monitoring plugins have it.
    pub(super) fn exit_code(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::Warning => 1,
            Self::Critical => 2,
            Self::Unknown => 3,
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Fine => "OK",
            Self::Warning => "WARNING",
            Self::Critical => "CRITICAL",
            Self::Unknown => "UNKNOWN",
        }
    }
}

impl Verdict {
    /// Of nothing yet.
    pub(super) fn fine(name: &HostPattern, source: Source, certificate: Option<Leaf>) -> Self {
        Self {
            name: name.to_string(),
            level: Level::Fine,
            source,
            reasons: Vec::new(),
            certificate,
        }
    }

    pub(super) fn add(mut self, level: Level, reason: impl Into<String>) -> Self {
        self.level = self.level.max(level);
        self.reasons.push(reason.into());
        self
    }

    /// Judges the certificate's dates and whom it names.
    pub(super) fn judged(self, wanted: &HostPattern, now: SystemTime) -> Self {
        let Some(leaf) = self.certificate.clone() else {
            return self;
        };
        let mut verdict = self;
        if !leaf.covers(wanted) {
            let names = leaf.names.join(", ");
            verdict = verdict.add(
                Level::Critical,
                format!("the certificate does not cover {wanted}: it names {names}"),
            );
        }
        match dates(&leaf, now) {
            Some((level, reason)) => verdict.add(level, reason),
            None => verdict,
        }
    }
}

/// What is said of an entry as the certificate for `wanted`.
pub(super) fn verdict(entry: &Entry, wanted: &HostPattern, now: SystemTime) -> Verdict {
    let mut verdict = Verdict::fine(wanted, entry.source.clone(), entry.certificate.clone());
    if let State::Broken { reason } = &entry.state {
        return verdict.add(Level::Critical, reason);
    }
    let Some(leaf) = &entry.certificate else {
        return without(entry, verdict);
    };
    verdict = match &entry.source {
        Source::LocalCa => match root(leaf, now) {
            Some((level, reason)) => verdict.add(level, reason),
            None => verdict,
        },
        Source::Ca { .. }
        | Source::OwnPair { .. }
        | Source::CertDir { .. }
        | Source::Nowhere
        | Source::Connection { .. } => verdict.judged(wanted, now),
    };
    if let Some(since) = entry
        .due
        .filter(|due| is_overdue(*due, &leaf.validity(), now))
    {
        let since = minute(since);
        verdict = verdict.add(
            Level::Warning,
            format!("its renewal is overdue since {since}: is onedoor running?"),
        );
    }
    if let State::Failing(failing) = &entry.state {
        let at = minute(failing.next_try);
        let level = verdict.level;
        let reason = &failing.reason;
        verdict = verdict.add(level, format!("the renewal fails, next try {at}: {reason}"));
    }
    for fault in &entry.faults {
        verdict = verdict.add(Level::Warning, format!("stepped over: {fault}"));
    }
    verdict
}

fn without(entry: &Entry, verdict: Verdict) -> Verdict {
    let reason = match (&entry.state, &entry.source) {
        (State::Failing(failing), _) => format!(
            "no certificate, next try {}: {}",
            minute(failing.next_try),
            failing.reason
        ),
        (_, Source::LocalCa) => "no certificate yet: `onedoor up` makes the local CA".to_owned(),
        (_, _) => "no certificate yet: `onedoor up` orders it".to_owned(),
    };
    let verdict = verdict.add(Level::Critical, reason);
    entry.faults.iter().fold(verdict, |verdict, fault| {
        verdict.add(Level::Critical, format!("stepped over: {fault}"))
    })
}

/// How a certificate with these dates is, in a list.
pub(super) fn state(source: &Source, leaf: &Leaf, now: SystemTime) -> State {
    let is_short = match source {
        Source::LocalCa => root(leaf, now).is_some(),
        Source::Ca { .. }
        | Source::OwnPair { .. }
        | Source::CertDir { .. }
        | Source::Nowhere
        | Source::Connection { .. } => dates(leaf, now).is_some(),
    };
    if leaf.not_after <= now {
        State::Expired
    } else if is_short {
        State::RenewalDue
    } else {
        State::Fine
    }
}

fn dates(leaf: &Leaf, now: SystemTime) -> Option<(Level, String)> {
    let (validity, until) = (leaf.validity(), minute(leaf.not_after));
    let ends = left(leaf.not_after, now);
    if leaf.not_after <= now {
        return Some((Level::Critical, format!("it expired {until}, {ends}")));
    }
    if now < leaf.not_before {
        let from = minute(leaf.not_before);
        return Some((Level::Critical, format!("it is not valid before {from}")));
    }
    let level = if is_below(CRITICAL_PART, &validity, now) {
        Level::Critical
    } else if is_below(WARNING_PART, &validity, now) {
        Level::Warning
    } else {
        return None;
    };
    Some((level, format!("it expires {until}, {ends} are left")))
}

/// A root lives for years, and changing it takes everybody's hands: the last tenth is time enough for a warning.
fn root(leaf: &Leaf, now: SystemTime) -> Option<(Level, String)> {
    let until = minute(leaf.not_after);
    if leaf.not_after <= now {
        return Some((Level::Critical, format!("the local CA expired {until}")));
    }
    let is_near = is_below(CRITICAL_PART, &leaf.validity(), now);
    is_near.then(|| {
        let ways = "move its folder away to get a new root, and have every client trust that";
        (
            Level::Warning,
            format!("the local CA expires {until}: {ways}"),
        )
    })
}

fn is_below(part: u32, validity: &Validity, now: SystemTime) -> bool {
    validity.left(now) < validity.life() / part
}

fn is_overdue(due: SystemTime, validity: &Validity, now: SystemTime) -> bool {
    let patience: Duration = validity.life() / OVERDUE_PART;
    now.duration_since(due).is_ok_and(|late| late > patience)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(days: u64) -> Duration {
        Duration::from_secs(days * 24 * 60 * 60)
    }

    /// Of a hundred days, beginning at a day that is far enough from the beginning of time.
    fn validity() -> Validity {
        let not_before = SystemTime::UNIX_EPOCH + days(20_000);
        let not_after = not_before + days(100);
        Validity {
            not_before,
            not_after,
        }
    }

    #[test]
    fn the_worst_wins_and_every_level_has_its_code() {
        assert!(Level::Critical > Level::Unknown && Level::Unknown > Level::Warning);
        let codes = [Level::Fine, Level::Warning, Level::Critical, Level::Unknown];
        assert_eq!(codes.map(Level::exit_code), [0, 1, 2, 3]);
    }

    #[test]
    fn shares_of_the_life_are_judged() {
        let validity = validity();
        let at = |day| validity.not_before + days(day);
        assert!(!is_below(WARNING_PART, &validity, at(80)));
        assert!(is_below(WARNING_PART, &validity, at(81)));
        assert!(is_below(CRITICAL_PART, &validity, at(91)));
        assert!(!is_overdue(at(66), &validity, at(68)));
        assert!(is_overdue(at(66), &validity, at(69)));
        assert!(!is_overdue(at(66), &validity, at(1)));
    }
}
