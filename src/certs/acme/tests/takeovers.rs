//! Accounts that other tools made: found, adopted, and given a key of ours, whatever breaks on the way.

use std::sync::Arc;

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256};

use super::bench::{Bench, Hang, request};
use crate::certs::acme::account_key::{AccountKey, KeyType};
use crate::certs::acme::adopted::{self, Registry};
use crate::certs::acme::fake::{Fault, Operation};
use crate::certs::acme::fault::{OrderError, Side};
use crate::certs::acme::seams::Class;

type Result<T> = std::result::Result<T, OrderError>;

fn made(algorithm: &'static rcgen::SignatureAlgorithm) -> AccountKey {
    let pair = KeyPair::generate_for(algorithm).unwrap();
    AccountKey::from_der(pair.serialized_der()).unwrap()
}

async fn registry(bench: &Bench) -> Result<Registry<'_>> {
    Registry::open(
        &bench.options,
        Arc::new(bench.ca.clone()),
        bench.clock.clone(),
    )
    .await
}

/// Another tool's account under this key.
async fn foreign(bench: &Bench, key: &AccountKey) -> String {
    let registry = registry(bench).await.unwrap();
    registry.register(key).await.unwrap()
}

async fn take_over(bench: &Bench, key: &AccountKey, url: &str) -> Result<()> {
    let registry = registry(bench).await?;
    registry.take_over(key, url, &bench.disk).await
}

