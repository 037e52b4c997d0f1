//! `onedoor backup` and `onedoor restore`: one file, whole or refused, and nothing that is there is destroyed.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::Value;

use super::support::client::try_tls;
use super::support::door::{Door, Home};
use super::support::ordering::{config, config_on, site};
use super::support::pebble::Pebble;
use super::support::redis::Redis;
use super::support::{eventually, settled};

const NAME: &str = "a.example.com";
const LOCAL: &str = "app.localhost";
const PASSPHRASE: &str = "correct horse battery staple\n";
const SEALED: [&str; 2] = ["--passphrase-file", "passphrase"];

/// The certificate of the CA that is served, as DER.
#[track_caller]
fn served(ca: &Pebble) -> Vec<u8> {
    eventually("a certificate", || {
        let stream = try_tls(ca.tls(), &ca.issued_roots(), NAME, &["http/1.1"]).ok()?;
        Some(stream.conn.peer_certificates()?.first()?.to_vec())
    })
}

/// What is stored, but for what belongs to the storage itself.
fn stored(home: &Home) -> BTreeMap<String, Vec<u8>> {
    fn walk(folder: &Path, root: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let entry = entry.unwrap();
            let path = entry.path();
            let name = path.strip_prefix(root).unwrap();
            let name = name.to_str().unwrap().to_owned();
            let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            if is_hidden || name == "leases" {
                continue;
            }
            if path.is_dir() {
                walk(&path, root, found);
            } else if let Ok(content) = fs::read(&path) {
                // What is gone by now was removed by the door.
                found.insert(name, content);
            }
        }
    }
    let root = home.path().join("storage");
    let mut found = BTreeMap::new();
    walk(&root, &root, &mut found);
    found
}

fn wipe(home: &Home) {
    fs::remove_dir_all(home.path().join("storage")).unwrap();
}

/// Ends well, and gives what was said.
#[track_caller]
fn run(home: &Home, arguments: &[&str]) -> String {
    let (code, out, err) = home.run(arguments);
    assert_eq!(code, 0, "{arguments:?}: {out}{err}");
    out + &err
}

/// Ends badly, and gives why.
#[track_caller]
fn refused(home: &Home, arguments: &[&str]) -> String {
    let (code, out, err) = home.run(arguments);
    assert_eq!(code, 1, "{arguments:?}: {out}{err}");
    err
}

/// A storage with a local CA, whose door has left.
fn local() -> Home {
    let sites = format!("[sites]\n{}", site(LOCAL));
    let config =
        format!("listen = [\"127.0.0.1:0\"]\nhttp = false\nstorage = \"storage\"\n{sites}");
    let home = Door::up(&config).leave();
    home.write("passphrase", PASSPHRASE);
    home
}

#[test]
fn a_wiped_storage_comes_back_without_an_order() {
    let ca = Pebble::start();
    let door = Door::up(&config(&ca, "", &[NAME, LOCAL].map(site).concat()));
    let leaf = served(&ca);
    settled(|| stored(door.home()).values().map(Vec::len).sum::<usize>() as u64);
    door.home().write("passphrase", PASSPHRASE);
    let said = run(door.home(), &["backup", "plain"]);
    assert!(
        said.contains("1 certificate, 1 account, 1 ledger, the local CA"),
        "{said}"
    );
    assert!(said.contains("warning: plain holds private keys"), "{said}");
    let said = run(door.home(), &[&["backup", "sealed"], &SEALED[..]].concat());
    assert!(!said.contains("warning"), "{said}");
    let mut home = door.leave();
    let before = stored(&home);
    for restore in [
        &["restore", "plain"][..],
        &["restore", "sealed", SEALED[0], SEALED[1]],
    ] {
        wipe(&home);
        let dry = run(&home, &[restore, &["--dry-run"]].concat());
        assert!(
            dry.contains("restore  certs/a.example.com/current"),
            "{dry}"
        );
        assert!(!home.path().join("storage").exists(), "{restore:?}");
        run(&home, restore);
        let after = stored(&home);
        // An order that is over, and a copy for people that the door makes.
        let kept = |name: &&String| !name.ends_with("/journal") && !name.ends_with("root.pem");
        let names = |of: &BTreeMap<String, Vec<u8>>| -> Vec<String> {
            of.keys().filter(kept).cloned().collect()
        };
        assert_eq!(names(&after), names(&before));
        for (name, bytes) in &after {
            assert_eq!(before.get(name), Some(bytes), "{name}");
        }
        let again = run(&home, &[restore, &["--json"]].concat());
        let told: Value = serde_json::from_str(&again).unwrap();
        let told = told.as_array().unwrap();
        assert!(told.iter().all(|it| it["what"] == "same"), "{again}");
        assert_eq!(stored(&home), after);
        let door = Door::up_in(home, &["up"]);
        assert_eq!(served(&ca), leaf);
        assert_eq!(settled(|| ca.issued() as u64), 1, "{restore:?}");
        let root = fs::read(door.home().path().join("storage/local-ca/root.pem"));
        assert_eq!(root.unwrap(), before["local-ca/root.pem"]);
        home = door.leave();
    }
}

