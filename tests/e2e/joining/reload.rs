//! A guest's file is watched in its own terminal.

use super::{follower, join, site};
use crate::support::backend::Backend;
use crate::support::client::{curl, get};
use crate::support::door::Door;
use crate::support::eventually;

#[test]
fn a_change_of_the_guests_file_is_one_revision() {
    let (one, two) = (Backend::saying("one"), Backend::saying("two"));
    let first = Door::up(&site("one.test", &one));
    let second = join(&first, &follower("two.test", &two));
    let before = first.revision();
    second
        .home()
        .write("proxy.toml", &follower("three.test", &two));
    eventually("the new site", || {
        (curl(&first, "three.test", "/", &["--fail"]).0 == 0).then_some(())
    });
    assert_eq!(first.revision(), before + 1);
    assert!(curl(&first, "two.test", "/", &[]).0 != 0);
    assert_eq!(get(&first, "one.test", "/"), "one");
}

#[test]
fn a_bad_change_of_the_guests_file_changes_nothing() {
    let (one, two) = (Backend::saying("one"), Backend::saying("two"));
    let first = Door::up(&site("one.test", &one));
    let second = join(&first, &follower("two.test", &two));
    let before = first.revision();
    second
        .home()
        .write("proxy.toml", "[sites]\n\"two.test\" = { too = 3000 }\n");
    eventually("the problem", || {
        second
            .home()
            .read("err")
            .contains("configuration refused")
            .then_some(())
    });
    assert_eq!(get(&first, "two.test", "/"), "two");
    second
        .home()
        .write("proxy.toml", &follower("one.test", &two));
    eventually("the conflict", || {
        second.home().read("err").contains("one.test").then_some(())
    });
    assert_eq!(get(&first, "one.test", "/"), "one");
    assert_eq!(get(&first, "two.test", "/"), "two");
    assert_eq!(first.revision(), before);
}

#[test]
fn a_reload_of_the_holder_leaves_its_guests_alone() {
    let (one, two) = (Backend::saying("one"), Backend::saying("two"));
    let first = Door::up(&site("one.test", &one));
    let _second = join(&first, &follower("two.test", &two));
    first.reload(&site("other.test", &one));
    assert_eq!(get(&first, "two.test", "/"), "two");
    assert_eq!(get(&first, "other.test", "/"), "one");
}
