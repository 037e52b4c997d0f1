//! What answers come to: which addresses are used from now on, when the name is asked for again, and what is told about it.

use std::net::IpAddr;
use std::time::Duration;

use super::ADDRESSES_MAX;

/// However short a TTL, and however long.
const PERIOD_MIN: Duration = Duration::from_secs(1);
const PERIOD_MAX: Duration = Duration::from_secs(3600);
/// How soon a name that does not exist is asked for again, whatever the zone says: it may be the next thing that somebody starts.
const NEGATIVE_MIN: Duration = Duration::from_secs(2);
const NEGATIVE_MAX: Duration = Duration::from_secs(10);
/// How soon those who did not answer are asked again.
const FAILED_PERIOD: Duration = Duration::from_secs(5);
/// How long the last addresses of a name are used that is said not to exist any more.
const GONE_GRACE: Duration = Duration::from_secs(30);

/// What was said of a name, for each family by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) v6: Family,
    pub(super) v4: Family,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Family {
    At {
        addresses: Vec<IpAddr>,
        ttl: Duration,
    },
    /// There is no such name, or it has no such addresses.
    Nowhere { ttl: Duration },
    /// Nobody who could know said anything.
    Failed { reason: String },
}

/// What is known of a name over time.
#[derive(Debug, Default)]
pub(super) struct Finding {
    v6: Vec<IpAddr>,
    v4: Vec<IpAddr>,
    state: State,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Asking,
    Well,
    /// Old addresses are used; nobody says anything.
    Stale,
    /// Old addresses are used until then; it is said that there are none.
    Going {
        until: Duration,
    },
    Nowhere,
}

/// What follows from an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// When to ask again.
    pub(super) period: Duration,
    /// Why there are no addresses, or no new ones.
    pub(super) reason: Option<String>,
    /// What was not told yet.
    pub(super) turn: Option<Turn>,
}

/// What is worth a word, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Unknown,
    Kept,
    Gone,
    Back,
}

impl Answer {
    pub(super) fn failed(reason: &str) -> Self {
        let family = Family::Failed {
            reason: reason.to_owned(),
        };
        Self {
            v6: family.clone(),
            v4: family,
        }
    }

    /// These addresses for so long, and no others.
    pub(super) fn at(addresses: impl IntoIterator<Item = IpAddr>, ttl: Duration) -> Self {
        let (v6, v4) = addresses.into_iter().partition(IpAddr::is_ipv6);
        let family = |addresses: Vec<IpAddr>| {
            if addresses.is_empty() {
                Family::Nowhere { ttl }
            } else {
                Family::At { addresses, ttl }
            }
        };
        Self {
            v6: family(v6),
            v4: family(v4),
        }
    }
}

impl Answer {
    pub(super) fn is_found(&self) -> bool {
        [&self.v6, &self.v4]
            .iter()
            .any(|family| family.found_for().is_some())
    }

    /// Nothing was found, and there may be something all the same.
    pub(super) fn is_failed(&self) -> bool {
        let failed = [&self.v6, &self.v4]
            .iter()
            .any(|family| family.reason().is_some());
        failed && !self.is_found()
    }
}

impl Finding {
    /// The addresses in use, in a lasting order: those of the newer family first (RFC 8305 section 4).
    pub(super) fn addresses(&self) -> Vec<IpAddr> {
        let all = self.v6.iter().chain(&self.v4);
        all.copied().take(ADDRESSES_MAX).collect()
    }

