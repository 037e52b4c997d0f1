//! Twenty replicas that start at once cost one issuance, on every kind of store.

use std::time::Duration;

use tempfile::TempDir;

use super::{Fleet, Ground, Host, Replica};
use crate::storage::store::tests::s3::server::MOTO;
use crate::storage::store::{Key, Store};

const REPLICAS: usize = 20;
/// The promise: within this time of its write all serve a new certificate.
const SPREAD: Duration = Duration::from_secs(30);

pub(super) async fn all_at_once(fleet: &Fleet) -> Vec<Replica> {
    let mut replicas = Vec::new();
    for _replica in 0..REPLICAS {
        replicas.push(fleet.start(&Host::new(), "a.test").await);
    }
    let begun = tokio::time::Instant::now();
    let mut served = None;
    for replica in &replicas {
        replica.until_it_serves("a.test", 1).await;
        served.get_or_insert_with(|| begun.elapsed());
    }
    assert_eq!(fleet.bill(), (1, 0));
    assert_eq!(fleet.ca.accounts(), 1);
    let leaf = replicas[0].serves("a.test").unwrap().leaf().to_vec();
    assert!(
        replicas
            .iter()
            .all(|it| it.serves("a.test").unwrap().leaf() == leaf)
    );
    let spread = begun.elapsed();
    assert!(spread < SPREAD + Duration::from_secs(30), "{spread:?}");
    replicas
}

#[tokio::test(start_paused = true)]
async fn twenty_replicas_starting_at_once_on_a_memory_cost_one_issuance() {
    let fleet = Fleet::in_memory();
    let replicas = all_at_once(&fleet).await;
    assert!(fleet.was_answered_elsewhere());
    let bundle = replicas[0].serves("a.test").unwrap().bundle.clone();
    let host = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    assert_eq!(bundle.ordered_by, Some(host));
    println!("{REPLICAS} replicas starting at once on a memory cost 1 issuance");
}

#[tokio::test]
async fn twenty_replicas_starting_at_once_on_a_folder_cost_one_issuance() {
    let fleet = Fleet::on(Ground::Folder(TempDir::new().unwrap()));
    swift(&fleet);
    all_at_once(&fleet).await;
    println!("{REPLICAS} replicas starting at once on a folder cost 1 issuance");
}

#[tokio::test]
async fn twenty_replicas_starting_at_once_on_a_bucket_cost_one_issuance() {
    let bucket = MOTO.bucket();
    let connect = move || -> Store { MOTO.store(&bucket) };
    let fleet = Fleet::on(Ground::Served(Box::new(connect)));
    swift(&fleet);
    all_at_once(&fleet).await;
    assert!(fleet.was_answered_elsewhere());
    println!("{REPLICAS} replicas starting at once on a bucket cost 1 issuance");
}

/// On a real clock, nobody waits for longer than needed.
pub(super) fn swift(fleet: &Fleet) {
    fleet.ca.behave(|it| {
        it.validation_time = Duration::from_millis(50);
        it.processing_time = Duration::from_millis(50);
    });
}

#[tokio::test(start_paused = true)]
async fn two_that_start_at_once_again_and_again_cost_one_issuance() {
    let fleet = Fleet::in_memory();
    let hosts = [(); 2].map(|()| Host::new());
    // Of a new store, whoever does not live for half a minute orders nothing.
    let first = fleet.boot(&hosts[0], fleet.clock.clone(), false);
    let name = Key::new("founding").unwrap();
    let founding = first.store.lease(&name, SPREAD).await;
    assert!(founding.unwrap().is_some());
    first.kill().await;
    let mut random = fastrand::Rng::with_seed(3);
    for _start in 0..100 {
        let [one, other] = &hosts;
        let one = fleet.start(one, "a.test").await;
        let other = fleet.start(other, "a.test").await;
        tokio::time::sleep(Duration::from_millis(random.u64(..8_000))).await;
        one.kill().await;
        other.kill().await;
    }
    assert_eq!(fleet.bill(), (1, 0));
    assert_eq!(fleet.ca.accounts(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_of_one_is_served_by_all_within_half_a_minute() {
    let fleet = Fleet::in_memory();
    let replicas = all_at_once(&fleet).await;
    let renewed = replicas[7].keeper.renew(super::pattern("a.test")).await;
    let begun = tokio::time::Instant::now();
    for replica in &replicas {
        replica.until_it_serves("a.test", 2).await;
    }
    assert!(
        begun.elapsed() < SPREAD,
        "{renewed:?} {:?}",
        begun.elapsed()
    );
    assert_eq!(fleet.bill(), (2, 0));
}
