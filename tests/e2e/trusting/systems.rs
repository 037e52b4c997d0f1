//! The system's store, Java's, and programs that take a file.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};

use crate::support::backend::Backend;
use crate::support::door::Home;

use super::machine::{ANA, Machine, Store};
use super::{curl_ends, door, fine, fingerprint};

/// What curl says of a certificate that it does not trust.
const NOT_TRUSTED: i32 = 60;

#[test]
fn the_system_trusts_the_local_ca_until_that_is_undone_byte_for_byte() {
    let machine = Machine::of_debian();
    let backend = Backend::saying("served");
    let door = door(&backend);
    let home = door.home();
    let before = machine.store();
    assert_eq!(curl_ends(&machine, &door), NOT_TRUSTED);

    let said = fine(machine.onedoor(home, &["trust", "--dry-run"]));
    assert!(
        said.contains("\n    tee /usr/local/share/ca-certificates/onedoor-"),
        "{said}"
    );
    assert!(said.contains("\n    update-ca-certificates\n"), "{said}");
    assert!(said.contains(&fingerprint(&door.ca())), "{said}");
    assert!(
        said.contains("clients accept nothing from it but ") && said.contains(".localhost"),
        "{said}"
    );
    same(&machine, &before);

    fine(machine.onedoor(home, &["trust", "--yes"]));
    assert_eq!(curl_ends(&machine, &door), 0);
    let root = door.ca().display().to_string();
    let (code, _out, err) = machine.program(&["openssl", "verify", &root]);
    assert_eq!(code, 0, "{err}");
    let trusting = machine.store();
    let changed = trusting.differences(&before);
    assert_eq!(
        changed.len(),
        4,
        "a file, two links and the bundle: {changed:?}"
    );

    // There is nobody to be asked, and nothing to ask.
    let said = fine(machine.onedoor(home, &["trust"]));
    assert!(said.contains("nothing is left to be done"), "{said}");
    same(&machine, &trusting);

    let said = fine(machine.onedoor(home, &["untrust", "--yes"]));
    assert!(said.contains("update-ca-certificates --fresh"), "{said}");
    same(&machine, &before);
    assert_eq!(curl_ends(&machine, &door), NOT_TRUSTED);
    assert_eq!(fs::read_dir(machine.home()).unwrap().count(), 0);
    assert!(!home.path().join("storage/trust").exists());
    let said = fine(machine.onedoor(home, &["untrust"]));
    assert!(said.contains("nothing that `onedoor trust`"), "{said}");
}

#[test]
fn without_a_word_nothing_is_done() {
    let machine = Machine::of_debian();
    let home = Home::new("");
    let before = machine.store();
    let (code, out, err) = machine.onedoor(&home, &["trust"]);
    assert_eq!(code, 1, "{out}{err}");
    assert!(err.contains("nothing was done: `--yes`"), "{err}");
    same(&machine, &before);
    assert_eq!(fs::read_dir(machine.home()).unwrap().count(), 0);
    assert!(!home.path().join("storage/trust").exists());
}

#[test]
fn a_user_without_sudo_does_a_part_and_reads_what_is_root_s() {
    let machine = Machine::of_debian().with_ana();
    let home = Home::new("");
    // The folder of the build may be closed to others.
    let program = machine.path("onedoor");
    fs::copy(env!("CARGO_BIN_EXE_onedoor"), &program).unwrap();
    let storage = machine.home().join("storage");
    let number = ANA.to_string();
    let before = machine.store();
    // A search path on which there is no sudo.
    let tools = tools(
        &machine,
        &["certutil", "chromium", "mkdir", "update-ca-certificates"],
    );
    let rights = ["--reuid", &number, "--regid", &number, "--clear-groups"];
    let before_it = [&["setpriv"], &rights[..], &["env", &tools]].concat();
    let mut command = machine.command_behind(&home, &before_it, &program);
    command
        .current_dir(machine.home())
        .env("ONEDOOR_STORAGE", &storage)
        .args(["trust", "--yes"]);
    let (code, out, err) = Home::end_of(&mut command);
    assert_eq!(code, 5, "{out}{err}");
    let rest = out.split_once("only root can do this").unwrap().1;
    assert!(rest.contains("\n    tee /usr/local/"), "{out}");
    assert!(out.contains("Chromium trusts it"), "{out}");
    same(&machine, &before);
}

#[test]
fn under_sudo_the_caller_s_browsers_are_meant_and_stay_the_caller_s() {
    let machine = Machine::without_store().with_ana();
    let home = Home::new("");
    let mut command = machine.command(&home);
    command.env("SUDO_USER", "ana").env("HOME", home.path());
    let said = fine(Home::end_of(command.args(["trust", "--yes"])));
    assert!(said.contains("-u ana "), "{said}");
    let made = [".pki/nssdb/cert9.db", ".local/share/pki/nssdb/key4.db"];
    for file in made {
        let found = fs::metadata(machine.home().join(file)).unwrap();
        assert_eq!(found.uid(), ANA);
    }
    let mut command = machine.command(&home);
    command.env("SUDO_USER", "ana").env("HOME", home.path());
    fine(Home::end_of(command.args(["untrust", "--yes"])));
    assert_eq!(fs::read_dir(machine.home()).unwrap().count(), 0);
}

