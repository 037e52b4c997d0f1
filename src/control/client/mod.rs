//! The other side of the control socket: asking the holder, and having it do something.

mod exchange;
mod logs;
mod requests;

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use http::{Method, StatusCode};
use tokio::time::{self, Instant};

pub use exchange::{REPLY_BYTES_MAX, is_there, request};
pub use logs::{Logs, logs};
pub use requests::{NotDone, Waits, explain, reload, remove, restart, save, status, stop};

pub(super) use exchange::connect;

use crate::control::health::{HEALTH_PATH, Health, Status};
use crate::control::place::{Place, Untrusted};
use crate::control::renewal::{self, Renewal};
use crate::hostname::HostPattern;
use exchange::PROTOCOL;

/// How often a holder that is starting is asked again.
const ASK_INTERVAL: Duration = Duration::from_millis(50);

/// Why there is no healthy holder to tell of.
#[derive(Debug)]
pub enum Unhealthy {
    /// No onedoor serves here.
    NobodyThere,
    /// A onedoor is there, and starting or draining.
    NotReady(Health),
    /// Somebody is there who is not ours to believe.
    NotOurs(Stranger),
    TimedOut,
    Failed(io::Error),
}

/// Why whoever is there is not believed.
#[derive(Debug)]
pub enum Stranger {
    Folder(Untrusted),
    /// It serves this user, and a group that we are not in.
    Closed(String),
    /// The process belongs to another user.
    User(u32),
    /// It does not speak our protocol.
    Protocol,
}

/// Asks the holder in this folder; the answer is there within the deadline.
///
/// # Errors
/// Tells apart nobody, somebody who is not ready, and somebody who is not ours.
pub async fn health(place: &Place, deadline: Duration) -> Result<Health, Unhealthy> {
    let health = ask(place, deadline).await?;
    match health.status {
        Status::Ready => Ok(health),
        Status::Starting | Status::Draining => Err(Unhealthy::NotReady(health)),
    }
}

/// Has the holder in this folder renew a certificate now, and waits for what comes of it.
///
/// # Errors
/// As [`health`]; [`Unhealthy::TimedOut`] says nothing of the renewal, which goes on.
pub async fn renew(
    place: &Place,
    name: &HostPattern,
    deadline: Duration,
) -> Result<Renewal, Unhealthy> {
    let target = renewal::target(name);
    match request(place, Method::POST, &target, None, Vec::new(), deadline).await? {
        (StatusCode::OK, reply) => serde_json::from_slice(&reply).map_err(|_unreadable| PROTOCOL),
        // As many as may wait do.
        (StatusCode::SERVICE_UNAVAILABLE, _reply) => Ok(Renewal::Busy),
        _ => Err(PROTOCOL),
    }
}

/// The process that holds the lock, which may only just be opening its socket; none if it does not say in time.
pub(super) async fn holder(place: &Place, wait: Duration) -> Option<u32> {
    let end = Instant::now() + wait;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        match health(place, left).await {
            Ok(health) | Err(Unhealthy::NotReady(health)) => return Some(health.pid),
            Err(Unhealthy::NobodyThere) if left > ASK_INTERVAL => time::sleep(ASK_INTERVAL).await,
            Err(
                Unhealthy::NobodyThere
                | Unhealthy::NotOurs(_)
                | Unhealthy::TimedOut
                | Unhealthy::Failed(_),
            ) => return None,
        }
    }
}

async fn ask(place: &Place, deadline: Duration) -> Result<Health, Unhealthy> {
    match request(place, Method::GET, HEALTH_PATH, None, Vec::new(), deadline).await? {
        (StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE, reply) => {
            serde_json::from_slice(&reply).map_err(|_unreadable| PROTOCOL)
        }
        _ => Err(PROTOCOL),
    }
}

impl fmt::Display for Unhealthy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NobodyThere => f.write_str("no onedoor is running here"),
            Self::NotReady(health) => {
                let status = match health.status {
                    Status::Starting => "starting",
                    Status::Ready => "ready",
                    Status::Draining => "draining",
                };
                write!(f, "onedoor (pid {}) is {status}", health.pid)
            }
            Self::NotOurs(_) => f.write_str("whoever answers here is not a onedoor of yours"),
            Self::TimedOut => f.write_str("onedoor did not answer in time"),
            Self::Failed(_) => f.write_str("cannot talk to onedoor"),
        }
    }
}

impl Error for Unhealthy {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NotOurs(stranger) => Some(stranger),
            Self::Failed(error) => Some(error),
            Self::NobodyThere | Self::NotReady(_) | Self::TimedOut => None,
        }
    }
}

impl fmt::Display for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(_) => f.write_str("the folder is not to be trusted"),
            Self::Closed(owner) => write!(
                f,
                "the control socket belongs to {owner} and is not open to this user"
            ),
            Self::User(uid) => write!(f, "the process belongs to user number {uid}"),
            Self::Protocol => f.write_str("the answer is not in our protocol"),
        }
    }
}

impl Error for Stranger {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Folder(untrusted) => Some(untrusted),
            Self::Closed(_) | Self::User(_) | Self::Protocol => None,
        }
    }
}

#[cfg(test)]
mod tests;
