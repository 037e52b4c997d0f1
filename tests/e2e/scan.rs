//! The door as a scanner for weak TLS sees it.

use std::path::Path;
use std::process::Command;

use crate::support::backend::Backend;
use crate::support::door::Door;

#[test]
fn the_door_meets_mozillas_intermediate_profile() {
    let backend = Backend::saying("hello");
    let door = Door::up(&format!(
        "listen = [\"127.0.0.1:0\"]\nhttp = false\n[sites]\n\"shop.test\" = \"{}\"",
        backend.address
    ));
    let python = Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/target/python/bin/python"
    ));
    let output = Command::new(python)
        .args([
            "-m",
            "sslyze",
            "--mozilla_config=intermediate",
            "--sni=shop.test",
        ])
        .arg(format!("--certinfo_ca_file={}", door.ca().display()))
        .arg(door.tls().to_string())
        .output()
        .expect("sslyze is missing: run tests/run");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    for finding in [
        "OK - Compliant",
        "OK - Compression disabled",
        "Client Renegotiation DoS Attack:   OK - Not vulnerable",
        "Legacy RC4 Algorithm               OK - Not Supported",
    ] {
        assert!(said.contains(finding), "{finding}: {said}");
    }
}
