//! OpenSSL's own client, for what rustls would never send.

use std::io::Write as _;
use std::process::{Child, Command, Stdio};

use super::door::Door;

/// A handshake by `openssl s_client`, then the end of its input; gives all it says. Without a name, none is sent.
pub(crate) fn s_client(door: &Door, name: Option<&str>, options: &[&str]) -> String {
    let child = start(door, name, options);
    said(child)
}

/// The same with something typed, and no end of the input: the server has the last word.
pub(crate) fn s_client_typing(
    door: &Door,
    name: Option<&str>,
    options: &[&str],
    words: &str,
) -> String {
    let mut child = start(door, name, options);
    let mut input = child.stdin.take().unwrap();
    input.write_all(words.as_bytes()).unwrap();
    said(child)
}

/// A certificate in words, as `openssl x509` prints it.
pub(crate) fn described(pem: &str) -> String {
    let mut child = Command::new("openssl")
        .args(["x509", "-noout", "-text"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("openssl is missing: run tests/run");
    child
        .stdin
        .as_mut()
        .unwrap()
        .write_all(pem.as_bytes())
        .unwrap();
    said(child)
}

fn start(door: &Door, name: Option<&str>, options: &[&str]) -> Child {
    let mut command = Command::new("timeout");
    command
        .args(["20", "openssl", "s_client", "-connect"])
        .arg(door.tls().to_string())
        .arg("-CAfile")
        .arg(door.ca());
    match name {
        Some(name) => command.args(["-servername", name, "-verify_hostname", name]),
        None => command.arg("-noservername"),
    };
    command
        .args(options)
        .current_dir(door.home().path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl is missing: run tests/run")
}

fn said(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
