//! The promise: a crash at any point costs at most one issuance.

use std::sync::Arc;
use std::time::Duration;

use super::bench::{Bench, Hang, request};
use crate::certs::acme::fake::Fault;
use crate::certs::acme::fault::Side;
use crate::certs::acme::journal::Journal;

/// Dies once, then goes on; the certificate that comes of it is the only one.
async fn survives(bench: &Bench, died: bool, point: &str) {
    let issued = bench.run(&request(&["a.test", "*.a.test"])).await;
    let issued = issued.unwrap_or_else(|fault| panic!("{point}: {fault}"));
    let counters = bench.ca.counters();
    assert_eq!(counters.issued, 1, "{point}");
    assert_eq!(counters.limited, 0, "{point}");
    assert_eq!(counters.orders, 1, "{point}");
    assert_eq!(bench.ca.accounts(), 1, "{point}");
    assert_eq!(bench.solver.shown(), 0, "{point} (died: {died})");
    let Journal::Downloaded(downloaded) = bench.disk.journal() else {
        panic!("{point}: {:?}", bench.disk.journal());
    };
    assert_eq!(downloaded.chain_pem, issued.chain_pem, "{point}");
}

async fn undisturbed() -> (u64, u64) {
    let bench = Bench::new();
    survives(&bench, false, "undisturbed").await;
    (bench.ca.counters().requests, bench.disk.writes())
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_answer_costs_no_second_certificate() {
    let (requests, _) = undisturbed().await;
    for number in 0..requests {
        for fault in [Fault::NeverBefore, Fault::NeverAfter] {
            let point = format!("request {number}, {fault:?}");
            let bench = Bench::new();
            bench.ca.fault_at(number, fault);
            let wanted = request(&["a.test", "*.a.test"]);
            assert!(bench.dies(bench.run(&wanted)).await, "{point}");
            survives(&bench, true, &point).await;
        }
    }
    assert!(requests >= 12, "{requests}");
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_write_costs_no_second_certificate() {
    let (_, writes) = undisturbed().await;
    for number in 0..writes {
        for hang in [Hang::BeforeIt, Hang::AfterIt] {
            let point = format!("write {number}, {hang:?}");
            let bench = Bench::new();
            bench.disk.hang_at(Some((number, hang)));
            let wanted = request(&["a.test", "*.a.test"]);
            assert!(bench.dies(bench.run(&wanted)).await, "{point}");
            bench.disk.hang_at(None);
            survives(&bench, true, &point).await;
        }
    }
    assert!(writes >= 7, "{writes}");
}

#[tokio::test(start_paused = true)]
async fn two_crashes_at_any_answers_cost_no_second_certificate() {
    let (requests, _) = undisturbed().await;
    for first in 0..requests {
        for second in (0..requests).step_by(3) {
            let point = format!("requests {first} and then {second}");
            let bench = Bench::new();
            let wanted = request(&["a.test", "*.a.test"]);
            bench.ca.fault_at(first, Fault::NeverAfter);
            assert!(bench.dies(bench.run(&wanted)).await, "{point}");
            bench.ca.fault_at(second, Fault::NeverAfter);
            let died = bench.dies(bench.run(&wanted)).await;
            bench.ca.forget_faults();
            survives(&bench, died, &point).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_anywhere_is_overcome_without_a_restart() {
    let (requests, _) = undisturbed().await;
    for number in 0..requests {
        for fault in [
            Fault::LostBefore,
            Fault::LostAfter,
            Fault::Page(503, "<html>busy</html>", Some("5")),
            Fault::Page(502, "", None),
        ] {
            let point = format!("request {number}, {fault:?}");
            let bench = Bench::new();
            bench.ca.fault_at(number, fault);
            survives(&bench, false, &point).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_schedule_of_crashes_and_faults_costs_a_second_certificate() {
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let bench = Bench::new();
        bench.ca.behave(|it| {
            it.bad_nonce_percent = random.u8(..50);
            it.processing_time = Duration::from_secs(random.u64(..900));
            it.validation_time = Duration::from_secs(random.u64(..30));
        });
        let wanted = request(&["a.test", "*.a.test"]);
        for _process in 0..random.usize(1..6) {
            for _fault in 0..random.usize(..4) {
                let fault = any_fault(&mut random);
                bench.ca.fault_at(random.u64(..30), fault);
            }
            let write = bench.disk.writes() + random.u64(..20);
            let hang = [Hang::BeforeIt, Hang::AfterIt][random.usize(..2)];
            bench.disk.hang_at(Some((write, hang)));
            bench.dies(bench.run(&wanted)).await;
        }
        bench.ca.forget_faults();
        bench.disk.hang_at(None);
        let mut issued = bench.run(&wanted).await;
        for _later in 0..5 {
            if issued.is_err() {
                tokio::time::sleep(Duration::from_secs(600)).await;
                issued = bench.run(&wanted).await;
            }
        }
        issued.unwrap_or_else(|fault| panic!("seed {seed}: {fault}"));
        let counters = bench.ca.counters();
        assert_eq!((counters.issued, counters.limited), (1, 0), "seed {seed}");
        assert_eq!(
            (counters.orders, bench.ca.accounts()),
            (1, 1),
            "seed {seed}"
        );
        assert_eq!(bench.solver.shown(), 0, "seed {seed}");
    }
}

fn any_fault(random: &mut fastrand::Rng) -> Fault {
    match random.u8(..6) {
        0 => Fault::NeverBefore,
        1 => Fault::NeverAfter,
        2 => Fault::LostBefore,
        3 => Fault::LostAfter,
        4 => Fault::Page(500, "<html>", Some("60")),
        _ => Fault::Page(503, "", Some("7200")),
    }
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_fails_stops_the_order_and_is_told_apart() {
    let bench = Bench::new();
    bench.open().await.unwrap();
    bench.disk.fail(true);
    let fault = bench.run(&request(&["a.test"])).await.unwrap_err();
    assert_eq!(fault.side, Side::Storage);
    assert!(fault.problem.contains("the disk is full"));
    assert_eq!(bench.ca.counters().orders, 0);
    bench.disk.fail(false);
    bench.run(&request(&["a.test"])).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn orders_run_on_any_thread() {
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    let bench = Bench::new();
    let ca = Arc::new(bench.open().await.unwrap());
    let mut keeper = bench.disk.clone();
    let wanted = request(&["a.test"]);
    is_send(ca.order(&wanted, &bench.solver, &mut keeper))
        .await
        .unwrap();
}
