//! One name, one certificate: challenges, restarts, accounts, a CA that makes it hard.

use std::time::Duration;

use super::{config, served, site};
use crate::support::backend::{Backend, ok};
use crate::support::client::{plain, try_tls};
use crate::support::door::{Door, Home};
use crate::support::eventually;
use crate::support::pebble::{Pebble, Wanted};
use crate::support::wire::Wire;

#[test]
fn a_name_gets_its_certificate_by_tls_alpn_01_and_keeps_it_over_restarts() {
    let ca = Pebble::start();
    let config = config(
        &ca,
        "challenges = [\"tls-alpn-01\"]",
        &site("a.example.com"),
    );
    let door = Door::up(&config);
    served(&ca, "a.example.com");
    let home = door.leave();
    let _door = Door::up_in(home, &["up"]);
    // At once: what is kept is loaded before readiness is told.
    try_tls(ca.tls(), &ca.issued_roots(), "a.example.com", &[]).unwrap();
    assert_eq!(ca.issued(), 1);
}

#[test]
fn http_01_is_answered_before_redirects_and_rules() {
    let ca = Pebble::start();
    let config = config(&ca, "challenges = [\"http-01\"]", &site("b.example.com"));
    let _door = Door::up(&config);
    served(&ca, "b.example.com");
    let mut wire = Wire::over(plain(ca.plain()));
    let answer =
        wire.ask("GET /.well-known/acme-challenge/unknown HTTP/1.1\r\nHost: b.example.com\r\n\r\n");
    assert_eq!(answer.status(), 308);
}

#[test]
fn several_names_are_ordered_and_one_that_fails_holds_up_none() {
    let ca = Pebble::start();
    let sites = ["blocked.example.com", "c.example.com", "d.example.com"]
        .map(site)
        .concat();
    let door = Door::up(&config(&ca, "", &sites));
    served(&ca, "c.example.com");
    served(&ca, "d.example.com");
    let refused = try_tls(ca.tls(), &ca.issued_roots(), "blocked.example.com", &[]);
    assert!(refused.is_err());
    eventually("a word about the blocked name", || {
        door.said().contains("blocked.example.com").then_some(())
    });
}

#[test]
fn nonces_that_are_refused_most_of_the_time_do_not_matter() {
    let ca = Pebble::with(&Wanted {
        variables: vec![("PEBBLE_WFE_NONCEREJECT", "60".to_owned())],
        ..Wanted::default()
    });
    let _door = Door::up(&config(&ca, "", &site("e.example.com")));
    served(&ca, "e.example.com");
    assert_eq!(ca.issued(), 1);
}

#[test]
fn an_account_may_be_bound_to_an_external_one() {
    let ca = Pebble::with(&Wanted {
        eab: Some((
            "kid-1",
            "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W",
        )),
        ..Wanted::default()
    });
    let eab = "eab = { kid = \"kid-1\", hmac = \"zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W\" }";
    let _door = Door::up(&config(&ca, eab, &site("f.example.com")));
    served(&ca, "f.example.com");
}

#[test]
fn an_address_is_a_name_too() {
    let ca = Pebble::start();
    let name = ca.address().to_string();
    let _door = Door::up(&config(&ca, "", &site(&name)));
    served(&ca, &name);
}

#[test]
fn a_process_killed_at_any_moment_costs_no_second_certificate() {
    let ca = Pebble::with(&Wanted {
        // Slow enough for a kill to hit every step.
        variables: vec![
            ("PEBBLE_VA_SLEEPTIME", "1".to_owned()),
            ("PEBBLE_VA_NOSLEEP", "1".to_owned()),
        ],
        ..Wanted::default()
    });
    let config = config(&ca, "", &site("g.example.com"));
    let mut home = Home::new(&config);
    for round in 0..12_u64 {
        let door = Door::up_in(home, &["up"]);
        std::thread::park_timeout(Duration::from_millis(round * 23 % 200));
        home = door.kill();
    }
    let _door = Door::up_in(home, &["up"]);
    served(&ca, "g.example.com");
    assert_eq!(ca.issued(), 1);
}

/// For handshakes that wait for an order.
const PATIENT: &str = "[limits]\nhandshake = \"1m\"\n";

#[test]
fn a_certificate_comes_at_the_first_handshake_of_an_allowed_name_and_for_no_other() {
    let ca = Pebble::start();
    let ask = Backend::http(|seen| {
        if seen.line().contains("domain=allowed.dev.example.com") {
            ok("yes")
        } else {
            b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n".to_vec()
        }
    });
    let on_demand = format!("on_demand = {{ ask = \"http://{}/may\" }}", ask.address);
    let sites = site("*.dev.example.com") + PATIENT;
    let door = Door::up(&config(&ca, &on_demand, &sites));
    let roots = ca.issued_roots();
    assert!(try_tls(ca.tls(), &roots, "other.dev.example.com", &[]).is_err());
    try_tls(ca.tls(), &roots, "allowed.dev.example.com", &[]).unwrap();
    assert!(try_tls(ca.tls(), &roots, "other.dev.example.com", &[]).is_err());
    // Nobody is asked twice about a name, and a restart orders nothing again.
    assert_eq!(ask.seen().len(), 2);
    let door = Door::up_in(door.leave(), &["up"]);
    try_tls(ca.tls(), &roots, "allowed.dev.example.com", &[]).unwrap();
    assert_eq!(ca.issued(), 1);
    // From then on it is kept, so it can be renewed by hand.
    let renew = ["certs", "renew", "allowed.dev.example.com"];
    let (code, out, err) = door.home().run(&renew);
    assert_eq!((code, ca.issued()), (0, 2), "{out}{err}");
}

#[test]
fn a_name_on_demand_gets_its_own_certificate_though_the_local_ca_serves_meanwhile() {
    let ca = Pebble::start();
    let ask = Backend::saying("yes");
    let keys = format!(
        "meanwhile = \"internal\"\non_demand = {{ ask = \"http://{}/may\" }}",
        ask.address
    );
    let sites = site("*.dev.example.com") + PATIENT;
    let _door = Door::up(&config(&ca, &keys, &sites));
    try_tls(ca.tls(), &ca.issued_roots(), "a.dev.example.com", &[]).unwrap();
}