#[test]
fn the_root_is_printed_for_containers_and_made_if_need_be() {
    let machine = Machine::without_store();
    let home = Home::new("");
    let said = fine(machine.onedoor(&home, &["trust", "--dry-run"]));
    assert!(said.contains("there is no local CA"), "{said}");
    assert!(!home.path().join("storage").exists());
    let pem = fine(machine.onedoor(&home, &["trust", "--print"]));
    assert_eq!(pem, home.read("storage/local-ca/root.pem"));
    assert_eq!(fine(machine.onedoor(&home, &["trust", "--print"])), pem);
    assert!(!home.path().join("storage/trust").exists());
}

#[test]
fn curl_and_python_take_the_bundle() {
    let machine = Machine::of_debian();
    let backend = Backend::saying("served");
    let door = door(&backend);
    let bundle = fine(machine.onedoor(door.home(), &["trust", "--bundle"]));
    assert!(bundle.matches("BEGIN CERTIFICATE").count() > 20);
    door.home().write("bundle.pem", &bundle);
    let file = door.home().path().join("bundle.pem");
    let set = format!("SSL_CERT_FILE={}", file.display());
    let url = format!("https://localhost:{}/", door.tls().port());
    let program = format!("import urllib.request as r; print(r.urlopen('{url}').read().decode())");
    let clients: [&[&str]; 2] = [
        &["curl", "--silent", "--show-error", &url],
        &["python3", "-c", &program],
    ];
    for client in clients {
        let said = fine(machine.program(&[&["env", &set], client].concat()));
        assert_eq!(said.trim(), "served");
        assert_ne!(machine.program(client).0, 0, "{client:?} trusts anybody");
    }
}

#[test]
fn java_trusts_it_on_request_alone() {
    let machine = Machine::without_store();
    let home = Home::new("");
    let java = machine.java();
    let keystore = java.join("lib/security/cacerts");
    let before = aliases(&keystore);
    let run = |arguments: &[&str]| {
        let mut command = machine.command(&home);
        command.env("JAVA_HOME", &java).args(arguments);
        fine(Home::end_of(&mut command))
    };
    let said = run(&["trust", "--yes"]);
    assert!(said.contains("onedoor trust --java"), "{said}");
    assert_eq!(aliases(&keystore), before);

    let said = run(&["trust", "--java", "--yes"]);
    assert!(said.contains("Java trusts it"), "{said}");
    let ours: Vec<String> = aliases(&keystore)
        .into_iter()
        .filter(|alias| !before.contains(alias))
        .collect();
    let [ours] = ours.as_slice() else {
        panic!("{ours:?}");
    };
    assert!(ours.starts_with("onedoor-"), "{ours}");
    let said = run(&["trust", "--java"]);
    assert!(said.contains("nothing is left to be done"), "{said}");
    run(&["untrust", "--yes"]);
    assert_eq!(aliases(&keystore), before);
}

#[track_caller]
fn same(machine: &Machine, before: &Store) {
    let now = machine.store();
    let changed = now.differences(before);
    assert!(changed.is_empty(), "{changed:?}");
}

fn aliases(keystore: &Path) -> Vec<String> {
    let output = std::process::Command::new("keytool")
        .args([
            "-J-Duser.language=en",
            "-list",
            "-storepass",
            "changeit",
            "-keystore",
        ])
        .arg(keystore)
        .output()
        .expect("keytool is missing: run tests/run");
    assert!(output.status.success());
    let said = String::from_utf8(output.stdout).unwrap();
    let entries = said
        .lines()
        .filter(|line| line.contains("trustedCertEntry"));
    let names = entries.map(|line| line.split(',').next().unwrap().to_owned());
    names.collect()
}

/// A folder with these programs alone, as a search path.
fn tools(machine: &Machine, names: &[&str]) -> String {
    let folder = machine.path("tools");
    fs::create_dir(&folder).unwrap();
    for name in names {
        let places = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"];
        let mut files = places.iter().map(|place| Path::new(place).join(name));
        let file = files.find(|file| file.exists()).unwrap();
        symlink(file, folder.join(name)).unwrap();
    }
    format!("PATH={}", folder.display())
}

impl Machine {
    /// A Java with roots of its own: the program is the installed one, the roots are a copy.
    fn java(&self) -> PathBuf {
        let java = self.path("java");
        fs::create_dir_all(java.join("bin")).unwrap();
        fs::create_dir_all(java.join("lib/security")).unwrap();
        let keytool =
            fs::canonicalize("/usr/bin/keytool").expect("keytool is missing: run tests/run");
        let roots = keytool.parent().unwrap().join("../lib/security/cacerts");
        symlink(keytool, java.join("bin/keytool")).unwrap();
        fs::copy(roots, java.join("lib/security/cacerts")).unwrap();
        java
    }
}
