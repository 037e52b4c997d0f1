//! A door that serves other users of the machine too, as far as `[control]` says.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use rustix::process::Signal;

use super::strangers::{Commons, NOBODY, nobody_asks};
use super::{ask, follower, raw, site};
use crate::support::authority::Authority;
use crate::support::backend::Backend;
use crate::support::client::{get, roots};
use crate::support::door::{Door, Home};
use crate::support::eventually;

/// The same file with these rules; the group is that of `nobody`.
fn open(config: &str, allow: &str) -> String {
    let table = format!("[control]\ngroup = \"{NOBODY}\"\nallow = {allow}\n[sites]");
    config.replace("[sites]", &table)
}

const ALLOW: &str = "{ \"nobody\" = [\"*.nobody.test\", \"nobody.test\"] }";

struct Shared {
    commons: Commons,
    door: Door,
    backend: Backend,
}

impl Shared {
    fn up(allow: &str) -> Self {
        let (backend, commons) = (Backend::saying("one"), Commons::new());
        let config = open(&site("one.test", &backend), allow);
        let home = Home::with_control(&config, &commons.control());
        Self {
            door: Door::up_in(home, &["up"]),
            commons,
            backend,
        }
    }

    /// What `nobody` hears with this file.
    fn nobody(&self, config: &str, arguments: &[&str]) -> (i32, String, String) {
        let home = self.door.home().beside(config);
        Home::end_of(self.commons.as_nobody(&home).args(arguments))
    }

    /// A guest of `nobody`.
    fn joined(&self, config: &str) -> Door {
        let home = self.door.home().beside(config);
        let mut command = self.commons.as_nobody(&home);
        command.arg("up");
        Door::up_by(home, command)
    }
}

#[test]
fn another_user_serves_the_names_that_the_rules_give() {
    let shared = Shared::up(ALLOW);
    let control = shared.commons.control();
    for (path, mode) in [
        (control.clone(), 0o750),
        (control.join("control.sock"), 0o660),
    ] {
        let found = fs::metadata(path).unwrap();
        assert_eq!((found.mode() & 0o777, found.gid()), (mode, NOBODY));
    }
    let two = Backend::saying("two");
    let mut guest = shared.joined(&follower("a.nobody.test", &two));
    assert_eq!(get(&shared.door, "a.nobody.test", "/mine"), "two");
    eventually("the guest's line", || {
        guest.home().read("out").contains("/mine").then_some(())
    });
    let status = raw::status(&control);
    assert_eq!(status["leases"][1]["owner"]["uid"], NOBODY, "{status}");
    guest.signal(Signal::TERM);
    assert!(guest.ended().success());
    let (address, roots) = (shared.door.tls(), roots(&shared.door));
    eventually("the end of the site", || {
        ask(address, &roots, "a.nobody.test").err()
    });
}

#[test]
fn another_user_gets_nothing_else() {
    let shared = Shared::up(ALLOW);
    let file = |name: &str| follower(name, &shared.backend);
    for (config, arguments, words) in [
        (
            file("two.test"),
            &["up"][..],
            "`nobody` may not have `two.test` here: `control.allow` of this door gives `*.nobody.test`, `nobody.test`",
        ),
        (file("one.test"), &["up", "--replace"], "displaces nobody"),
        (
            file("a.nobody.test"),
            &["up", "--replace"],
            "displaces nobody",
        ),
        (
            site("a.nobody.test", &shared.backend).replace("127.0.0.1:0", "127.0.0.3:0"),
            &["up"],
            "leave `listen`",
        ),
        (file("x"), &["status"], "belongs to another user"),
        (file("x"), &["stop"], "belongs to another user"),
        (file("x"), &["reload"], "belongs to another user"),
        (file("x"), &["restart"], "belongs to another user"),
        (file("x"), &["logs"], "belongs to another user"),
        (file("x"), &["rm", "one.test"], "belongs to another user"),
    ] {
        let (code, _out, err) = shared.nobody(&config, arguments);
        assert_eq!(code, 1, "{arguments:?}: {err}");
        assert!(err.contains(words), "{arguments:?}: {err}");
        assert!(err.contains("error[not-allowed]: "), "{arguments:?}: {err}");
    }
    let (code, out, err) = shared.nobody(&file("x"), &["health"]);
    assert_eq!(code, 0, "{out}{err}");
    let (code, said) = nobody_asks(&shared.commons.control());
    assert!(said.contains("HTTP/1.1 200 OK"), "{code}: {said}");
    assert_eq!(get(&shared.door, "one.test", "/"), "one");
}

#[test]
fn the_door_reads_no_file_for_another_user() {
    let shared = Shared::up(ALLOW);
    // Readable for the door alone.
    let secret = Home::new("");
    let authority = Authority::new();
    authority.write_pair(&secret, "pair", &["a.nobody.test"]);
    fs::set_permissions(secret.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let path = secret.path().join("pair");
    let config = format!(
        "[sites]\n\"a.nobody.test\" = {{ to = \"{}\", cert = \"{}.pem\", key = \"{}.key\" }}\n",
        shared.backend.address,
        path.display(),
        path.display()
    );
    let (code, _out, err) = shared.nobody(&config, &["up"]);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("error[bad-certificate]"), "{err}");
    assert!(err.contains("pair.pem"), "{err}");
}

#[test]
fn rules_that_are_taken_back_end_the_lease() {
    let shared = Shared::up(ALLOW);
    let mut guest = shared.joined(&follower("a.nobody.test", &shared.backend));
    let less = open(
        &site("one.test", &shared.backend),
        "{ \"nobody\" = [\"b.nobody.test\"] }",
    );
    shared.door.reload(&less);
    assert!(guest.ended().success());
    let said = guest.said();
    assert!(said.contains("these sites are served no more: "), "{said}");
    assert!(said.contains("gives `b.nobody.test`"), "{said}");
    let (address, roots) = (shared.door.tls(), roots(&shared.door));
    eventually("the end of the site", || {
        ask(address, &roots, "a.nobody.test").err()
    });
}

#[test]
fn without_a_rule_a_member_of_the_group_has_no_name() {
    let shared = Shared::up("{ \"@0\" = [\"*\"] }");
    let (code, _out, err) = shared.nobody(&follower("a.test", &shared.backend), &["up"]);
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("gives this user no name"), "{err}");
}

#[test]
fn the_door_does_not_go_to_another_users_guest() {
    let mut shared = Shared::up(ALLOW);
    let guest = shared.joined(&follower("a.nobody.test", &shared.backend));
    let address = shared.door.tls();
    let roots = roots(&shared.door);
    shared.door.signal(Signal::TERM);
    assert!(shared.door.ended().success());
    assert!(ask(address, &roots, "a.nobody.test").is_err());
    drop(guest);
}

#[test]
fn a_group_that_is_not_there_is_told() {
    let backend = Backend::saying("one");
    let config = open(&site("one.test", &backend), ALLOW)
        .replace(&format!("\"{NOBODY}\""), "\"no-such-group\"");
    let home = Home::new(&config);
    let (code, _out, err) = home.run(&["up"]);
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("no group `no-such-group`"), "{err}");
    assert_eq!(
        fs::metadata(home.control()).unwrap().permissions().mode() & 0o777,
        0o700
    );
}
