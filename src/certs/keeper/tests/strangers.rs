//! Handshakes for names that nobody has written down.

use std::net::TcpListener;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::simulation::{LETS_ENCRYPT, Simulation, options, pattern};
use crate::certs::keeper::Options;
use crate::certs::keeper::demand::{ASK_TIMEOUT, ASKED_MAX, Ask};

/// Of them, some more than may be asked about at a time.
const STRANGERS: usize = ASKED_MAX + 8;
const MOMENT: Duration = Duration::from_millis(100);

#[tokio::test(start_paused = true)]
async fn names_that_strangers_ask_for_hold_up_nothing_whose_time_has_come() {
    let simulation = Simulation::new();
    // The system accepts for it, and it never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let asking = || Options {
        on_demand: Some(Ask::at(&url)),
        ..options(&[LETS_ENCRYPT])
    };
    let process = simulation.boot(simulation.clock());
    process.keep(&["kept.test"], asking()).await;
    while process.serves("kept.test").is_none() {
        sleep(MOMENT).await;
    }
    let begun = Instant::now();
    let mut strangers = JoinSet::new();
    for number in 0..STRANGERS {
        let keeper = process.keeper.clone();
        strangers.spawn(async move { keeper.demand(pattern(&format!("n{number}.test"))).await });
    }
    sleep(MOMENT).await;
    let mut refused = 0;
    while let Some(is_there) = strangers.try_join_next() {
        assert!(!is_there.unwrap());
        refused += 1;
    }
    assert_eq!(refused, STRANGERS - ASKED_MAX);
    // Kept names are fetched meanwhile, and those that are new are ordered.
    assert!(process.keeper.demand(pattern("kept.test")).await);
    process.keep(&["kept.test", "new.test"], asking()).await;
    while process.serves("new.test").is_none() {
        sleep(MOMENT).await;
        assert!(begun.elapsed() < ASK_TIMEOUT);
    }
    assert!(strangers.try_join_next().is_none());
    assert_eq!(simulation.bill(), (2, 0));
}
