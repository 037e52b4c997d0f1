//! Replicas that freeze, die or are cut off, and stores that are emptied or come back old, at every write of an order.

use std::time::Duration;

use super::super::simulation::{DAY, HOUR};
use super::{Fleet, Host, Replica, Trim, pattern};
use crate::certs::keeper::{Options, Outcome, Role};
use crate::storage::store::memory::{Faults, Moment};

/// More than a lease, a pause and an order take.
const LONG: Duration = Duration::from_secs(600);

/// Writes of a first replica that orders alone.
async fn writes() -> u64 {
    let fleet = Fleet::in_memory();
    let replica = fleet.start(&Host::new(), "a.test").await;
    replica.until_it_serves("a.test", 1).await;
    tokio::time::sleep(HOUR).await;
    replica.faults().mutations()
}

/// Disturbs the first of three at each write of its order. The others see to the name, and the first comes back.
async fn at_every_write(disturb: fn(&Faults, u64, Moment)) {
    let writes = writes().await;
    for write in 1..=writes {
        for moment in [Moment::Before, Moment::After] {
            let point = format!("write {write} of {writes}, {moment:?}");
            let fleet = Fleet::in_memory();
            fleet.ca.behave(|it| it.validity = 45 * DAY);
            let hosts = [(); 3].map(|()| Host::new());
            let first = fleet.boot(&hosts[0], fleet.clock.clone(), true);
            disturb(first.faults(), write, moment);
            let usual = || fleet.usual().options;
            // Whoever waits for a silent store is not waited for.
            let starting = tokio::time::timeout(LONG, first.keep("a.test", usual()));
            let _late = starting.await;
            let mut others = Vec::new();
            for host in &hosts[1..] {
                others.push(fleet.start(host, "a.test").await);
            }
            tokio::time::sleep(LONG).await;
            for other in &others {
                assert_eq!(other.generation("a.test"), Some(1), "{point}");
            }
            assert_eq!(fleet.bill(), (1, 0), "{point}");
            first.faults().mend();
            first.faults().revive();
            tokio::time::sleep(LONG).await;
            assert_eq!(fleet.bill(), (1, 0), "{point}");
            assert_eq!(fleet.ca.accounts(), 1, "{point}");
            assert_eq!(first.generation("a.test"), Some(1), "{point}");
        }
    }
    println!("before and after each of {writes} writes");
}

#[tokio::test(start_paused = true)]
async fn a_leaseholder_that_dies_at_any_write_costs_no_second_issuance() {
    at_every_write(Faults::crash_at).await;
}

#[tokio::test(start_paused = true)]
async fn a_leaseholder_that_freezes_at_any_write_costs_no_second_issuance() {
    at_every_write(Faults::silence_at).await;
}

#[tokio::test(start_paused = true)]
async fn a_leaseholder_that_is_cut_off_at_any_write_costs_no_second_issuance() {
    at_every_write(Faults::cut_off_at).await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_emptied_at_any_write_costs_no_second_issuance() {
    at_every_write(Faults::empty_at).await;
}

async fn three(fleet: &Fleet) -> ([Host; 3], Vec<Replica>) {
    let hosts = [(); 3].map(|()| Host::new());
    let mut replicas = Vec::new();
    for host in &hosts {
        replicas.push(fleet.start(host, "a.test").await);
    }
    for replica in &replicas {
        replica.until_it_serves("a.test", 1).await;
    }
    (hosts, replicas)
}

#[tokio::test(start_paused = true)]
async fn an_emptied_store_costs_no_issuance_while_anybody_remembers() {
    let fleet = Fleet::in_memory();
    let (hosts, replicas) = three(&fleet).await;
    // So that nobody is woken by what is written: the next look is at its time.
    tokio::time::sleep(Duration::from_secs(21)).await;
    fleet.empty();
    let fresh = fleet.start(&Host::new(), "a.test").await;
    fresh.until_it_serves("a.test", 1).await;
    for replica in replicas {
        replica.kill().await;
    }
    fresh.kill().await;
    fleet.empty();
    let revived = fleet.start(&hosts[1], "a.test").await;
    assert_eq!(revived.generation("a.test"), Some(1));
    tokio::time::sleep(HOUR).await;
    assert_eq!(fleet.bill(), (1, 0));
    assert_eq!(fleet.ca.accounts(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_old_backup_of_the_store_costs_no_issuance_while_anybody_remembers() {
    let fleet = Fleet::in_memory();
    fleet.ca.behave(|it| it.validity = 2 * DAY);
    let (hosts, replicas) = three(&fleet).await;
    tokio::time::sleep(HOUR).await;
    let old = fleet.backup().await;
    tokio::time::sleep(DAY + 2 * HOUR).await;
    assert_eq!(fleet.bill(), (2, 0));
    fleet.restore(&old).await;
    tokio::time::sleep(HOUR).await;
    assert!(replicas.iter().all(|it| it.generation("a.test") == Some(2)));
    assert_eq!(fleet.bill(), (2, 0));
    for replica in replicas {
        replica.kill().await;
    }
    fleet.restore(&old).await;
    let revived = fleet.start(&hosts[2], "a.test").await;
    tokio::time::sleep(HOUR).await;
    assert_eq!(revived.generation("a.test"), Some(2));
    let fresh = fleet.start(&Host::new(), "a.test").await;
    tokio::time::sleep(HOUR).await;
    assert_eq!(fresh.generation("a.test"), Some(2));
    assert_eq!(fleet.bill(), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_host_that_starts_while_the_store_is_away_serves_and_orders_nothing() {
    for disturb in [Faults::cut_off, Faults::silence] {
        let fleet = Fleet::in_memory();
        let (hosts, replicas) = three(&fleet).await;
        drop(replicas);
        let replica = fleet.boot(&hosts[0], fleet.clock.clone(), true);
        disturb(replica.faults());
        let begun = tokio::time::Instant::now();
        replica.keep("a.test", fleet.usual().options).await;
        assert_eq!(replica.generation("a.test"), Some(1));
        assert!(begun.elapsed() < Duration::from_secs(5));
        let empty = fleet.boot(&Host::new(), fleet.clock.clone(), true);
        disturb(empty.faults());
        empty.keep("a.test", fleet.usual().options).await;
        tokio::time::sleep(LONG).await;
        assert_eq!(empty.generation("a.test"), None);
        assert_eq!(fleet.bill(), (1, 0));
        for replica in [&replica, &empty] {
            replica.faults().mend();
            replica.until_it_serves("a.test", 1).await;
        }
        assert_eq!(fleet.bill(), (1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_only_serves_orders_nothing_and_says_so() {
    let fleet = Fleet::in_memory();
    fleet.ca.behave(|it| it.validity = 2 * DAY);
    let trim = Trim {
        options: Options {
            role: Role::ServeOnly,
            ..fleet.usual().options
        },
        ..fleet.usual()
    };
    let serving = fleet.start_as(&Host::new(), "a.test", trim).await;
    tokio::time::sleep(HOUR).await;
    assert_eq!(fleet.ca.counters().requests, 0);
    let asked = serving.keeper.renew(pattern("a.test")).await;
    assert_eq!(asked, Outcome::ServesOnly);
    let issuing = fleet.start(&Host::new(), "a.test").await;
    issuing.until_it_serves("a.test", 1).await;
    let late = serving.until_it_serves("a.test", 1).await;
    assert!(late < Duration::from_secs(30), "{late:?}");
    issuing.kill().await;
    tokio::time::sleep(2 * DAY).await;
    assert_eq!(fleet.bill(), (1, 0));
    assert_eq!(serving.store.list("identity").await.unwrap().len(), 1);
}
