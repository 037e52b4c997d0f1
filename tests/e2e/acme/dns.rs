//! DNS-01: the proof for wildcards, by a script and by signed updates, against a real name server.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;

use super::{config, served, site};
use crate::support::dns::{Knot, SECRET};
use crate::support::door::{Door, Home};
use crate::support::eventually;
use crate::support::pebble::{Pebble, Wanted, own_address};

/// Beside another name of the zone: Pebble 2.4 does not survive an order for the parent of a name on its block list.
const RECORD: &str = "_acme-challenge.shop.example.com";

/// A CA that asks this name server alone.
fn ca_asking(knot: &Knot) -> Pebble {
    Pebble::with(&Wanted {
        dns: Some(knot.address),
        ..Wanted::default()
    })
}

fn served_by(address: Ipv4Addr) -> String {
    format!("@ NS ns1\nns1 A {address}\n")
}

#[track_caller]
fn cleaned_up(knot: &Knot, record: &str) {
    eventually("a clean record", || {
        knot.txt(record).is_empty().then_some(())
    });
}

#[test]
fn a_wildcard_and_its_base_are_proven_by_signed_updates() {
    let address = own_address();
    let knot = Knot::alone_at(address, &[("example.com", &served_by(address))]);
    let ca = ca_asking(&knot);
    let acme = format!(
        r#"challenges = ["dns-01"]
        dns = {{ type = "rfc2136", server = "{0}", key = "hmac-sha256", secret = "{SECRET}", resolver = "{0}" }}"#,
        knot.address
    );
    let sites = ["*.shop.example.com", "shop.example.com"]
        .map(site)
        .concat();
    let _door = Door::up(&config(&ca, &acme, &sites));
    served(&ca, "any.shop.example.com");
    served(&ca, "shop.example.com");
    assert_eq!(ca.issued(), 2);
    cleaned_up(&knot, RECORD);
}

/// A door that publishes by a script, which writes down how it was called.
fn home_with_script(knot: &Knot, ca: &Pebble) -> Home {
    let address = knot.address.ip();
    let acme = format!(
        r#"dns = {{ type = "exec", command = ["./publish", "{address}"], resolver = "{}" }}"#,
        knot.address
    );
    let home = Home::new(&config(ca, &acme, &site("*.shop.example.com")));
    let script = format!(
        r#"#!/bin/sh
        echo "$2 $3" >>called
        case $2 in present) verb=add ;; cleanup) verb=del ;; *) exit 64 ;; esac
        printf 'server %s 53\nzone example.com.\nupdate %s %s 60 TXT "%s"\nsend\n' "$1" $verb "$3" "$4" |
            knsupdate -y hmac-sha256:hmac-sha256:{SECRET}
        "#
    );
    home.write("publish", &script);
    let mode = fs::Permissions::from_mode(0o700);
    fs::set_permissions(home.path().join("publish"), mode).unwrap();
    home
}

#[test]
fn a_script_proves_a_wildcard_where_its_record_leads_to() {
    let address = own_address();
    let records = format!(
        "{}_acme-challenge.shop CNAME shop.proofs\n",
        served_by(address)
    );
    let knot = Knot::alone_at(address, &[("example.com", &records)]);
    let ca = ca_asking(&knot);
    let door = Door::up_in(home_with_script(&knot, &ca), &["up"]);
    served(&ca, "any.shop.example.com");
    let record = "shop.proofs.example.com";
    cleaned_up(&knot, record);
    let expected = format!("present {record}.\ncleanup {record}.\n");
    eventually("both calls", || {
        (door.home().read("called") == expected).then_some(())
    });
}

#[test]
fn what_a_killed_process_published_is_cleaned_up_by_the_next() {
    let address = own_address();
    let knot = Knot::alone_at(address, &[("example.com", &served_by(address))]);
    let ca = ca_asking(&knot);
    let door = Door::up_in(home_with_script(&knot, &ca), &["up"]);
    eventually("a record", || (!knot.txt(RECORD).is_empty()).then_some(()));
    let _door = Door::up_in(door.kill(), &["up"]);
    served(&ca, "any.shop.example.com");
    assert_eq!(ca.issued(), 1);
    cleaned_up(&knot, RECORD);
}
