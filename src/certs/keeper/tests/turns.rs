//! One who looked, and was held up until another had tried.

use tokio::task::yield_now;

use super::simulation::{LETS_ENCRYPT, ORDER, Simulation, options};

#[tokio::test(start_paused = true)]
async fn a_failure_of_another_is_heeded_by_who_was_held_up_at_any_moment() {
    let mut held_up = 0;
    loop {
        let simulation = Simulation::new();
        simulation.unprove("bad.test");
        let slow = simulation.boot(simulation.clock());
        slow.keep(&["bad.test"], options(&[LETS_ENCRYPT])).await;
        for _turn in 0..held_up {
            yield_now().await;
        }
        slow.faults.silence();
        let other = simulation.start(&["bad.test"]).await;
        tokio::time::sleep(ORDER / 2).await;
        let failed = || simulation.ca.counters().failed_authorizations;
        if failed() == 0 {
            // The slow one has the lease by then.
            break;
        }
        slow.faults.mend();
        // The first pause after a failure is longer.
        tokio::time::sleep(ORDER).await;
        assert_eq!(failed(), 1, "held up after {held_up} turns");
        assert!(other.serves("bad.test").is_none());
        held_up += 1;
    }
    assert!(held_up > 3, "{held_up}");
}
