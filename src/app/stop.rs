//! Stopping: nobody new is let in, whoever is here may finish, and what is left then is cut and counted.

use std::time::Duration;

use super::App;
use crate::control::health::Status;
use crate::control::readiness;
use crate::door::Order;
use crate::observe::access::AccessLog;
use crate::observe::counters::{Totals, sum};
use crate::proxy::context::Stage;

/// How often the connections that are left are counted.
const COUNT_EVERY: Duration = Duration::from_millis(20);
/// How long the access log may take to write what it has.
const LOG_TIME: Duration = Duration::from_secs(2);
/// How long the answers on the control socket may take to be read.
const ANSWERS_TIME: Duration = Duration::from_millis(500);

impl App {
    /// Drains, cuts, and says how many were cut. Another signal to go ends the draining early.
    pub(super) async fn stop(self) {
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
            answering,
            ..
        } = self;
        let drain = current.table.drain;
        health.send_modify(|health| health.status = Status::Draining);
        if claim.is_passed_on() {
            tracing::debug!("another process has the door");
        } else if let Err(error) = readiness::stopping() {
            tracing::debug!(%error, "the service manager was not told");
        }
        listeners.retain(&[]);
        tell_all(&workers, Stage::Draining).await;
        let open = capacity.open();
        if open > 0 {
            tracing::info!(connections = open, drain = ?drain, "draining; a second signal cuts at once");
        }
        let empty = async {
            while capacity.open() > 0 {
                tokio::time::sleep(COUNT_EVERY).await;
            }
        };
        tokio::select! {
            () = empty => {}
            () = tokio::time::sleep(drain) => {}
            () = signals.farewell.said() => {}
        }
        let cut = capacity.open();
        tell_all(&workers, Stage::Cut).await;
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a worker had panicked");
            }
        }
        answering.stop_accepting();
        answering.settled(ANSWERS_TIME).await;
        shutdown.cut_off();
        if let Some(access) = access {
            close(&access);
        }
        drop(claim);
        let counters: Vec<_> = workers
            .iter()
            .map(|worker| worker.counters.clone())
            .collect();
        told(cut, &sum(&counters));
    }
}

fn told(cut: usize, totals: &Totals) {
    let Totals {
        connections,
        requests,
        ..
    } = totals;
    match cut {
        0 => tracing::info!(connections, requests, "stopped"),
        cut => {
            tracing::warn!(
                cut,
                connections,
                requests,
                "stopped, and cut connections that were still open"
            );
        }
    }
}

fn close(access: &AccessLog) {
    if access.close(LOG_TIME).is_err() {
        tracing::warn!("the access log was not written to its end");
    }
    if access.dropped() > 0 {
        tracing::warn!(lines = access.dropped(), "the access log lacks lines");
    }
}

async fn tell_all(workers: &[crate::door::Handle], stage: Stage) {
    for worker in workers {
        // A worker that is gone has told why.
        let _gone = worker.orders.send(Order::Advance(stage)).await;
    }
}
