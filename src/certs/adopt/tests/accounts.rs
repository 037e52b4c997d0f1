//! Accounts: ours if we have none, asked of the CA, and under a key of ours only if that is wished.

use std::sync::atomic::Ordering;
use std::time::Duration;

use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256};

use super::scene::{Scene, accounts, certificates, key};
use crate::certs::acme::account_key::KeyType;
use crate::certs::acme::fake::{Fault, Operation};
use crate::certs::adopt::{AccountFate, Plan, Policy, Seen};
use crate::certs::import::fault::AccountFault;
use crate::certs::import::findings::Findings;
use crate::certs::keeper::account::Account;
use crate::storage::store::memory::Moment;

fn fate(plan: &Plan, number: usize) -> &AccountFate {
    &plan.accounts[number].fate
}

#[tokio::test(start_paused = true)]
async fn an_account_becomes_ours_once_and_is_asked_for() {
    let scene = Scene::new();
    let found = scene.account(&PKCS_ECDSA_P256_SHA256).await;
    let url = found.url.clone().unwrap();
    let findings = accounts(vec![found.clone()]);
    let plan = scene.plan(&findings).await;
    assert!(matches!(fate(&plan, 0), AccountFate::Adopt { .. }));
    assert!(scene.copy().await.is_empty(), "a plan changes nothing");
    let plan = scene.import(&findings).await;
    let AccountFate::Adopted { url: ours, seen } = fate(&plan, 0) else {
        panic!("{plan:?}");
    };
    assert_eq!((ours, seen), (&url, &Seen::Confirmed));
    let before = scene.copy().await;
    let again = scene.import(&findings).await;
    assert!(again.is_done() && matches!(fate(&again, 0), AccountFate::Ours { .. }));
    assert_eq!(scene.copy().await, before);

    let mut without_url = found;
    without_url.url = None;
    let again = scene.import(&accounts(vec![without_url])).await;
    assert!(matches!(fate(&again, 0), AccountFate::Ours { .. }));
    let other = scene.account(&PKCS_ECDSA_P256_SHA256).await;
    let again = scene.import(&accounts(vec![other])).await;
    assert!(matches!(fate(&again, 0), AccountFate::OursStays { url: Some(ours) } if *ours == url));
    assert_eq!(scene.copy().await, before);
    assert_eq!(scene.ca.accounts(), 2);
}

#[tokio::test(start_paused = true)]
async fn without_a_ca_an_account_is_believed_if_its_url_is_known() {
    let scene = Scene::new();
    let found = scene.account(&PKCS_ECDSA_P256_SHA256).await;
    scene.is_offline.store(true, Ordering::Relaxed);
    let mut without_url = found.clone();
    without_url.url = None;
    let plan = scene.import(&accounts(vec![without_url])).await;
    assert!(matches!(fate(&plan, 0), AccountFate::Unreachable(why) if why.contains("no way out")));
    assert!(scene.copy().await.is_empty());
    let plan = scene.import(&accounts(vec![found])).await;
    assert!(matches!(
        fate(&plan, 0),
        AccountFate::Adopted {
            seen: Seen::NotAsked(_),
            ..
        }
    ));
}

