//! `onedoor trust` and `untrust`, with Debian's store, data bases of NSS, a Java's roots, and the programs that read them.

mod browsers;
mod machine;
mod owners;
mod systems;

use std::path::Path;
use std::process::Command;

use crate::support::backend::Backend;
use crate::support::door::Door;
use machine::Machine;

/// Serves every name there is with the local CA.
fn door(backend: &Backend) -> Door {
    let to = backend.address;
    Door::up(&format!(
        "listen = [\"127.0.0.1:0\"]\nhttp = false\n[sites]\n\"*\" = {{ to = \"{to}\", tls = \"internal\" }}\n"
    ))
}

/// What a verb said, if it ended as it should.
#[track_caller]
fn fine((code, out, err): (i32, String, String)) -> String {
    assert_eq!(code, 0, "{out}{err}");
    out
}

/// As OpenSSL shows it.
fn fingerprint(certificate: &Path) -> String {
    let output = Command::new("openssl")
        .args(["x509", "-noout", "-fingerprint", "-sha256", "-in"])
        .arg(certificate)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    said.split_once('=').unwrap().1.trim().to_owned()
}

/// What curl ends with on this machine, by the roots that it finds there.
fn curl_ends(machine: &Machine, door: &Door) -> i32 {
    let url = format!("https://localhost:{}/", door.tls().port());
    let words = ["curl", "--silent", "--show-error", "--max-time", "10", &url];
    machine.program(&words).0
}