#[tokio::test(start_paused = true)]
async fn an_account_is_found_by_its_key_and_none_is_made() {
    let bench = Bench::new();
    for algorithm in [
        &PKCS_ECDSA_P256_SHA256,
        &PKCS_ECDSA_P384_SHA384,
        &PKCS_RSA_SHA256,
    ] {
        let key = made(algorithm);
        let registry = registry(&bench).await.unwrap();
        assert_eq!(registry.find(&key).await.unwrap(), None);
        let url = foreign(&bench, &key).await;
        assert_eq!(registry.find(&key).await.unwrap(), Some(url));
    }
    assert_eq!(bench.ca.accounts(), 3);
    bench.ca.deactivate_accounts();
    let registry = registry(&bench).await.unwrap();
    let key = made(&PKCS_ECDSA_P256_SHA256);
    assert_eq!(registry.find(&key).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_deactivated_account_is_refused_in_the_words_of_the_ca() {
    let bench = Bench::new();
    let key = made(&PKCS_ECDSA_P256_SHA256);
    foreign(&bench, &key).await;
    bench.ca.deactivate_accounts();
    let fault = registry(&bench)
        .await
        .unwrap()
        .find(&key)
        .await
        .unwrap_err();
    assert_eq!(fault.class, Class::Human, "{fault}");
    assert!(fault.problem.contains("deactivated"), "{fault}");
}

#[tokio::test(start_paused = true)]
async fn an_adopted_account_orders_and_none_is_registered() {
    let bench = Bench::new();
    let key = made(&PKCS_ECDSA_P256_SHA256);
    let url = foreign(&bench, &key).await;
    let kept = adopted::kept(&bench.options.directory, &key, &url).unwrap();
    bench.disk.set_account(&kept);
    let ca = bench.open().await.unwrap();
    assert_eq!(ca.account_url(), url);
    bench.run(&request(&["a.test"])).await.unwrap();
    assert_eq!(bench.ca.accounts(), 1);
    let known = adopted::read(&bench.disk.account().unwrap(), "there", &bench.options).unwrap();
    assert_eq!(known.url, Some(url.clone()));
    assert!(!known.is_being_taken_over);
    let other = made(&PKCS_ECDSA_P384_SHA384);
    assert!(adopted::kept(&bench.options.directory, &other, &url).is_err());
}

#[tokio::test(start_paused = true)]
async fn an_rsa_account_taken_over_orders_under_a_key_of_ours_at_the_same_url() {
    let bench = Bench::new();
    let old = made(&PKCS_RSA_SHA256);
    assert_eq!(old.kind(), KeyType::Rsa { bits: 2048 });
    let url = foreign(&bench, &old).await;
    take_over(&bench, &old, &url).await.unwrap();
    finished(&bench, &old, &url, "undisturbed").await;
}

/// The CA knows the account by a key of ours alone, and orders go well under it.
async fn finished(bench: &Bench, old: &AccountKey, url: &str, point: &str) {
    let ca = bench.open().await;
    let ca = ca.unwrap_or_else(|fault| panic!("{point}: {fault}"));
    assert_eq!(ca.account_url(), url, "{point}");
    assert_eq!(bench.ca.accounts(), 1, "{point}");
    assert_eq!(bench.ca.counters().key_changes, 1, "{point}");
    let found = registry(bench).await.unwrap().find(old).await.unwrap();
    assert_eq!(found, None, "{point}");
    let kept = bench.disk.account().unwrap();
    let known = adopted::read(&kept, "there", &bench.options).unwrap();
    assert!(!known.is_being_taken_over, "{point}");
    assert!(
        !String::from_utf8(kept).unwrap().contains("old_key"),
        "{point}"
    );
    bench.run(&request(&["a.test"])).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_answer_or_write_loses_no_account() {
    let old = made(&PKCS_ECDSA_P384_SHA384);
    let (requests, writes) = {
        let bench = Bench::new();
        let url = foreign(&bench, &old).await;
        let (before, written) = (bench.ca.counters().requests, bench.disk.writes());
        take_over(&bench, &old, &url).await.unwrap();
        let requests = bench.ca.counters().requests - before;
        (requests, bench.disk.writes() - written)
    };
    assert!(requests >= 6 && writes == 2, "{requests}, {writes}");
    for number in 0..requests {
        for fault in [Fault::NeverBefore, Fault::NeverAfter] {
            let point = format!("request {number}, {fault:?}");
            let bench = Bench::new();
            let url = foreign(&bench, &old).await;
            bench.ca.fault_at(number, fault);
            assert!(bench.dies(take_over(&bench, &old, &url)).await, "{point}");
            revived(&bench, &old, &url, &point).await;
        }
    }
    for number in 0..writes {
        for hang in [Hang::BeforeIt, Hang::AfterIt] {
            let point = format!("write {number}, {hang:?}");
            let bench = Bench::new();
            let url = foreign(&bench, &old).await;
            bench
                .disk
                .hang_at(Some((bench.disk.writes() + number, hang)));
            assert!(bench.dies(take_over(&bench, &old, &url)).await, "{point}");
            bench.disk.hang_at(None);
            revived(&bench, &old, &url, &point).await;
        }
    }
}

/// As the next import or start does: what was kept is gone on with, and what was not begins anew.
async fn revived(bench: &Bench, old: &AccountKey, url: &str, point: &str) {
    again(bench, old, url).await.unwrap();
    finished(bench, old, url, point).await;
}

#[tokio::test(start_paused = true)]
async fn two_crashes_in_a_row_lose_no_account() {
    let old = made(&PKCS_ECDSA_P384_SHA384);
    for first in 0..7 {
        for second in 0..7 {
            let point = format!("requests {first} and then {second}");
            let bench = Bench::new();
            let url = foreign(&bench, &old).await;
            bench.ca.fault_at(first, Fault::NeverAfter);
            bench.dies(take_over(&bench, &old, &url)).await;
            bench.ca.fault_at(second, Fault::NeverAfter);
            bench.dies(again(&bench, &old, &url)).await;
            bench.ca.forget_faults();
            revived(&bench, &old, &url, &point).await;
        }
    }
}

async fn again(bench: &Bench, old: &AccountKey, url: &str) -> Result<()> {
    match bench.disk.account() {
        None => take_over(bench, old, url).await,
        Some(_) => bench.open().await.map(drop),
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_overcome_without_a_restart() {
    for fault in [
        Fault::LostBefore,
        Fault::LostAfter,
        Fault::Page(502, "", None),
    ] {
        let bench = Bench::new();
        let old = made(&PKCS_ECDSA_P384_SHA384);
        let url = foreign(&bench, &old).await;
        let point = format!("{fault:?}");
        bench.ca.fault(Operation::KeyChange, fault);
        take_over(&bench, &old, &url).await.unwrap();
        finished(&bench, &old, &url, &point).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_ca_that_changes_no_keys_or_forgot_the_account_is_told_of() {
    let bench = Bench::new();
    let old = made(&PKCS_ECDSA_P384_SHA384);
    let url = foreign(&bench, &old).await;
    bench.ca.behave(|it| it.changes_keys = false);
    assert!(!registry(&bench).await.unwrap().changes_keys());
    let fault = take_over(&bench, &old, &url).await.unwrap_err();
    assert_eq!((fault.class, fault.side), (Class::Human, Side::Ca));
    assert_eq!(bench.ca.counters().key_changes, 0);

    bench.ca.behave(|it| it.changes_keys = true);
    bench.ca.forget_accounts();
    let fault = take_over(&bench, &old, &url).await.unwrap_err();
    assert_eq!((fault.class, fault.side), (Class::Human, Side::Ca));
    assert!(fault.problem.contains(&url), "{fault}");
    let fault = bench.open().await.unwrap_err();
    assert!(fault.problem.contains(&url), "{fault}");
    assert_eq!(bench.ca.accounts(), 0);
}
