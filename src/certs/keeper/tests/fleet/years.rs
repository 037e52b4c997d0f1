//! Years of a fleet whose clocks differ, with a restart every day.

use std::time::Duration;

use super::super::simulation::DAY;
use super::{Fleet, Host, Trim};
use crate::clock::Clock;

const YEARS: u32 = 3;
const MINUTES: Duration = Duration::from_secs(5 * 60);

#[tokio::test(start_paused = true)]
async fn three_years_of_a_fleet_with_restarts_and_clocks_that_differ_spend_no_limit() {
    let fleet = Fleet::in_memory();
    fleet.ca.behave(|it| it.validity = 45 * DAY);
    let hosts = [(); 3].map(|()| Host::new());
    let clocks = || {
        let now = fleet.clock.now();
        [now - MINUTES, now, now + MINUTES].map(Clock::virtual_from)
    };
    let trim = |clock| Trim {
        clock,
        // Years of looks at what others do take long, and nothing here hangs on them.
        is_watching: false,
        ..fleet.usual()
    };
    let mut replicas = Vec::new();
    for (host, clock) in hosts.iter().zip(clocks()) {
        replicas.push(fleet.start_as(host, "a.test", trim(clock)).await);
    }
    for day in 0..YEARS * 365 {
        tokio::time::sleep(DAY).await;
        let number = (day % 3) as usize;
        let [first, second, third] = clocks();
        let clock = match number {
            0 => first,
            1 => second,
            _ => third,
        };
        let served = replicas[number].serves("a.test").unwrap();
        assert!(
            served.facts.not_after > fleet.clock.now() + 10 * DAY,
            "day {day}"
        );
        replicas[number] = fleet.start_as(&hosts[number], "a.test", trim(clock)).await;
    }
    let counters = fleet.ca.counters();
    assert_eq!(counters.limited, 0);
    assert_eq!(counters.issued, counters.orders);
    // Each is renewed about two thirds into its 45 days.
    assert!((36..=38).contains(&counters.issued), "{counters:?}");
    println!(
        "three years of three replicas with clocks that differ by ten minutes: {} issued, 0 refused",
        counters.issued
    );
}
