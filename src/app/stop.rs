//! Stopping: nobody new is let in, whoever is here may finish, and what is left then is cut and counted.

use std::time::Duration;

use super::{App, Farewell};
use crate::control::health::Status;
use crate::control::readiness;
use crate::door::accept::Capacity;
use crate::door::{Handle, Order};
use crate::observe::access::AccessLog;
use crate::observe::counters::{Totals, sum};
use crate::proxy::context::Stage;

/// How often the connections that are left are counted.
const COUNT_EVERY: Duration = Duration::from_millis(20);
/// The most that a process drains whose sites somebody waits for, shorter than the grace of its lease.
const SHORT_DRAIN: Duration = Duration::from_secs(2);
/// How long the access log may take to write what it has.
const LOG_TIME: Duration = Duration::from_secs(2);

/// Which signal to go ends the draining early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hurry {
    AtTheNext,
    /// We are missed elsewhere: there is little time.
    Already,
    /// The first one is for the process that serves instead of this one.
    AtTheSecond,
}

impl App {
    /// Drains, cuts, and says how many were cut. Signals to go end the draining early.
    pub(super) async fn stop(self, hurry: Hurry) {
        let Self {
            mut listeners,
            workers,
            threads,
            capacity,
            access,
            health,
            shutdown,
            claim,
            current,
            mut signals,
            guests,
            taps,
            answering,
            commands,
            postponed,
            checks,
            ..
        } = self;
        // Who asks now is told at once that nobody answers here.
        drop((commands, postponed));
        let drain = match hurry {
            Hurry::AtTheNext | Hurry::AtTheSecond => current.table.drain,
            Hurry::Already => current.table.drain.min(SHORT_DRAIN),
        };
        health.send_modify(|health| health.status = Status::Draining);
        if claim.is_passed_on() {
            tracing::debug!("another process has the door");
        } else if let Err(error) = readiness::stopping() {
            tracing::debug!(%error, "the service manager was not told");
        }
        listeners.retain(&[]);
        drop(checks);
        tell_all(&workers, Stage::Draining).await;
        let open = capacity.open();
        if open > 0 {
            tracing::info!(connections = open, drain = ?drain, "draining; a second signal cuts at once");
        }
        tokio::select! {
            () = emptied(&capacity) => {}
            () = tokio::time::sleep(drain) => {}
            () = hurried(&mut signals.farewell, hurry) => {}
        }
        let cut = capacity.open();
        tell_all(&workers, Stage::Cut).await;
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a worker had panicked");
            }
        }
        // With the last line to it a session ends once all was said.
        drop((guests, taps));
        answering.settle().await;
        shutdown.cut_off();
        if let Some(access) = access {
            close(&access);
        }
        drop(claim);
        tell_totals(&workers, cut);
    }
}

async fn emptied(capacity: &Capacity) {
    while capacity.open() > 0 {
        tokio::time::sleep(COUNT_EVERY).await;
    }
}

async fn hurried(farewell: &mut Farewell, hurry: Hurry) {
    if hurry == Hurry::AtTheSecond {
        farewell.said().await;
    }
    farewell.said().await;
}

fn tell_totals(workers: &[Handle], cut: usize) {
    let counters: Vec<_> = workers
        .iter()
        .map(|worker| worker.counters.clone())
        .collect();
    let Totals {
        connections,
        requests,
        ..
    } = sum(&counters);
    if cut == 0 {
        tracing::info!(connections, requests, "stopped");
        return;
    }
    tracing::warn!(
        cut,
        connections,
        requests,
        "stopped, and cut connections that were still open"
    );
}

/// Writes what the log has, and says what it lacks.
pub(super) fn close(access: &AccessLog) {
    if access.close(LOG_TIME).is_err() {
        tracing::warn!("the access log was not written to its end");
    }
    if access.dropped() > 0 {
        tracing::warn!(lines = access.dropped(), "the access log lacks lines");
    }
}

async fn tell_all(workers: &[Handle], stage: Stage) {
    for worker in workers {
        // A worker that is gone has told why.
        let _gone = worker.orders.send(Order::Advance(stage)).await;
    }
}
