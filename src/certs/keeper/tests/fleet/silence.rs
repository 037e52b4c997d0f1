//! A start with many names while the store accepts everything and answers nothing.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Fleet, Host, pattern};
use crate::hostname::HostPattern;

const NAMES: usize = 50;
/// For all names together: what one read waits, and some.
const START_MAX: Duration = Duration::from_secs(5);

fn names(top: &str) -> Vec<HostPattern> {
    let name = |number| pattern(&format!("n{number}.{top}"));
    (0..NAMES).map(name).collect()
}

#[tokio::test(start_paused = true)]
async fn a_start_with_many_names_waits_for_a_silent_store_once() {
    let fleet = Fleet::in_memory();
    let host = Host::new();
    let known = names("test");
    let first = fleet.boot(&host, fleet.clock.clone(), true);
    first
        .keeper
        .keep(known.clone(), Arc::new(fleet.usual().options))
        .await;
    for name in &known {
        first.until_it_serves(&name.to_string(), 1).await;
    }
    first.kill().await;
    let [ours, mut both, others] = [known.clone(), known.clone(), names("other.test")];
    both.extend(names("other.test"));
    for names in [ours, both, others] {
        let replica = fleet.boot(&host, fleet.clock.clone(), true);
        replica.faults().silence();
        let begun = Instant::now();
        replica.works.load(&names).await;
        assert!(begun.elapsed() < START_MAX, "{:?}", begun.elapsed());
        for name in names {
            let is_known = known.contains(&name);
            assert_eq!(replica.serves(&name.to_string()).is_some(), is_known);
        }
    }
}
