//! Where the library or the CAs mislead a client.

use std::time::Duration;

use tokio::time::Instant;

use super::bench::{Bench, request};
use crate::certs::acme::fake::{Fault, Operation};
use crate::certs::acme::fault::{OrderError, Side};
use crate::certs::acme::journal::Journal;
use crate::certs::acme::request::ChallengeKind;
use crate::certs::acme::seams::Class;

#[tokio::test(start_paused = true)]
async fn most_nonces_may_be_refused() {
    let bench = Bench::new();
    bench.ca.behave(|it| it.bad_nonce_percent = 60);
    bench.run(&request(&["a.test"])).await.unwrap();
    assert_eq!(bench.ca.counters().issued, 1);
}

#[tokio::test(start_paused = true)]
async fn a_ca_that_takes_no_nonce_is_given_up_for_now() {
    let bench = Bench::new();
    bench.open().await.unwrap();
    bench.ca.behave(|it| it.bad_nonce_percent = 100);
    let fault = bench.run(&request(&["a.test"])).await.unwrap_err();
    assert_eq!(fault.class, Class::Transient);
    assert_eq!(fault.kind.as_deref(), Some("badNonce"));
    assert!(matches!(bench.disk.journal(), Journal::Planned(_)));
}

#[tokio::test(start_paused = true)]
async fn a_limit_is_given_back_with_its_header_and_its_words() {
    let bench = Bench::new();
    for _issued in 0..5 {
        bench.run(&request(&["a.test"])).await.unwrap();
        bench.disk.set_journal(Journal::Idle);
    }
    let fault = bench.run(&request(&["a.test"])).await.unwrap_err();
    assert_eq!(fault.class, Class::Limited);
    assert!(fault.problem.contains("exactly a.test"), "{fault}");
    let wait = fault.retry_after.unwrap();
    let refill = Duration::from_secs(7 * 24 * 60 * 60) / 5;
    assert_eq!(wait, Duration::from_secs(24 * 60 * 60));
    assert!(refill > wait, "it is cut to a day");
    assert_eq!(bench.ca.counters().limited, 1);
    assert!(bench.disk.journal().needs_order());
}

#[tokio::test(start_paused = true)]
async fn a_paused_name_needs_a_person() {
    let bench = Bench::new();
    bench.ca.behave(|it| {
        it.paused.insert("a.test".to_owned());
    });
    let fault = bench.run(&request(&["a.test"])).await.unwrap_err();
    assert_eq!(fault.class, Class::Human);
    assert!(fault.problem.contains("/unpause"), "{fault}");
}

#[tokio::test(start_paused = true)]
async fn a_page_in_place_of_a_problem_may_pass() {
    let bench = Bench::new();
    bench.open().await.unwrap();
    for _try in 0..5 {
        let busy = Fault::Page(503, "<html>busy</html>", None);
        bench.ca.fault(Operation::NewOrder, busy);
    }
    let fault = bench.run(&request(&["a.test"])).await.unwrap_err();
    assert_eq!((fault.class, fault.side), (Class::Transient, Side::Network));
    assert!(fault.problem.contains("503"), "{fault}");
    bench.run(&request(&["a.test"])).await.unwrap();
    assert_eq!(bench.ca.counters().issued, 1);
}

#[tokio::test(start_paused = true)]
async fn a_long_wait_is_left_to_whoever_tries_again() {
    let bench = Bench::new();
    bench.open().await.unwrap();
    let busy = Fault::Page(503, "busy", Some("3600"));
    bench.ca.fault(Operation::NewOrder, busy);
    let began = Instant::now();
    let fault = bench.run(&request(&["a.test"])).await.unwrap_err();
    assert_eq!(fault.class, Class::Transient);
    assert_eq!(fault.retry_after, Some(Duration::from_secs(3600)));
    assert!(began.elapsed() < Duration::from_secs(60));
}

#[tokio::test(start_paused = true)]
async fn slow_processing_is_polled_as_the_ca_asks() {
    let bench = Bench::new();
    bench
        .ca
        .behave(|it| it.processing_time = Duration::from_secs(300));
    bench.run(&request(&["a.test"])).await.unwrap();
    let requests = bench.ca.counters().requests;
    assert!((100..130).contains(&requests), "{requests}");
}

