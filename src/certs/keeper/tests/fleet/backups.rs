//! Stores that come back old, while a host has what is newer in its copy.

use std::sync::Arc;
use std::time::Duration;

use super::super::simulation::{DAY, HOUR};
use super::{Fleet, Host, Replica};

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
