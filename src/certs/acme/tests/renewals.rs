//! Renewals: windows, and what an order replaces.

use std::time::Duration;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::bench::{Bench, request};
use crate::certs::acme::ari::{Ari, AriError, certificate_id};
use crate::certs::acme::fake::{Fault, Operation};
use crate::certs::acme::journal::Journal;
use crate::certs::acme::request::{Issued, OrderRequest};
use crate::certs::acme::seams::Class;

fn leaf(issued: &Issued) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(issued.chain_pem.as_bytes()).unwrap()
}

/// Issues one, and gives the request that replaces it.
async fn issue(bench: &Bench) -> (Issued, OrderRequest) {
    let mut wanted = request(&["a.test"]);
    let issued = bench.run(&wanted).await.unwrap();
    bench.disk.set_journal(Journal::Idle);
    wanted.replaces = Some(certificate_id(&leaf(&issued)).unwrap());
    (issued, wanted)
}

async fn look(bench: &Bench, issued: &Issued) -> Result<Ari, AriError> {
    let ca = bench.open().await.unwrap();
    ca.renewal_info(&leaf(issued)).await
}

#[tokio::test(start_paused = true)]
async fn the_window_and_its_reason_are_told() {
    let bench = Bench::new();
    let (issued, _) = issue(&bench).await;
    let ari = look(&bench, &issued).await.unwrap();
    assert_eq!((ari.window.start, ari.window.end), bench.ca.last_window());
    assert_eq!(ari.retry_after, Duration::from_secs(6 * 60 * 60));
    assert_eq!(ari.explanation, None);
    bench.ca.incident("https://ca.test/incident");
    let ari = look(&bench, &issued).await.unwrap();
    assert!(ari.window.end < bench.clock.now());
    assert_eq!(ari.explanation.as_deref(), Some("https://ca.test/incident"));
}

#[tokio::test(start_paused = true)]
async fn a_certificate_of_another_ca_is_unknown_and_a_busy_ca_passes() {
    let bench = Bench::new();
    let (issued, _) = issue(&bench).await;
    let other = Bench::new();
    assert_eq!(look(&other, &issued).await, Err(AriError::Unknown));
    let busy = Fault::Page(503, "<html>", Some("30"));
    bench.ca.fault(Operation::RenewalInfo, busy);
    let fault = look(&bench, &issued).await.unwrap_err();
    assert!(matches!(fault, AriError::Temporary { .. }), "{fault:?}");
    bench.ca.fault(Operation::RenewalInfo, Fault::LostBefore);
    let fault = look(&bench, &issued).await.unwrap_err();
    assert!(matches!(fault, AriError::Temporary { .. }), "{fault:?}");
    bench.ca.behave(|it| it.tells_windows = false);
    assert_eq!(look(&bench, &issued).await, Err(AriError::Unsupported));
}

#[tokio::test(start_paused = true)]
async fn a_renewal_inside_its_window_spends_no_limit() {
    let bench = Bench::new();
    let mut wanted = request(&["a.test"]);
    for _renewal in 0..30 {
        let issued = bench.run(&wanted).await.unwrap();
        bench.disk.set_journal(Journal::Idle);
        wanted.replaces = Some(certificate_id(&leaf(&issued)).unwrap());
        let ari = look(&bench, &issued).await.unwrap();
        bench.clock.sleep_until(ari.window.start).await;
    }
    let counters = bench.ca.counters();
    assert_eq!((counters.issued, counters.exempt), (30, 29));
    assert_eq!(counters.limited, 0);
}

#[tokio::test(start_paused = true)]
async fn what_was_replaced_already_is_ordered_without_saying_so() {
    let bench = Bench::new();
    let (_, wanted) = issue(&bench).await;
    bench.run(&wanted).await.unwrap();
    bench.disk.set_journal(Journal::Idle);
    bench.run(&wanted).await.unwrap();
    assert_eq!(bench.ca.counters().issued, 3);
}

#[tokio::test(start_paused = true)]
async fn a_lost_new_order_that_replaces_finds_the_same_order_again() {
    let bench = Bench::new();
    let (_, wanted) = issue(&bench).await;
    bench.ca.fault(Operation::NewOrder, Fault::LostAfter);
    bench.run(&wanted).await.unwrap();
    let counters = bench.ca.counters();
    assert_eq!((counters.orders, counters.issued), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_ca_that_does_not_echo_what_is_replaced_has_the_order_all_the_same() {
    let bench = Bench::new();
    let (_, wanted) = issue(&bench).await;
    bench.ca.behave(|it| it.echoes_replaces = false);
    bench.run(&wanted).await.unwrap();
    let counters = bench.ca.counters();
    assert_eq!((counters.orders, counters.issued), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_replaced_where_that_is_unknown_or_not_ours() {
    let bench = Bench::new();
    let (_, mut wanted) = issue(&bench).await;
    bench.ca.behave(|it| it.tells_windows = false);
    bench.run(&wanted).await.unwrap();
    bench.disk.set_journal(Journal::Idle);
    bench.ca.behave(|it| it.tells_windows = true);
    for odd in ["aaaa.bbbb", "no dots", "", "a.b.c", "\u{1f512}.x"] {
        wanted.replaces = Some(odd.to_owned());
        bench
            .run(&wanted)
            .await
            .unwrap_or_else(|fault| panic!("{odd}: {fault}"));
        bench.disk.set_journal(Journal::Idle);
        tokio::time::sleep(40 * super::bench::DAY).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_is_no_reason_to_drop_what_is_replaced() {
    let bench = Bench::new();
    let (_, wanted) = issue(&bench).await;
    let limited = r#"{"type":"urn:ietf:params:acme:error:rateLimited","detail":"slow"}"#;
    bench
        .ca
        .fault(Operation::NewOrder, Fault::Page(429, limited, Some("600")));
    let fault = bench.run(&wanted).await.unwrap_err();
    assert_eq!(fault.class, Class::Limited);
    assert_eq!(
        bench.disk.journal().plan().unwrap().replaces,
        wanted.replaces
    );
}
