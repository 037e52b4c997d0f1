//! Stores that come back old or lose objects, while a host has them in its copy.

use std::sync::Arc;
use std::time::Duration;

use super::super::simulation::{DAY, HOUR, LETS_ENCRYPT, key};
use super::{Fleet, Host, Replica};
use crate::certs::keeper::ledgers::{Ledgers, ca_id};
use crate::certs::ledger::limits::{Limit, Limits};
use crate::storage::store::When;

const NAMES: usize = 24;
/// More than a pause, a look and a mending take.
const SOON: Duration = Duration::from_secs(150);

fn many() -> Vec<String> {
    (0..NAMES).map(|number| format!("n{number}.test")).collect()
}

impl Replica {
    async fn keep_all(&self, fleet: &Fleet, names: &[String]) {
        let patterns = self.load(names).await;
        let options = Arc::new(fleet.usual().options);
        self.keeper.keep(patterns, options).await;
    }

    async fn until_it_serves_all(&self, names: &[String]) {
        for name in names {
            self.until_it_serves(name, 1).await;
        }
    }
}

/// A host that had all of them issued, and was killed; the store has only the first.
async fn gone_back(fleet: &Fleet, host: &Host, names: &[String]) {
    let replica = fleet.boot(host, fleet.clock.clone(), true);
    replica.keep_all(fleet, &names[..1]).await;
    replica.until_it_serves_all(&names[..1]).await;
    tokio::time::sleep(HOUR).await;
    let old = fleet.backup().await;
    replica.keep_all(fleet, names).await;
    replica.until_it_serves_all(names).await;
    tokio::time::sleep(HOUR).await;
    replica.kill().await;
    fleet.restore(&old).await;
    assert_eq!(fleet.bill(), (NAMES as u64, 0));
}

#[tokio::test(start_paused = true)]
async fn an_old_backup_and_a_restart_order_none_of_many_names_again() {
    let (fleet, host, names) = (Fleet::in_memory(), Host::new(), many());
    gone_back(&fleet, &host, &names).await;
    let revived = fleet.boot(&host, fleet.clock.clone(), true);
    revived.keep_all(&fleet, &names).await;
    tokio::time::sleep(DAY).await;
    assert_eq!(fleet.bill(), (NAMES as u64, 0));
    assert!(names.iter().all(|name| revived.generation(name) == Some(1)));
    revived.kill().await;
    // It is in the store again, for those who have no copy.
    let fresh = fleet.boot(&Host::new(), fleet.clock.clone(), true);
    fresh.keep_all(&fleet, &names).await;
    fresh.until_it_serves_all(&names).await;
    tokio::time::sleep(HOUR).await;
    assert_eq!(fleet.bill(), (NAMES as u64, 0));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_put_back_is_served_and_not_ordered_until_it_can() {
    let (fleet, (host, copy), names) = (Fleet::in_memory(), Host::in_memory(), many());
    gone_back(&fleet, &host, &names).await;
    let revived = fleet.boot(&host, fleet.clock.clone(), true);
    let patterns = revived.load(&names).await;
    copy.cut_off();
    let options = Arc::new(fleet.usual().options);
    revived.keeper.keep(patterns, options).await;
    tokio::time::sleep(DAY).await;
    assert_eq!(fleet.bill(), (NAMES as u64, 0));
    assert!(names.iter().all(|name| revived.generation(name) == Some(1)));
    copy.mend();
    tokio::time::sleep(SOON).await;
    let fresh = fleet.boot(&Host::new(), fleet.clock.clone(), true);
    fresh.keep_all(&fleet, &names).await;
    fresh.until_it_serves_all(&names).await;
    tokio::time::sleep(HOUR).await;
    assert_eq!(fleet.bill(), (NAMES as u64, 0));
}

/// Orders that a view of the store without any copy knows to be spent.
async fn spent(fleet: &Fleet) -> u32 {
    let ledgers = Ledgers::new(fleet.memory().0.clone(), fleet.clock.clone());
    let ledger = ledgers.read(LETS_ENCRYPT).await.unwrap();
    let report = ledger.report(Limits::of(LETS_ENCRYPT), fleet.clock.now());
    let orders = report.buckets.iter();
    let mut orders = orders.filter(|bucket| bucket.limit == Limit::NewOrders);
    orders.next().map_or(0, |bucket| bucket.of - bucket.left)
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_the_store_lost_comes_back_from_a_copy() {
    let (fleet, host, names) = (Fleet::in_memory(), Host::new(), many());
    let replica = fleet.boot(&host, fleet.clock.clone(), true);
    replica.keep_all(&fleet, &names).await;
    replica.until_it_serves_all(&names).await;
    let known = spent(&fleet).await;
    assert!(known > 0);
    let ledger = key(&format!("acme/{}/ledger", ca_id(LETS_ENCRYPT)));
    let before = fleet.memory().0.get(&ledger).await.unwrap().unwrap();
    let events = |bytes: &[u8]| {
        let ledger = crate::certs::ledger::Ledger::read(bytes).unwrap();
        ledger.events().cloned().collect::<Vec<_>>()
    };
    let remove = fleet.memory().0.delete(&ledger, &When::Always, None);
    remove.await.unwrap();
    // At once for whoever asks with the copy, and soon for everybody.
    let ledgers = Ledgers::new(replica.store.clone(), fleet.clock.clone());
    let read = ledgers.read(LETS_ENCRYPT).await.unwrap();
    assert_eq!(
        read.events().cloned().collect::<Vec<_>>(),
        events(&before.bytes)
    );
    tokio::time::sleep(SOON).await;
    let after = fleet.memory().0.get(&ledger).await.unwrap().unwrap();
    assert_eq!(events(&after.bytes), events(&before.bytes));
    // Also if it was lost while nobody watched.
    replica.kill().await;
    let remove = fleet.memory().0.delete(&ledger, &When::Always, None);
    remove.await.unwrap();
    let _revived = fleet.boot(&host, fleet.clock.clone(), true);
    tokio::time::sleep(SOON).await;
    let after = fleet.memory().0.get(&ledger).await.unwrap().unwrap();
    assert_eq!(events(&after.bytes), events(&before.bytes));
}

#[tokio::test(start_paused = true)]
async fn a_renewal_does_not_forget_what_an_older_ledger_does_not_know() {
    let (fleet, names) = (Fleet::in_memory(), many());
    let replica = fleet.boot(&Host::new(), fleet.clock.clone(), false);
    replica.keep_all(&fleet, &names[..1]).await;
    replica.until_it_serves_all(&names[..1]).await;
    let ledger = key(&format!("acme/{}/ledger", ca_id(LETS_ENCRYPT)));
    let old = fleet.memory().0.get(&ledger).await.unwrap().unwrap();
    replica.keep_all(&fleet, &names).await;
    replica.until_it_serves_all(&names).await;
    let known = spent(&fleet).await;
    // Only the ledger is old: nothing is wrong with the certificates.
    let put = fleet
        .memory()
        .0
        .put(&ledger, &old.bytes, &When::Always, None);
    put.await.unwrap();
    assert!(spent(&fleet).await + 2 < known);
    replica.keeper.renew(super::pattern(&names[0])).await;
    // Meanwhile a little is refilled.
    assert!(spent(&fleet).await + 2 >= known);
    assert_eq!(fleet.bill(), (NAMES as u64 + 1, 0));
}
