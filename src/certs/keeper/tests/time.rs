//! Clocks that jump, windows that move, stores that come back old.

use std::time::Duration;

use super::simulation::{DAY, HOUR, Simulation};

#[tokio::test(start_paused = true)]
async fn an_incident_of_the_ca_is_answered_within_one_poll() {
    let simulation = Simulation::new();
    let process = simulation.start(&["a.test"]).await;
    tokio::time::sleep(10 * DAY).await;
    simulation.ca.incident("https://ca.test/incident");
    tokio::time::sleep(6 * HOUR + Duration::from_secs(120)).await;
    assert_eq!(simulation.bill(), (2, 0));
    assert_eq!(process.serves("a.test").unwrap().bundle.generation, 2);
    tokio::time::sleep(20 * DAY).await;
    assert_eq!(simulation.bill(), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn an_older_store_that_comes_back_costs_at_most_one() {
    let simulation = Simulation::new();
    simulation.ca.behave(|it| it.validity = 45 * DAY);
    let process = simulation.start(&["a.test"]).await;
    tokio::time::sleep(DAY).await;
    let old = simulation.copy().await;
    tokio::time::sleep(40 * DAY).await;
    assert_eq!(simulation.bill(), (2, 0));
    process.kill().await;
    simulation.restore(&old).await;
    let process = simulation.start(&["a.test"]).await;
    tokio::time::sleep(10 * DAY).await;
    assert_eq!(simulation.bill(), (3, 0));
    let served = process.serves("a.test").unwrap();
    assert!(served.facts.not_after > simulation.now() + 20 * DAY);
}

#[tokio::test(start_paused = true)]
async fn a_clock_far_ahead_and_back_again_orders_nothing_twice() {
    for validity in [90 * DAY, 45 * DAY, 6 * DAY] {
        for restarts in [1, 20] {
            let point = format!("{validity:?}, {restarts} starts");
            let simulation = Simulation::new();
            simulation.ca.behave(|it| it.validity = validity);
            let process = simulation.start(&["a.test"]).await;
            tokio::time::sleep(DAY).await;
            process.kill().await;
            for _start in 0..restarts {
                let ahead = simulation.clock_at(simulation.now() + 80 * DAY);
                let process = simulation.start_at(&["a.test"], ahead).await;
                tokio::time::sleep(HOUR).await;
                assert!(process.serves("a.test").is_some(), "{point}");
                process.kill().await;
            }
            // By that clock the first certificate was due or over, so one renewal is what anybody would do.
            assert_eq!(simulation.bill(), (2, 0), "{point}");
            let process = simulation.start(&["a.test"]).await;
            tokio::time::sleep(validity / 3).await;
            assert_eq!(simulation.bill(), (2, 0), "{point}");
            tokio::time::sleep(validity / 5 * 2).await;
            // What the clock that was ahead wrote locks nothing.
            assert_eq!(simulation.bill(), (3, 0), "{point}");
            let served = process.serves("a.test").unwrap();
            assert!(served.facts.not_after > simulation.now() + validity / 3);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_stays_ahead_renews_as_often_as_a_good_one() {
    let simulation = Simulation::new();
    simulation.ca.behave(|it| it.validity = 45 * DAY);
    let ahead = simulation.clock_at(simulation.now() + 80 * DAY);
    let process = simulation.start_at(&["a.test"], ahead).await;
    for days in 1..=100 {
        tokio::time::sleep(DAY).await;
        let served = process.serves("a.test").unwrap();
        assert!(served.facts.not_after > simulation.now(), "day {days}");
    }
    let (issued, limited) = simulation.bill();
    assert!(issued <= 5 && limited == 0, "{issued} {limited}");
}

#[tokio::test(start_paused = true)]
async fn a_clock_far_behind_orders_nothing_and_what_is_missing_once() {
    let simulation = Simulation::new();
    let process = simulation.start(&["a.test"]).await;
    tokio::time::sleep(DAY).await;
    process.kill().await;
    let behind = simulation.clock_at(simulation.now() - 80 * DAY);
    let process = simulation.start_at(&["a.test", "b.test"], behind).await;
    tokio::time::sleep(DAY).await;
    process.kill().await;
    assert_eq!(simulation.bill(), (2, 0));
    let process = simulation.start(&["a.test", "b.test"]).await;
    tokio::time::sleep(40 * DAY).await;
    assert_eq!(simulation.bill(), (2, 0));
    tokio::time::sleep(30 * DAY).await;
    assert_eq!(simulation.bill(), (4, 0));
    for name in ["a.test", "b.test"] {
        let served = process.serves(name).unwrap();
        assert!(served.facts.not_after > simulation.now() + 50 * DAY);
    }
}
