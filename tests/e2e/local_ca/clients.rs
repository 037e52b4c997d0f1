//! What clients make of the constraints that are neither OpenSSL nor rustls nor of a browser.

use std::process::{Command, Stdio};

use crate::support::backend::Backend;
use crate::support::door::Door;

use super::{config, site};

/// No name here is without a dot: Java sends none of these.
const ACCEPTED: [&str; 4] = [
    "shop.localhost",
    "a.b.test",
    "my-service.home.arpa",
    "x.lan.example.com",
];
const REFUSED: [&str; 3] = ["example.com", "www.example.org", "shop.localhost.example"];

fn door(backend: &Backend) -> Door {
    let settings = "[tls]\nlocal_suffixes = [\"lan.example.com\"]\n";
    let sites = site("*", backend) + &site("127.0.0.1", backend);
    Door::up(&config(settings, &sites))
}

/// What GnuTLS says, with an option for the name it sends.
fn gnutls(door: &Door, name: &str, sent: &str) -> (bool, String) {
    let output = Command::new("timeout")
        .args(["20", "gnutls-cli", "--x509cafile"])
        .arg(door.ca())
        .args(["--port", &door.tls().port().to_string()])
        .args([sent, &format!("--verify-hostname={name}"), "127.0.0.1"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    (output.status.success(), said)
}

#[test]
fn gnutls_keeps_to_the_constraints() {
    let backend = Backend::saying("served");
    let door = door(&backend);
    for name in ACCEPTED.into_iter().chain(["localhost"]) {
        let (accepted, said) = gnutls(&door, name, &format!("--sni-hostname={name}"));
        assert!(accepted, "{name}: {said}");
        assert!(
            said.contains("The certificate is trusted"),
            "{name}: {said}"
        );
    }
    let (accepted, said) = gnutls(&door, "127.0.0.1", "--disable-sni");
    assert!(accepted, "{said}");
    for name in REFUSED {
        let (accepted, said) = gnutls(&door, name, &format!("--sni-hostname={name}"));
        assert!(!accepted, "{name}: {said}");
        assert!(said.contains("NOT trusted"), "{name}: {said}");
        assert!(said.contains("constraints"), "{name}: {said}");
    }
}

#[test]
fn java_keeps_to_the_constraints() {
    let backend = Backend::saying("served");
    let door = door(&backend);
    let program = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/e2e/local_ca/Client.java"
    );
    let output = Command::new("java")
        .arg(program)
        .arg(door.ca())
        .arg(door.tls().port().to_string())
        .args(ACCEPTED)
        .arg("127.0.0.1")
        .args(REFUSED)
        .output()
        .expect("java is missing: run tests/run");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{complaint}");
    for name in ACCEPTED.into_iter().chain(["127.0.0.1"]) {
        assert!(said.contains(&format!("{name} accepted\n")), "{said}");
    }
    for name in REFUSED {
        let refused = format!("{name} refused: ");
        let line = said.lines().find(|line| line.starts_with(&refused));
        assert!(line.unwrap().contains("PKIX"), "{said}");
    }
}
