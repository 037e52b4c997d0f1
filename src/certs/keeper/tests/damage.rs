//! Objects that are not what they should be, and stores that fail.

use std::time::Duration;

use super::simulation::{DAY, FALLBACK, HOUR, LETS_ENCRYPT, ORDER, Simulation, options};
use crate::certs::alerts::event::Event;
use crate::certs::keeper::ledgers::ca_id;
use crate::storage::store::memory::Moment;

/// How an object is damaged.
#[derive(Debug, Clone, Copy)]
enum Damage {
    Empty,
    Truncated,
    /// Good JSON of something else.
    Foreign,
    NotText,
}

impl Damage {
    const ALL: [Self; 4] = [Self::Empty, Self::Truncated, Self::Foreign, Self::NotText];

    fn done_to(self, good: &[u8]) -> Vec<u8> {
        match self {
            Self::Empty => Vec::new(),
            Self::Truncated => good[..good.len() / 2].to_vec(),
            Self::Foreign => br#"{"brand":"another","things":[1,2]}"#.to_vec(),
            Self::NotText => vec![0xff; 64],
        }
    }
}

/// Two names with two generations each.
async fn renewed() -> Simulation {
    let simulation = Simulation::new();
    for days in [65, 5] {
        let process = simulation.start(&["a.test", "b.test"]).await;
        tokio::time::sleep(ORDER).await;
        process.kill().await;
        tokio::time::sleep(days * DAY).await;
    }
    assert_eq!(simulation.bill(), (4, 0));
    simulation
}

