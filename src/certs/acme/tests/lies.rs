//! A CA may say anything: it never makes us panic, wait for ever, or hand out what was not ordered.

use std::time::Duration;

use tokio::time::Instant;

use super::bench::{Bench, request};
use crate::certs::acme::fake::Fault;
use crate::certs::acme::fault::Side;
use crate::certs::acme::journal::Journal;
use crate::certs::acme::seams::Class;
use crate::certs::fixture::{Authority, days, noon};

const LIES: [&str; 12] = [
    "",
    "null",
    "[]",
    "{}",
    "<html>",
    "{\"status\":\"valid\"}",
    "\u{fffd}\u{0}",
    r#"{"status":"pending","authorizations":[],"finalize":""}"#,
    r#"{"status":"valid","authorizations":["x"],"finalize":"","certificate":"not a url"}"#,
    r#"{"status":"ready","authorizations":["https://ca.test/order/0"],"finalize":"\u0000"}"#,
    r#"{"identifier":{"type":"dns","value":"../../etc"},"status":"pending","challenges":[
        {"type":"http-01","url":"https://ca.test/x","token":"../../../x","status":"pending"}]}"#,
    r#"{"identifier":{"type":"tree","value":1},"status":"odd","challenges":[{"type":7}]}"#,
];

#[tokio::test(start_paused = true)]
async fn a_lie_at_any_answer_ends_in_bounded_time_and_is_overcome() {
    let wanted = request(&["a.test"]);
    let honest = Bench::new();
    honest.run(&wanted).await.unwrap();
    for number in 0..honest.ca.counters().requests {
        for lie in LIES {
            let bench = Bench::new();
            bench.ca.fault_at(number, Fault::Garbled(lie));
            let began = Instant::now();
            let first = bench.run(&wanted).await;
            assert!(
                began.elapsed() < Duration::from_secs(3600),
                "{number}: {lie}"
            );
            bench.ca.forget_faults();
            if first.is_err() {
                let point = || format!("request {number}: {lie}: {:?}", first.as_ref().err());
                let mut again = bench.run(&wanted).await;
                if bench.disk.journal() == Journal::Idle {
                    again = bench.run(&wanted).await;
                }
                again.unwrap_or_else(|fault| panic!("{}: {fault}", point()));
            }
            assert_eq!(bench.ca.counters().issued, 1, "request {number}: {lie}");
            assert_eq!(bench.solver.shown(), 0, "request {number}: {lie}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_ca_that_lies_for_ever_is_given_up_in_bounded_time() {
    for lie in LIES {
        let bench = Bench::new();
        bench.open().await.unwrap();
        for number in 4..2000 {
            bench.ca.fault_at(number, Fault::Garbled(lie));
        }
        let began = Instant::now();
        bench.run(&request(&["a.test"])).await.unwrap_err();
        assert!(began.elapsed() < Duration::from_secs(3600), "{lie}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_was_not_ordered_is_never_handed_out() {
    let bench = Bench::new();
    let other = Authority::new().leaf(&["a.test"], noon()..noon() + days(90));
    bench
        .ca
        .behave(|it| it.chain_forced = Some(other.pem.clone()));
    let fault = bench.run(&request(&["a.test"])).await.unwrap_err();
    assert_eq!((fault.class, fault.side), (Class::Human, Side::Ca));
    assert_eq!(bench.disk.journal(), Journal::Idle);
}

#[tokio::test(start_paused = true)]
async fn a_chain_that_breaks_on_the_way_is_downloaded_again() {
    let bench = Bench::new();
    bench
        .ca
        .behave(|it| it.chain_forced = Some("-----BEGIN CERTIFICATE-----\nMIIB".to_owned()));
    let fault = bench.run(&request(&["a.test"])).await.unwrap_err();
    assert_eq!(fault.class, Class::Transient);
    bench.ca.behave(|it| it.chain_forced = None);
    bench.run(&request(&["a.test"])).await.unwrap();
    assert_eq!(bench.ca.counters().issued, 1);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_a_certificate_is_not_asked_for() {
    let bench = Bench::new();
    for count in [0, 101] {
        let names: Vec<String> = (0..count).map(|it| format!("n{it}.test")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let fault = bench.run(&request(&names)).await.unwrap_err();
        assert_eq!(fault.side, Side::Options);
    }
    assert_eq!(bench.disk.journal(), Journal::Idle);
    assert_eq!(bench.ca.counters().orders, 0);
}

#[tokio::test(start_paused = true)]
async fn an_order_of_another_ca_is_not_gone_on_with() {
    let bench = Bench::new();
    *bench.solver.broken.lock().unwrap() = true;
    bench.run(&request(&["a.test"])).await.unwrap_err();
    let Journal::Challenged(mut placed) = bench.disk.journal() else {
        panic!("{:?}", bench.disk.journal());
    };
    placed.plan.ca = "https://other.test/directory".to_owned();
    bench.disk.set_journal(Journal::Challenged(placed));
    let fault = bench.run(&request(&["a.test"])).await.unwrap_err();
    assert_eq!(fault.side, Side::Options);
}
