//! `add` and `rm`: what lasts.

use std::fs;

use super::{json, refused, said};
use crate::joining::{follower, join, site};
use crate::support::absent::nobody;
use crate::support::backend::Backend;
use crate::support::client::{curl, get};
use crate::support::door::{Door, Home};

#[test]
fn a_name_is_served_from_add_to_rm() {
    let (one, two) = (Backend::saying("one"), Backend::saying("two"));
    let first = Door::up(&site("one.test", &one));
    let to = two.address.to_string();
    let out = said(first.home(), &["add", "Two.test", &to]);
    let url = format!("https://two.test:{}\n", first.tls().port());
    assert!(out.starts_with(&url), "{out}");
    assert_eq!(get(&first, "two.test", "/"), "two");
    let out = said(first.home(), &["ls"]);
    let row = out.lines().find(|line| line.contains("two.test")).unwrap();
    assert!(
        row.contains("saved 0 s ago") || row.contains("saved "),
        "{row}"
    );
    let out = said(first.home(), &["rm", "two.test"]);
    assert!(out.starts_with("`two.test` is removed"), "{out}");
    assert!(curl(&first, "two.test", "/", &[]).0 != 0);
    assert_eq!(get(&first, "one.test", "/"), "one");
    let err = refused(first.home(), &["rm", "two.test"], 1);
    assert!(err.starts_with("error[unknown-name]: "), "{err}");
}

#[test]
fn what_was_added_outlives_the_door() {
    let (one, two) = (Backend::saying("one"), Backend::saying("two"));
    let first = Door::up(&site("one.test", &one));
    said(first.home(), &["add", "two.test", &two.address.to_string()]);
    let second = Door::up_in(first.leave(), &["up"]);
    assert_eq!(get(&second, "two.test", "/"), "two");
    said(second.home(), &["rm", "two.test"]);
    let third = Door::up_in(second.leave(), &["up"]);
    assert_eq!(get(&third, "one.test", "/"), "one");
    assert!(curl(&third, "two.test", "/", &[]).0 != 0);
}

#[test]
fn a_change_that_cannot_be_kept_leaves_the_old_target_in_service() {
    let (one, two) = (Backend::saying("one"), Backend::saying("two"));
    let first = Door::up(&site("one.test", &one));
    said(first.home(), &["add", "two.test", &one.address.to_string()]);
    let kept = first.home().path().join("storage/saved-leases");
    fs::rename(&kept, kept.with_extension("away")).unwrap();
    // Nothing can be written where a folder is a file.
    fs::write(&kept, "").unwrap();
    let to = two.address.to_string();
    let err = refused(first.home(), &["add", "two.test", &to], 1);
    assert!(err.starts_with("error[not-kept]: "), "{err}");
    assert_eq!(get(&first, "two.test", "/"), "one");
    let err = refused(first.home(), &["add", "new.test", &to], 1);
    assert!(err.starts_with("error[not-kept]: "), "{err}");
    assert!(curl(&first, "new.test", "/", &[]).0 != 0);
}

#[test]
fn what_is_added_while_nobody_serves_waits_for_the_door() {
    let (one, two) = (Backend::saying("one"), Backend::saying("two"));
    let home = Home::new(&site("one.test", &one));
    let to = two.address.to_string();
    let out = said(&home, &["add", "two.test", &to]);
    assert!(out.contains("`onedoor up` will"), "{out}");
    said(&home, &["add", "three.test", &to]);
    let err = refused(&home, &["rm", "tree.test"], 1);
    assert!(err.contains("did you mean `three.test`?"), "{err}");
    let out = said(&home, &["rm", "three.test"]);
    assert!(out.starts_with("`three.test` is removed"), "{out}");
    let door = Door::up_in(home, &["up"]);
    assert_eq!(get(&door, "two.test", "/"), "two");
    assert!(curl(&door, "three.test", "/", &[]).0 != 0);
}

#[test]
fn what_could_not_be_served_can_be_removed() {
    let (one, two) = (Backend::saying("one"), Backend::saying("two"));
    let home = Home::new(&site("one.test", &one));
    said(&home, &["add", "one.test", &two.address.to_string()]);
    let door = Door::up_in(home, &["up"]);
    assert_eq!(get(&door, "one.test", "/"), "one");
    assert!(
        door.said().contains("`onedoor rm` removes it"),
        "{}",
        door.said()
    );
    said(door.home(), &["rm", "one.test"]);
    refused(door.home(), &["rm", "one.test"], 1);
    let door = Door::up_in(door.leave(), &["up"]);
    assert!(!door.said().contains("onedoor rm"), "{}", door.said());
}

#[test]
fn a_name_of_somebody_else_is_refused_unless_it_is_replaced() {
    let (one, two) = (Backend::saying("one"), Backend::saying("two"));
    let first = Door::up(&site("one.test", &one));
    let guest = join(&first, &follower("guest.test", &one));
    let to = two.address.to_string();
    for name in ["one.test", "guest.test"] {
        let err = refused(first.home(), &["add", name, &to], 3);
        assert!(err.starts_with("error[name-conflict]: "), "{err}");
        assert!(err.contains("--replace"), "{err}");
        assert_eq!(get(&first, name, "/"), "one");
        said(first.home(), &["add", name, &to, "--replace"]);
        assert_eq!(get(&first, name, "/"), "two");
    }
    let out = said(first.home(), &["status"]);
    let whose = format!("guest.test overrides pid {}'s", guest.pid());
    assert!(out.contains(&whose), "{out}");
    for name in ["one.test", "guest.test"] {
        said(first.home(), &["rm", name]);
        assert_eq!(get(&first, name, "/"), "one");
    }
}

#[test]
fn what_is_no_name_target_or_time_is_refused_at_once() {
    let home = Home::new("");
    for arguments in [
        &["add", "a..b", "3000"][..],
        &["add", "a.test", "ftp://x"],
        &["add", "a.test", "3000", "--wait", "30"],
        &["add", "a.test", "3000", "--drain", "11m"],
        &["add", "a.test", "3000", "--health", "up"],
        &["rm", "https://a.test"],
    ] {
        let err = refused(&home, arguments, 2);
        assert!(err.starts_with("error"), "{err}");
    }
    assert!(!home.path().join("storage/saved-leases").exists());
}

#[test]
fn a_target_that_is_not_healthy_changes_nothing() {
    let (one, two) = (Backend::saying("one"), Backend::saying("two"));
    let first = Door::up(&site("one.test", &one));
    said(first.home(), &["add", "two.test", &two.address.to_string()]);
    let before = first.revision();
    let nobody = nobody().to_string();
    let arguments = ["add", "two.test", &nobody, "--wait", "1s"];
    let err = refused(first.home(), &arguments, 1);
    assert!(err.starts_with("error[not-healthy]: "), "{err}");
    assert!(err.contains("--wait 0s"), "{err}");
    assert_eq!(first.revision(), before);
    assert_eq!(get(&first, "two.test", "/"), "two");
    let sick = Backend::http(|_request| {
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n".to_vec()
    });
    let to = sick.address.to_string();
    let arguments = ["add", "two.test", &to, "--wait", "1s", "--health", "/up"];
    refused(first.home(), &arguments, 1);
    assert!(
        sick.seen()
            .iter()
            .all(|seen| seen.line().starts_with("GET /up "))
    );
    assert_eq!(get(&first, "two.test", "/"), "two");
    // Nobody looks.
    said(first.home(), &["add", "two.test", &to, "--wait", "0s"]);
    let site = json(first.home(), &["get", "two.test", "--json"]);
    assert_eq!(site["target"], to);
}
