//! A storage that is wiped with every redeploy, with the ephemeral guard and without it.

use std::path::Path;

use super::simulation::{DAY, HOUR, LETS_ENCRYPT, ORDER, Process, Simulation, options};
use crate::certs::alerts::event::Event;
use crate::certs::keeper::{Held, Options, Outcome};
use crate::storage::ephemeral::Ephemeral;

const REDEPLOYS: u64 = 1_000;

#[tokio::test(start_paused = true)]
async fn a_storage_that_goes_with_its_container_orders_nothing_and_says_how_to_mend_it() {
    let simulation = Simulation::new();
    for _redeploy in 0..REDEPLOYS {
        let process = redeployed(&simulation, guarded(Ephemeral::Overlay)).await;
        tokio::time::sleep(ORDER).await;
        assert!(process.serves("a.test").is_none());
        let told = |event: &Event| matches!(event, Event::StorageEphemeral { kind, .. } if kind.contains("container"));
        assert!(process.events().iter().any(told));
        process.kill().await;
    }
    let process = redeployed(&simulation, guarded(Ephemeral::Tmpfs)).await;
    let asked = super::simulation::pattern("a.test");
    let Outcome::Failed { problem, .. } = process.keeper.renew(asked).await else {
        panic!("a renewal by hand was not held");
    };
    assert!(problem.contains("mount a volume"), "{problem}");
    assert_eq!(simulation.ca.counters().requests, 0);
    println!("{REDEPLOYS} redeploys of a storage that is lost cost 0 requests under the guard");
}

#[tokio::test(start_paused = true)]
async fn what_was_held_is_ordered_once_the_storage_is_kept() {
    let simulation = Simulation::new();
    let process = redeployed(&simulation, guarded(Ephemeral::Overlay)).await;
    tokio::time::sleep(DAY).await;
    process
        .keep(&["a.test", "*.a.test"], guarded(Ephemeral::Kept))
        .await;
    tokio::time::sleep(ORDER).await;
    assert_eq!(simulation.bill(), (2, 0));
    assert!(process.serves("a.test").is_some() && process.serves("*.a.test").is_some());
}

#[tokio::test(start_paused = true)]
async fn without_the_guard_a_ledger_that_survives_still_holds_the_budget() {
    let simulation = Simulation::new();
    for _lost in 0..3 {
        let process = simulation.start(&["a.test"]).await;
        tokio::time::sleep(ORDER).await;
        process.kill().await;
        let ledgers = simulation.copy().await.into_iter();
        let ledgers = ledgers.filter(|(key, _)| key.as_str().starts_with("acme/"));
        simulation.restore(&ledgers.collect()).await;
    }
    let process = simulation.start(&["a.test"]).await;
    tokio::time::sleep(5 * DAY).await;
    assert_eq!(simulation.bill(), (2, 0));
    tokio::time::sleep(4 * DAY).await;
    assert_eq!(simulation.bill(), (3, 0));
    assert!(process.serves("a.test").is_some());
}

/// The only way to a 429: it is why there is a guard.
#[tokio::test(start_paused = true)]
async fn without_the_guard_and_without_a_ledger_nothing_but_the_ca_sets_an_end() {
    let simulation = Simulation::new();
    for _redeploy in 0..8 {
        let process = redeployed(&simulation, guarded(Ephemeral::Kept)).await;
        tokio::time::sleep(HOUR).await;
        process.kill().await;
    }
    let (issued, limited) = simulation.bill();
    assert_eq!((issued, limited), (5, 3));
}

/// A process that finds nothing of those before it.
async fn redeployed(simulation: &Simulation, options: Options) -> Process {
    simulation.restore(&Default::default()).await;
    let process = simulation.boot(simulation.clock());
    process.keep(&["a.test"], options).await;
    process
}

/// As for a storage of this kind.
fn guarded(kind: Ephemeral) -> Options {
    Options {
        held: Held::where_lost(Path::new("/data"), kind),
        ..options(&[LETS_ENCRYPT])
    }
}
