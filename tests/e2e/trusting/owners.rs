//! Root in the storage and in the home of somebody else, who has laid links in its way; and lists and data bases that do not open.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown, symlink};
use std::path::Path;
use std::process::Command;

use crate::support::door::Home;

use super::fine;
use super::machine::{ANA, DataBase, Machine};

const OURS: &str = "onedoor local CA ";

#[test]
fn root_goes_no_way_that_a_user_bent() {
    let machine = Machine::without_store().with_ana();
    let home = Home::new("");
    let storage = machine.home().join("storage");
    let onedoor = |arguments: &[&str]| {
        let mut command = machine.command(&home);
        command
            .env("SUDO_USER", "ana")
            .env("HOME", home.path())
            .env("ONEDOOR_STORAGE", &storage);
        Home::end_of(command.args(arguments))
    };
    let mut command = machine.command(&home);
    fine(Home::end_of(
        command
            .env("ONEDOOR_STORAGE", &storage)
            .args(["trust", "--print"]),
    ));
    let theirs = machine.path("root-s");
    let profile = DataBase::make(&theirs);
    fs::set_permissions(&theirs, fs::Permissions::from_mode(0o700)).unwrap();
    let before = (profile.list(), listed(&theirs));
    given_to_ana(&storage);
    of_ana(&theirs, &storage.join("trust"));
    let profiles = machine.home().join(".mozilla/firefox");
    fs::create_dir_all(&profiles).unwrap();
    of_ana(&theirs, &profiles.join("a.default"));

    for verb in ["trust", "untrust"] {
        let (code, out, err) = onedoor(&[verb, "--yes"]);
        assert_eq!(code, 1, "{out}{err}");
        assert!(err.contains("storage/trust is a link"), "{err}");
    }
    fs::remove_file(storage.join("trust")).unwrap();
    fs::remove_file(storage.join("local-ca/root.pem")).unwrap();
    of_ana(&theirs.join("made"), &storage.join("local-ca/root.pem"));
    fine(onedoor(&["trust", "--yes"]));
    for made in ["trust", "trust/laid.json"] {
        assert_eq!(fs::metadata(storage.join(made)).unwrap().uid(), ANA);
    }
    fine(onedoor(&["untrust", "--yes"]));
    assert!(!storage.join("trust").exists());
    assert_eq!((profile.list(), listed(&theirs)), before);
}

#[test]
fn root_with_the_home_of_another_opens_browsers_as_that_one() {
    let machine = Machine::without_store().with_ana();
    let home = Home::new("");
    let said = fine(machine.onedoor(&home, &["trust", "--yes"]));
    assert!(said.contains("-u ana "), "{said}");
    let made = machine.home().join(".pki/nssdb/cert9.db");
    assert_eq!(fs::metadata(made).unwrap().uid(), ANA);
}

#[test]
fn a_list_that_cannot_be_read_is_kept_and_what_is_ours_is_found() {
    let machine = Machine::without_store();
    let home = Home::new("");
    let profile = DataBase::make(&machine.home().join(".mozilla/firefox/a.default"));
    let before = profile.list();
    fine(machine.onedoor(&home, &["trust", "--yes"]));
    home.write("storage/trust/laid.json", "{\"version\": 99}");
    let (code, _out, err) = machine.onedoor(&home, &["untrust", "--dry-run"]);
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("by a newer version"), "{err}");
    assert_eq!(home.read("storage/trust/laid.json"), "{\"version\": 99}");
    let (code, _out, err) = machine.onedoor(&home, &["untrust", "--yes"]);
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("laid.json.broken"), "{err}");
    assert_eq!(profile.list(), before);
    let kept = home.read("storage/trust/laid.json.broken");
    assert_eq!(kept, "{\"version\": 99}");
}

#[test]
fn a_data_base_with_a_password_takes_nothing_and_loses_no_key() {
    let machine = Machine::without_store();
    let home = Home::new("");
    let empty = machine.path("empty");
    let password = machine.path("password");
    fs::write(&empty, "\n").unwrap();
    fs::write(&password, "a password\n").unwrap();
    fine(machine.onedoor(&home, &["trust", "--yes"]));
    let made = machine.home().join(".pki/nssdb");
    let locked = |folder: &Path| {
        let [old, new] = [&empty, &password].map(|file| file.display().to_string());
        DataBase::at(folder).certutil(&["-W", "-f", &old, "-@", &new]);
    };
    // Whoever gave it a password may have put keys there.
    locked(&made);
    let profile = machine.home().join(".mozilla/firefox/a.default");
    DataBase::make(&profile);
    locked(&profile);
    let before = DataBase::at(&profile).list();

    let said = fine(machine.onedoor(&home, &["trust", "--yes"]));
    assert!(said.contains("a.default): it has a password"), "{said}");
    assert!(said.contains("try:  certutil -A -d "), "{said}");
    assert_eq!(DataBase::at(&profile).list(), before);
    fine(machine.onedoor(&home, &["untrust", "--yes"]));
    assert!(made.join("key4.db").exists());
    assert!(!DataBase::at(&made).list().contains(OURS));
    assert!(!machine.home().join(".local").exists());
}

fn of_ana(target: &Path, link: &Path) {
    symlink(target, link).unwrap();
    lchown(link, Some(ANA), Some(ANA)).unwrap();
}

fn given_to_ana(folder: &Path) {
    let given = Command::new("chown")
        .args(["-R", &format!("{ANA}:{ANA}")])
        .arg(folder)
        .status();
    assert!(given.unwrap().success());
}

/// What lies in a folder, and whose it is.
fn listed(folder: &Path) -> Vec<(std::path::PathBuf, u32)> {
    let mut found = vec![(folder.to_owned(), fs::metadata(folder).unwrap().uid())];
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        found.push((entry.path(), entry.metadata().unwrap().uid()));
    }
    found.sort();
    found
}
