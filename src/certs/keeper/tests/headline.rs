//! What restarts cost.

use std::time::Duration;

use super::simulation::{DAY, HOUR, ORDER, Simulation};

const REDEPLOYS: u32 = 1_000;

#[tokio::test(start_paused = true)]
async fn a_thousand_redeploys_on_one_store_cost_one_issuance() {
    let simulation = Simulation::new();
    let mut random = fastrand::Rng::with_seed(1);
    let mut served = 0;
    for redeploy in 0..REDEPLOYS {
        let process = simulation.start(&["a.test"]).await;
        // The first ones do not live long enough to get a certificate.
        let life = Duration::from_millis(random.u64(..6_000));
        tokio::time::sleep(life).await;
        served += u32::from(process.serves("a.test").is_some());
        process.kill().await;
        tokio::time::sleep(Duration::from_secs(u64::from(redeploy % 120))).await;
    }
    assert_eq!(simulation.bill(), (1, 0));
    assert!(served > REDEPLOYS - 10, "{served}");
    println!("1,000 redeploys on one store cost 1 issuance, and {served} of them served it");
}

#[tokio::test(start_paused = true)]
async fn three_years_of_hourly_restarts_spend_no_limit() {
    const YEARS: u32 = 3;
    let simulation = Simulation::new();
    simulation.ca.behave(|it| it.validity = 45 * DAY);
    let first = simulation.start(&["a.test"]).await;
    tokio::time::sleep(ORDER).await;
    first.kill().await;
    let (begun, end) = (simulation.now(), simulation.now() + YEARS * 365 * DAY);
    let mut restarts = 0;
    while simulation.now() < end {
        let process = simulation.start(&["a.test"]).await;
        restarts += 1;
        let since = simulation.now().duration_since(begun).unwrap();
        tokio::time::sleep(restarts * HOUR - since).await;
        let ready = process.serves("a.test").unwrap();
        assert!(ready.facts.not_after > simulation.now() + 10 * DAY);
        process.kill().await;
    }
    let counters = simulation.ca.counters();
    assert_eq!(counters.limited, 0);
    assert_eq!(counters.issued, counters.orders);
    assert_eq!(counters.exempt, counters.orders - 1);
    // Each is renewed about two thirds into its 45 days.
    assert!((36..=38).contains(&counters.issued), "{counters:?}");
    println!(
        "three years of 45-day certificates with {restarts} hourly restarts spend no limit: {} issued, {} of them renewals inside their windows, {} refused",
        counters.issued, counters.exempt, counters.limited
    );
}
