//! Two who want one name.

use std::fs;

use rustix::process::Signal;

use super::{ask, follower, join, refused, site};
use crate::support::backend::Backend;
use crate::support::client::roots;
use crate::support::door::Door;
use crate::support::eventually;

#[test]
fn a_name_that_somebody_has_is_refused_with_who_has_it() {
    let (one, two) = (Backend::saying("one"), Backend::saying("two"));
    let first = Door::up(&site("one.test", &one));
    let second = join(&first, &follower("two.test", &one));
    let home = first.home().beside(&follower("two.test", &two));
    let (code, err) = refused(&home, &["up"]);
    assert_eq!(code, 3, "{err}");
    let pid = second.pid();
    for line in [
        "error[name-conflict]: `two.test` is served already\n",
        &format!("held by  onedoor up (pid {pid})\n"),
        &format!(" s ago in {}\n", second.home().path().display()),
        &format!("leads to {}, and here to {}\n", one.address, two.address),
        "  try:  --replace      serve it from here until this ends; they get it back then\n",
        &format!("kill {pid:<7}   end theirs, or press Ctrl-C in its terminal\n"),
        "another name   serve both\n",
    ] {
        assert!(err.contains(line), "{line}: {err}");
    }
    assert_eq!(ask(first.tls(), &roots(&first), "two.test").unwrap(), "one");
}

#[test]
fn the_same_target_is_shared_until_the_last_one_ends() {
    let backend = Backend::saying("shared");
    let first = Door::up(&site("one.test", &backend));
    let mut second = join(&first, &follower("two.test", &backend));
    let mut third = join(&first, &follower("two.test", &backend));
    let (address, roots) = (first.tls(), roots(&first));
    second.signal(Signal::TERM);
    second.ended();
    assert_eq!(ask(address, &roots, "two.test").unwrap(), "shared");
    third.signal(Signal::TERM);
    third.ended();
    eventually("the end of the site", || {
        ask(address, &roots, "two.test").err()
    });
}

#[test]
fn the_same_command_in_the_same_folder_takes_over() {
    let (one, two) = (Backend::saying("one"), Backend::saying("two"));
    let first = Door::up(&site("one.test", &one));
    let mut second = join(&first, &follower("two.test", &one));
    // Its own file changes unseen, and it is started once more in another terminal.
    second.signal(Signal::STOP);
    let folder = second.home().path().to_owned();
    fs::write(folder.join("again.toml"), follower("two.test", &two)).unwrap();
    fs::rename(folder.join("again.toml"), folder.join("proxy.toml")).unwrap();
    let mut command = second.home().command();
    let mut again = command.arg("up").spawn().unwrap();
    let (address, roots) = (first.tls(), roots(&first));
    eventually("the new target", || {
        (ask(address, &roots, "two.test").ok()? == "two").then_some(())
    });
    second.signal(Signal::CONT);
    assert!(second.ended().success(), "{}", second.said());
    again.kill().unwrap();
    again.wait().unwrap();
}

#[test]
fn a_replacer_gives_the_name_back() {
    let (one, two) = (Backend::saying("one"), Backend::saying("two"));
    let first = Door::up(&site("one.test", &one));
    let second = join(&first, &follower("two.test", &one));
    let (address, roots) = (first.tls(), roots(&first));
    let home = first
        .home()
        .beside(&(follower("two.test", &two) + &format!("\"one.test\" = \"{}\"\n", two.address)));
    let mut third = Door::up_in(home, &["up", "--replace"]);
    assert_eq!(ask(address, &roots, "two.test").unwrap(), "two");
    assert_eq!(ask(address, &roots, "one.test").unwrap(), "two");
    eventually("word to the displaced", || {
        second.said().contains("--replace").then_some(())
    });
    third.signal(Signal::TERM);
    third.ended();
    eventually("the old target", || {
        (ask(address, &roots, "two.test").ok()? == "one").then_some(())
    });
    eventually("the own target", || {
        (ask(address, &roots, "one.test").ok()? == "one").then_some(())
    });
}

#[test]
fn other_paths_of_a_host_are_no_conflict() {
    let (one, two) = (Backend::saying("one"), Backend::saying("two"));
    let first = Door::up(&site("one.test", &one));
    let config = format!(
        "[sites.\"one.test\"]\npaths = {{ \"/api\" = \"{}\" }}\n",
        two.address
    );
    let mut second = join(&first, &config);
    assert_eq!(crate::support::client::get(&first, "one.test", "/"), "one");
    assert_eq!(
        crate::support::client::get(&first, "one.test", "/api/x"),
        "two"
    );
    second.signal(Signal::TERM);
    second.ended();
    eventually("the end of the path", || {
        (crate::support::client::get(&first, "one.test", "/api/x") == "one").then_some(())
    });
}
