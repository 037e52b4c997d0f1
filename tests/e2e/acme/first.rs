//! Before the first certificate is there, and when the first CA is not.

use super::{config, config_of, served, shown, site};
use crate::support::client::{roots, try_tls};
use crate::support::door::Door;
use crate::support::pebble::{Pebble, own_address};
use crate::support::{PATIENCE, within};

const NAME: &str = "a.example.com";

#[test]
fn a_name_shows_a_leaf_that_clients_warn_of_until_its_certificate_is_there() {
    let ca = Pebble::start();
    ca.pause();
    let door = Door::up(&config(&ca, "meanwhile = \"internal\"", &site(NAME)));
    let refused = || {
        let refused = try_tls(ca.tls(), &roots(&door), NAME, &[]).unwrap_err();
        format!("{refused:?}")
    };
    // Even those who trust the local CA: it is none for public names.
    let words = refused();
    assert!(words.contains("NameConstraintViolation"), "{words}");
    ca.resume();
    served(&ca, NAME);
    let words = refused();
    assert!(words.contains("UnknownIssuer"), "{words}");
}

#[test]
fn a_name_without_a_certificate_is_refused_and_no_other() {
    let ca = Pebble::start();
    let trusted = ca.issued_roots();
    ca.pause();
    let sites = format!("{}{}", site(NAME), site("b.test"));
    let door = Door::up(&config(&ca, "", &sites));
    assert!(try_tls(ca.tls(), &trusted, NAME, &[]).is_err());
    try_tls(ca.tls(), &roots(&door), "b.test", &[]).unwrap();
    ca.resume();
    served(&ca, NAME);
}

#[test]
fn the_second_ca_is_asked_when_the_first_is_gone() {
    let ca = Pebble::start();
    let acme = format!(
        "directory = \"https://{}:14000/dir\"\nfallback = [\"{}\"]",
        own_address(),
        ca.directory()
    );
    let _door = Door::up(&config_of("storage".as_ref(), &ca, &acme, &site(NAME)));
    // The first is tried again for fifteen seconds.
    let patience = 3 * PATIENCE;
    within(patience, "a certificate of the second CA", || {
        shown(&ca, NAME)
    });
}
