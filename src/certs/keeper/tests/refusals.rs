//! Names that fail, limits that are told, CAs that are away.

use std::time::Duration;

use super::simulation::{DAY, FALLBACK, HOUR, LETS_ENCRYPT, ORDER, Simulation, options};
use crate::certs::acme::fake::{Fault, Operation};

const BUSY: &str =
    r#"{"type":"urn:ietf:params:acme:error:rateLimited","detail":"Service busy","status":429}"#;

#[tokio::test(start_paused = true)]
async fn a_name_that_always_fails_is_tried_once_a_day_and_holds_up_none() {
    let simulation = Simulation::new();
    simulation.unprove("bad.test");
    let mut process = simulation.start(&["bad.test", "good.test"]).await;
    tokio::time::sleep(ORDER).await;
    assert!(process.serves("good.test").is_some());
    let mut in_this_hour = Vec::new();
    let mut before = 0;
    for hour in 0..90 * 24_u64 {
        tokio::time::sleep(HOUR).await;
        let failed = simulation.ca.counters().failed_authorizations;
        in_this_hour.push(failed - before);
        before = failed;
        if hour % 7 == 0 {
            process.kill().await;
            process = simulation.start(&["bad.test", "good.test"]).await;
        }
    }
    let failed = simulation.ca.counters().failed_authorizations;
    assert!((60..=4 + 90).contains(&failed), "{failed}");
    let most = in_this_hour.iter().max().unwrap();
    assert!(*most < 5, "{most}");
    assert_eq!(simulation.bill(), (2, 0));
    println!("90 days of a name that always fails: {failed} attempts, {most} in an hour at most");
    // Once it is mended, it is served within a day and a bit.
    simulation.prove("bad.test");
    tokio::time::sleep(30 * HOUR).await;
    assert!(process.serves("bad.test").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_the_ca_asks_for_is_kept_over_restarts() {
    let simulation = Simulation::new();
    let busy = Fault::Page(429, BUSY, Some("7200"));
    simulation.ca.fault(Operation::NewOrder, busy);
    let mut orders = 0;
    for minutes in 0..119 {
        let process = simulation.start(&["a.test", "b.test", "c.test"]).await;
        tokio::time::sleep(Duration::from_secs(59)).await;
        process.kill().await;
        orders = simulation.ca.counters().orders;
        // Those that were on their way beside the one that was told.
        assert!(orders <= 2, "minute {minutes}: {orders}");
    }
    let process = simulation.start(&["a.test", "b.test", "c.test"]).await;
    tokio::time::sleep(HOUR).await;
    assert_eq!(simulation.bill(), (3, 0));
    assert!(process.serves("a.test").is_some(), "{orders}");
}

#[tokio::test(start_paused = true)]
async fn the_next_ca_is_asked_when_the_first_is_limited() {
    let simulation = Simulation::new();
    let busy = Fault::Page(429, BUSY, Some("86400"));
    simulation.ca.fault(Operation::NewOrder, busy);
    let process = simulation.boot(simulation.clock());
    let both = || options(&[LETS_ENCRYPT, FALLBACK]);
    process.keep(&["a.test"], both()).await;
    tokio::time::sleep(ORDER).await;
    let served = process.serves("a.test").unwrap();
    assert_eq!(served.bundle.directory, FALLBACK);
    process.kill().await;
    let process = simulation.boot(simulation.clock());
    process.keep(&["a.test"], both()).await;
    tokio::time::sleep(50 * DAY).await;
    assert_eq!(simulation.bill(), (0, 0));
    assert_eq!(simulation.fallback.counters().issued, 1);
    tokio::time::sleep(15 * DAY).await;
    let issued = (simulation.bill(), simulation.fallback.counters().issued);
    assert_eq!(issued, ((1, 0), 1));
}

#[tokio::test(start_paused = true)]
async fn a_renewal_window_of_one_ca_is_no_pass_at_another() {
    let simulation = Simulation::new();
    let process = simulation.boot(simulation.clock());
    let both = options(&[LETS_ENCRYPT, FALLBACK]);
    process.keep(&["a.test"], both).await;
    tokio::time::sleep(DAY).await;
    let away = Fault::Page(429, BUSY, Some("86400"));
    simulation.ca.fault(Operation::NewOrder, away);
    tokio::time::sleep(64 * DAY).await;
    assert_eq!(simulation.fallback.counters().issued, 1);
    let ledger = process.works.ledgers.read(FALLBACK).await.unwrap();
    let ordered = ledger.events().map(|event| event.what.as_str());
    let ordered: Vec<&str> = ordered.filter(|what| what.contains("ren")).collect();
    assert_eq!(ordered, ["renewal"]);
}

#[tokio::test(start_paused = true)]
async fn what_the_first_ca_may_still_send_is_not_ordered_from_the_next() {
    let simulation = Simulation::new();
    simulation
        .ca
        .behave(|it| it.processing_time = Duration::from_secs(15 * 60));
    let process = simulation.boot(simulation.clock());
    process
        .keep(&["a.test"], options(&[LETS_ENCRYPT, FALLBACK]))
        .await;
    tokio::time::sleep(HOUR).await;
    assert_eq!(simulation.bill(), (1, 0));
    assert_eq!(simulation.fallback.counters().orders, 0);
    let served = process.serves("a.test").unwrap();
    assert_eq!(served.bundle.directory, LETS_ENCRYPT);
}

#[tokio::test(start_paused = true)]
async fn an_order_at_a_ca_that_is_gone_from_the_configuration_holds_up_nothing() {
    let simulation = Simulation::new();
    let process = simulation.start(&["a.test"]).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    process.kill().await;
    assert_eq!(simulation.ca.counters().orders, 1);
    let process = simulation.boot(simulation.clock());
    process.keep(&["a.test"], options(&[FALLBACK])).await;
    tokio::time::sleep(ORDER).await;
    let served = process.serves("a.test").unwrap();
    assert_eq!(served.bundle.directory, FALLBACK);
    assert_eq!(simulation.fallback.counters().issued, 1);
}

#[tokio::test(start_paused = true)]
async fn a_ca_that_is_gone_from_the_configuration_is_not_asked_when_to_renew() {
    let simulation = Simulation::new();
    let process = simulation.start(&["a.test"]).await;
    tokio::time::sleep(ORDER).await;
    process.keep(&["a.test"], options(&[FALLBACK])).await;
    let asked = simulation.ca.counters().requests;
    tokio::time::sleep(30 * DAY).await;
    assert_eq!(simulation.ca.counters().requests, asked);
    assert_eq!(simulation.fallback.counters().issued, 0);
    tokio::time::sleep(50 * DAY).await;
    assert_eq!(simulation.fallback.counters().issued, 1);
    assert!(process.serves("a.test").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_ca_that_never_answers_holds_up_no_reload_and_no_other_ca() {
    let simulation = Simulation::new();
    simulation
        .ca
        .fault(Operation::Directory, Fault::NeverBefore);
    let process = simulation.start(&["a.test"]).await;
    tokio::time::sleep(ORDER).await;
    let other = options(&[FALLBACK]);
    process.keep(&["a.test", "b.test"], other).await;
    tokio::time::sleep(ORDER).await;
    assert!(process.serves("b.test").is_some());
}
