//! Backups that are put back, however old they are and whatever happened since.

use std::time::Duration;

use super::simulation::{DAY, HOUR, ORDER, Simulation, pattern};
use crate::certs::backup::gather::gather;
use crate::certs::backup::restore::{Outcome, carry_out, look};
use crate::certs::backup::{Contents, Stores, pack, unpack};
use crate::certs::keeper::ledgers::ca_id;

impl Simulation {
    fn stores(&self) -> Stores<'_> {
        Stores {
            shared: &self.store,
            own: &self.store,
        }
    }

    /// As it comes back from a file.
    async fn backup(&self) -> Contents {
        let gathered = gather(self.stores(), self.now()).await.unwrap();
        assert_eq!(gathered.faults, [""; 0]);
        let file = pack(&gathered.contents, None).unwrap();
        unpack(&file, None).unwrap()
    }

    async fn put_back(&self, backup: &Contents) {
        let judged = look(self.stores(), backup, self.now()).await.unwrap();
        let done = carry_out(self.stores(), &judged).await.unwrap();
        assert_eq!(done, Outcome::Done);
    }
}

const NAMES: [&str; 3] = ["a.test", "b.test", "*.c.test"];

#[tokio::test(start_paused = true)]
async fn forty_days_old_in_an_empty_store_it_costs_at_most_one_issuance_a_name_and_no_429() {
    for validity in [90 * DAY, 45 * DAY, 6 * DAY] {
        let simulation = Simulation::new();
        simulation.ca.behave(|it| it.validity = validity);
        let process = simulation.start(&NAMES).await;
        tokio::time::sleep(DAY).await;
        let backup = simulation.backup().await;
        tokio::time::sleep(40 * DAY).await;
        process.kill().await;
        let (before, limited) = simulation.bill();
        assert_eq!(limited, 0);
        simulation.restore(&Default::default()).await;
        simulation.put_back(&backup).await;
        let process = simulation.start(&NAMES).await;
        tokio::time::sleep(DAY).await;
        let (issued, limited) = simulation.bill();
        assert_eq!(limited, 0, "{validity:?}");
        let cost = issued - before;
        // Of ninety days they hold for fifty more.
        let due = if validity == 90 * DAY {
            0
        } else {
            NAMES.len() as u64
        };
        assert_eq!(cost, due, "{validity:?}");
        for name in NAMES {
            let served = process.serves(name).unwrap();
            assert!(served.facts.not_after > simulation.now() + validity / 3);
        }
        assert_eq!(simulation.ca.accounts(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn in_the_store_it_was_made_of_it_changes_nothing_that_is_served() {
    let simulation = Simulation::new();
    simulation.ca.behave(|it| it.validity = 45 * DAY);
    let process = simulation.start(&NAMES).await;
    tokio::time::sleep(DAY).await;
    let backup = simulation.backup().await;
    tokio::time::sleep(40 * DAY).await;
    let before = simulation.copy().await;
    let bill = simulation.bill();
    for _again in 0..20 {
        simulation.put_back(&backup).await;
        tokio::time::sleep(HOUR).await;
    }
    process.kill().await;
    let process = simulation.start(&NAMES).await;
    tokio::time::sleep(ORDER).await;
    assert_eq!(simulation.bill(), bill);
    for name in NAMES {
        let place = format!("certs/{}/current", name.replace('*', "wildcard_"));
        let place = super::simulation::key(&place);
        let now = simulation.copy().await;
        assert_eq!(now.get(&place), before.get(&place));
        assert!(process.serves(name).is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_spent_since_the_backup_stays_spent() {
    let simulation = Simulation::new();
    let process = simulation.start(&["z.test"]).await;
    tokio::time::sleep(ORDER).await;
    let backup = simulation.backup().await;
    process.kill().await;
    let ledger = format!("acme/{}/ledger", ca_id(super::simulation::LETS_ENCRYPT));
    // A storage that loses its certificates again and again, but not its ledger.
    for _lost in 0..4 {
        let process = simulation.start(&["a.test"]).await;
        tokio::time::sleep(ORDER).await;
        process.kill().await;
        let spent = simulation.read(&ledger).await.unwrap();
        simulation.restore(&Default::default()).await;
        simulation.write(&ledger, &spent).await;
        simulation.put_back(&backup).await;
    }
    // One for `z.test`, and the budget of two for `a.test`.
    assert_eq!(simulation.bill(), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn made_at_any_instant_of_an_order_it_costs_at_most_one_more() {
    for instant in 0..40 {
        let simulation = Simulation::new();
        let process = simulation.start(&["a.test", "*.a.test"]).await;
        tokio::time::sleep(Duration::from_millis(100) * instant).await;
        let backup = simulation.backup().await;
        tokio::time::sleep(ORDER).await;
        process.kill().await;
        assert_eq!(simulation.bill(), (2, 0), "{instant}");
        simulation.restore(&Default::default()).await;
        simulation.put_back(&backup).await;
        let process = simulation.start(&["a.test", "*.a.test"]).await;
        tokio::time::sleep(HOUR).await;
        let (issued, limited) = simulation.bill();
        assert!(issued <= 4 && limited == 0, "{instant}: {issued} {limited}");
        for name in ["a.test", "*.a.test"] {
            assert!(process.serves(name).is_some(), "{instant}: {name}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn made_at_any_instant_of_a_renewal_it_keeps_what_was_served() {
    for instant in 0..20 {
        let simulation = Simulation::new();
        let process = simulation.start(&["a.test"]).await;
        tokio::time::sleep(10 * DAY).await;
        let renewal = process.keeper.clone();
        let mut renewing = tokio::task::JoinSet::new();
        renewing.spawn(async move { renewal.renew(pattern("a.test")).await });
        tokio::time::sleep(Duration::from_millis(100) * instant).await;
        let backup = simulation.backup().await;
        renewing.join_next().await.unwrap().unwrap();
        process.kill().await;
        assert_eq!(simulation.bill(), (2, 0), "{instant}");
        simulation.restore(&Default::default()).await;
        simulation.put_back(&backup).await;
        let process = simulation.start(&["a.test"]).await;
        assert!(process.serves("a.test").is_some(), "{instant}");
        tokio::time::sleep(HOUR).await;
        assert_eq!(simulation.bill(), (2, 0), "{instant}");
    }
}

#[tokio::test(start_paused = true)]
async fn put_back_under_a_running_keeper_it_is_served_without_an_order() {
    let simulation = Simulation::new();
    let process = simulation.start(&["a.test"]).await;
    tokio::time::sleep(DAY).await;
    let backup = simulation.backup().await;
    process.kill().await;
    simulation.restore(&Default::default()).await;
    simulation.unprove("a.test");
    let process = simulation.start(&["a.test"]).await;
    tokio::time::sleep(2 * HOUR).await;
    assert!(process.serves("a.test").is_none());
    simulation.put_back(&backup).await;
    tokio::time::sleep(2 * DAY).await;
    assert_eq!(simulation.bill(), (1, 0));
    assert!(process.serves("a.test").is_some());
}

#[tokio::test(start_paused = true)]
async fn what_is_shown_gives_way_at_its_end_to_what_is_older_and_still_good() {
    let simulation = Simulation::new();
    simulation.ca.behave(|it| it.validity = 90 * DAY);
    let process = simulation.start(&["a.test"]).await;
    tokio::time::sleep(ORDER).await;
    let old = simulation.copy().await;
    simulation.ca.behave(|it| it.validity = 60 * HOUR);
    process.keeper.renew(pattern("a.test")).await;
    simulation.restore(&old).await;
    let generation = || process.serves("a.test").map(|it| it.bundle.generation);
    let end = process.serves("a.test").unwrap().facts.not_after;
    let left = end.duration_since(simulation.now()).unwrap();
    tokio::time::sleep(left - HOUR).await;
    assert_eq!(generation(), Some(2));
    tokio::time::sleep(HOUR + ORDER).await;
    assert_eq!(generation(), Some(1));
    assert_eq!(simulation.bill(), (2, 0));
}