    pub(super) fn learn(&mut self, answer: &Answer, now: Duration) -> Verdict {
        let families = [&answer.v6, &answer.v4];
        let reason = families.iter().find_map(|family| family.reason());
        let found = families.iter().filter_map(|family| family.found_for());
        let (state, period) = if let Some(ttl) = found.min() {
            let soon = reason.as_ref().map_or(PERIOD_MAX, |_| FAILED_PERIOD);
            self.v6 = answer.v6.instead_of(&self.v6);
            self.v4 = answer.v4.instead_of(&self.v4);
            (State::Well, ttl.clamp(PERIOD_MIN, PERIOD_MAX).min(soon))
        } else if reason.is_some() {
            (self.without_word(), FAILED_PERIOD)
        } else {
            let ttl = families.iter().filter_map(|family| family.missing_for());
            let period = ttl.min().unwrap_or_default();
            (self.denied(now), period.clamp(NEGATIVE_MIN, NEGATIVE_MAX))
        };
        if state == State::Nowhere {
            self.v6.clear();
            self.v4.clear();
        }
        let turn = turn(self.state, state);
        self.state = state;
        let reason = match state {
            State::Asking | State::Well => None,
            State::Stale | State::Going { .. } | State::Nowhere => {
                Some(reason.unwrap_or("there is no such name").to_owned())
            }
        };
        Verdict {
            period,
            reason,
            turn,
        }
    }

    fn is_empty(&self) -> bool {
        self.v6.is_empty() && self.v4.is_empty()
    }

    fn without_word(&self) -> State {
        if self.is_empty() {
            State::Nowhere
        } else {
            State::Stale
        }
    }

    fn denied(&self, now: Duration) -> State {
        match self.state {
            _ if self.is_empty() => State::Nowhere,
            State::Going { until } if now >= until => State::Nowhere,
            State::Going { until } => State::Going { until },
            State::Asking | State::Well | State::Stale | State::Nowhere => State::Going {
                until: now + GONE_GRACE,
            },
        }
    }
}

fn turn(from: State, to: State) -> Option<Turn> {
    match (from, to) {
        (State::Stale | State::Going { .. } | State::Nowhere, State::Well) => Some(Turn::Back),
        (State::Asking | State::Well, State::Stale | State::Going { .. }) => Some(Turn::Kept),
        (State::Asking, State::Nowhere) => Some(Turn::Unknown),
        (State::Well | State::Stale | State::Going { .. }, State::Nowhere) => Some(Turn::Gone),
        (State::Nowhere, State::Nowhere | State::Stale | State::Going { .. })
        | (State::Stale | State::Going { .. }, State::Stale | State::Going { .. })
        | (State::Asking | State::Well, State::Well)
        | (_, State::Asking) => None,
    }
}

impl Family {
    fn reason(&self) -> Option<&str> {
        match self {
            Self::Failed { reason } => Some(reason),
            Self::At { .. } | Self::Nowhere { .. } => None,
        }
    }

    fn found_for(&self) -> Option<Duration> {
        match self {
            Self::At { ttl, .. } => Some(*ttl),
            Self::Nowhere { .. } | Self::Failed { .. } => None,
        }
    }

    fn missing_for(&self) -> Option<Duration> {
        match self {
            Self::Nowhere { ttl } => Some(*ttl),
            Self::At { .. } | Self::Failed { .. } => None,
        }
    }

