//! A CA that asks by TLS-ALPN-01, at a replica that did not order.

use super::Fleet;
use super::stores::Kind;
use super::{FOUNDING, SPREADING, shown, within};
use crate::support::door::Door;
use crate::support::eventually;
use crate::support::ordering::site;

#[test]
fn a_replica_answers_by_tls_alpn_01_what_another_ordered() {
    let fleet = Fleet::on(Kind::Redis);
    let by_tls = |role, address: &str| {
        let config = fleet.config(address, "127.0.0.1:0", role);
        let config = config.replace("[acme]", "[acme]\nchallenges = [\"tls-alpn-01\"]");
        // One name is enough.
        Door::up(&config.replace(&site("b.test"), ""))
    };
    let asked = by_tls("serve-only", &fleet.ca.tls().to_string());
    let ordering = by_tls("issue", "127.0.0.1:0");
    let roots = fleet.ca.issued_roots();
    let mut leaf = None;
    within(FOUNDING, "a certificate", || {
        leaf = shown(ordering.tls(), &roots);
        leaf.is_some()
    });
    within(SPREADING, "the certificate where the CA asked", || {
        shown(asked.tls(), &roots) == leaf
    });
    assert_eq!((fleet.orders(), fleet.ca.issued()), (1, 1));
    assert!(ordering.said().contains("certificate issued"));
    assert!(!asked.said().contains("certificate issued"));
    // Nobody listens where it would ask by HTTP-01.
    assert!(std::net::TcpStream::connect(fleet.ca.plain()).is_err());
    eventually("a store without answers", || {
        (!fleet.store.names().contains("challenges/")).then_some(())
    });
}
