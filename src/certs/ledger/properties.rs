//! What holds for any order of requests, restarts and steps of the clock.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proptest::collection::vec;
use proptest::prelude::*;

use super::instant::DAY;
use super::limits::{Limit, Limits};
use super::{Ledger, Purpose, Scope};

fn production() -> &'static Limits {
    Limits::of("https://acme-v02.api.letsencrypt.org/directory")
}

fn start() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_795_309_323)
}

fn set(host: u8) -> BTreeSet<String> {
    BTreeSet::from([format!("host{host}.example.com")])
}

/// Time passes, the clock may be set back, and somebody asks.
#[derive(Debug, Clone)]
struct Arrival {
    pause: u64,
    back: u64,
    host: u8,
    purpose: Purpose,
    restart: bool,
}

fn arrival() -> impl Strategy<Value = Arrival> {
    let pause = prop_oneof![Just(0), 0..60_000_u64, 0..400_000_000_u64];
    let back = prop_oneof![8 => Just(0), 1 => 0..10_000_u64, 1 => 0..7_000_000_000_u64];
    let purpose = prop_oneof![
        4 => Just(Purpose::New),
        2 => Just(Purpose::Renewal),
        1 => Just(Purpose::AriRenewal),
    ];
    (pause, back, 0..2_u8, purpose, any::<bool>()).prop_map(
        |(pause, back, host, purpose, restart)| Arrival {
            pause,
            back,
            host,
            purpose,
            restart,
        },
    )
}

/// More than `most` of these within one `window`, its end not included?
fn exceeds(times: &[u64], most: u32, window: Duration) -> bool {
    let window = u64::try_from(window.as_millis()).unwrap();
    let most = usize::try_from(most).unwrap();
    times
        .windows(most + 1)
        .any(|run| run[most] - run[0] < window)
}

proptest! {
    #[test]
    fn no_window_holds_more_than_the_budget(arrivals in vec(arrival(), 1..200)) {
        let mut ledger = Ledger::default();
        let (mut passed, mut set_back) = (0, 0);
        let mut admitted: [Vec<u64>; 2] = Default::default();
        for arrival in arrivals {
            passed += arrival.pause;
            set_back += arrival.back;
            let now = start() + Duration::from_millis(passed) - Duration::from_millis(set_back);
            if arrival.restart {
                ledger = Ledger::read(&ledger.bytes()).unwrap();
            }
            let answer = ledger.admit(production(), &set(arrival.host), arrival.purpose, now);
            if answer.is_ok() && arrival.purpose != Purpose::AriRenewal {
                admitted[usize::from(arrival.host)].push(passed);
            }
        }
        let names = production().rate(Limit::CertificatesPerNames);
        for times in &admitted {
            prop_assert!(!exceeds(times, names.budget.unwrap(), names.window));
        }
        let mut all = admitted.concat();
        all.sort_unstable();
        let domain = production().rate(Limit::CertificatesPerDomain);
        prop_assert!(!exceeds(&all, domain.budget.unwrap(), domain.window));
    }

    #[test]
    fn a_clock_set_back_and_right_again_gives_nothing_back(
        arrivals in vec((0..100_000_000_u64, 0..86_400_000_u64), 1..100), unset in any::<bool>(),
    ) {
        let rate = production().rate(Limit::CertificatesPerNames);
        let mut ledger = Ledger::default();
        let (mut passed, mut admitted) = (0, Vec::new());
        for (pause, behind) in arrivals {
            passed += pause;
            let now = start() + Duration::from_millis(passed);
            let wrong = if unset { UNIX_EPOCH } else { now - Duration::from_millis(behind) };
            ledger.settle(production(), wrong);
            if ledger.admit(production(), &set(0), Purpose::New, now).is_ok() {
                admitted.push(passed);
            }
        }
        prop_assert!(!exceeds(&admitted, rate.budget.unwrap(), rate.window));
    }

    #[test]
    fn a_refusal_tells_the_truth(pauses in vec(0..200_000_000_u64, 1..40), forced in any::<bool>()) {
        let purpose = if forced { Purpose::Forced } else { Purpose::New };
        let mut ledger = Ledger::default();
        let mut now = start();
        for pause in pauses {
            now += Duration::from_millis(pause);
            if let Err(refusal) = ledger.admit(production(), &set(0), purpose, now) {
                prop_assert!(refusal.free_at > now);
                let before = refusal.free_at - Duration::from_millis(1);
                prop_assert!(ledger.clone().admit(production(), &set(0), purpose, before).is_err());
                now = refusal.free_at;
                prop_assert!(ledger.admit(production(), &set(0), purpose, now).is_ok());
            }
        }
    }

    #[test]
    fn the_capacity_is_never_exceeded_by_hand_either(pauses in vec(0..100_000_000_u64, 1..100)) {
        let rate = production().rate(Limit::CertificatesPerNames);
        let mut ledger = Ledger::default();
        let mut passed = 0_u64;
        let mut tokens = f64::from(rate.capacity);
        for pause in pauses {
            passed += pause;
            #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
            let refilled = pause as f64 / rate.window.as_millis() as f64;
            tokens = f64::from(rate.capacity).min(tokens + refilled * f64::from(rate.capacity));
            let now = start() + Duration::from_millis(passed);
            if ledger.admit(production(), &set(0), Purpose::Forced, now).is_ok() {
                tokens -= 1.0;
            }
            prop_assert!(tokens > -1e-6);
        }
    }

    #[test]
    fn any_step_of_the_clock_locks_for_little_more_than_a_window(
        steps in vec((0..20_000_000_000_u64, 0..2_u8, 0..4_u8), 1..60),
    ) {
        let mut ledger = Ledger::default();
        for (at, host, deed) in steps {
            let now = start() + Duration::from_millis(at);
            let result = match deed {
                0 => ledger.admit(production(), &set(host), Purpose::Forced, now),
                1 => {
                    ledger.blocked(production(), &Scope::Names(set(host)), now + DAY * 90, "no", now);
                    Ok(())
                }
                2 => {
                    ledger.authorization_failed(production(), "host0.example.com", now);
                    ledger.may_authorize(production(), "host0.example.com", now)
                }
                _ => ledger.admit(production(), &set(host), Purpose::New, now),
            };
            if let Err(refusal) = result {
                prop_assert!(refusal.free_at <= now + DAY * 8);
            }
        }
    }
}