#[tokio::test(start_paused = true)]
async fn what_takes_too_long_is_gone_on_with_later() {
    let bench = Bench::new();
    bench
        .ca
        .behave(|it| it.processing_time = Duration::from_secs(3600));
    let fault = bench.run(&request(&["a.test"])).await.unwrap_err();
    assert_eq!(fault.class, Class::Transient);
    assert!(matches!(bench.disk.journal(), Journal::Finalizing(_)));
    tokio::time::sleep(Duration::from_secs(3600)).await;
    bench.run(&request(&["a.test"])).await.unwrap();
    assert_eq!(bench.ca.counters().issued, 1);
}

#[tokio::test(start_paused = true)]
async fn a_failed_name_is_told_in_the_words_of_its_challenge() {
    let bench = Bench::new();
    bench.ca.validate(|probe| match probe.name.as_str() {
        "bad.test" => Err(("dns", "no such name bad.test".to_owned())),
        _ => Ok(()),
    });
    let wanted = request(&["good.test", "bad.test"]);
    let fault = bench.run(&wanted).await.unwrap_err();
    assert_eq!((fault.class, fault.side), (Class::Validation, Side::Ca));
    let words = (
        "bad.test".to_owned(),
        "no such name bad.test (dns)".to_owned(),
    );
    assert_eq!(fault.names, [words]);
    assert_eq!(bench.disk.journal(), Journal::Idle);
    assert_eq!(bench.solver.shown(), 0);
    assert_eq!(bench.ca.pending_authorizations(), 0);
    assert_eq!(bench.ca.counters().failed_authorizations, 1);
}

#[tokio::test(start_paused = true)]
async fn a_forbidding_caa_record_needs_a_person_even_beside_other_failures() {
    let bench = Bench::new();
    bench.ca.validate(|probe| match probe.name.as_str() {
        "a.test" => Err(("dns", "no such name".to_owned())),
        _ => Err(("caa", "forbidden".to_owned())),
    });
    let fault = bench.run(&request(&["a.test"])).await.unwrap_err();
    assert_eq!(fault.class, Class::Validation);
    let fault = bench.run(&request(&["b.test"])).await.unwrap_err();
    assert_eq!(fault.class, Class::Human);
    assert_eq!(fault.kind.as_deref(), Some("caa"));
}

