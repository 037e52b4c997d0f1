//! What becomes of a certificate that was found, under each of its names.

use std::fmt;
use std::time::SystemTime;

use crate::certs::import::fault::Fault;
use crate::certs::utc::minute;
use crate::hostname::HostPattern;

/// One certificate of the findings, by its number there.
#[derive(Debug)]
pub struct PlannedCertificate {
    pub number: usize,
    /// Where its renewals will be asked for; none if nobody knows who made it.
    pub directory: Option<String>,
    /// Why nothing is done about it.
    pub skipped: Option<Skipped>,
    /// Where it goes; none if it is skipped.
    pub places: Vec<PlannedPlace>,
}

/// One name that it is kept under.
#[derive(Debug)]
pub struct PlannedPlace {
    pub name: HostPattern,
    /// Whether a site of the configuration wants it.
    pub is_wanted: bool,
    pub fate: Fate,
}

/// What becomes of a certificate under one name.
#[derive(Debug)]
pub enum Fate {
    /// To be put there, in place of one of ours that lasts until then.
    Take { over: Option<SystemTime> },
    /// Put there.
    Taken,
    /// It is there already.
    Same,
    /// Ours is newer or lasts longer, until then.
    OursStays { until: SystemTime },
    /// Another one that was found is better; its number.
    OtherWins { number: usize },
    /// Somebody is just ordering for that name.
    Busy,
    /// The store will not have it, in words.
    Failed(String),
}

/// Why a certificate is left where it is.
#[derive(Debug, Clone)]
pub enum Skipped {
    Fault(Fault),
    /// No public CA would renew it, and it would be served until its end.
    SelfSigned,
    /// From a test environment that the configuration does not order from.
    Staging,
    NotYetValid(SystemTime),
    Unservable(String),
}

impl Skipped {
    /// Whether it should have been of use.
    #[must_use]
    pub fn is_loss(&self) -> bool {
        match self {
            Self::Fault(Fault::Expired(_)) | Self::SelfSigned | Self::Staging => false,
            Self::Fault(_) | Self::NotYetValid(_) | Self::Unservable(_) => true,
        }
    }
}

impl Fate {
    /// Whether it is still to be done.
    #[must_use]
    pub fn is_due(&self) -> bool {
        matches!(self, Self::Take { .. })
    }

    /// Whether what should have been done was not.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::Busy | Self::Failed(_))
    }
}

impl PlannedCertificate {
    pub(super) fn skipped(number: usize, skipped: Skipped) -> Self {
        Self {
            number,
            directory: None,
            skipped: Some(skipped),
            places: Vec::new(),
        }
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(fault) => fault.fmt(f),
            Self::SelfSigned => f.write_str("it is signed by itself: no CA renews it"),
            Self::Staging => f.write_str(
                "it is from a CA's test environment: no browser trusts it, and `[acme]` orders elsewhere",
            ),
            Self::NotYetValid(from) => {
                write!(f, "it is valid only from {}", minute(*from))
            }
            Self::Unservable(why) => f.write_str(why),
        }
    }
}