#[tokio::test(start_paused = true)]
async fn an_account_that_its_ca_does_not_know_or_refuses_is_left() {
    let scene = Scene::new();
    let stranger = scene.stranger(&PKCS_ECDSA_P256_SHA256);
    let plan = scene.import(&accounts(vec![stranger.clone()])).await;
    assert!(matches!(fate(&plan, 0), AccountFate::Unknown));
    let found = scene.account(&PKCS_ECDSA_P256_SHA256).await;
    scene.ca.deactivate_accounts();
    let plan = scene.import(&accounts(vec![found])).await;
    assert!(matches!(fate(&plan, 0), AccountFate::Unusable(why) if why.contains("deactivated")));
    let mut faulty = stranger;
    faulty.fault = Some(AccountFault::NoKey);
    let plan = scene.import(&accounts(vec![faulty])).await;
    assert!(matches!(fate(&plan, 0), AccountFate::Unusable(_)));
    assert!(scene.copy().await.is_empty());
    assert_eq!(scene.ca.accounts(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_foreign_key_is_left_unless_it_may_be_taken_over() {
    for algorithm in [&PKCS_RSA_SHA256, &PKCS_ECDSA_P384_SHA384] {
        let mut scene = Scene::new();
        let found = scene.account(algorithm).await;
        let findings = accounts(vec![found.clone()]);
        let plan = scene.import(&findings).await;
        let kind = key(&found).kind();
        assert!(kind != KeyType::P256);
        assert!(matches!(fate(&plan, 0), AccountFate::NeedsTakeOver { kind: it } if *it == kind));
        assert!(scene.copy().await.is_empty());

        scene.policy = Policy::TakeOver;
        let plan = scene.plan(&findings).await;
        assert!(matches!(fate(&plan, 0), AccountFate::TakeOver { .. }));
        assert_eq!(scene.ca.counters().key_changes, 0, "a plan changes nothing");
        let plan = scene.import(&findings).await;
        assert!(matches!(fate(&plan, 0), AccountFate::TakenOver { .. }));
        taken(&scene, &findings).await;
    }
}

/// The account is ours under a key that the CA knows, and a second import changes nothing.
async fn taken(scene: &Scene, findings: &Findings) {
    assert_eq!(
        (scene.ca.counters().key_changes, scene.ca.accounts()),
        (1, 1)
    );
    let before = scene.copy().await;
    let plan = scene.import(findings).await;
    assert!(
        matches!(fate(&plan, 0), AccountFate::Ours { .. }),
        "{plan:?}"
    );
    assert_eq!(scene.copy().await, before);
    let kept = before.values().map(|bytes| String::from_utf8_lossy(bytes));
    assert!(kept.into_iter().all(|text| !text.contains("old_key")));
}

#[tokio::test(start_paused = true)]
async fn a_take_over_that_broke_off_is_finished_by_the_next_import_with_or_without_the_flag() {
    for fault in [Fault::NeverBefore, Fault::NeverAfter] {
        for policy in [Policy::TakeOver, Policy::LeaveForeignKeys] {
            let mut scene = Scene::new();
            let findings = accounts(vec![scene.account(&PKCS_ECDSA_P384_SHA384).await]);
            scene.policy = Policy::TakeOver;
            let (store, _faults) = scene.faults.process();
            scene.ca.fault(Operation::KeyChange, fault.clone());
            let dying = scene.try_import(&store, &findings);
            let died = tokio::time::timeout(Duration::from_secs(3600), Box::pin(dying)).await;
            assert!(died.is_err(), "{fault:?}");
            drop(store);
            scene.policy = policy;
            let plan = scene.import(&findings).await;
            let is_taken = matches!(fate(&plan, 0), AccountFate::TakenOver { .. });
            assert!(is_taken, "{fault:?} {plan:?}");
            taken(&scene, &findings).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_was_frozen_removes_nothing_that_another_has_finished() {
    const REMOVAL: u64 = 2;
    let mut scene = Scene::new();
    scene.policy = Policy::TakeOver;
    let findings = accounts(vec![scene.account(&PKCS_ECDSA_P384_SHA384).await]);
    let (store, faults) = scene.faults.process();
    let refusal = r#"{"type":"urn:ietf:params:acme:error:unauthorized","detail":"not today"}"#;
    scene
        .ca
        .fault(Operation::KeyChange, Fault::Page(403, refusal, None));
    faults.silence_at(REMOVAL, Moment::Before);
    let late = async {
        let plan = scene.try_import(&store, &findings).await.unwrap();
        assert!(matches!(fate(&plan, 0), AccountFate::Failed(_)), "{plan:?}");
    };
    let other = async {
        // Longer than the lease of whoever is frozen lasts.
        tokio::time::sleep(Duration::from_secs(300)).await;
        let plan = scene.import(&findings).await;
        assert!(matches!(fate(&plan, 0), AccountFate::TakenOver { .. }));
        faults.mend();
    };
    Box::pin(async { tokio::join!(late, other) }).await;
    assert_eq!(faults.mutations(), REMOVAL);
    taken(&scene, &findings).await;
}

#[tokio::test(start_paused = true)]
async fn who_orders_waits_for_a_take_over_that_is_under_way() {
    let mut scene = Scene::new();
    scene.policy = Policy::TakeOver;
    let findings = accounts(vec![scene.account(&PKCS_ECDSA_P384_SHA384).await]);
    let (store, _faults) = scene.faults.process();
    scene.ca.fault(Operation::KeyChange, Fault::NeverBefore);
    let directory = scene.ca.directory();
    let ours = || Account::of(&directory, &scene.store).unwrap();
    let ordering = async {
        tokio::time::sleep(Duration::from_secs(10)).await;
        let refused = ours().take_turn().await.unwrap_err();
        assert!(refused.problem.contains("another process"), "{refused:?}");
        tokio::time::sleep(Duration::from_secs(300)).await;
        let mut account = ours();
        assert!(!account.take_turn().await.unwrap(), "it is there");
        assert!(!ours().hold().await.unwrap(), "nobody else may finish it");
    };
    tokio::select! {
        () = ordering => {}
        _imported = Box::pin(scene.try_import(&store, &findings)) => panic!("it hangs"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_write_is_made_up_for_by_the_next_import() {
    for number in 1..=2 {
        for moment in [Moment::Before, Moment::After] {
            let mut scene = Scene::new();
            scene.policy = Policy::TakeOver;
            let findings = accounts(vec![scene.account(&PKCS_ECDSA_P384_SHA384).await]);
            let (store, faults) = scene.faults.process();
            faults.crash_at(number, moment);
            let _crashed = scene.try_import(&store, &findings).await;
            drop(store);
            tokio::time::sleep(Duration::from_secs(300)).await;
            scene.import(&findings).await;
            taken(&scene, &findings).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_ca_that_changes_no_keys_leaves_everything_as_it_was() {
    let mut scene = Scene::new();
    scene.policy = Policy::TakeOver;
    let findings = accounts(vec![scene.account(&PKCS_ECDSA_P384_SHA384).await]);
    scene.ca.behave(|it| it.changes_keys = false);
    let plan = scene.import(&findings).await;
    assert!(matches!(fate(&plan, 0), AccountFate::Failed(why) if why.contains("changes no")));
    assert!(scene.copy().await.is_empty());
    scene.ca.behave(|it| it.changes_keys = true);
    let refusal = r#"{"type":"urn:ietf:params:acme:error:unauthorized","detail":"not today"}"#;
    scene
        .ca
        .fault(Operation::KeyChange, Fault::Page(403, refusal, None));
    let plan = scene.import(&findings).await;
    assert!(matches!(fate(&plan, 0), AccountFate::Failed(why) if why.contains("not today")));
    assert!(scene.copy().await.is_empty());
    let plan = scene.import(&findings).await;
    assert!(matches!(fate(&plan, 0), AccountFate::TakenOver { .. }));
}

#[tokio::test(start_paused = true)]
async fn of_several_the_one_that_ordered_most_becomes_ours() {
    let scene = Scene::new();
    let found = vec![
        scene.account(&PKCS_ECDSA_P256_SHA256).await,
        scene.account(&PKCS_ECDSA_P256_SHA256).await,
    ];
    let mut certificate = scene.found(&scene.leaf(&["a.test"], 30, 120));
    certificate.account = Some(1);
    let findings = Findings {
        accounts: found,
        ..certificates(vec![certificate])
    };
    let plan = scene.import(&findings).await;
    assert!(matches!(
        fate(&plan, 0),
        AccountFate::OtherWins { number: 1 }
    ));
    assert!(matches!(fate(&plan, 1), AccountFate::Adopted { .. }));
    assert_eq!(plan.accounts[1].certificates, 1);
}
