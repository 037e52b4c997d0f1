//! Any schedule of deaths, waits and faults: no more is issued than is due, nothing is refused, and in the end all is served.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::simulation::{DAY, HOUR, ORDER, Process, Simulation};
use crate::certs::acme::fake::Fault;
use crate::storage::store::memory::Moment;

const NAMES: [&str; 2] = ["a.test", "*.b.test"];
const LIFE: Duration = DAY.saturating_mul(45);

#[derive(Debug, Clone)]
enum Step {
    Pass(Duration),
    Restart,
    /// The process dies at this write from now on.
    DieAt(u64, Moment),
    /// This write from now on fails.
    FailAt(u64, Moment),
    /// This request from now on meets a fault.
    Meet(u64, Fault),
}

#[tokio::test(start_paused = true)]
async fn deaths_between_the_ledger_and_the_order_lock_nothing() {
    for write in 1..8 {
        for moment in [Moment::Before, Moment::After] {
            let steps = vec![Step::DieAt(write, moment); 6];
            live(&steps).await;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 100,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_schedule_costs_more_than_is_due(steps in vec(step(), 1..24)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(live(&steps));
    }
}

async fn live(steps: &[Step]) {
    let simulation = Simulation::new();
    simulation.ca.behave(|it| it.validity = LIFE);
    let begun = simulation.now();
    let mut process = simulation.start(&NAMES).await;
    for step in steps {
        match step {
            Step::Pass(time) => tokio::time::sleep(*time).await,
            Step::Restart => process = restarted(&simulation, process).await,
            Step::DieAt(write, moment) => {
                process.faults.crash_at(*write, *moment);
                tokio::time::sleep(ORDER).await;
                process = restarted(&simulation, process).await;
            }
            Step::FailAt(write, moment) => process.faults.fail(*write, *moment),
            Step::Meet(request, fault) => simulation.ca.fault_at(*request, fault.clone()),
        }
    }
    simulation.ca.forget_faults();
    let process = restarted(&simulation, process).await;
    // The longest wait after a failure, and its jitter.
    tokio::time::sleep(30 * HOUR).await;
    for name in NAMES {
        let served = process.serves(name);
        let served = served.unwrap_or_else(|| panic!("{name} is not served"));
        assert!(served.facts.not_after > simulation.now(), "{name}");
    }
    let lived = simulation.now().duration_since(begun).unwrap();
    // One for each name, and one more for each shortest time between two.
    let due = 1 + lived.as_secs() / (LIFE.as_secs() * 6 / 10);
    let (issued, limited) = simulation.bill();
    assert_eq!(limited, 0);
    assert!(issued <= due * NAMES.len() as u64, "{issued} of {due} each");
    assert_eq!(simulation.ca.accounts(), 1);
    assert_eq!(simulation.zone.len(), 0);
}

async fn restarted(simulation: &Simulation, process: Process) -> Process {
    process.kill().await;
    simulation.start(&NAMES).await
}

fn step() -> impl Strategy<Value = Step> {
    let moment = || prop_oneof![Just(Moment::Before), Just(Moment::After)];
    let fault = prop_oneof![
        Just(Fault::NeverBefore),
        Just(Fault::NeverAfter),
        Just(Fault::LostBefore),
        Just(Fault::LostAfter),
        Just(Fault::Page(503, "<html>busy</html>", Some("60"))),
    ];
    prop_oneof![
        (0..20_000_u64).prop_map(|millis| Step::Pass(Duration::from_millis(millis))),
        (1..10 * 24_u32).prop_map(|hours| Step::Pass(hours * HOUR)),
        Just(Step::Restart),
        (1..20_u64, moment()).prop_map(|(write, moment)| Step::DieAt(write, moment)),
        (1..20_u64, moment()).prop_map(|(write, moment)| Step::FailAt(write, moment)),
        (0..20_u64, fault).prop_map(|(request, fault)| Step::Meet(request, fault)),
    ]
}
