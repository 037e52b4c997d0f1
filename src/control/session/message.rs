//! What is said on the control socket between a holder and a guest. Unknown fields are ignored, so both may be of other versions.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::doorway::Doorway;
use crate::config::offer::Offer;
use crate::control::health::Listening;
use crate::control::leases::{Insistence, Lease, LeaseId};
use crate::control::owner::Owner;

/// The version of the protocol that this program speaks.
pub const PROTOCOL: u32 = 1;
/// The oldest version that this program still speaks.
pub const PROTOCOL_MIN: u32 = 1;

/// The versions that a side speaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    pub protocol: u32,
    pub min: u32,
    /// Of the program, for people.
    pub version: String,
}

impl Versions {
    /// What this program speaks.
    #[must_use]
    pub fn own() -> Self {
        Self {
            protocol: PROTOCOL,
            min: PROTOCOL_MIN,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// Whether there is a version that both speak.
    #[must_use]
    pub fn meet(&self, other: &Self) -> bool {
        self.min <= other.protocol && other.min <= self.protocol
    }
}

/// `POST /v1/join`: a process wants its sites served.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Join {
    #[serde(flatten)]
    pub versions: Versions,
    pub owner: Owner,
    pub offer: Offer,
    #[serde(default)]
    pub insistence: Insistence,
    /// The form of the access-log lines that are sent.
    pub log: LogForm,
    /// From an earlier [`Welcome`]: the same lease is taken up again.
    #[serde(default)]
    pub token: Option<String>,
}

/// `POST /v1/succeed`: a process that was started for it takes the door over; the first thing it hears is [`Told::Inherit`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Succeed {
    #[serde(flatten)]
    pub versions: Versions,
    pub owner: Owner,
}

/// How an access-log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogForm {
    Text,
    Json,
    Combined,
}

/// The first thing a guest hears: it is served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    #[serde(flatten)]
    pub versions: Versions,
    /// The holder.
    pub pid: u32,
    pub lease: LeaseId,
    /// Takes the lease up again after the connection broke.
    pub token: String,
    pub accepted: Accepted,
    /// The holder's storage, which an heir goes on with.
    pub storage: PathBuf,
    /// Where sites are served whose files say nothing of it; an heir goes on with it.
    #[serde(default)]
    pub doorway: Option<Doorway>,
    /// The root certificate of the local CA, if a site of the guest needs it.
    pub local_ca: Option<PathBuf>,
}

/// An offer that is in service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    pub revision: u64,
    /// The guest's sites as `up` prints them.
    pub table: String,
    /// Where its exact names are reached.
    #[serde(default)]
    pub urls: Vec<String>,
    /// What a person should know: names taken over, settings of the holder that differ.
    #[serde(default)]
    pub notes: Vec<String>,
    pub listeners: Vec<Listening>,
}

/// Why a change was not made; nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Stable, lower-case with hyphens: `name-conflict`, `stale-revision`, `bad-config`, `too-many-leases`, `not-allowed`.
    pub error: String,
    /// For people, with the ways out, as it is printed.
    pub text: String,
    /// The exit code that goes with it.
    pub exit: u8,
}

impl Refusal {
    /// One with the exit code of whatever has none of its own.
    #[must_use]
    pub fn new(error: &str, text: impl Into<String>) -> Self {
        Self {
            error: error.to_owned(),
            text: text.into(),
            exit: 1,
        }
    }

    /// The holder has too much to do, or is about to end.
    #[must_use]
    pub fn busy() -> Self {
        Self::new("busy", "the running onedoor is busy: try again")
    }
}

/// From the holder to a guest, a JSON object a line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Told {
    Welcome(Box<Welcome>),
    /// The answer to [`Said::Offer`].
    Accepted(Accepted),
    /// The answer to [`Said::Offer`]; the earlier one stays in service.
    Refused(Refusal),
    /// Access-log lines of the guest's sites, each ended by a line feed.
    Lines(String),
    /// Something happened that concerns the guest, in words.
    Note(String),
    /// Take over: as many descriptors follow as the estate counts.
    Inherit(Box<Estate>),
    /// Another process is the holder now: join it with the token.
    Moved {
        pid: u32,
    },
    /// The lease is over, and why.
    Ended {
        reason: String,
    },
}

/// From a guest to the holder, a JSON object a line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Said {
    /// The configuration changed.
    Offer { offer: Offer, based_on: u64 },
    /// The estate is taken and served.
    Took,
    /// The estate cannot be taken, and why: nothing was done with it.
    CannotTake { problem: String },
    /// The lease ends here.
    Leave,
}

/// What a holder leaves to its heir. Its descriptors come in this order: the lock, the control socket, the listeners.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Estate {
    pub revision: u64,
    /// Where sites are served whose files say nothing of it, if that is not the usual.
    #[serde(default)]
    pub doorway: Option<Doorway>,
    pub next_lease: u32,
    pub storage: PathBuf,
    /// The words that each listening socket stands for.
    pub listeners: Vec<Inherited>,
    pub guests: Vec<Inheritance>,
}

/// A listening socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inherited {
    /// As it was asked for: a port 0 stays one.
    pub asked: Listening,
    /// Whether a service manager keeps it too.
    pub passed: bool,
}

/// A guest's lease with all that is needed to serve it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Inheritance {
    pub lease: Lease,
    pub offer: Offer,
    pub log: LogForm,
    pub token: String,
}
