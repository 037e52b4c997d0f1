//! Death at every point of a first order and of a renewal, of a name that is proven at its door and of one that is proven by DNS.

use super::simulation::{DAY, HOUR, ORDER, Process, Simulation};
use crate::certs::acme::fake::Fault;
use crate::storage::store::memory::{Faults, Moment};

/// What is disturbed: a first order, or a renewal.
#[derive(Debug, Clone, Copy)]
enum Errand {
    First(&'static str),
    Renewal(&'static str),
}

impl Errand {
    const ALL: [Self; 4] = [
        Self::First("a.test"),
        Self::Renewal("a.test"),
        Self::First("*.a.test"),
        Self::Renewal("*.a.test"),
    ];

    fn name(self) -> &'static str {
        match self {
            Self::First(name) | Self::Renewal(name) => name,
        }
    }

    /// How many were issued once it is done.
    fn bill(self) -> u64 {
        match self {
            Self::First(_) => 1,
            Self::Renewal(_) => 2,
        }
    }

    /// Everything up to the point at which a process would begin with it.
    async fn prepared(self) -> Simulation {
        let simulation = Simulation::new();
        match self {
            Self::First(_) => {}
            Self::Renewal(name) => {
                let process = simulation.start(&[name]).await;
                tokio::time::sleep(ORDER).await;
                process.kill().await;
                tokio::time::sleep(61 * DAY).await;
            }
        }
        simulation
    }

    async fn begin(self, process: &Process) {
        let options = super::simulation::options(&[super::simulation::LETS_ENCRYPT]);
        process.keep(&[self.name()], options).await;
        tokio::time::sleep(ORDER).await;
    }
}

#[tokio::test(start_paused = true)]
async fn death_at_any_write_costs_no_second_issuance() {
    at_any_write(
        Faults::crash_at,
        async |_simulation, process, _errand, point| {
            assert!(process.faults.is_crashed(), "{point}");
        },
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_write_that_fails_costs_no_second_issuance() {
    at_any_write(Faults::fail, async |simulation, process, errand, point| {
        tokio::time::sleep(HOUR).await;
        assert_eq!(simulation.bill(), (errand.bill(), 0), "{point}");
        assert!(process.serves(errand.name()).is_some(), "{point}");
    })
    .await;
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
                errand.begin(&process).await;
                survives(&simulation, process, errand, &point).await;
            }
        }
        println!("{errand:?}: death before and after each of {requests} answers");
    }
}

/// Disturbs each write of each errand; `judge` looks at what that led to before the process dies.
async fn at_any_write(
    disturb: impl Fn(&Faults, u64, Moment),
    judge: impl AsyncFn(&Simulation, &Process, Errand, &str),
) {
    for errand in Errand::ALL {
        let (writes, _) = undisturbed(errand).await;
        for write in 1..=writes {
            for moment in [Moment::Before, Moment::After] {
                let point = format!("{errand:?}, write {write} of {writes}, {moment:?}");
                let simulation = errand.prepared().await;
                let process = simulation.boot(simulation.clock());
                disturb(&process.faults, write, moment);
                errand.begin(&process).await;
                judge(&simulation, &process, errand, &point).await;
                survives(&simulation, process, errand, &point).await;
            }
        }
        println!("{errand:?}: before and after each of {writes} writes");
    }
}

/// Writes and requests of an errand without a fault.
async fn undisturbed(errand: Errand) -> (u64, u64) {
    let simulation = errand.prepared().await;
    let before = simulation.ca.counters().requests;
    let process = simulation.boot(simulation.clock());
    errand.begin(&process).await;
    assert_eq!(simulation.bill(), (errand.bill(), 0), "{errand:?}");
    let requests = simulation.ca.counters().requests - before;
    (process.faults.mutations(), requests)
}

/// The process is killed, and the next one ends what it began, with no more than was due, and is content then.
async fn survives(simulation: &Simulation, dead: Process, errand: Errand, point: &str) {
    let name = errand.name();
    dead.kill().await;
    let process = simulation.start(&[name]).await;
    // What the CA was to be told again may have to wait.
    tokio::time::sleep(2 * HOUR).await;
    assert_eq!(simulation.bill(), (errand.bill(), 0), "{point}");
    assert_eq!(simulation.ca.accounts(), 1, "{point}");
    assert_eq!(simulation.zone.len(), 0, "{point}: records are left");
    let served = process.serves(name);
    let served = served.unwrap_or_else(|| panic!("{point}: not served"));
    assert_eq!(served.bundle.generation, errand.bill(), "{point}");
    let stored = simulation.stored(name).await.unwrap();
    assert_eq!(stored.leaf(), served.leaf(), "{point}");
    process.kill().await;
    let requests = simulation.ca.counters().requests;
    let process = simulation.start(&[name]).await;
    tokio::time::sleep(ORDER).await;
    assert_eq!(simulation.ca.counters().requests, requests, "{point}");
    assert!(process.serves(name).is_some(), "{point}");
}
