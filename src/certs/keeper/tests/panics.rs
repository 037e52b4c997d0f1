//! A fault of ours that is met while a name is tended.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::time::{sleep, timeout};

use super::simulation::{HOUR, LETS_ENCRYPT, ORDER, Simulation, options, pattern};
use super::zone::Zone;
use crate::certs::acme::seams::BoxFuture;
use crate::certs::acme::solver::SolveError;
use crate::certs::keeper::{Options, Outcome, Records};

/// Panics once.
#[derive(Debug)]
struct Broken {
    is_mended: AtomicBool,
    zone: Zone,
}

impl Records for Broken {
    fn publish<'a>(
        &'a self,
        name: &'a str,
        value: &'a str,
    ) -> BoxFuture<'a, Result<(), SolveError>> {
        let is_mended = self.is_mended.swap(true, Ordering::Relaxed);
        assert!(is_mended, "a panic of the test");
        self.zone.publish(name, value)
    }

    fn withdraw<'a>(
        &'a self,
        name: &'a str,
        value: &'a str,
    ) -> BoxFuture<'a, Result<(), SolveError>> {
        self.zone.withdraw(name, value)
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_whose_tending_panicked_is_tended_again_and_others_are_not_held_up() {
    let simulation = Simulation::new();
    let process = simulation.boot(simulation.clock());
    let names = ["*.a.test", "b.test"].map(pattern).to_vec();
    let broken = Broken {
        is_mended: AtomicBool::new(false),
        zone: simulation.zone.clone(),
    };
    let options = Options {
        dns: Some(Arc::new(broken)),
        ..options(&[LETS_ENCRYPT])
    };
    process.keeper.keep(names, Arc::new(options)).await;
    let asked = timeout(HOUR, process.keeper.renew(pattern("*.a.test"))).await;
    let asked = asked.expect("whoever waits is told");
    let Outcome::Failed { problem, again } = asked else {
        panic!("{asked:?}");
    };
    assert!(problem.contains("a panic of the test"), "{problem}");
    assert!(again > simulation.now());
    sleep(ORDER).await;
    assert!(process.serves("b.test").is_some() && process.serves("*.a.test").is_none());
    sleep(2 * HOUR).await;
    assert!(process.serves("*.a.test").is_some());
    assert_eq!(simulation.bill(), (2, 0));
}
