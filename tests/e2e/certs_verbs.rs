//! `onedoor certs` and `onedoor quota`, as people and monitoring use them.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::process::Command;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::support::absent::nobody;
use super::support::authority::Authority;
use super::support::backend::Backend;
use super::support::door::{Door, Home};
use super::support::eventually;
use super::support::false_clock::FalseClock;
use super::support::ordering::{config, site};
use super::support::pebble::Pebble;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A door that has its certificate.
#[track_caller]
fn served(ca: &Pebble, name: &str) -> Door {
    let door = Door::up(&config(ca, "", &site(name)));
    eventually("a certificate", || {
        (door.home().run(&["certs", "check", name]).0 == 0).then_some(())
    });
    door
}

#[track_caller]
fn json(home: &Home, arguments: &[&str]) -> Value {
    let (_code, out, err) = home.run(arguments);
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}"))
}

#[test]
fn a_certificate_is_listed_and_shown_without_its_key() {
    let ca = Pebble::start();
    let door = served(&ca, "a.example.com");
    let home = door.home();
    let listed = json(home, &["certs", "list", "--json"]);
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    let entry = &listed[0];
    assert_eq!(entry["name"], "a.example.com");
    assert_eq!(entry["state"], "fine");
    assert_eq!(entry["source"]["directory"], ca.directory());
    let days = entry["certificate"]["days_left"].as_i64().unwrap();
    assert!((88..=90).contains(&days), "{entry}");
    let (code, table, _err) = home.run(&["certs", "list"]);
    assert_eq!(code, 0);
    let row = table.lines().nth(1).unwrap();
    assert!(row.starts_with("a.example.com  127."), "{table}");
    assert!(row.contains(" UTC  ") && row.ends_with("  fine"), "{table}");

    let (code, shown, _err) = home.run(&["certs", "show", "a.example.com"]);
    assert_eq!(code, 0);
    for part in [
        "generation    1\n",
        "ECDSA 256",
        "Pebble Intermediate",
        "next look",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let json = home.run(&["certs", "show", "a.example.com", "--json"]).1;
    let key = "PRIVATE KEY";
    assert!(!shown.contains(key) && !json.contains(key), "{json}");
    let (code, _out, err) = home.run(&["certs", "show", "b.example.com"]);
    assert_eq!(code, 1);
    assert!(err.contains("nothing is known of `b.example.com`"), "{err}");
}

#[test]
fn a_renewal_that_is_asked_for_is_one_more_issuance_and_the_ledger_knows() {
    let ca = Pebble::start();
    let door = served(&ca, "a.example.com");
    let home = door.home();
    // Who asks while the first order is at its end is told what came of that.
    eventually("a second generation", || {
        let (code, out, err) = home.run(&["certs", "renew", "a.example.com"]);
        assert_eq!(code, 0, "{out}{err}");
        out.starts_with("renewed: a.example.com has generation 2 until ")
            .then_some(())
    });
    assert_eq!(ca.issued(), 2);
    let shown = json(home, &["certs", "show", "a.example.com", "--json"]);
    assert_eq!(shown[0]["stored"]["generation"], 2);
    assert_eq!(shown[0]["stored"]["older"][0]["generation"], 1);

    let quota = json(home, &["quota", "--json"]);
    assert_eq!(quota[0]["directory"], ca.directory());
    let buckets = quota[0]["buckets"].as_array().unwrap();
    let names = buckets
        .iter()
        .find(|bucket| bucket["limit"] == "certificates_per_names");
    let names = names.unwrap();
    assert_eq!(names["subject"], "a.example.com");
    let (left, of) = (names["left"].as_u64(), names["of"].as_u64());
    assert_eq!(left, of.map(|of| of - 2), "{names}");
    let (code, table, _err) = home.run(&["quota"]);
    assert_eq!(code, 0);
    assert!(
        table.contains("certificates of the same names  a.example.com"),
        "{table}"
    );

    let (code, _out, err) = home.run(&["certs", "renew", "b.example.com"]);
    assert_eq!(code, 1);
    assert!(err.contains("does not keep a certificate"), "{err}");
    assert_eq!(ca.issued(), 2);
}

#[test]
fn a_renewal_that_fails_says_why_in_the_words_of_the_ca() {
    let ca = Pebble::start();
    let door = Door::up(&config(&ca, "", &site("blocked.example.com")));
    let (code, _out, err) = door.home().run(&["certs", "renew", "blocked.example.com"]);
    assert_eq!(code, 1);
    assert!(err.contains("was not renewed: "), "{err}");
    let listed = json(door.home(), &["certs", "list", "--json"]);
    assert_eq!(listed[0]["state"], "failing", "{listed}");
    assert!(err.contains(listed[0]["reason"].as_str().unwrap()), "{err}");
    assert!(
        listed[0]["next_try"].as_str().unwrap().ends_with('Z'),
        "{listed}"
    );
    let (code, out, _err) = door.home().run(&["certs", "check"]);
    assert_eq!(code, 2);
    assert!(
        out.starts_with("CRITICAL: blocked.example.com: no certificate, next try "),
        "{out}"
    );
}

#[test]
fn what_is_overdue_is_a_warning_before_it_is_short() {
    let ca = Pebble::start();
    // Nobody is there to renew it.
    let home = served(&ca, "a.example.com").kill();
    let clock = FalseClock::of(&home);
    let check = |offset: &str| {
        clock.set(offset);
        let mut command = home.command();
        clock.give_to(&mut command);
        Home::end_of(command.args(["certs", "check"]))
    };
    assert_eq!(check("+50d").0, 0);
    let (code, out, err) = check("+70d");
    assert_eq!(code, 1, "{out}{err}");
    assert!(out.contains("its renewal is overdue since "), "{out}");
    assert_eq!(check("+91d").0, 2);
}

#[test]
fn prune_removes_what_no_site_wants_and_nothing_else() {
    let ca = Pebble::start();
    let home = served(&ca, "a.example.com").leave();
    let folder = home.path().join("storage/certs/a.example.com");
    let (code, out, err) = home.run(&["certs", "prune", "--yes"]);
    assert_eq!(
        (code, out.as_str()),
        (0, "everything in the storage is wanted\n"),
        "{err}"
    );
    let (code, _out, err) = home.run(&["certs", "renew", "a.example.com"]);
    assert_eq!(code, 1);
    assert!(
        err.contains("no onedoor is running here") && err.contains("onedoor up"),
        "{err}"
    );

    home.write(
        "proxy.toml",
        &config(&ca, "", "\"b.test\" = { upstream = \"1\" }"),
    );
    let (code, _out, err) = home.run(&["certs", "prune", "--yes"]);
    assert_eq!(code, 2, "{err}");
    home.write("proxy.toml", &config(&ca, "", &site("b.test")));
    let listed = json(&home, &["certs", "list", "--json"]);
    let states = listed.as_array().unwrap().iter();
    let states: Vec<&str> = states
        .map(|entry| entry["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["not-wanted", "no-certificate"], "{listed}");
    let (code, out, _err) = home.run(&["certs", "prune", "--dry-run"]);
    assert_eq!(code, 0);
    assert!(out.contains(folder.to_str().unwrap()), "{out}");
    let (code, _out, err) = home.run(&["certs", "prune"]);
    assert_eq!(code, 1);
    assert!(err.contains("`--yes`") && folder.exists(), "{err}");

    let (code, out, err) = home.run(&["certs", "prune", "--yes"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.ends_with("removed 1 certificate\n"), "{out}");
    assert!(!folder.exists());
    let left = home.path().join("storage/acme");
    let ca_folder = left.read_dir().unwrap().next().unwrap().unwrap().path();
    assert!(ca_folder.join("account").exists() && ca_folder.join("ledger").exists());
}

#[test]
fn check_judges_own_pairs_by_the_share_of_their_life() {
    let authority = Authority::new();
    let now = SystemTime::now();
    let home = Home::new(&own_pairs(&[
        "fine", "warning", "critical", "expired", "other",
    ]));
    // Of a hundred days.
    for (stem, left) in [("fine", 21), ("warning", 19), ("critical", 9)] {
        let until = now + left * DAY;
        let pair =
            authority.pair_valid(&[&format!("{stem}.example.com")], until - 100 * DAY, until);
        pair.write(&home, stem);
    }
    authority
        .expired(&["expired.example.com"])
        .write(&home, "expired");
    authority
        .pair(&["another.example.com"])
        .write(&home, "other");
    let check = |name: &str| home.run(&["certs", "check", &format!("{name}.example.com")]);
    for (name, expected, words) in [
        ("fine", 0, "OK: fine.example.com: until "),
        ("warning", 1, "18 days are left"),
        ("critical", 2, "8 days are left"),
        ("expired", 2, "it expired "),
        (
            "other",
            2,
            "is not for `other.example.com`: it names another.example.com",
        ),
        ("nobody", 2, "no certificate: it is in no site"),
    ] {
        let (code, out, err) = check(name);
        assert_eq!(code, expected, "{name}: {out}{err}");
        assert!(out.contains(words), "{name}: {out}");
    }
    let all = json(&home, &["certs", "check", "--json"]);
    assert_eq!(all["level"], "critical");
    assert_eq!(all["checked"].as_array().unwrap().len(), 5);
    let (code, out, _err) = home.run(&["certs", "check"]);
    assert_eq!(code, 2);
    assert!(
        out.lines().next().unwrap().starts_with("CRITICAL: "),
        "{out}"
    );
    assert!(
        !home.path().join("storage").exists(),
        "a look creates nothing"
    );
}

#[test]
fn check_that_cannot_look_says_unknown() {
    let home = Home::new("[sites]\n\"a.test\" = { upstream = \"1\" }\n");
    let (code, out, err) = home.run(&["certs", "check"]);
    assert_eq!(code, 3);
    assert!(out.starts_with("UNKNOWN: nothing could be"), "{out}");
    assert!(err.contains("error[unknown-key]"), "{err}");
    assert_eq!(home.run(&["certs", "check", "--bogus"]).0, 3);
    assert_eq!(home.run(&["certs", "list", "--bogus"]).0, 2);
    fs::remove_file(home.path().join("proxy.toml")).unwrap();
    let (code, out, _err) = home.run(&["certs", "check"]);
    assert_eq!(code, 3);
    assert!(
        out.starts_with("UNKNOWN: there is no configuration here"),
        "{out}"
    );
    let (_code, out, _err) = home.run(&["certs", "check", "--connect", "a..b:443"]);
    assert!(out.starts_with("UNKNOWN: `a..b` is no name"), "{out}");
    let report = json(&home, &["certs", "check", "--json"]);
    assert_eq!(report["level"], "unknown");
    assert!(report["reason"].as_str().unwrap().contains("-c"));
}

#[test]
fn check_looks_at_what_a_server_shows() {
    let authority = Authority::new();
    let home = Home::new(&own_pairs(&["own"]));
    authority.pair(&["own.example.com"]).write(&home, "own");
    let door = Door::up_in(home, &["up"]);
    let backend = Backend::saying("served");
    let local = Door::before(&backend);
    let check = |door: &Door, names: &[&str]| {
        let address = door.tls().to_string();
        let mut arguments = vec!["certs", "check", "--connect", &address];
        arguments.extend(names);
        door.home().run(&arguments)
    };
    let (code, out, err) = check(&local, &["a.test"]);
    assert_eq!(code, 0, "the local CA is trusted: {out}{err}");
    let (code, out, _err) = local.home().run(&["certs", "show", "a.test"]);
    assert_eq!(code, 0);
    assert!(out.contains(local.ca().to_str().unwrap()), "{out}");
    let (code, out, _err) = check(&door, &["own.example.com"]);
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("do not trust its chain: "), "{out}");
    let (code, out, _err) = check(&door, &["own.example.com", "nobody.example.com"]);
    assert_eq!(code, 2, "{out}");
    let first = out.lines().next().unwrap();
    assert!(
        first.starts_with("CRITICAL: nobody.example.com: no certificate is shown"),
        "{out}"
    );
    assert_eq!(out.lines().count(), 2, "{out}");

    let address = nobody().to_string();
    let (code, out, _err) = local.home().run(&["certs", "check", "--connect", &address]);
    assert_eq!(code, 3, "{out}");
    assert!(out.contains("cannot connect to "), "{out}");
}

/// Sites with pairs of these names beside the file.
fn own_pairs(stems: &[&str]) -> String {
    let sites: Vec<String> = stems
        .iter()
        .map(|stem| {
            format!(
                "\"{stem}.example.com\" = {{ to = \"1\", cert = \"{stem}.pem\", key = \"{stem}.key\" }}\n"
            )
        })
        .collect();
    format!(
        "listen = [\"127.0.0.1:0\"]\nhttp = false\n[sites]\n{}",
        sites.concat()
    )
}

#[test]
fn what_root_does_leaves_the_storage_to_its_owner() {
    const OWNER: u32 = 54321;
    let home =
        Home::new("acme = \"ana@example.com\"\n[sites]\n\"a.example.com\" = \"127.0.0.1:1\"");
    let authority = Authority::new();
    authority.pair(&["a.example.com"]).write(&home, "pairs/a");
    let storage = home.path().join("storage");
    fs::create_dir(&storage).unwrap();
    chown(&storage, Some(OWNER), Some(OWNER)).expect("run the tests as root");
    let (code, _out, err) = home.run(&["certs", "import", "pairs"]);
    assert_eq!(code, 5, "{err}");
    assert!(err.contains("chmod 700 "), "{err}");
    assert_eq!(fs::read_dir(&storage).unwrap().count(), 0);
    fs::set_permissions(&storage, fs::Permissions::from_mode(0o700)).unwrap();
    for folder in [home.path(), home.control()] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let (code, out, err) = home.run(&["certs", "import", "pairs"]);
    assert_eq!(code, 0, "{out}{err}");
    let found = Command::new("find")
        .arg(&storage)
        .args(["!", "-uid", &OWNER.to_string()])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(found.stdout).unwrap(), "");
    let as_owner = |arguments: &[&str]| {
        let user = [&format!("--reuid={OWNER}"), "--clear-groups"];
        Home::end_of(home.command_by("setpriv", &user).args(arguments))
    };
    let (code, out, err) = as_owner(&["certs", "show", "a.example.com"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("imported from"), "{out}");
    authority.pair(&["b.example.com"]).write(&home, "pairs/b");
    let (code, out, err) = as_owner(&["certs", "import", "pairs"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("taken for 1 name, "), "{out}");
}
