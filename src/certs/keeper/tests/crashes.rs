//! Death at every point of a first order and of a renewal.

use super::simulation::{DAY, HOUR, ORDER, Process, Simulation};
use crate::certs::acme::fake::Fault;
use crate::storage::store::memory::Moment;

/// What is disturbed: a first order, or a renewal.
#[derive(Debug, Clone, Copy)]
enum Errand {
    First,
    Renewal,
}

impl Errand {
    const ALL: [Self; 2] = [Self::First, Self::Renewal];

    /// How many were issued once it is done.
    fn bill(self) -> u64 {
        match self {
            Self::First => 1,
            Self::Renewal => 2,
        }
    }

    /// Everything up to the point at which a process would begin with it.
    async fn prepared(self) -> Simulation {
        let simulation = Simulation::new();
        match self {
            Self::First => {}
            Self::Renewal => {
                let process = simulation.start(&["a.test"]).await;
                tokio::time::sleep(ORDER).await;
                process.kill().await;
                tokio::time::sleep(61 * DAY).await;
            }
        }
        simulation
    }
}

#[tokio::test(start_paused = true)]
async fn death_at_any_write_costs_no_second_issuance() {
    for errand in Errand::ALL {
        let (writes, _) = undisturbed(errand).await;
        for write in 1..=writes {
            for moment in [Moment::Before, Moment::After] {
                let point = format!("{errand:?}, write {write} of {writes}, {moment:?}");
                let simulation = errand.prepared().await;
                let process = simulation.boot(simulation.clock());
                process.faults.crash_at(write, moment);
                begin(&process).await;
                assert!(process.faults.is_crashed(), "{point}");
                survives(&simulation, process, errand, &point).await;
            }
        }
        println!("{errand:?}: death before and after each of {writes} writes");
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_fails_costs_no_second_issuance() {
    for errand in Errand::ALL {
        let (writes, _) = undisturbed(errand).await;
        for write in 1..=writes {
            for moment in [Moment::Before, Moment::After] {
                let point = format!("{errand:?}, write {write} of {writes}, {moment:?}");
                let simulation = errand.prepared().await;
                let process = simulation.boot(simulation.clock());
                process.faults.fail(write, moment);
                begin(&process).await;
                tokio::time::sleep(HOUR).await;
                assert_eq!(simulation.bill(), (errand.bill(), 0), "{point}");
                assert!(process.serves("a.test").is_some(), "{point}");
                survives(&simulation, process, errand, &point).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn death_at_any_answer_costs_no_second_issuance() {
    for errand in Errand::ALL {
        let (_, requests) = undisturbed(errand).await;
        for request in 0..requests {
            for fault in [Fault::NeverBefore, Fault::NeverAfter] {
                let point = format!("{errand:?}, request {request} of {requests}, {fault:?}");
                let simulation = errand.prepared().await;
                simulation.ca.fault_at(request, fault);
                let process = simulation.boot(simulation.clock());
                begin(&process).await;
                survives(&simulation, process, errand, &point).await;
            }
        }
        println!("{errand:?}: death before and after each of {requests} answers");
    }
}

async fn begin(process: &Process) {
    let options = super::simulation::options(&[super::simulation::LETS_ENCRYPT]);
    process.keep(&["a.test"], options).await;
    tokio::time::sleep(ORDER).await;
}

/// Writes and requests of an errand without a fault.
async fn undisturbed(errand: Errand) -> (u64, u64) {
    let simulation = errand.prepared().await;
    let before = simulation.ca.counters().requests;
    let process = simulation.boot(simulation.clock());
    begin(&process).await;
    assert_eq!(simulation.bill(), (errand.bill(), 0), "{errand:?}");
    let requests = simulation.ca.counters().requests - before;
    (process.faults.mutations(), requests)
}

/// The process is killed, and the next one ends what it began, with no more than was due, and is content then.
async fn survives(simulation: &Simulation, dead: Process, errand: Errand, point: &str) {
    dead.kill().await;
    let process = simulation.start(&["a.test"]).await;
    // What the CA was to be told again may have to wait.
    tokio::time::sleep(2 * HOUR).await;
    assert_eq!(simulation.bill(), (errand.bill(), 0), "{point}");
    assert_eq!(simulation.ca.accounts(), 1, "{point}");
    let served = process.serves("a.test");
    let served = served.unwrap_or_else(|| panic!("{point}: not served"));
    assert_eq!(served.bundle.generation, errand.bill(), "{point}");
    let stored = simulation.stored("a.test").await.unwrap();
    assert_eq!(stored.bundle, served.bundle, "{point}");
    process.kill().await;
    let requests = simulation.ca.counters().requests;
    let process = simulation.start(&["a.test"]).await;
    tokio::time::sleep(ORDER).await;
    assert_eq!(simulation.ca.counters().requests, requests, "{point}");
    assert!(process.serves("a.test").is_some(), "{point}");
}
