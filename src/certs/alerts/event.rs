//! What can happen that people want to be told of. The names of events and fields are a promise to scripts.

use std::time::SystemTime;

use serde::Serialize;

use crate::certs::utc::{stamp, stamp_or_null};

/// Something that happened to a certificate or to the storage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event")]
pub enum Event {
    #[serde(rename = "certificate.renewed")]
    Renewed {
        /// The name that the certificate is known by, in all events.
        certificate: String,
        names: Vec<String>,
        /// The directory's URL.
        ca: String,
        #[serde(serialize_with = "stamp")]
        not_after: SystemTime,
    },
    #[serde(rename = "certificate.failed")]
    Failed {
        certificate: String,
        names: Vec<String>,
        ca: String,
        kind: FailureKind,
        /// In the CA's words.
        problem: String,
        /// In a row.
        failures: u32,
        #[serde(serialize_with = "stamp")]
        next_try: SystemTime,
        /// Of the certificate that is served meanwhile; none: there is none.
        #[serde(serialize_with = "stamp_or_null")]
        not_after: Option<SystemTime>,
    },
    #[serde(rename = "certificate.expiring")]
    Expiring {
        certificate: String,
        names: Vec<String>,
        left: Left,
        #[serde(serialize_with = "stamp")]
        not_after: SystemTime,
    },
    #[serde(rename = "quota.low")]
    QuotaLow {
        #[serde(flatten)]
        bucket: Bucket,
        left: u64,
        of: u64,
        #[serde(serialize_with = "stamp")]
        refills_at: SystemTime,
    },
    /// Ends a [`Event::QuotaLow`].
    #[serde(rename = "quota.refilled")]
    QuotaRefilled {
        #[serde(flatten)]
        bucket: Bucket,
    },
    #[serde(rename = "storage.ephemeral")]
    StorageEphemeral {
        storage: String,
        /// What it lies on: `overlay`, `tmpfs`.
        kind: String,
    },
    /// Ends a [`Event::StorageEphemeral`].
    #[serde(rename = "storage.kept")]
    StorageKept { storage: String },
    #[serde(rename = "storage.unreachable")]
    StorageUnreachable { storage: String, problem: String },
    /// Ends a [`Event::StorageUnreachable`].
    #[serde(rename = "storage.reachable")]
    StorageReachable { storage: String },
    /// Checks of a target fail: it is asked no more.
    #[serde(rename = "upstream.down")]
    UpstreamDown {
        #[serde(flatten)]
        upstream: Upstream,
        problem: String,
    },
    /// Ends a [`Event::UpstreamDown`].
    #[serde(rename = "upstream.up")]
    UpstreamUp {
        #[serde(flatten)]
        upstream: Upstream,
    },
    /// A changed configuration was refused: the old one stays in service.
    #[serde(rename = "config.refused")]
    ConfigRefused { problem: String },
    /// Ends a [`Event::ConfigRefused`].
    #[serde(rename = "config.accepted")]
    ConfigAccepted,
}

/// A limit of a CA, and what it is counted for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bucket {
    pub ca: String,
    pub limit: String,
    pub subject: String,
}

/// A target, and how it is checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Upstream {
    /// As in `to`, and of a name which of its addresses.
    pub target: String,
    /// `GET /up`, `TCP`, `gRPC`
    pub check: String,
    /// Sites that have it checked so; not all, if there are very many.
    pub sites: Vec<String>,
}

/// What kind of failure it was: who must do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FailureKind {
    /// Nobody: it passes.
    Transient,
    /// Nobody: a limit refills.
    Limited,
    /// Somebody at the CA's site, or in the configuration.
    Human,
    /// Somebody whose DNS or port the CA came to in vain.
    Validation,
}

/// How much of a lifetime is left, at most; later ones are more pressing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Left {
    #[serde(rename = "1/3")]
    Third,
    #[serde(rename = "1/10")]
    Tenth,
    #[serde(rename = "1/50")]
    Fiftieth,
}

impl Event {
    /// Every name there is.
    pub const NAMES: &[&str] = &[
        "certificate.renewed",
        "certificate.failed",
        "certificate.expiring",
        "quota.low",
        "quota.refilled",
        "storage.ephemeral",
        "storage.kept",
        "storage.unreachable",
        "storage.reachable",
        "upstream.down",
        "upstream.up",
        "config.refused",
        "config.accepted",
    ];

    /// The name, as documented: `certificate.renewed`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Renewed { .. } => "certificate.renewed",
            Self::Failed { .. } => "certificate.failed",
            Self::Expiring { .. } => "certificate.expiring",
            Self::QuotaLow { .. } => "quota.low",
            Self::QuotaRefilled { .. } => "quota.refilled",
            Self::StorageEphemeral { .. } => "storage.ephemeral",
            Self::StorageKept { .. } => "storage.kept",
            Self::StorageUnreachable { .. } => "storage.unreachable",
            Self::StorageReachable { .. } => "storage.reachable",
            Self::UpstreamDown { .. } => "upstream.down",
            Self::UpstreamUp { .. } => "upstream.up",
            Self::ConfigRefused { .. } => "config.refused",
            Self::ConfigAccepted => "config.accepted",
        }
    }
}

impl std::fmt::Display for Bucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { ca, limit, subject } = self;
        write!(f, "{limit} of {subject} at {ca}")
    }
}
