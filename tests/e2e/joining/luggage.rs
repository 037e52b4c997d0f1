//! What a guest brings: contents, not paths.

use std::fs;

use rustix::process::Signal;

use super::{follower, join, site};
use crate::support::answer::get_on;
use crate::support::authority::Authority;
use crate::support::backend::Backend;
use crate::support::client::{get, try_tls};
use crate::support::door::Door;
use crate::support::eventually;

#[test]
fn everything_that_a_guest_names_is_served_without_its_folder() {
    let backend = Backend::saying("here");
    let upstream = Door::up(&site("up.test", &backend));
    let first = Door::up(&site("one.test", &backend));
    let authority = Authority::new();
    let config = format!(
        r#"
        include = ["more/*.toml"]
        [tls]
        cert_dir = "pairs"
        [sites]
        "own.example.com" = {{ to = "{0}", cert = "certs/own.pem", key = "certs/own.key" }}
        "dir.example.com" = "{0}"
        "local.test" = "{0}"
        [sites."up.test"]
        to = {{ url = "https://{1}", ca = "roots/ca.pem", sni = "up.test" }}
        "#,
        backend.address,
        upstream.tls()
    );
    let home = first.home().beside(&config);
    let leaf = authority.write_pair(&home, "certs/own", &["own.example.com"]);
    authority.write_pair(&home, "pairs/dir", &["dir.example.com"]);
    home.write("roots/ca.pem", &fs::read_to_string(upstream.ca()).unwrap());
    home.write("more/a.toml", &follower("more.test", &backend));
    let mut guest = Door::up_in(home, &["up"]);
    for part in ["certs", "pairs", "roots", "more"] {
        let from = guest.home().path().join(part);
        fs::rename(&from, from.with_extension("gone")).unwrap();
    }
    // A reload reads everything again that the door reads.
    let before = first.revision();
    first.signal(Signal::HUP);
    eventually("the reload", || (first.revision() > before).then_some(()));
    let roots = authority.roots();
    let mut own = try_tls(first.tls(), &roots, "own.example.com", &[]).unwrap();
    assert_eq!(own.conn.peer_certificates().unwrap()[0], leaf);
    assert_eq!(get_on(&mut own, "own.example.com", "/").body, "here");
    let mut dir = try_tls(first.tls(), &roots, "dir.example.com", &[]).unwrap();
    assert_eq!(get_on(&mut dir, "dir.example.com", "/").body, "here");
    for name in ["local.test", "more.test", "up.test"] {
        assert_eq!(get(&first, name, "/"), "here", "{name}");
    }
    guest.signal(Signal::TERM);
    assert!(guest.ended().success());
    eventually("the end of the luggage", || {
        (leases_kept(&first) == 0).then_some(())
    });
}

/// Folders of leases, in those of all doors that share the storage.
fn leases_kept(door: &Door) -> usize {
    let kept = door.home().path().join("storage/guests");
    let doors = fs::read_dir(kept).unwrap();
    let leases = doors.map(|door| fs::read_dir(door.unwrap().path()).unwrap().count());
    leases.sum()
}

#[test]
fn a_difference_in_acme_is_told_in_both_terminals() {
    let backend = Backend::saying("here");
    let with = |config: String, email: &str| format!("acme = \"{email}@example.com\"\n{config}");
    let first = Door::up(&with(site("one.test", &backend), "one"));
    let guest = join(&first, &with(follower("two.test", &backend), "two"));
    let note = "`acme` is as the process that serves this door has it";
    eventually("word to the guest", || {
        guest.said().contains(note).then_some(())
    });
    eventually("word to the holder", || {
        first.said().contains(note).then_some(())
    });
    let same = join(&first, &with(follower("three.test", &backend), "one"));
    assert!(!same.said().contains(note), "{}", same.said());
}
