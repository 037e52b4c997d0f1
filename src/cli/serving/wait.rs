//! Waiting for whoever has the door.

use std::time::Duration;

use tokio::time;

use crate::cli::say;
use crate::control::claim::Claim;
use crate::control::place::Place;

/// How long a person waits before they are told for whom.
const WAIT_UNTOLD_MAX: Duration = Duration::from_secs(1);

/// Says whom we wait for, if it takes so long that a person wonders.
pub(super) async fn told_of_wait<T>(place: &Place, waiting: impl Future<Output = T>) -> T {
    let mut waiting = std::pin::pin!(waiting);
    if let Ok(done) = time::timeout(WAIT_UNTOLD_MAX, waiting.as_mut()).await {
        return done;
    }
    match Claim::holder(place) {
        Some(pid) => say::err(&format!("waiting for pid {pid}, which has the door\n")),
        None => say::err("waiting for another onedoor, which has the door\n"),
    }
    waiting.await
}
