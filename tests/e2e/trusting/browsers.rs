//! Data bases of browsers, and a real Chromium that reads one.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::authority::Authority;
use crate::support::backend::Backend;
use crate::support::browser::Browser;
use crate::support::door::Home;

use super::machine::{DataBase, Machine};
use super::{door, fine};

const OURS: &str = "onedoor local CA ";
const PAGE: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 21\r\n\r\n<title>a page</title>";

#[test]
fn chromium_opens_local_pages_and_no_others() {
    let machine = Machine::without_store();
    let backend = Backend::http(|_seen| PAGE.into());
    let door = door(&backend);
    fine(machine.onedoor(door.home(), &["trust", "--yes"]));
    let mut local = Browser::of_home(&machine.home(), &door, "shop.localhost");
    local.shows("a page");
    drop(local);
    // The leaf for it is there, and the root does not reach so far.
    let mut foreign = Browser::of_home(&machine.home(), &door, "www.example.com");
    foreign.shows("Privacy error");
    drop(foreign);
    fine(machine.onedoor(door.home(), &["untrust", "--yes"]));
    let mut untrusting = Browser::of_home(&machine.home(), &door, "shop.localhost");
    untrusting.shows("Privacy error");
}

#[test]
fn a_profile_of_firefox_is_left_as_it_was_even_after_the_ca_was_replaced() {
    let machine = Machine::without_store();
    let home = Home::new("");
    let (profile, stranger) = profile(&machine, &home);
    profile.trust("a colleague's", &stranger);
    let before = profile.list();

    fine(machine.onedoor(&home, &["trust", "--yes"]));
    let list = profile.list();
    let entry = list.lines().find(|line| line.starts_with(OURS)).unwrap();
    assert!(entry.trim_end().ends_with("C,,"), "{list}");
    let nickname = entry.split("  ").next().unwrap();
    profile.certutil(&["-V", "-u", "L", "-n", nickname]);

    fine(machine.onedoor(&home, &["certs", "new-ca", "--yes"]));
    let said = fine(machine.onedoor(&home, &["trust", "--yes"]));
    assert!(
        said.contains("a former root is still trusted by:"),
        "{said}"
    );
    assert_eq!(profile.list().matches(OURS).count(), 2);
    fine(machine.onedoor(&home, &["untrust", "--yes"]));
    assert_eq!(profile.list(), before);
}

#[test]
fn one_root_is_untrusted_by_its_fingerprint() {
    let machine = Machine::without_store();
    let home = Home::new("");
    let (profile, _stranger) = profile(&machine, &home);
    fine(machine.onedoor(&home, &["trust", "--yes"]));
    let old = super::fingerprint(&home.path().join("storage/local-ca/root.pem"));
    fine(machine.onedoor(&home, &["certs", "new-ca", "--yes"]));
    fine(machine.onedoor(&home, &["trust", "--yes"]));
    fs::remove_dir_all(home.path().join("storage/trust")).unwrap();
    fine(machine.onedoor(&home, &["untrust", "--fingerprint", &old, "--yes"]));
    let list = profile.list();
    assert_eq!(list.matches(OURS).count(), 1, "{list}");
    let said = fine(machine.onedoor(&home, &["trust", "--dry-run"]));
    assert!(said.contains("nothing is left to be done"), "{said}");
}

#[test]
fn without_a_memory_what_is_ours_is_found_and_what_a_person_did_is_left() {
    let machine = Machine::without_store();
    let home = Home::new("");
    let (profile, _stranger) = profile(&machine, &home);
    let other = DataBase::make(&machine.home().join(".mozilla/firefox/b.other"));
    fine(machine.onedoor(&home, &["trust", "--print"]));
    let root = home.path().join("storage/local-ca/root.pem");
    other.trust("by hand", &root);
    let by_hand = other.list();

    fine(machine.onedoor(&home, &["trust", "--yes"]));
    assert_eq!(other.list(), by_hand, "it trusts the root already");
    assert!(profile.list().contains(OURS));
    fs::remove_dir_all(home.path().join("storage/trust")).unwrap();
    let said = fine(machine.onedoor(&home, &["untrust", "--yes"]));
    assert!(!profile.list().contains(OURS));
    assert_eq!(other.list(), by_hand);
    assert!(said.contains("`onedoor trust` did not do that"), "{said}");
}

/// A profile of Firefox, and a certificate of somebody else.
fn profile(machine: &Machine, home: &Home) -> (DataBase, PathBuf) {
    let profile = DataBase::make(&machine.home().join(".mozilla/firefox/a.default"));
    home.write("stranger.pem", &Authority::new().root_pem());
    (profile, Path::join(home.path(), "stranger.pem"))
}
