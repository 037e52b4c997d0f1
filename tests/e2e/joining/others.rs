//! Another proxy wants the same port, before us and after us.

use std::fs;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use super::site;
use crate::support::backend::Backend;
use crate::support::client::get;
use crate::support::door::{Door, Home};
use crate::support::{eventually, free_port};

/// nginx in the foreground, with everything it writes in this folder.
fn nginx(home: &Home, port: u16) -> Command {
    let config = format!(
        "daemon off; master_process off; pid nginx.pid; error_log stderr;\n\
         events {{}}\n\
         http {{ access_log off; client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f;\n\
         uwsgi_temp_path u; scgi_temp_path s; server {{ listen 127.0.0.1:{port}; }} }}\n"
    );
    home.write("nginx.conf", &config);
    let mut command = Command::new("nginx");
    command
        .arg("-p")
        .arg(home.path())
        .args(["-c", "nginx.conf", "-e", "stderr"])
        .env(
            "PATH",
            "/usr/sbin:/usr/local/sbin:/usr/bin:/bin:/opt/homebrew/bin",
        )
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

/// Gone when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

fn at(port: u16, backend: &Backend) -> String {
    site("one.test", backend).replace("127.0.0.1:0", &format!("127.0.0.1:{port}"))
}

#[test]
fn a_proxy_that_has_the_port_already_is_named() {
    let (backend, port) = (Backend::saying("one"), free_port());
    let home = Home::new(&at(port, &backend));
    let started = nginx(&home, port).stderr(Stdio::null()).spawn();
    let other = Running(started.expect("no nginx: run `tests/run --prepare`"));
    eventually("nginx", || TcpStream::connect(("127.0.0.1", port)).ok());
    let (code, _out, err) = home.run(&["up"]);
    assert_eq!(code, 4, "{err}");
    let pid = other.0.id();
    for words in [
        &format!("error[port-in-use]: cannot listen on port {port}\n"),
        &format!("nginx (pid {pid}"),
        "  try:",
    ] {
        assert!(err.contains(words), "{words}: {err}");
    }
    drop(other);
    let door = Door::up_in(home, &["up"]);
    assert_eq!(get(&door, "one.test", "/"), "one");
}

#[test]
fn a_proxy_that_comes_later_fails_loudly() {
    let (backend, port) = (Backend::saying("one"), free_port());
    let door = Door::up(&at(port, &backend));
    let mut command = nginx(door.home(), port);
    let log = door.home().path().join("nginx.err");
    command.stderr(fs::File::create(&log).unwrap());
    let ended = command.status();
    let ended = ended.expect("no nginx: run `tests/run --prepare`");
    assert!(!ended.success());
    let said = fs::read_to_string(log).unwrap();
    assert!(said.contains("Address already in use"), "{said}");
    assert_eq!(get(&door, "one.test", "/"), "one");
}
