//! A write that was acknowledged is on a replica, if there is any.

use std::time::Duration;

use tempfile::TempDir;
use tokio::time::Instant;

use super::super::super::{Mark, When};
use super::super::{content, key};
use super::secured::free_port;
use super::server::Server;
use super::{PATIENCE, STEP, ready};

#[tokio::test]
async fn a_write_is_waited_for_until_a_replica_has_it_or_for_a_second() {
    let port = free_port().to_string();
    let words = ["--bind", "127.0.0.1", "--port", &port];
    let primary = Server::start_with(TempDir::new().unwrap(), &words);
    let store = primary.store("one");
    ready(&store).await;
    let source = format!("127.0.0.1 {port}");
    let words = ["--replicaof", &source, "--repl-diskless-sync-delay", "0"];
    let replica = Server::start_with(TempDir::new().unwrap(), &words);
    let seen = replica.store("one");
    let put = async |bytes: &[u8]| {
        let begun = Instant::now();
        let put = store.put(&key("a"), bytes, &When::Always, None).await;
        put.unwrap();
        begun.elapsed()
    };
    put(b"0").await;
    let following = async {
        while !matches!(seen.get(&key("a")).await, Ok(Some(_))) {
            tokio::time::sleep(STEP).await;
        }
    };
    tokio::time::timeout(PATIENCE, following).await.unwrap();
    // The next look at what changed finds the replica.
    store.changed("", &Mark::default()).await.unwrap();
    for number in 0..50 {
        let bytes = format!("{number}").into_bytes();
        put(&bytes).await;
        assert_eq!(content(&seen, "a").await, Some(bytes));
    }
    replica.freeze();
    assert!(put(b"x").await >= Duration::from_secs(1));
    assert_eq!(content(&store, "a").await.unwrap(), b"x");
}
