//! `reload`, `restart` and `stop`.

use super::{refused, said};
use crate::joining::{follower, join, site};
use crate::support::backend::Backend;
use crate::support::client::get;
use crate::support::door::{Door, Home};
use crate::support::eventually;

#[test]
fn a_broken_file_is_told_by_reload_and_changes_nothing() {
    let one = Backend::saying("one");
    let good = site("one.test", &one);
    let door = Door::up(&good);
    door.home()
        .write("proxy.toml", "[sites]\n\"one.test\" = { too = 1 }\n");
    let err = refused(door.home(), &["reload"], 2);
    assert!(err.starts_with("error"), "{err}");
    assert_eq!(get(&door, "one.test", "/"), "one");
    let out = said(door.home(), &["status"]);
    assert!(
        out.contains("the latest change of the file was refused"),
        "{out}"
    );
    door.home().write("proxy.toml", &good);
    let out = said(door.home(), &["reload"]);
    assert!(
        out.starts_with("revision ") && out.ends_with(" is in service\n"),
        "{out}"
    );
    let out = said(door.home(), &["status"]);
    assert!(!out.contains("was refused"), "{out}");
}

#[test]
fn stop_says_who_goes_on_with_the_door() {
    let (one, two) = (Backend::saying("one"), Backend::saying("two"));
    let mut first = Door::up(&site("one.test", &one));
    let mut second = join(&first, &follower("two.test", &two));
    let out = said(first.home(), &["stop"]);
    let heir = format!("pid {} ", second.pid());
    assert!(
        out.contains(&heir) && out.contains("goes on with the door"),
        "{out}"
    );
    assert!(
        out.ends_with(&format!("pid {} has ended\n", first.pid())),
        "{out}"
    );
    assert!(first.ended().success());
    assert_eq!(second.health()["pid"], second.pid());
    let out = said(second.home(), &["stop"]);
    assert!(out.contains("nobody goes on with the door"), "{out}");
    assert!(second.ended().success());
}

#[test]
fn stop_all_ends_the_guests_too() {
    let (one, two) = (Backend::saying("one"), Backend::saying("two"));
    let mut first = Door::up(&site("one.test", &one));
    let mut second = join(&first, &follower("two.test", &two));
    let out = said(second.home(), &["stop", "--all"]);
    assert!(out.contains("1 guest too"), "{out}");
    assert!(first.ended().success());
    second.ended();
    refused(first.home(), &["status"], 1);
}

/// Ends whoever has the door of this folder: a process that was restarted is no child of ours.
struct Ends<'a>(&'a Home);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.run(&["stop", "--all"]);
    }
}

#[test]
fn restart_puts_another_process_in_charge() {
    let (one, two) = (Backend::saying("one"), Backend::saying("two"));
    let first = Door::up(&site("one.test", &one));
    let second = join(&first, &follower("two.test", &two));
    let _ends = Ends(second.home());
    let old = first.health()["pid"].clone();
    let out = said(first.home(), &["restart"]);
    assert!(out.ends_with(&format!("in place of pid {old}\n")), "{out}");
    let new = eventually("the new holder", || {
        let pid = first.try_health()?["pid"].clone();
        (pid != old).then_some(pid)
    });
    assert!(out.starts_with(&format!("pid {new} ")), "{out}");
    assert_eq!(get(&first, "one.test", "/"), "one");
    assert_eq!(get(&first, "two.test", "/"), "two");
}