#[tokio::test(start_paused = true)]
async fn what_no_challenge_can_show_is_given_up_at_the_ca() {
    let mut bench = Bench::new();
    bench.solver = bench.solver.able_only(&[ChallengeKind::Http01]);
    let fault = bench.run(&request(&["*.a.test"])).await.unwrap_err();
    assert_eq!((fault.class, fault.side), (Class::Human, Side::Options));
    assert_eq!(bench.disk.journal(), Journal::Idle);
    assert_eq!(bench.ca.pending_authorizations(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_challenge_that_cannot_be_shown_leaves_the_order_for_later() {
    let bench = Bench::new();
    *bench.solver.broken.lock().unwrap() = true;
    let fault = bench.run(&request(&["a.test"])).await.unwrap_err();
    assert_eq!((fault.class, fault.side), (Class::Validation, Side::Solver));
    assert!(fault.to_string().contains("the name server is away"));
    *bench.solver.broken.lock().unwrap() = false;
    bench.run(&request(&["a.test"])).await.unwrap();
    let counters = bench.ca.counters();
    assert_eq!((counters.orders, counters.failed_authorizations), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn what_the_ca_may_still_look_at_stays_until_the_order_is_gone_on_with() {
    let bench = Bench::new();
    bench
        .ca
        .behave(|it| it.validation_time = Duration::from_secs(3600));
    let fault = bench.run(&request(&["a.test"])).await.unwrap_err();
    assert_eq!(fault.class, Class::Transient);
    assert_eq!(bench.solver.shown(), 1);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    bench.run(&request(&["a.test"])).await.unwrap();
    assert_eq!(bench.solver.shown(), 0);
    assert_eq!(bench.ca.counters().failed_authorizations, 0);
}

#[tokio::test(start_paused = true)]
async fn names_that_are_authorized_already_show_no_challenge() {
    let bench = Bench::new();
    bench.run(&request(&["a.test"])).await.unwrap();
    let shown = bench.solver.log().len();
    bench.disk.set_journal(Journal::Idle);
    bench.run(&request(&["a.test"])).await.unwrap();
    assert_eq!(bench.solver.log().len(), shown);
    assert_eq!(bench.ca.counters().issued, 2);
}

#[tokio::test(start_paused = true)]
async fn an_order_that_the_ca_forgot_is_not_gone_on_with() {
    let bench = Bench::new();
    bench
        .ca
        .behave(|it| it.processing_time = Duration::from_secs(3600));
    *bench.solver.broken.lock().unwrap() = true;
    bench.run(&request(&["a.test"])).await.unwrap_err();
    *bench.solver.broken.lock().unwrap() = false;
    tokio::time::sleep(Duration::from_secs(8 * 24 * 60 * 60)).await;
    let fault = bench.run(&request(&["a.test"])).await.unwrap_err();
    assert_eq!(fault.class, Class::Transient);
    assert_eq!(bench.disk.journal(), Journal::Idle);
    assert_eq!(bench.solver.shown(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_order_of_a_lost_account_is_not_gone_on_with() {
    let bench = Bench::new();
    *bench.solver.broken.lock().unwrap() = true;
    bench.run(&request(&["a.test"])).await.unwrap_err();
    *bench.solver.broken.lock().unwrap() = false;
    bench.disk.lose_account();
    let fault = bench.run(&request(&["a.test"])).await.unwrap_err();
    assert_eq!(fault.class, Class::Transient);
    assert_eq!(bench.disk.journal(), Journal::Idle);
    bench.run(&request(&["a.test"])).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_account_that_is_locked_meanwhile_keeps_its_order() {
    let bench = Bench::new();
    *bench.solver.broken.lock().unwrap() = true;
    bench.run(&request(&["a.test"])).await.unwrap_err();
    bench.ca.deactivate_accounts();
    let fault = bench.run(&request(&["a.test"])).await.unwrap_err();
    assert_eq!((fault.class, fault.side), (Class::Human, Side::Ca));
    assert!(matches!(bench.disk.journal(), Journal::Challenged(_)));
}

#[tokio::test(start_paused = true)]
async fn a_name_that_fails_five_times_in_an_hour_is_limited() {
    let bench = Bench::new();
    bench
        .ca
        .validate(|_probe| Err(("connection", "refused".to_owned())));
    for _failure in 0..5 {
        let fault = bench.run(&request(&["a.test"])).await.unwrap_err();
        assert_eq!(fault.class, Class::Validation);
    }
    let fault = bench.run(&request(&["a.test"])).await.unwrap_err();
    assert_eq!(fault.class, Class::Limited);
    let counters = bench.ca.counters();
    assert_eq!((counters.failed_authorizations, counters.limited), (5, 1));
}

#[tokio::test(start_paused = true)]
async fn a_profile_is_looked_at_before_and_after() {
    let bench = Bench::new();
    let mut wanted = request(&["a.test"]);
    wanted.profile = Some("shortlived".to_owned());
    let fault = bench.run(&wanted).await.unwrap_err();
    assert_eq!((fault.class, fault.side), (Class::Human, Side::Options));
    assert_eq!(bench.ca.counters().orders, 0);

    let six_days = Duration::from_secs(160 * 60 * 60);
    let offer = |forced: Option<&str>| {
        let forced = forced.map(str::to_owned);
        bench.ca.behave(|it| {
            it.profiles.insert("shortlived".to_owned(), six_days);
            it.profiles
                .insert("classic".to_owned(), 90 * super::bench::DAY);
            it.profile_forced = forced;
        });
    };
    offer(Some("classic"));
    let fault: OrderError = bench.run(&wanted).await.unwrap_err();
    assert_eq!((fault.class, fault.side), (Class::Human, Side::Ca));
    assert_eq!(bench.disk.journal(), Journal::Idle);
    assert_eq!(bench.ca.counters().issued, 0);
    assert_eq!(bench.ca.pending_authorizations(), 0);

    offer(None);
    let issued = bench.run(&wanted).await.unwrap();
    assert_eq!(issued.profile.as_deref(), Some("shortlived"));
}

#[tokio::test(start_paused = true)]
async fn an_order_nobody_wants_is_given_up() {
    let bench = Bench::new();
    *bench.solver.broken.lock().unwrap() = true;
    bench.run(&request(&["a.test"])).await.unwrap_err();
    assert_eq!(bench.ca.pending_authorizations(), 1);
    let ca = bench.open().await.unwrap();
    let mut keeper = bench.disk.clone();
    ca.abandon(bench.disk.journal(), &bench.solver, &mut keeper)
        .await
        .unwrap();
    assert_eq!(bench.ca.pending_authorizations(), 0);
    assert_eq!(bench.disk.journal(), Journal::Idle);
}
