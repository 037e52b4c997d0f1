//! `PUT` and `DELETE /v1/leases/HOST`: saved leases, put into service once their target is healthy.

use std::time::Duration;

use http::{Response, StatusCode};
use hyper::body::Incoming;
use serde_json::{Value, json};
use tokio::time::{self, Instant};

use super::desk::{CHANGE_TIMEOUT, Desk};
use super::patience::Patience;
use super::reply::{self, Content};
use super::{CONNECTION_TIMEOUT, upload};
use crate::control::command::{BasedOn, Command};
use crate::control::probe::{Probe, Probed};
use crate::control::saved::{Kept, Saved, Saving};
use crate::control::session::message::Refusal;

/// How often a target is looked at.
pub const PROBE_INTERVAL: Duration = Duration::from_millis(250);
/// The longest wait for a target to be healthy, and for the old one to drain.
pub const WAIT_SECONDS_MAX: u64 = 600;
/// Changes of saved leases at once.
pub(super) const WAITS_MAX: usize = 8;
/// Octets of a saved lease.
const SAVED_BYTES_MAX: usize = 64 << 10;

pub(super) async fn save(
    host: &str,
    based_on: BasedOn,
    body: Incoming,
    desk: &Desk,
    uid: u32,
    patience: &Patience,
) -> Result<Response<Content>, Refusal> {
    let _place = desk.waits.try_acquire().map_err(|_full| crowded())?;
    let saving = parse(&upload::whole(body, SAVED_BYTES_MAX).await?, host)?;
    let (wait, drain) = (
        seconds(saving.wait_seconds)?,
        seconds(saving.drain_seconds)?,
    );
    patience.last(CONNECTION_TIMEOUT + CHANGE_TIMEOUT + wait + drain);
    if !wait.is_zero() {
        let probed = Probed {
            target: saving.saved.target.clone(),
            folder: saving.saved.folder.clone(),
            path: saving.health,
        };
        healthy(&desk.sources.probe, probed, wait).await?;
    }
    let save = |reply| Command::Save {
        saved: Box::new(saving.saved),
        based_on,
        uid,
        reply,
    };
    let Kept {
        revision,
        url,
        drained,
    } = desk.ask(CHANGE_TIMEOUT, save).await??;
    let drained = match drained {
        None => true,
        Some(mut drained) => {
            let gone = time::timeout(drain, drained.wait_for(|drained| *drained)).await;
            // Whoever counted is gone with all it counted.
            gone.is_ok()
        }
    };
    let saved = Saved {
        revision,
        url,
        drained,
    };
    Ok(reply::told(StatusCode::OK, &saved))
}

pub(super) async fn remove(
    name: String,
    based_on: BasedOn,
    desk: &Desk,
    uid: u32,
    patience: &Patience,
) -> Result<Response<Content>, Refusal> {
    let _place = desk.waits.try_acquire().map_err(|_full| crowded())?;
    patience.last(CONNECTION_TIMEOUT + CHANGE_TIMEOUT);
    let remove = |reply| Command::Remove {
        name,
        based_on,
        uid,
        reply,
    };
    let revision = desk.ask(CHANGE_TIMEOUT, remove).await??;
    Ok(reply::told(
        StatusCode::OK,
        &json!({ "revision": revision }),
    ))
}

/// The host may be left out of the body; if it is there it must be the path's.
fn parse(body: &[u8], host: &str) -> Result<Saving, Refusal> {
    let mut object: Value = upload::parse(body)?;
    if let Some(fields) = object.as_object_mut() {
        fields.entry("host").or_insert_with(|| host.into());
    }
    let saving: Saving = serde_json::from_value(object).map_err(|error| {
        let text = format!("the request body is not what is expected: {error}");
        Refusal::new("bad-request", text)
    })?;
    if saving.saved.host == host {
        return Ok(saving);
    }
    let text = format!("the path names `{host}`, the body `{}`", saving.saved.host);
    Err(Refusal::new("bad-request", text))
}

fn seconds(seconds: u64) -> Result<Duration, Refusal> {
    if seconds <= WAIT_SECONDS_MAX {
        return Ok(Duration::from_secs(seconds));
    }
    let text = format!("nothing is waited for longer than {WAIT_SECONDS_MAX} seconds");
    Err(Refusal::new("bad-request", text))
}

async fn healthy(probe: &Probe, probed: Probed, wait: Duration) -> Result<(), Refusal> {
    let end = Instant::now() + wait;
    let mut why = "it did not answer".to_owned();
    loop {
        match time::timeout_at(end, probe.look(probed.clone())).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(problem)) => why = problem,
            Err(_late) => {}
        }
        let next = Instant::now() + PROBE_INTERVAL;
        if next >= end {
            let target = &probed.target;
            let text = format!(
                "`{target}` was not healthy within {} s, and nothing was changed: {why}",
                wait.as_secs()
            );
            return Err(Refusal::new("not-healthy", text));
        }
        time::sleep_until(next).await;
    }
}

fn crowded() -> Refusal {
    let text = format!("{WAITS_MAX} changes are under way already: try again");
    Refusal::new("too-many-waits", text)
}
