//! What is remembered of a name beside its certificate: it only saves work, and what is lost of it is found out again.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::certs::retry::Failures;
use crate::certs::schedule::{Expiring, Window};

/// What was learned of one bundle and of the tries for the next.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The bundle that all of this is about, but what is said of an order under way.
    #[serde(default)]
    pub generation: u64,
    /// None after a success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failures: Option<Failures>,
    /// What the CA said last about the renewal of the certificate in service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<Advice>,
    /// When the ledger let the order under way pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admitted: Option<Timestamp>,
    /// What was told of the certificate's age.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<Expiring>,
    /// The certificate was due when it was new, so our clock was ahead: by that clock it is not due in here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rest: Option<Window>,
}

/// A CA's advice on when to renew (RFC 9773).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advice {
    /// None if the CA gave none that can be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// When it is asked again; never, if the certificate is over by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ask_at: Option<Timestamp>,
    /// How often in a row it did not answer.
    #[serde(default)]
    pub unanswered: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<String>,
}
