//! Certificates: served under every name, never in place of a better one, and taken once.

use std::time::Duration;

use super::scene::{Scene, certificates, pattern};
use crate::certs::acme::journal::Journal;
use crate::certs::adopt::{Fate, Plan, PlannedPlace, Skipped};
use crate::certs::bundle::{Bundle, GENERATION_MAX, Origin, Secret};
use crate::certs::fixture::days;
use crate::certs::import::fault::{Fault, Warning};
use crate::certs::keeper::ledgers::Ledgers;
use crate::certs::vault::{CertId, Vault};
use crate::storage::store::Key;
use crate::storage::store::memory::Moment;

fn places(plan: &Plan, number: usize) -> Vec<&PlannedPlace> {
    plan.certificates[number].places.iter().collect()
}

#[tokio::test(start_paused = true)]
async fn a_certificate_serves_each_of_its_names_byte_for_byte_and_is_taken_once() {
    let mut scene = Scene::new();
    scene.wants(&["a.test", "x.example.com"]);
    let leaf = scene.leaf(&["a.test", "www.a.test", "*.example.com"], 30, 120);
    let findings = certificates(vec![scene.found(&leaf)]);
    let plan = scene.plan(&findings).await;
    assert!(!plan.is_done());
    assert!(scene.copy().await.is_empty(), "a plan changes nothing");

    let plan = scene.import(&findings).await;
    let told: Vec<_> = places(&plan, 0)
        .iter()
        .map(|it| {
            (
                it.name.to_string(),
                it.is_wanted,
                matches!(it.fate, Fate::Taken),
            )
        })
        .collect();
    let expected = [
        ("a.test", true),
        ("www.a.test", false),
        ("x.example.com", true),
        ("*.example.com", false),
    ];
    assert_eq!(told, expected.map(|(name, is)| (name.to_owned(), is, true)));
    for (name, _is_wanted) in expected {
        let ready = scene.stored(name).await.unwrap();
        assert_eq!(ready.leaf(), &*leaf.der, "{name}");
        assert_eq!(ready.bundle.chain, leaf.pem);
        assert_eq!(ready.bundle.directory, scene.ca.directory());
        assert_eq!(
            ready.bundle.imported_from.as_deref(),
            Some("certbot: /etc/letsencrypt/live/a.test")
        );
    }

    let before = scene.copy().await;
    let mutations = scene.faults.mutations();
    let again = scene.import(&findings).await;
    assert!(again.is_done());
    assert!(
        places(&again, 0)
            .iter()
            .all(|it| matches!(it.fate, Fate::Same))
    );
    assert_eq!(scene.copy().await, before);
    assert_eq!(scene.faults.mutations(), mutations);
}

#[tokio::test(start_paused = true)]
async fn one_of_ours_that_is_newer_or_lasts_longer_stays_and_one_that_is_over_goes() {
    let scene = Scene::new();
    let ours = scene.leaf(&["a.test"], 50, 140);
    scene.import(&certificates(vec![scene.found(&ours)])).await;
    let older = scene.leaf(&["a.test"], 10, 100);
    let plan = scene.import(&certificates(vec![scene.found(&older)])).await;
    assert!(matches!(places(&plan, 0)[0].fate, Fate::OursStays { .. }));
    assert_eq!(scene.stored("a.test").await.unwrap().leaf(), &*ours.der);

    let newer = scene.leaf(&["a.test"], 80, 170);
    let plan = scene.import(&certificates(vec![scene.found(&newer)])).await;
    assert!(matches!(places(&plan, 0)[0].fate, Fate::Taken));
    let ready = scene.stored("a.test").await.unwrap();
    assert_eq!((ready.leaf(), ready.bundle.generation), (&*newer.der, 2));

    tokio::time::sleep(days(81)).await;
    let start = scene.now() - days(1);
    let fresh = scene.authority.leaf(&["a.test"], start..start + days(6));
    let plan = scene.import(&certificates(vec![scene.found(&fresh)])).await;
    assert!(matches!(places(&plan, 0)[0].fate, Fate::Taken));
}

