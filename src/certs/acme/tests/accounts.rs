//! Accounts: made once, under a key that is kept first.

use super::bench::{Bench, Hang, request};
use crate::certs::acme::fake::{Fault, Operation};
use crate::certs::acme::fault::Side;
use crate::certs::acme::options::Eab;
use crate::certs::acme::seams::Class;

#[tokio::test(start_paused = true)]
async fn an_account_is_made_once_and_loaded_ever_after() {
    let bench = Bench::new();
    let first = bench.open().await.unwrap();
    let again = bench.open().await.unwrap();
    assert_eq!(first.account_url(), again.account_url());
    assert_eq!(bench.ca.accounts(), 1);
    assert_eq!(bench.ca.counters().registrations, 1);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_or_a_crash_finds_the_same_account_again() {
    let bench = Bench::new();
    bench.ca.fault(Operation::NewAccount, Fault::LostAfter);
    bench.open().await.unwrap();
    assert_eq!(bench.ca.accounts(), 1);

    for hang in [(0, Hang::AfterIt), (1, Hang::BeforeIt), (1, Hang::AfterIt)] {
        let bench = Bench::new();
        bench.disk.hang_at(Some(hang));
        assert!(bench.dies(bench.open()).await);
        bench.disk.hang_at(None);
        bench.open().await.unwrap();
        assert_eq!(bench.ca.accounts(), 1, "{hang:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_that_the_ca_forgot_or_locked_is_never_registered_again() {
    for forgotten in [true, false] {
        let bench = Bench::new();
        let ca = bench.open().await.unwrap();
        if forgotten {
            bench.ca.forget_accounts();
        } else {
            bench.ca.deactivate_accounts();
        }
        let before = bench.disk.account();
        for _attempt in 0..3 {
            let fault = bench.run(&request(&["a.test"])).await.unwrap_err();
            assert_eq!(fault.class, Class::Human, "{fault}");
        }
        assert_eq!(bench.ca.counters().registrations, 1);
        assert_eq!(bench.disk.account(), before);
        drop(ca);
    }
}

#[tokio::test(start_paused = true)]
async fn an_external_account_is_bound_and_asked_for_when_it_is_missing() {
    let mut bench = Bench::new();
    let secret = b"raw secret octets".to_vec();
    bench
        .ca
        .behave(|it| it.eab = Some(("kid-1".to_owned(), secret.clone())));
    let fault = bench.open().await.unwrap_err();
    assert_eq!((fault.class, fault.side), (Class::Human, Side::Options));
    assert_eq!(bench.ca.counters().registrations, 0);

    let eab = |hmac: &[u8]| Eab {
        kid: "kid-1".to_owned(),
        hmac: hmac.to_vec(),
    };
    bench.options.eab = Some(eab(b"wrong"));
    let fault = bench.open().await.unwrap_err();
    assert_eq!((fault.class, fault.side), (Class::Human, Side::Ca));
    bench.options.eab = Some(eab(&secret));
    bench.open().await.unwrap();
    assert_eq!(bench.ca.accounts(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_changed_address_is_told_and_a_refusal_of_it_stops_nothing() {
    let mut bench = Bench::new();
    bench.open().await.unwrap();
    bench.options.email = Some("you@a.test".to_owned());
    bench
        .ca
        .fault(Operation::Account, Fault::Page(500, "no", None));
    bench.open().await.unwrap();
    assert_eq!(bench.ca.contacts(), [["mailto:me@a.test"]]);
    bench.open().await.unwrap();
    assert_eq!(bench.ca.contacts(), [["mailto:you@a.test"]]);
}

#[tokio::test(start_paused = true)]
async fn a_limit_on_accounts_is_given_back_and_the_key_stays() {
    let bench = Bench::new();
    for _account in 0..10 {
        bench.open().await.unwrap();
        bench.disk.lose_account();
    }
    let fault = bench.open().await.unwrap_err();
    assert_eq!(fault.class, Class::Limited);
    let kept = bench.disk.account();
    tokio::time::sleep(fault.retry_after.unwrap()).await;
    bench.open().await.unwrap();
    let key = |account: &[u8]| -> serde_json::Value {
        let account: serde_json::Value = serde_json::from_slice(account).unwrap();
        account["key"].clone()
    };
    assert_eq!(key(&kept.unwrap()), key(&bench.disk.account().unwrap()));
}

#[tokio::test(start_paused = true)]
async fn a_damaged_or_foreign_account_is_named_and_not_replaced() {
    let mut bench = Bench::new();
    bench.open().await.unwrap();
    let good = bench.disk.account().unwrap();
    for damaged in [&b""[..], b"{}", b"<html>", &good[..good.len() / 2]] {
        bench.disk.set_account(damaged);
        let fault = bench.open().await.unwrap_err();
        assert_eq!((fault.class, fault.side), (Class::Human, Side::Storage));
        assert_eq!(bench.disk.account().unwrap(), damaged);
    }
    bench.disk.set_account(&good);
    bench.options.directory = "https://other.test/directory".to_owned();
    let fault = bench.open().await.unwrap_err();
    assert!(fault.problem.contains("https://other.test/directory"));
    assert_eq!(bench.ca.accounts(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_does_not_show_its_secrets() {
    let bench = Bench::new();
    let ca = bench.open().await.unwrap();
    let account: serde_json::Value =
        serde_json::from_slice(&bench.disk.account().unwrap()).unwrap();
    let key = account["key"].as_str().unwrap();
    assert!(!format!("{ca:?}").contains(key));
    assert_eq!(account["directory"], bench.ca.directory());
    assert_eq!(account["url"], ca.account_url());
}
