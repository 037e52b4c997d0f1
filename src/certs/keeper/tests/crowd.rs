//! Thousands of names at once.

use super::simulation::{HOUR, LETS_ENCRYPT, ORDER, Simulation, pattern};
use crate::certs::bundle::{Bundle, Origin};
use crate::certs::fixture::{Authority, days};
use crate::certs::vault::CertId;

const KNOWN: usize = 10_000;
/// Fewer, for each costs a look at the ledger; with ten thousand it goes as well, in a minute.
const NEW: usize = 1_000;

#[tokio::test(start_paused = true)]
async fn ten_thousand_names_with_certificates_order_nothing() {
    let simulation = Simulation::new();
    let names = names(KNOWN);
    let authority = Authority::new();
    for name in &names {
        let (from, until) = (simulation.now() - days(1), simulation.now() + days(89));
        let leaf = authority.leaf(&[name], from..until);
        let origin = Origin {
            generation: 1,
            directory: LETS_ENCRYPT,
            profile: None,
        };
        let ready = Bundle::of(leaf.pem, leaf.key_pem, origin, simulation.now()).unwrap();
        let bytes = serde_json::to_vec(&*ready.bundle).unwrap();
        let id = CertId::of(&pattern(name));
        let place = format!("certs/{}/v00000001", id.as_str());
        simulation.write(&place, &bytes).await;
        let place = format!("certs/{}/current", id.as_str());
        simulation.write(&place, br#"{"generation":1}"#).await;
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let process = simulation.start(&names).await;
    tokio::time::sleep(ORDER).await;
    let counters = simulation.ca.counters();
    assert_eq!((counters.orders, counters.limited), (0, 0));
    assert!(names.iter().all(|name| process.serves(name).is_some()));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_names_without_certificates_are_held_back_by_the_ledger() {
    let simulation = Simulation::new();
    let names = names(NEW);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let process = simulation.start(&names).await;
    let mut most = 0;
    for _second in 0..120 {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        most = most.max(simulation.ca.pending_authorizations());
    }
    tokio::time::sleep(HOUR).await;
    let (issued, limited) = simulation.bill();
    assert!(most <= 8, "{most}");
    assert_eq!(limited, 0);
    assert!((300..=500).contains(&issued), "{issued}");
    let served = names.iter().filter(|name| process.serves(name).is_some());
    assert_eq!(served.count() as u64, issued);
    println!(
        "{NEW} new names: {issued} certificates in the first hour, {most} at a time, 0 refused"
    );
}

/// Each of a domain of its own.
fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("n{number}.test")).collect()
}