#[tokio::test(start_paused = true)]
async fn of_two_that_were_found_the_longer_wins_whichever_comes_first() {
    for turned in [false, true] {
        let scene = Scene::new();
        let longer = scene.leaf(&["a.test"], 40, 130);
        let mut found = vec![
            scene.found(&scene.leaf(&["a.test", "b.test"], 30, 120)),
            scene.found(&longer),
        ];
        if turned {
            found.reverse();
        }
        let findings = certificates(found);
        let plan = scene.import(&findings).await;
        assert!(matches!(
            places(&plan, usize::from(turned))[0].fate,
            Fate::OtherWins { number } if number == usize::from(!turned)
        ));
        assert_eq!(scene.stored("a.test").await.unwrap().leaf(), &*longer.der);
        assert!(scene.stored("b.test").await.is_some());
        let before = scene.copy().await;
        assert!(scene.import(&findings).await.is_done());
        assert_eq!(scene.copy().await, before);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_of_no_use_is_left_with_its_reason() {
    let mut scene = Scene::new();
    scene.wants(&["a.test"]);
    let leaf = scene.leaf(&["a.test"], 0, 100);
    let found = || scene.found(&leaf);
    let mut expired = found();
    expired.fault = Some(Fault::Expired(scene.now()));
    let mut mismatched = found();
    mismatched.key = Secret(scene.leaf(&["a.test"], 0, 9).key_pem);
    let mut own = found();
    own.warnings.push(Warning::SelfSigned);
    let mut staging = found();
    staging.warnings.push(Warning::Staging);
    staging.directory = Some("https://acme-staging-v02.api.letsencrypt.org/directory".to_owned());
    let plan = scene
        .import(&certificates(vec![expired, mismatched, own, staging]))
        .await;
    let skipped: Vec<&Skipped> = plan
        .certificates
        .iter()
        .map(|it| it.skipped.as_ref().unwrap())
        .collect();
    assert!(matches!(skipped[0], Skipped::Fault(Fault::Expired(_))));
    assert!(matches!(skipped[1], Skipped::Unservable(_)));
    assert!(matches!(skipped[2], Skipped::SelfSigned));
    assert!(matches!(skipped[3], Skipped::Staging));
    let losses: Vec<bool> = skipped.iter().map(|it| it.is_loss()).collect();
    assert_eq!(losses, [false, true, false, false]);
    assert!(scene.copy().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_name_that_somebody_is_ordering_for_waits() {
    let scene = Scene::new();
    let findings = certificates(vec![scene.found(&scene.leaf(&["a.test"], 30, 120))]);
    let (other, _faults) = scene.faults.process();
    let key = Key::new("cert-a.test").unwrap();
    let lease = other.lease(&key, Duration::from_secs(60)).await.unwrap();
    let plan = scene.import(&findings).await;
    assert!(matches!(places(&plan, 0)[0].fate, Fate::Busy));
    drop(lease);
    let plan = scene.import(&findings).await;
    assert!(matches!(places(&plan, 0)[0].fate, Fate::Taken));
}

#[tokio::test(start_paused = true)]
async fn an_order_under_way_does_not_bring_an_older_certificate_afterwards() {
    let scene = Scene::new();
    let vault = Vault::new(scene.store.clone());
    let id = CertId::of(&pattern("a.test"));
    let key = Key::new("cert-a.test").unwrap();
    let lease = scene.store.lease(&key, Duration::from_secs(60)).await;
    let planned = r#"{"state":"planned","ca":"https://ca.test/directory","key_pem":"","names":["a.test"],"challenges":[]}"#;
    let journal: Journal = serde_json::from_str(planned).unwrap();
    vault
        .save_journal(&id, &journal, &lease.unwrap().unwrap())
        .await
        .unwrap();
    scene
        .import(&certificates(vec![scene.found(&scene.leaf(
            &["a.test"],
            30,
            120,
        ))]))
        .await;
    assert_eq!(vault.journal(&id).await.unwrap(), Journal::Idle);
}

#[tokio::test(start_paused = true)]
async fn the_ledger_knows_what_was_issued_lately() {
    let scene = Scene::new();
    let findings = certificates(vec![
        scene.found(&scene.leaf(&["a.example.com"], 88, 178)),
        scene.found(&scene.leaf(&["b.example.com"], 20, 110)),
    ]);
    scene.import(&findings).await;
    let ledgers = Ledgers::new(scene.store.clone(), scene.clock.clone());
    let ledger = ledgers.read(&scene.ca.directory()).await.unwrap();
    let told: Vec<&str> = ledger
        .events()
        .map(|event| event.subject.as_str())
        .collect();
    assert_eq!(told, ["b.example.com", "a.example.com"]);
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_write_is_made_up_for_by_the_next_import() {
    let scene = Scene::new();
    let leaf = scene.leaf(&["a.test", "b.test"], 30, 120);
    let findings = certificates(vec![scene.found(&leaf)]);
    scene.import(&findings).await;
    let writes = scene.faults.mutations();
    assert!(writes >= 5, "{writes}");
    for number in 1..=writes {
        for moment in [Moment::Before, Moment::After] {
            let scene = Scene::new();
            let findings = certificates(vec![scene.found(&leaf)]);
            let (store, faults) = scene.faults.process();
            faults.crash_at(number, moment);
            // A fault of one name does not end the others, so there may be no error.
            let _crashed = scene.try_import(&store, &findings).await;
            drop(store);
            tokio::time::sleep(Duration::from_secs(120)).await;
            scene.import(&findings).await;
            for name in ["a.test", "b.test"] {
                let ready = scene.stored(name).await.unwrap();
                assert_eq!(ready.leaf(), &*leaf.der, "{number} {moment:?}");
            }
            let before = scene.copy().await;
            assert!(
                scene.import(&findings).await.is_done(),
                "{number} {moment:?}"
            );
            assert_eq!(scene.copy().await, before, "{number} {moment:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_no_ledger_can_be_called_after_stops_nothing_else() {
    let scene = Scene::new();
    let mut found = Vec::new();
    for (name, directory) in [
        ("a.test", format!("https://{}.test/dir", "a".repeat(300))),
        ("b.test", "https://../x".to_owned()),
        ("c.test", scene.ca.directory()),
    ] {
        let mut one = scene.found(&scene.leaf(&[name], 30, 120));
        one.directory = Some(directory);
        found.push(one);
    }
    let plan = scene.import(&certificates(found)).await;
    assert_eq!(plan.remarks.len(), 2, "{plan:?}");
    assert!(plan.remarks[0].contains("in no ledger"), "{plan:?}");
    for name in ["a.test", "b.test", "c.test"] {
        assert!(scene.stored(name).await.is_some(), "{name}");
    }
    let ledgers = scene.copy().await;
    let ledgers = ledgers.keys().filter(|key| key.ends_with("/ledger"));
    assert_eq!(ledgers.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_put_behind_the_last_number_that_there_is() {
    let scene = Scene::new();
    let old = scene.leaf(&["a.test"], 0, 100);
    let origin = Origin {
        generation: GENERATION_MAX,
        directory: "",
        profile: None,
    };
    let old = Bundle::of(old.pem, old.key_pem, origin, scene.now()).unwrap();
    let vault = Vault::new(scene.store.clone());
    let id = CertId::of(&pattern("a.test"));
    let key = Key::new("cert-a.test").unwrap();
    let lease = scene.store.lease(&key, Duration::from_secs(9));
    let lease = lease.await.unwrap().unwrap();
    vault.keep(&id, &old, &lease).await.unwrap();
    drop(lease);
    let found = scene.found(&scene.leaf(&["a.test"], 30, 120));
    let plan = scene.import(&certificates(vec![found])).await;
    let fate = &plan.certificates[0].places[0].fate;
    assert!(
        matches!(fate, Fate::Failed(why) if why.contains("counts further")),
        "{fate:?}"
    );
    let kept = scene.stored("a.test").await.unwrap();
    assert_eq!(kept.bundle.generation, GENERATION_MAX);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_too_long_to_be_kept_stops_nothing_else() {
    let scene = Scene::new();
    let long = format!("{0}.{0}.{0}.a.test", "a".repeat(63));
    let leaf = scene.leaf(&["a.test", &long], 30, 120);
    let plan = scene.import(&certificates(vec![scene.found(&leaf)])).await;
    assert_eq!(plan.certificates[0].places.len(), 2);
    for place in places(&plan, 0) {
        match place.name.to_string().as_str() {
            "a.test" => assert!(matches!(place.fate, Fate::Taken)),
            _ => assert!(matches!(&place.fate, Fate::Failed(why) if why.contains("at most"))),
        }
    }
    assert!(scene.stored("a.test").await.is_some());
}
