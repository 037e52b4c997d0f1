//! A certificate of many names that another tool ordered: each name is renewed by itself, within the CA's limits.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::simulation::{DAY, LETS_ENCRYPT, Simulation, options, pattern};
use crate::certs::acme::ca::Ca;
use crate::certs::acme::journal::Journal;
use crate::certs::acme::name::CertName;
use crate::certs::acme::request::{ChallengeKind, Issued, OrderRequest};
use crate::certs::acme::seams::{BoxFuture, JournalKeeper, KeepError};
use crate::certs::acme::solver::{Challenge, SolveError, Solver};
use crate::certs::adopt::{Adopter, Policy, Wishes};
use crate::certs::bundle::Secret;
use crate::certs::facts::Facts;
use crate::certs::import::findings::{Findings, FoundCertificate, Tool};
use crate::certs::keeper::account::Account;
use crate::hostname::HostPattern;

/// More than one domain may have in a week.
const NAMES: usize = 60;

#[tokio::test(start_paused = true)]
async fn many_names_of_one_imported_certificate_are_renewed_within_the_limits() {
    let simulation = Simulation::new();
    simulation.ca.validate(|_probe| Ok(()));
    let names: Vec<String> = (0..NAMES)
        .map(|number| format!("h{number}.example.com"))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let issued = order(&simulation, &names).await;
    import(&simulation, issued).await;

    let process = simulation.start(&names).await;
    sleep(DAY).await;
    assert_eq!(simulation.bill(), (1, 0));
    assert_eq!(simulation.ca.accounts(), 1);
    for _day in 0..84 {
        sleep(DAY).await;
        let now = simulation.now();
        for name in &names {
            let ready = process.serves(name).unwrap();
            assert!(ready.facts.not_after > now + DAY, "{name}");
        }
    }
    let (issued, limited) = simulation.bill();
    assert_eq!((issued, limited), (1 + NAMES as u64, 0));
    // One of the orders replaces what all of them have in common, and the others do not try to.
    let counters = simulation.ca.counters();
    assert_eq!((counters.exempt, counters.vain_replacements), (1, 0));
    assert_eq!(simulation.ca.accounts(), 1);
}

/// As the other tool does, under an account that ours goes on with.
async fn order(simulation: &Simulation, names: &[&str]) -> Issued {
    let ca = options(&[LETS_ENCRYPT]).cas.remove(0);
    let account = Account::of(LETS_ENCRYPT, &simulation.store).unwrap();
    let transport = Arc::new(simulation.ca.clone());
    let ca = Ca::open(&ca, &account, simulation.clock(), transport)
        .await
        .unwrap();
    let request = OrderRequest {
        names: names
            .iter()
            .map(|name| CertName::parse(name).unwrap())
            .collect(),
        replaces: None,
        profile: None,
        challenges: vec![ChallengeKind::Http01],
    };
    Box::pin(ca.order(&request, &Nobody, &mut Nobody))
        .await
        .unwrap()
}

async fn import(simulation: &Simulation, issued: Issued) {
    let first = rustls_pki_types::pem::PemObject::from_pem_slice(issued.chain_pem.as_bytes());
    let first: rustls_pki_types::CertificateDer<'_> = first.unwrap();
    let (_rest, leaf) = x509_parser::parse_x509_certificate(&first).unwrap();
    let facts = Facts::of(&leaf);
    let found = FoundCertificate {
        tool: Tool::Certbot,
        place: "/etc/letsencrypt".to_owned(),
        names: facts.names.iter().map(HostPattern::to_string).collect(),
        chain: issued.chain_pem.clone(),
        key: Secret(issued.key_pem),
        facts: Some(facts),
        directory: Some(LETS_ENCRYPT.to_owned()),
        account: None,
        fault: None,
        warnings: Vec::new(),
    };
    let findings = Findings {
        certificates: vec![found],
        ..Findings::default()
    };
    let wishes = Wishes {
        names: [pattern("h1.example.com")].into(),
        cas: options(&[LETS_ENCRYPT]).cas,
        ..Wishes::default()
    };
    let connect = Arc::new(|_options: &_| Err("nobody is asked".to_owned()));
    let clock = simulation.clock();
    let adopter = Adopter::new(simulation.vault(), clock, wishes, connect, Policy::TakeOver);
    let mut plan = adopter.plan(&findings).await.unwrap();
    adopter.carry_out(&mut plan, &findings).await.unwrap();
    assert!(plan.certificates[0].places.len() == NAMES);
    sleep(Duration::from_secs(1)).await;
}

/// Answers and keeps nothing: the CA looks nowhere.
struct Nobody;

impl Solver for Nobody {
    fn can(&self, _kind: ChallengeKind, _name: &str) -> bool {
        true
    }

    fn present<'a>(&'a self, _challenge: &'a Challenge) -> BoxFuture<'a, Result<(), SolveError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn clean<'a>(&'a self, _challenge: &'a Challenge) -> BoxFuture<'a, ()> {
        Box::pin(std::future::ready(()))
    }
}

impl JournalKeeper for Nobody {
    fn save<'a>(&'a mut self, _journal: &'a Journal) -> BoxFuture<'a, Result<(), KeepError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}
