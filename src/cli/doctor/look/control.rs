//! Asking whoever has the control socket.

use std::error::Error as _;
use std::time::Duration;

use crate::cli::doctor::judge::control::Holder;
use crate::control::client::{self, Unhealthy};
use crate::control::health::Health;
use crate::control::place::Place;

const PATIENCE: Duration = Duration::from_secs(3);

/// Who it is, and what it serves if it does.
pub(in crate::cli::doctor) async fn holder(place: &Place) -> (Holder, Option<Health>) {
    match client::health(place, PATIENCE).await {
        Ok(health) => {
            let (pid, version) = (health.pid, health.version.clone());
            (Holder::Serving { pid, version }, Some(health))
        }
        Err(Unhealthy::NotReady(health)) => {
            let (pid, version) = (health.pid, health.version);
            (Holder::NotReady { pid, version }, None)
        }
        Err(Unhealthy::NobodyThere) if place.socket().exists() => (Holder::Stale, None),
        Err(Unhealthy::NobodyThere) => (Holder::Nobody, None),
        Err(Unhealthy::TimedOut) => (Holder::Silent, None),
        Err(Unhealthy::NotOurs(stranger)) => {
            let why = stranger.source().map(ToString::to_string);
            (
                Holder::Strange(why.unwrap_or_else(|| stranger.to_string())),
                None,
            )
        }
        Err(Unhealthy::Failed(error)) => (Holder::Strange(error.to_string()), None),
    }
}

/// What a running door says of addresses at which another process takes its connections.
pub(in crate::cli::doctor) async fn shadows(place: &Place) -> Vec<String> {
    let status = client::status(place, PATIENCE).await;
    status.map_or_else(|_nobody| Vec::new(), |status| status.shadowed)
}