#[test]
fn a_folder_moves_into_redis_and_back_without_an_order() {
    let (ca, redis) = (Pebble::start(), Redis::start());
    let sites = [NAME, LOCAL].map(site).concat();
    let folder = config(&ca, "", &sites);
    let shared = config_on(Path::new(&redis.url()), &ca, "", &sites);
    let door = Door::up(&folder);
    let leaf = served(&ca);
    settled(|| stored(door.home()).values().map(Vec::len).sum::<usize>() as u64);
    run(door.home(), &["backup", "of-folder"]);
    let home = door.leave();
    let before = stored(&home);
    wipe(&home);
    home.write("proxy.toml", &shared);
    let said = run(&home, &["restore", "of-folder"]);
    assert!(said.contains("into redis+unix://"), "{said}");
    let door = Door::up_in(home, &["up"]);
    assert_eq!(served(&ca), leaf);
    run(door.home(), &["backup", "of-redis"]);
    // Everybody else, and the copy on this machine, is gone.
    let home = door.leave();
    wipe(&home);
    redis.ask(&["flushall"]);
    let said = run(&home, &["restore", "of-redis"]);
    assert!(said.contains("certs/a.example.com/current"), "{said}");
    let again = run(&home, &["restore", "of-redis", "--json"]);
    let told: Value = serde_json::from_str(&again).unwrap();
    let is_same = |it: &Value| it["what"] == "same";
    assert!(told.as_array().unwrap().iter().all(is_same), "{again}");
    let home = Door::up_in(home, &["up"]).leave();
    wipe(&home);
    home.write("proxy.toml", &folder);
    run(&home, &["restore", "of-redis"]);
    let door = Door::up_in(home, &["up"]);
    assert_eq!(served(&ca), leaf);
    assert_eq!(settled(|| ca.issued() as u64), 1);
    let after = stored(door.home());
    for (name, bytes) in &before {
        let stays = ["v00000001", "account", "authority.json", "root.pem"];
        if stays.iter().any(|end| name.ends_with(end)) {
            assert_eq!(after.get(name), Some(bytes), "{name}");
        }
    }
}

#[test]
fn an_older_backup_leaves_what_was_renewed_since() {
    let ca = Pebble::start();
    let door = Door::up(&config(&ca, "", &site(NAME)));
    let old = served(&ca);
    run(door.home(), &["backup", "old"]);
    eventually("a second generation", || {
        let (_code, out, _err) = door.home().run(&["certs", "renew", NAME]);
        out.contains("has generation 2").then_some(())
    });
    let new = served(&ca);
    assert_ne!(old, new);
    let said = run(door.home(), &["restore", "old"]);
    assert!(
        said.contains("what the storage serves stays in service"),
        "{said}"
    );
    let quota = |home: &Home| run(home, &["quota"]);
    let spent = quota(door.home());
    let door = Door::up_in(door.leave(), &["up"]);
    assert_eq!(served(&ca), new);
    assert_eq!(quota(door.home()), spent);
    assert_eq!(settled(|| ca.issued() as u64), 2);
}

