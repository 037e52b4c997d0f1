//! `onedoor health`: for a container's HEALTHCHECK, and for people.

use std::time::Duration;

use super::{Exit, HealthArguments, say};
use crate::app::banner::counted;
use crate::control::client::{self, Unhealthy};
use crate::storage;

/// A health check that takes longer than this has failed.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn run(arguments: &HealthArguments) -> Exit {
    let state = match storage::default_place() {
        Ok(folder) => folder,
        Err(no_place) => {
            say::error("storage", &no_place);
            return Exit::Failed;
        }
    };
    let control = arguments.control.place(&state);
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            say::error("system", &error);
            return Exit::Failed;
        }
    };
    match runtime.block_on(client::health(&control, PATIENCE)) {
        Ok(health) => {
            let text = if arguments.json {
                serde_json::to_string_pretty(&health).unwrap_or_default()
            } else {
                format!(
                    "ready: pid {}, {}, revision {}",
                    health.pid,
                    counted(health.sites, "site"),
                    health.revision
                )
            };
            say::out(&format!("{text}\n"));
            Exit::Fine
        }
        Err(unhealthy) => {
            if let (Unhealthy::NotReady(health), true) = (&unhealthy, arguments.json) {
                say::out(&format!(
                    "{}\n",
                    serde_json::to_string_pretty(health).unwrap_or_default()
                ));
            }
            say::error("health", &unhealthy);
            Exit::Failed
        }
    }
}
