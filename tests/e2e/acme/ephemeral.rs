//! Storage that the next start would not find.

use std::path::Path;

use tempfile::TempDir;

use super::{config_on, served, site};
use crate::support::door::{Door, Home};
use crate::support::eventually;
use crate::support::pebble::Pebble;

const NAME: &str = "a.example.com";

/// A folder in memory.
fn in_memory() -> TempDir {
    TempDir::new_in("/dev/shm").unwrap()
}

/// At a CA whose limits everybody shares. It is never asked.
fn public(storage: &Path) -> String {
    format!(
        r#"
        listen = ["127.0.0.1:0"]
        http = ["127.0.0.1:0"]
        storage = "{}"
        [acme]
        directory = "letsencrypt"
        email = "ada@example.com"
        [sites]
        {}
        "#,
        storage.display(),
        site(NAME)
    )
}

#[test]
fn nothing_is_ordered_from_a_public_ca_for_storage_in_memory() {
    let folder = in_memory();
    let door = Door::up(&public(folder.path()));
    let said = eventually("a word about the storage", || {
        Some(door.said()).filter(|said| said.contains("would be lost"))
    });
    for word in [
        folder.path().to_str().unwrap(),
        "tmpfs",
        "mount a volume there",
        "ephemeral = \"allow\"",
        NAME,
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
    // Neither an account nor anything in the ledger: the CA was not spoken to.
    assert!(!folder.path().join("acme").exists());
}

#[test]
fn check_tells_of_storage_in_memory() {
    let folder = in_memory();
    let home = Home::new(&public(folder.path()));
    let (code, out, err) = home.run(&["check"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(
        format!("{out}{err}").contains("mount a volume there"),
        "{out}{err}"
    );
}

#[test]
fn storage_in_memory_may_be_allowed() {
    let (ca, folder) = (Pebble::start(), in_memory());
    let plain = config_on(folder.path(), &ca, "", &site(NAME));
    let table = format!(
        "{{ url = \"{}\", ephemeral = \"allow\" }}",
        folder.path().display()
    );
    let allowed = plain.replace(&format!("\"{}\"", folder.path().display()), &table);
    let door = Door::up(&allowed);
    served(&ca, NAME);
    assert!(!door.said().contains("would be lost"));
}
