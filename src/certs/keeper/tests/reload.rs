//! What a reload does to what is kept and to what is under way.

use std::time::Duration;

use super::simulation::{DAY, LETS_ENCRYPT, ORDER, Simulation, options};

#[tokio::test(start_paused = true)]
async fn a_dropped_name_is_renewed_no_more_and_its_files_stay() {
    let simulation = Simulation::new();
    let process = simulation.start(&["a.test", "b.test"]).await;
    tokio::time::sleep(ORDER).await;
    process.keep(&["a.test"], options(&[LETS_ENCRYPT])).await;
    tokio::time::sleep(80 * DAY).await;
    assert_eq!(simulation.bill(), (3, 0));
    // Nobody would see that it is shown after its end.
    assert!(process.serves("b.test").is_none());
    let left = simulation.stored("b.test").await.unwrap();
    assert_eq!(left.bundle.generation, 1);
    let both = ["a.test", "b.test"];
    process.keep(&both, options(&[LETS_ENCRYPT])).await;
    tokio::time::sleep(ORDER).await;
    assert_eq!(simulation.bill(), (4, 0));
}

#[tokio::test(start_paused = true)]
async fn of_three_names_one_that_is_renamed_costs_one() {
    let simulation = Simulation::new();
    let process = simulation.start(&["a.test", "b.test", "old.c.test"]).await;
    tokio::time::sleep(DAY).await;
    assert_eq!(simulation.bill(), (3, 0));
    let renamed = ["a.test", "b.test", "new.c.test"];
    process.keep(&renamed, options(&[LETS_ENCRYPT])).await;
    tokio::time::sleep(DAY).await;
    assert_eq!(simulation.bill(), (4, 0));
    process.kill().await;
    let process = simulation.start(&renamed).await;
    tokio::time::sleep(70 * DAY).await;
    assert_eq!(simulation.bill(), (7, 0));
    for name in renamed {
        assert_eq!(process.serves(name).unwrap().bundle.generation, 2, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reload_at_any_moment_cancels_no_order_and_repeats_none() {
    for millis in (0..8_000).step_by(250) {
        let simulation = Simulation::new();
        let process = simulation.start(&["a.test"]).await;
        tokio::time::sleep(Duration::from_millis(millis)).await;
        process.keep(&["b.test"], options(&[LETS_ENCRYPT])).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        let both = ["a.test", "b.test"];
        process.keep(&both, options(&[LETS_ENCRYPT])).await;
        tokio::time::sleep(2 * ORDER).await;
        let counters = simulation.ca.counters();
        let seen = (counters.orders, counters.issued, counters.limited);
        assert_eq!(seen, (2, 2, 0), "after {millis} ms");
        for name in both {
            assert!(process.serves(name).is_some(), "after {millis} ms: {name}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn other_options_are_tried_at_once_after_a_failure() {
    let simulation = Simulation::new();
    simulation.unprove("a.test");
    let process = simulation.start(&["a.test"]).await;
    tokio::time::sleep(DAY).await;
    simulation.prove("a.test");
    let mut changed = options(&[LETS_ENCRYPT]);
    changed.cas[0].email = Some("me@a.test".to_owned());
    process.keep(&["a.test"], changed).await;
    tokio::time::sleep(ORDER).await;
    assert!(process.serves("a.test").is_some());
}
