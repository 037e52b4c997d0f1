//! Whole orders.

use super::bench::{Bench, Disk, request};
use crate::certs::acme::options::KeyKind;
use crate::certs::acme::request::ChallengeKind;

#[tokio::test(start_paused = true)]
async fn an_order_is_kept_before_each_step_and_ends_with_a_certificate() {
    let bench = Bench::new();
    let issued = bench.run(&request(&["a.test", "b.test"])).await.unwrap();
    assert!(issued.chain_pem.starts_with("-----BEGIN CERTIFICATE-----"));
    assert!(issued.key_pem.contains("PRIVATE KEY"));
    let states = [
        "planned",
        "ordered",
        "challenged",
        "finalizing",
        "downloaded",
    ];
    assert_eq!(bench.disk.states(), states);
    assert_eq!(bench.ca.counters().issued, 1);
    assert_eq!(bench.solver.shown(), 0);
    assert_eq!(bench.ca.contacts(), [["mailto:me@a.test"]]);
}

#[tokio::test(start_paused = true)]
async fn challenges_are_shown_in_the_configured_order_as_far_as_they_suit() {
    let bench = Bench::new();
    let mut wanted = request(&["a.test", "*.a.test", "127.0.0.1"]);
    wanted.challenges = vec![
        ChallengeKind::TlsAlpn01,
        ChallengeKind::Http01,
        ChallengeKind::Dns01,
    ];
    bench.run(&wanted).await.unwrap();
    let log = bench.solver.log();
    let expected = [
        "present dns-01 a.test",
        "present tls-alpn-01 127.0.0.1",
        "present tls-alpn-01 a.test",
    ];
    let mut presented: Vec<&str> = log.iter().map(String::as_str).take(3).collect();
    presented.sort_unstable();
    assert_eq!(presented, expected);
    assert_eq!(log.len(), 6);
    assert_eq!(bench.solver.shown(), 0);
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_key_gets_its_certificate() {
    for key in [KeyKind::P256, KeyKind::P384, KeyKind::Rsa2048] {
        let mut bench = Bench::new();
        bench.options.key = key;
        bench.run(&request(&["a.test"])).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn orders_of_one_account_do_not_disturb_each_other() {
    let bench = Bench::new();
    bench.ca.behave(|it| it.bad_nonce_percent = 30);
    let ca = bench.open().await.unwrap();
    let (a, b) = (Disk::default(), Disk::default());
    let (mut keep_a, mut keep_b) = (a.clone(), b.clone());
    let (ask_a, ask_b) = (request(&["a.test"]), request(&["b.test", "*.b.test"]));
    let (first, second) = tokio::join!(
        ca.order(&ask_a, &bench.solver, &mut keep_a),
        ca.order(&ask_b, &bench.solver, &mut keep_b),
    );
    assert_eq!(first.unwrap().names, ask_a.names);
    assert_eq!(second.unwrap().names, ask_b.names);
    assert_eq!(bench.ca.counters().issued, 2);
}