#[test]
fn a_file_that_was_cut_or_altered_anywhere_restores_nothing() {
    let home = local();
    run(&home, &["backup", "good"]);
    run(&home, &[&["backup", "sealed"], &SEALED[..]].concat());
    wipe(&home);
    // Each try of a passphrase costs what it should.
    for (file, places, passphrase) in [("good", 16, &[][..]), ("sealed", 3, &SEALED[..])] {
        let good = fs::read(home.path().join(file)).unwrap();
        for place in 0..places {
            let at = place * (good.len() - 1) / (places - 1);
            let mut altered = good.clone();
            altered[at] ^= 0x01;
            for bad in [&altered, &good[..at]] {
                fs::write(home.path().join("bad"), bad).unwrap();
                let why = refused(&home, &[&["restore", "bad"], passphrase].concat());
                assert!(
                    why.starts_with("error[backup]: bad is not restored: it "),
                    "{at}: {why}"
                );
                assert!(!home.path().join("storage").exists(), "{at}: {why}");
            }
        }
    }
    home.write("foreign", "PK\u{3}\u{4}");
    let why = refused(&home, &["restore", "foreign"]);
    assert!(why.contains("no backup of onedoor"), "{why}");
}

#[test]
fn the_passphrase_is_needed_and_must_be_right() {
    let home = local();
    home.write("other", "another");
    home.write("nothing", "\n");
    run(&home, &[&["backup", "sealed"], &SEALED[..]].concat());
    run(&home, &["backup", "plain"]);
    let why = refused(&home, &["restore", "sealed"]);
    assert!(why.contains("--passphrase-file"), "{why}");
    let why = refused(&home, &["restore", "sealed", "--passphrase-file", "other"]);
    assert!(why.contains("the file itself is whole"), "{why}");
    let why = refused(&home, &["restore", "plain", "--passphrase-file", "other"]);
    assert!(why.contains("not under a passphrase"), "{why}");
    let why = refused(&home, &["backup", "more", "--passphrase-file", "nothing"]);
    assert!(why.contains("is empty"), "{why}");
    let why = refused(
        &home,
        &["backup", "more", "--passphrase-env", "NOT_SET_ANYWHERE"],
    );
    assert!(why.contains("no variable `NOT_SET_ANYWHERE`"), "{why}");
    let mut command = home.command();
    command.env("PHRASE", PASSPHRASE.trim());
    command.args([
        "restore",
        "sealed",
        "--dry-run",
        "--passphrase-env",
        "PHRASE",
    ]);
    let (code, out, err) = Home::end_of(&mut command);
    assert_eq!(code, 0, "{out}{err}");
    let sealed = fs::read(home.path().join("sealed")).unwrap();
    let shown = String::from_utf8_lossy(&sealed);
    assert!(shown.starts_with("onedoor backup 1\n") && !shown.contains("BEGIN"));
}

#[test]
fn a_backup_is_its_owners_alone_and_never_over_another_file() {
    let home = local();
    run(&home, &["backup", "file"]);
    let path = home.path().join("file");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    home.write("file", "mine");
    let why = refused(&home, &["backup", "file"]);
    assert!(why.contains("--force"), "{why}");
    assert_eq!(home.read("file"), "mine");
    run(&home, &["backup", "file", "--force"]);
    assert!(home.read("file").starts_with("onedoor backup 1\n"));
    assert_eq!(mode(&path), 0o600);
    fs::create_dir(home.path().join("folder")).unwrap();
    let why = refused(&home, &["backup", "folder", "--force"]);
    assert!(why.contains("it is no file"), "{why}");
    let why = refused(&home, &["backup", "not/there"]);
    assert!(why.contains("make the folder first"), "{why}");
    let left: Vec<_> = fs::read_dir(home.path()).unwrap().flatten().collect();
    let is_temporary = |name: &str| name.ends_with(".tmp");
    assert!(
        !left
            .iter()
            .any(|it| is_temporary(&it.file_name().to_string_lossy()))
    );
    wipe(&home);
    let why = refused(&home, &["backup", "empty"]);
    assert!(why.contains("holds nothing"), "{why}");
    assert!(!home.path().join("empty").exists());
}

#[test]
fn a_local_ca_that_is_there_is_never_replaced() {
    let home = local();
    run(&home, &["backup", "file"]);
    wipe(&home);
    let home = Door::up_in(home, &["up"]).leave();
    let own = stored(&home);
    let said = run(&home, &["restore", "file"]);
    assert!(said.contains("another local CA"), "{said}");
    assert_eq!(stored(&home), own);
}
