//! Why an order is not sent, and when it may be.

use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::time::{Duration, SystemTime};

use super::block::Place;
use super::instant::{DAY, HOUR, minute};
use super::limits::{Limit, Limits, Source};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What the authority is called.
    pub ca: &'static str,
    pub reason: Reason,
    /// The first instant at which what was refused may be admitted.
    pub free_at: SystemTime,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// None is left of the authority's capacity, or of the budget that onedoor keeps below it.
    UsedUp {
        limit: Limit,
        subject: String,
        source: Source,
        capacity: u32,
        window: Duration,
        /// Set if it is this budget that is used up, and not the capacity.
        budget: Option<u32>,
    },
    /// The authority asked to wait.
    Blocked {
        /// `None`: with everything.
        limit: Option<Limit>,
        subject: String,
        words: String,
    },
}

impl Refusal {
    pub(super) fn used_up(
        limits: &Limits,
        place: &Place,
        budget: Option<u32>,
        free_at: SystemTime,
    ) -> Self {
        let rate = limits.rate(place.limit);
        let reason = Reason::UsedUp {
            limit: place.limit,
            subject: place.subject.clone(),
            source: limits.source,
            capacity: rate.capacity,
            window: rate.window,
            budget,
        };
        Self {
            ca: limits.ca,
            reason,
            free_at,
        }
    }
}

impl Error for Refusal {}

impl Display for Refusal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let at = minute(self.free_at);
        match &self.reason {
            Reason::UsedUp {
                limit,
                subject,
                source,
                capacity,
                window,
                budget,
            } => {
                let counted = counted(*limit, *capacity, subject, *window);
                match source {
                    Source::Published => {
                        write!(f, "{} {} {counted}", self.ca, verb(*limit))
                    }
                    Source::Assumed => write!(
                        f,
                        "{} publishes no limits, so onedoor assumes {counted}",
                        self.ca
                    ),
                }?;
                match budget {
                    Some(budget) => write!(f, "; onedoor's own budget of {budget} is used up"),
                    None => f.write_str("; all are used up"),
                }?;
                write!(f, ", 0 left; the next one is free on {at}")
            }
            Reason::Blocked {
                limit,
                subject,
                words,
            } => {
                write!(f, "{} asked to wait until {at}", self.ca)?;
                match limit {
                    Some(limit) => write!(f, " with {} ({subject})", limit.words()),
                    None => f.write_str(" with everything"),
                }?;
                if words.is_empty() {
                    return Ok(());
                }
                write!(f, ": {words}")
            }
        }
    }
}

fn verb(limit: Limit) -> &'static str {
    match limit {
        Limit::NewOrders => "takes",
        Limit::CertificatesPerDomain | Limit::CertificatesPerNames => "issues",
        Limit::FailedValidations => "bears",
        Limit::NewAccounts => "opens",
    }
}

fn counted(limit: Limit, capacity: u32, subject: &str, window: Duration) -> String {
    let what = match limit {
        Limit::NewOrders => "new orders of one account".to_owned(),
        Limit::CertificatesPerDomain => format!("certificates for {subject} and what is below it"),
        Limit::CertificatesPerNames => "certificates for exactly these names".to_owned(),
        Limit::FailedValidations => format!("failed validations of {subject}"),
        Limit::NewAccounts => "new accounts of one address".to_owned(),
    };
    format!("{capacity} {what} in {}", span(window))
}

fn span(window: Duration) -> String {
    let (count, unit) = match window {
        window if window >= DAY => (window.as_secs() / DAY.as_secs(), "day"),
        window if window >= HOUR => (window.as_secs() / HOUR.as_secs(), "hour"),
        window => (window.as_secs(), "second"),
    };
    match count {
        1 => format!("1 {unit}"),
        count => format!("{count} {unit}s"),
    }
}
