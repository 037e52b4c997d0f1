//! What the control socket asks of the holder. `app` answers, one after another; who asks waits for a bounded time.

use std::os::fd::OwnedFd;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use crate::config::offer::Offer;
use crate::control::leases::LeaseId;
use crate::control::owner::Owner;
use crate::control::saved::{Kept, SavedLease};
use crate::control::session::message::{Accepted, Join, LogForm, Refusal, Told, Welcome};
use crate::control::status::{Explanation, Status};

/// Commands that wait for the holder; a connection waits when there are more.
pub const COMMANDS_MAX: usize = 64;
/// Messages that wait for a guest; a guest that reads slower loses log lines, and its lease if it is another message.
pub const TOLD_MAX: usize = 1024;

/// Where an answer goes. Who asked may be gone.
pub type Reply<T> = oneshot::Sender<T>;

/// A message for a guest, with the descriptors that belong to it.
#[derive(Debug)]
pub struct Outgoing {
    pub told: Told,
    pub descriptors: Vec<OwnedFd>,
}

/// The way to a guest, or to a successor.
pub type Line = mpsc::Sender<Outgoing>;

/// What a change is based on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BasedOn {
    /// `If-Match: *`
    Whatever,
    /// `If-Match: "7"`: refused when the door's revision is another.
    Revision(u64),
}

/// How much a stop ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// This process; the oldest guest goes on with the door.
    Holder,
    /// The guests too.
    Door,
}

#[derive(Debug)]
pub enum Command {
    Join {
        join: Box<Join>,
        /// As the kernel says.
        uid: u32,
        line: Line,
        reply: Reply<Result<Welcome, Refusal>>,
    },
    Offer {
        lease: LeaseId,
        offer: Box<Offer>,
        based_on: u64,
        reply: Reply<Result<Accepted, Refusal>>,
    },
    /// A guest said goodbye.
    Left(LeaseId),
    /// A guest's connection ended without a word.
    Lost(LeaseId),
    /// The heir serves.
    Took(LeaseId),
    CannotTake {
        lease: LeaseId,
        problem: String,
    },
    /// A process that was started for it takes over: `POST /v1/succeed`.
    Succeed {
        owner: Owner,
        line: Line,
        /// The number that the successor is called by in [`Self::Took`].
        reply: Reply<Result<LeaseId, Refusal>>,
    },
    Status(Reply<Status>),
    Explain {
        url: String,
        reply: Reply<Result<Explanation, Refusal>>,
    },
    /// Access-log lines of a name as they come, or of all.
    Watch {
        host: Option<String>,
        log: LogForm,
        reply: Reply<mpsc::Receiver<Bytes>>,
    },
    Reload(Reply<Result<u64, Refusal>>),
    /// Starts this program anew and hands over to it; the answer is its process number.
    Restart(Reply<Result<u32, Refusal>>),
    Stop {
        extent: Extent,
        reply: Reply<()>,
    },
    /// Puts a saved lease into service, and into the storage.
    Save {
        saved: Box<SavedLease>,
        based_on: BasedOn,
        uid: u32,
        reply: Reply<Result<Kept, Refusal>>,
    },
    /// Ends a saved lease.
    Remove {
        name: String,
        based_on: BasedOn,
        uid: u32,
        reply: Reply<Result<u64, Refusal>>,
    },
}