    fn instead_of(&self, old: &[IpAddr]) -> Vec<IpAddr> {
        match self {
            Self::At { addresses, .. } => {
                let mut addresses = addresses.clone();
                addresses.sort_unstable();
                addresses.dedup();
                addresses
            }
            Self::Nowhere { .. } => Vec::new(),
            Self::Failed { .. } => old.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn ips(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn at(texts: &[&str], ttl: u64) -> Answer {
        Answer::at(ips(texts), SECOND * u32::try_from(ttl).unwrap())
    }

    fn nowhere() -> Answer {
        at(&[], 900)
    }

    #[test]
    fn addresses_are_sorted_once_each_and_bounded() {
        let mut finding = Finding::default();
        let answer = at(&["192.0.2.2", "2001:db8::1", "192.0.2.1", "192.0.2.2"], 60);
        let verdict = finding.learn(&answer, SECOND);
        assert_eq!(
            finding.addresses(),
            ips(&["2001:db8::1", "192.0.2.1", "192.0.2.2"])
        );
        assert_eq!((verdict.period, verdict.turn), (SECOND * 60, None));
        let many = (0..=u8::MAX).map(|last| IpAddr::from([192, 0, 2, last]));
        finding.learn(&Answer::at(many, SECOND), SECOND);
        assert_eq!(finding.addresses().len(), ADDRESSES_MAX);
    }

    #[test]
    fn periods_follow_the_ttl_within_bounds() {
        let period = |answer| Finding::default().learn(&answer, SECOND).period;
        assert_eq!(period(at(&["192.0.2.1"], 0)), PERIOD_MIN);
        assert_eq!(period(at(&["192.0.2.1"], 7)), SECOND * 7);
        assert_eq!(period(at(&["192.0.2.1"], 90_000)), PERIOD_MAX);
        assert_eq!(period(at(&[], 0)), NEGATIVE_MIN);
        assert_eq!(period(nowhere()), NEGATIVE_MAX);
        assert_eq!(period(Answer::failed("late")), FAILED_PERIOD);
    }

    #[test]
    fn old_addresses_outlive_silent_name_servers_and_that_is_told_once() {
        let mut finding = Finding::default();
        finding.learn(&at(&["192.0.2.1"], 5), SECOND);
        let turns = [0, 1, 2].map(|_| finding.learn(&Answer::failed("late"), SECOND).turn);
        assert_eq!(turns, [Some(Turn::Kept), None, None]);
        assert_eq!(finding.addresses(), ips(&["192.0.2.1"]));
        let verdict = finding.learn(&at(&["192.0.2.9"], 5), SECOND);
        assert_eq!((verdict.turn, verdict.reason), (Some(Turn::Back), None));
        assert_eq!(finding.addresses(), ips(&["192.0.2.9"]));
    }

    #[test]
    fn a_name_that_ceased_to_exist_is_used_for_a_while() {
        let mut finding = Finding::default();
        finding.learn(&at(&["192.0.2.1"], 5), SECOND);
        assert_eq!(
            finding.learn(&nowhere(), SECOND * 10).turn,
            Some(Turn::Kept)
        );
        assert_eq!(finding.learn(&nowhere(), SECOND * 39).turn, None);
        assert_eq!(finding.addresses(), ips(&["192.0.2.1"]));
        assert_eq!(
            finding.learn(&nowhere(), SECOND * 40).turn,
            Some(Turn::Gone)
        );
        assert!(finding.addresses().is_empty());
    }

    #[test]
    fn a_name_that_never_was_is_nowhere_at_once() {
        let mut finding = Finding::default();
        let verdict = finding.learn(&nowhere(), SECOND);
        assert_eq!(verdict.turn, Some(Turn::Unknown));
        assert_eq!(verdict.reason.as_deref(), Some("there is no such name"));
        assert_eq!(finding.learn(&nowhere(), SECOND).turn, None);
        let verdict = Finding::default().learn(&Answer::failed("late"), SECOND);
        assert_eq!(verdict.reason.as_deref(), Some("late"));
    }

    #[test]
    fn a_family_that_nobody_speaks_of_keeps_its_addresses() {
        let mut finding = Finding::default();
        finding.learn(&at(&["192.0.2.1", "2001:db8::1"], 60), SECOND);
        let half = Answer {
            v6: Family::Failed {
                reason: "late".to_owned(),
            },
            ..at(&["192.0.2.2"], 60)
        };
        let verdict = finding.learn(&half, SECOND);
        assert_eq!((verdict.period, verdict.reason), (FAILED_PERIOD, None));
        assert_eq!(finding.addresses(), ips(&["2001:db8::1", "192.0.2.2"]));
        finding.learn(&at(&["192.0.2.2"], 60), SECOND);
        assert_eq!(finding.addresses(), ips(&["192.0.2.2"]));
    }
}
