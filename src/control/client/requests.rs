//! Every request by name, with what it answers.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use http::{Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::exchange::{PROTOCOL, request};
use super::{Stranger, Unhealthy};
use crate::control::command::{BasedOn, Extent};
use crate::control::place::Place;
use crate::control::saved::{Saved, SavedLease, Saving};
use crate::control::server::{
    EXPLAIN_PATH, LEASES_PATH, RELOAD_PATH, RESTART_PATH, STATUS_PATH, STOP_PATH,
};
use crate::control::session::message::Refusal;
use crate::control::status::{Explanation, Status};

/// How long the holder may take beyond what it was asked to wait for.
const CHANGE_PATIENCE: Duration = Duration::from_secs(35);

/// Why something was not done.
#[derive(Debug)]
pub enum NotDone {
    /// The holder said no, and why.
    Refused(Refusal),
    /// There is no holder to say anything.
    Unhealthy(Unhealthy),
}

/// What a saved lease waits for, in whole seconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waits {
    /// For its target to be healthy; zero: it is not looked at.
    pub wait: Duration,
    /// For the exchanges of what it replaces to end.
    pub drain: Duration,
    /// A path that must answer well.
    pub health: Option<String>,
}

/// # Errors
/// As [`NotDone`] says, here and below.
pub async fn status(place: &Place, deadline: Duration) -> Result<Status, NotDone> {
    ask(place, Method::GET, STATUS_PATH, None, deadline).await
}

/// # Errors
/// Refused for what is no URL.
pub async fn explain(place: &Place, url: &str, deadline: Duration) -> Result<Explanation, NotDone> {
    let target = format!("{EXPLAIN_PATH}?url={}", escape(url));
    ask(place, Method::GET, &target, None, deadline).await
}

/// Has the holder read its file again; the answer is the new revision.
///
/// # Errors
/// Refused when the file is bad, or the revision is another.
pub async fn reload(place: &Place, based_on: BasedOn) -> Result<u64, NotDone> {
    let based_on = Some(based_on);
    let reply = ask(place, Method::POST, RELOAD_PATH, based_on, CHANGE_PATIENCE);
    let Changed { revision } = reply.await?;
    Ok(revision)
}

/// Has the holder hand over to its own program, started anew; the answer is the new process.
///
/// # Errors
/// Refused when it could not be started; the holder goes on then.
pub async fn restart(place: &Place) -> Result<u32, NotDone> {
    let Restarted { pid } = ask(place, Method::POST, RESTART_PATH, None, CHANGE_PATIENCE).await?;
    Ok(pid)
}

/// Has the holder end; it drains after the answer.
///
/// # Errors
/// As [`NotDone`] says.
pub async fn stop(place: &Place, extent: Extent, deadline: Duration) -> Result<(), NotDone> {
    let extent = match extent {
        Extent::Holder => "holder",
        Extent::Door => "door",
    };
    let target = format!("{STOP_PATH}?extent={extent}");
    let Stopping {} = ask(place, Method::POST, &target, None, deadline).await?;
    Ok(())
}

/// Puts a saved lease into service once its target is healthy, and waits until what it replaced is drained.
///
/// # Errors
/// Refused with `not-healthy`, `stale-revision` or whatever is at odds with it; nothing changed then.
pub async fn save(
    place: &Place,
    saved: SavedLease,
    waits: Waits,
    based_on: BasedOn,
) -> Result<Saved, NotDone> {
    let target = format!("{LEASES_PATH}{}", escape(&saved.host));
    let deadline = waits.wait + waits.drain + CHANGE_PATIENCE;
    let saving = Saving {
        saved,
        wait_seconds: waits.wait.as_secs(),
        drain_seconds: waits.drain.as_secs(),
        health: waits.health,
    };
    let body = serde_json::to_vec(&saving).map_err(|unwritable| {
        let text = format!("the lease cannot be written as JSON: {unwritable}");
        NotDone::Refused(Refusal::new("unwritable", text))
    })?;
    let reply = request(place, Method::PUT, &target, Some(based_on), body, deadline).await?;
    interpret(reply)
}

/// Ends a saved lease; the answer is the new revision.
///
/// # Errors
/// Refused when there is none, or the revision is another.
pub async fn remove(place: &Place, host: &str, based_on: BasedOn) -> Result<u64, NotDone> {
    let target = format!("{LEASES_PATH}{}", escape(host));
    let based_on = Some(based_on);
    let reply = ask(place, Method::DELETE, &target, based_on, CHANGE_PATIENCE);
    let Changed { revision } = reply.await?;
    Ok(revision)
}

#[derive(Deserialize)]
struct Changed {
    revision: u64,
}

#[derive(Deserialize)]
struct Restarted {
    pid: u32,
}

#[derive(Deserialize)]
struct Stopping {}

async fn ask<T: DeserializeOwned>(
    place: &Place,
    method: Method,
    target: &str,
    based_on: Option<BasedOn>,
    deadline: Duration,
) -> Result<T, NotDone> {
    interpret(request(place, method, target, based_on, Vec::new(), deadline).await?)
}

fn interpret<T: DeserializeOwned>((status, body): (StatusCode, Vec<u8>)) -> Result<T, NotDone> {
    if !status.is_success() {
        return Err(refusal(status, &body));
    }
    serde_json::from_slice(&body).map_err(|_unreadable| NotDone::Unhealthy(PROTOCOL))
}

/// What a status that is no success means.
pub(super) fn refusal(status: StatusCode, body: &[u8]) -> NotDone {
    #[derive(Deserialize)]
    struct Bare {
        error: String,
    }
    if let Ok(refusal) = serde_json::from_slice(body) {
        return NotDone::Refused(refusal);
    }
    let known = [StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED].contains(&status);
    match serde_json::from_slice(body) {
        Ok(Bare { error }) if known => NotDone::Refused(Refusal::new(
            &error,
            "the running onedoor is too old for this: stop it, and start it with this version",
        )),
        Ok(_) | Err(_) => NotDone::Unhealthy(Unhealthy::NotOurs(Stranger::Protocol)),
    }
}

/// Everything but unreserved octets (RFC 3986 section 2.3) as escapes.
pub(super) fn escape(text: &str) -> String {
    use std::fmt::Write as _;

    let mut escaped = String::with_capacity(text.len());
    for octet in text.bytes() {
        if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
            escaped.push(char::from(octet));
        } else {
            // Writing to a string does not fail.
            let _written = write!(escaped, "%{octet:02X}");
        }
    }
    escaped
}

impl From<Unhealthy> for NotDone {
    fn from(unhealthy: Unhealthy) -> Self {
        Self::Unhealthy(unhealthy)
    }
}

impl fmt::Display for NotDone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => f.write_str(&refusal.text),
            Self::Unhealthy(unhealthy) => unhealthy.fmt(f),
        }
    }
}

impl Error for NotDone {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Refused(_) => None,
            Self::Unhealthy(unhealthy) => unhealthy.source(),
        }
    }
}
