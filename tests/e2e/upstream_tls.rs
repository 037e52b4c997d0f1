//! TLS to upstreams, with OpenSSL's server as the judge: who is shown what, who is believed, and what a reload changes.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::support::authority::{Authority, Pair};
use crate::support::door::{Door, Home};
use crate::support::wire::Wire;
use crate::support::{eventually, free_port};

/// `openssl s_server`, which tells of each connection as a page; gone when dropped.
struct Server {
    child: Child,
    address: SocketAddr,
    _folder: TempDir,
}

impl Server {
    fn with(pair: &Pair, options: &[&str], clients: Option<&Authority>) -> Self {
        let folder = TempDir::new().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("server.pem", &pair.certificate_pem);
        write("server.key", &pair.key_pem);
        let demands: &[&str] = match clients {
            Some(authority) => {
                write("clients.pem", &authority.root_pem());
                &[
                    "-Verify",
                    "2",
                    "-verify_return_error",
                    "-CAfile",
                    "clients.pem",
                ]
            }
            None => &[],
        };
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut child = Command::new("openssl")
            .args([
                "s_server",
                "-quiet",
                "-www",
                "-cert",
                "server.pem",
                "-key",
                "server.key",
            ])
            .args(["-accept", &address.to_string()])
            .args(demands)
            .args(options)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl is missing: run tests/run");
        eventually("the server listens", || {
            assert_eq!(child.try_wait().unwrap(), None, "openssl ended");
            TcpStream::connect(address).ok()
        });
        Self {
            child,
            address,
            _folder: folder,
        }
    }

    fn url(&self, host: &str) -> String {
        format!("https://{host}:{}", self.address.port())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _already_gone = self.child.kill();
        let _status = self.child.wait();
    }
}

/// `NUMBER.test` for each target, as it stands in the file.
fn config(targets: &[String]) -> String {
    let site = |(number, target): (usize, &String)| {
        format!("\"{number}.test\" = {{ to = {{ {target} }}, tls = \"off\" }}\n")
    };
    let sites: String = targets.iter().enumerate().map(site).collect();
    format!("listen = [\"127.0.0.1:0\"]\nhttp = [\"127.0.0.1:0\"]\nworkers = 1\n[sites]\n{sites}")
}

fn ask(door: &Door, number: usize) -> (u16, String) {
    let request = format!("GET / HTTP/1.1\r\nHost: {number}.test\r\n\r\n");
    let answer = Wire::plain(door).ask(request);
    (answer.status(), answer.text())
}

#[test]
fn a_client_certificate_is_shown_to_a_server_that_demands_one() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let server = Server::with(&authority.pair(&["localhost"]), &[], Some(&clients));
    let url = server.url("localhost");
    let target = |rest: &str| format!("url = \"{url}\", ca = \"ca.pem\"{rest}");
    let home = Home::new(&config(&[
        target(", cert = \"good.pem\", key = \"good.key\""),
        target(", cert = \"stranger.pem\", key = \"stranger.key\""),
        target(""),
    ]));
    home.write("ca.pem", &authority.root_pem());
    clients.write_pair(&home, "good", &["door.test"]);
    Authority::new().write_pair(&home, "stranger", &["door.test"]);
    let door = Door::up_in(home, &["up"]);
    let (status, text) = ask(&door, 0);
    assert_eq!(status, 200, "{text}");
    assert!(text.contains("Client certificate"), "{text}");
    for number in [1, 2] {
        let (status, text) = ask(&door, number);
        assert_eq!(status, 502, "{number}: {text}");
    }
}

#[test]
fn the_name_that_is_sent_is_the_name_that_is_verified() {
    let authority = Authority::new();
    let hidden = authority.pair(&["hidden.test"]);
    // Who does not ask for the name by SNI gets no certificate at all.
    let server = Server::with(
        &hidden,
        &[
            "-servername",
            "hidden.test",
            "-servername_fatal",
            "-cert2",
            "server.pem",
            "-key2",
            "server.key",
        ],
        None,
    );
    let url = server.url("127.0.0.1");
    let home = Home::new(&config(&[
        format!("url = \"{url}\", ca = \"ca.pem\", sni = \"hidden.test\""),
        format!("url = \"{url}\", ca = \"ca.pem\", sni = \"other.test\""),
        format!("url = \"{url}\", ca = \"ca.pem\""),
        format!("url = \"{url}\", ca = \"stranger.pem\", sni = \"hidden.test\""),
        format!("url = \"{url}\", insecure = true"),
    ]));
    home.write("ca.pem", &authority.root_pem());
    home.write("stranger.pem", &Authority::new().root_pem());
    let door = Door::up_in(home, &["up"]);
    let statuses = [0, 1, 2, 3, 4].map(|number| ask(&door, number).0);
    assert_eq!(statuses, [200, 502, 502, 502, 200]);
}

#[test]
fn sessions_are_resumed() {
    let authority = Authority::new();
    for version in ["-tls1_3", "-tls1_2"] {
        let server = Server::with(&authority.pair(&["localhost"]), &[version], None);
        let url = server.url("localhost");
        let home = Home::new(&config(&[format!("url = \"{url}\", ca = \"ca.pem\"")]));
        home.write("ca.pem", &authority.root_pem());
        let door = Door::up_in(home, &["up"]);
        // The server closes after each page, so that each is a connection of its own.
        let first = ask(&door, 0).1;
        assert!(first.contains("New, TLS"), "{version}: {first}");
        let second = ask(&door, 0).1;
        assert!(second.contains("Reused, TLS"), "{version}: {second}");
    }
}

#[test]
fn a_reload_reads_the_files_again() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let server = Server::with(&authority.pair(&["localhost"]), &[], Some(&clients));
    let url = server.url("localhost");
    let text = config(&[format!(
        "url = \"{url}\", ca = \"ca.pem\", cert = \"own.pem\", key = \"own.key\""
    )]);
    let home = Home::new(&text);
    let stranger = Authority::new();
    home.write("ca.pem", &stranger.root_pem());
    stranger.write_pair(&home, "own", &["door.test"]);
    let door = Door::up_in(home, &["up"]);
    assert_eq!(ask(&door, 0).0, 502);
    door.home().write("ca.pem", &authority.root_pem());
    door.reload(&format!("{text}\n# The roots changed.\n"));
    assert_eq!(ask(&door, 0).0, 502);
    clients.write_pair(door.home(), "own", &["door.test"]);
    door.reload(&format!("{text}\n# So did the pair.\n"));
    let (status, text) = ask(&door, 0);
    assert_eq!(status, 200, "{text}");
}