#[tokio::test(start_paused = true)]
async fn an_end_that_cannot_be_written_down_is_not_asked_for_in_a_loop() {
    let simulation = Simulation::new();
    let first = simulation.start(&["a.test"]).await;
    while simulation.ca.probes().is_empty() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    first.kill().await;
    // Nobody answers, so the order ends.
    tokio::time::sleep(ORDER).await;
    assert_eq!(simulation.ca.counters().failed_authorizations, 1);
    let second = simulation.boot(simulation.clock());
    for write in 1..1_000 {
        second.faults.fail(write, Moment::Before);
    }
    let before = simulation.ca.counters().requests;
    second.keep(&["a.test"], options(&[LETS_ENCRYPT])).await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    let requests = simulation.ca.counters().requests - before;
    assert!(requests < 20, "{requests}");
    second.faults.revive();
    tokio::time::sleep(HOUR).await;
    assert!(second.serves("a.test").is_some());
    assert_eq!(simulation.bill(), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_damaged_object_of_one_name_costs_nothing_where_an_older_one_is_good() {
    for part in ["current", "v00000002", "journal", "state"] {
        for damage in Damage::ALL {
            let point = format!("{part}, {damage:?}");
            let simulation = renewed().await;
            let place = format!("certs/a.test/{part}");
            let good = simulation.read(&place).await.unwrap();
            simulation.write(&place, &damage.done_to(&good)).await;
            let process = simulation.start(&["a.test", "b.test"]).await;
            for name in ["a.test", "b.test"] {
                assert!(process.serves(name).is_some(), "{point}: {name}");
            }
            tokio::time::sleep(DAY).await;
            let (issued, limited) = simulation.bill();
            // The older certificate is over, so the damaged one is replaced, once.
            let replaced = u64::from(part == "v00000002");
            assert_eq!((issued, limited), (4 + replaced, 0), "{point}");
            let served = process.serves("a.test").unwrap();
            assert_eq!(served.bundle.generation, 2, "{point}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_damaged_newest_bundle_costs_nothing_while_the_older_one_is_not_due() {
    for damage in Damage::ALL {
        let simulation = Simulation::new();
        let process = simulation.start(&["a.test"]).await;
        tokio::time::sleep(DAY).await;
        process
            .keeper
            .renew(super::simulation::pattern("a.test"))
            .await;
        process.kill().await;
        assert_eq!(simulation.bill(), (2, 0));
        let place = "certs/a.test/v00000002";
        let good = simulation.read(place).await.unwrap();
        simulation.write(place, &damage.done_to(&good)).await;
        let process = simulation.start(&["a.test"]).await;
        tokio::time::sleep(30 * DAY).await;
        assert_eq!(simulation.bill(), (2, 0), "{damage:?}");
        assert_eq!(process.serves("a.test").unwrap().bundle.generation, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_bundle_of_another_name_is_not_served() {
    let simulation = renewed().await;
    let other = simulation.read("certs/b.test/v00000002").await.unwrap();
    simulation.write("certs/a.test/v00000002", &other).await;
    let process = simulation.start(&["a.test", "b.test"]).await;
    assert_eq!(process.serves("a.test").unwrap().bundle.generation, 1);
    tokio::time::sleep(DAY).await;
    assert_eq!(simulation.bill(), (5, 0));
    assert_eq!(process.serves("a.test").unwrap().bundle.names, ["a.test"]);
}

#[tokio::test(start_paused = true)]
async fn a_damaged_journal_of_an_order_under_way_costs_no_429() {
    for damage in Damage::ALL {
        let simulation = Simulation::new();
        let process = simulation.start(&["a.test"]).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        process.kill().await;
        let good = simulation.read("certs/a.test/journal").await.unwrap();
        let damaged = damage.done_to(&good);
        simulation.write("certs/a.test/journal", &damaged).await;
        let process = simulation.start(&["a.test"]).await;
        tokio::time::sleep(ORDER).await;
        assert_eq!(simulation.bill(), (1, 0), "{damage:?}");
        assert!(process.serves("a.test").is_some(), "{damage:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_damaged_ledger_or_account_stops_orders_of_its_ca_alone() {
    for part in ["ledger", "account"] {
        for damage in Damage::ALL {
            let point = format!("{part}, {damage:?}");
            let simulation = renewed().await;
            let place = format!("acme/{}/{part}", ca_id(LETS_ENCRYPT));
            let good = simulation.read(&place).await.unwrap();
            simulation.write(&place, &damage.done_to(&good)).await;
            let process = simulation.start(&["a.test", "b.test", "c.test"]).await;
            tokio::time::sleep(HOUR).await;
            assert_eq!(simulation.bill(), (4, 0), "{point}");
            assert_eq!(simulation.ca.accounts(), 1, "{point}");
            assert!(process.serves("a.test").is_some(), "{point}");
            let told = |event: &Event| {
                matches!(event, Event::Failed { certificate, problem, .. }
                    if certificate == "c.test" && problem.contains(part))
            };
            let events = format!("{:?}", *process.events());
            assert!(process.events().iter().any(told), "{point}: {events}");
            let names = ["a.test", "b.test", "c.test"];
            process.keep(&names, options(&[FALLBACK])).await;
            tokio::time::sleep(ORDER).await;
            assert!(process.serves("c.test").is_some(), "{point}");
            simulation.write(&place, &good).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_stops_orders_and_not_service_and_comes_back() {
    let simulation = Simulation::new();
    let process = simulation.start(&["a.test"]).await;
    tokio::time::sleep(55 * DAY).await;
    process.faults.crash();
    let names = ["a.test", "b.test"];
    process.keep(&names, options(&[LETS_ENCRYPT])).await;
    tokio::time::sleep(10 * DAY).await;
    assert_eq!(simulation.bill(), (1, 0));
    assert!(process.serves("a.test").is_some());
    let is_told = |event: &Event| matches!(event, Event::StorageUnreachable { .. });
    assert!(process.events().iter().any(is_told));
    process.faults.revive();
    tokio::time::sleep(HOUR).await;
    assert_eq!(simulation.bill(), (3, 0));
    assert!(process.serves("b.test").is_some());
    assert_eq!(process.serves("a.test").unwrap().bundle.generation, 2);
}
