//! PROXY headers that upstreams get: whom a connection is for, in front of everything else, and never for somebody else.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::{ClientConfig, ClientConnection};
use tempfile::TempDir;

use crate::support::authority::Authority;
use crate::support::backend::{Backend, ok, read_request};
use crate::support::client;
use crate::support::door::{Door, Home};
use crate::support::wire::Wire;
use crate::support::{eventually, free_port};

const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

/// A server that takes PROXY headers and says what they said; gone when dropped.
struct Server {
    child: Child,
    address: SocketAddr,
    _folder: TempDir,
}

impl Server {
    fn haproxy() -> Self {
        Self::start("haproxy", &["-db", "-f"], |address| {
            format!(
                "defaults\n  mode http\n  timeout connect 20s\n  timeout client 20s\n  timeout server 20s\n\
                 frontend front\n  bind {address} accept-proxy\n  http-request return status 200 \
                 content-type text/plain lf-string \"%[src]:%[src_port] %[dst]:%[dst_port]\"\n"
            )
        })
    }

    fn nginx() -> Self {
        let arguments = ["-e", "stderr", "-p", ".", "-c"];
        Self::start("nginx", &arguments, |address| {
            format!(
                "daemon off;\nmaster_process off;\npid nginx.pid;\nevents {{}}\n\
                 http {{ access_log off; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;\n\
                 uwsgi_temp_path uwsgi; scgi_temp_path scgi; server {{ listen {address} proxy_protocol; location / {{\n\
                 default_type text/plain; return 200 \"$proxy_protocol_addr:$proxy_protocol_port \
                 $proxy_protocol_server_addr:$proxy_protocol_server_port\"; }} }} }}\n"
            )
        })
    }

    fn start(program: &str, arguments: &[&str], config: impl Fn(SocketAddr) -> String) -> Self {
        let folder = TempDir::new().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        std::fs::write(folder.path().join("server.conf"), config(address)).unwrap();
        let path = std::env::var("PATH").unwrap_or_default();
        let mut child = Command::new(program)
            .env("PATH", format!("{path}:/usr/sbin:/sbin"))
            .args(arguments)
            .arg("server.conf")
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("haproxy or nginx-light is missing: run tests/run");
        eventually("the server listens", || {
            assert_eq!(child.try_wait().unwrap(), None, "{program} ended");
            TcpStream::connect(address).ok()
        });
        Self {
            child,
            address,
            _folder: folder,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _already_gone = self.child.kill();
        let _status = self.child.wait();
    }
}

fn door(to: &str, version: u8) -> Door {
    let site =
        format!("\"a.test\" = {{ to = \"{to}\", tls = \"off\", proxy_protocol = {version} }}");
    Door::serving("workers = 1", &site)
}

/// A client, and both ends of its connection as a header names them.
fn client(door: &Door) -> (Wire, SocketAddr, SocketAddr) {
    let stream = client::plain(door.plain());
    let (from, to) = (stream.local_addr().unwrap(), stream.peer_addr().unwrap());
    (Wire::over(stream), from, to)
}

#[test]
fn haproxy_and_nginx_learn_who_asks() {
    for server in [Server::haproxy(), Server::nginx()] {
        for version in [1, 2] {
            let door = door(&server.address.to_string(), version);
            let (mut wire, from, to) = client(&door);
            for _ in 0..2 {
                let answer = wire.ask(GET);
                assert_eq!(answer.status(), 200, "version {version}");
                assert_eq!(answer.text(), format!("{from} {to}"), "version {version}");
            }
        }
    }
}

/// Answers each request with the line that its connection began with, and counts connections.
fn telling() -> (Backend, Arc<AtomicUsize>) {
    let connections: Arc<AtomicUsize> = Arc::default();
    let counted = connections.clone();
    let backend = Backend::raw(move |stream| {
        counted.fetch_add(1, Ordering::Relaxed);
        let mut writer = stream.try_clone().unwrap();
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        let _cut = reader.read_line(&mut line);
        while read_request(&mut reader).is_some() {
            if writer.write_all(&ok(line.trim_end())).is_err() {
                break;
            }
        }
    });
    (backend, connections)
}

fn line(from: SocketAddr, to: SocketAddr) -> String {
    let (source, destination) = (from.ip(), to.ip());
    format!(
        "PROXY TCP4 {source} {destination} {} {}",
        from.port(),
        to.port()
    )
}

#[test]
fn a_connection_belongs_to_one_client_and_serves_it_as_long_as_it_stays() {
    let (backend, connections) = telling();
    let door = door(&backend.address.to_string(), 1);
    let mut clients: Vec<_> = (0..3).map(|_| client(&door)).collect();
    for _round in 0..4 {
        for (wire, from, to) in &mut clients {
            assert_eq!(wire.ask(GET).text(), line(*from, *to));
        }
    }
    assert_eq!(connections.load(Ordering::Relaxed), clients.len());
}

#[test]
fn a_request_through_a_trusted_proxy_is_told_as_its_clients() {
    let (backend, _connections) = telling();
    let site = format!(
        "\"a.test\" = {{ to = \"{}\", tls = \"off\", proxy_protocol = 1 }}",
        backend.address
    );
    let door = Door::serving("trust = { proxies = [\"127.0.0.1\"] }\nworkers = 1", &site);
    let (mut wire, from, to) = client(&door);
    for address in ["192.0.2.1", "192.0.2.2", "192.0.2.1"] {
        let request =
            format!("GET / HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-For: {address}\r\n\r\n");
        let named = SocketAddr::new(address.parse().unwrap(), from.port());
        assert_eq!(wire.ask(request).text(), line(named, to));
    }
}

/// Notes the line that a connection begins with, and the octet behind it.
fn noting() -> (Backend, std::sync::mpsc::Receiver<(String, u8)>) {
    let (note, noted) = std::sync::mpsc::channel();
    let backend = Backend::raw(move |stream| {
        let mut reader = BufReader::new(stream);
        let (mut line, mut next) = (String::new(), [0]);
        let _cut = reader.read_line(&mut line);
        let _cut = reader.read_exact(&mut next);
        let _nobody_looks = note.send((line, next[0]));
    });
    (backend, noted)
}

const HANDSHAKE_RECORD: u8 = 0x16;

#[test]
fn the_header_comes_before_tls_and_before_a_passed_on_hello() {
    let (backend, noted) = noting();
    let address = backend.address;
    let home = Home::new(&format!(
        "listen = [\"127.0.0.1:0\"]\nhttp = [\"127.0.0.1:0\"]\n[sites]\n\
         \"a.test\" = {{ to = {{ url = \"https://{address}\", ca = \"ca.pem\" }}, tls = \"off\", proxy_protocol = 1 }}\n\
         \"b.test\" = {{ passthrough = \"{address}\", proxy_protocol = 1 }}\n"
    ));
    home.write("ca.pem", &Authority::new().root_pem());
    let door = Door::up_in(home, &["up"]);
    let (mut wire, from, to) = client(&door);
    assert_eq!(wire.ask(GET).status(), 502);
    let expected = format!("{}\r\n", line(from, to));
    assert_eq!(noted.recv().unwrap(), (expected, HANDSHAKE_RECORD));

    let mut stream = TcpStream::connect(door.tls()).unwrap();
    let (from, to) = (stream.local_addr().unwrap(), stream.peer_addr().unwrap());
    hello("b.test").write_tls(&mut stream).unwrap();
    let expected = format!("{}\r\n", line(from, to));
    assert_eq!(noted.recv().unwrap(), (expected, HANDSHAKE_RECORD));
}

/// A client that begins a handshake for a name.
fn hello(name: &'static str) -> ClientConnection {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(Authority::new().roots())
        .with_no_client_auth();
    ClientConnection::new(Arc::new(config), name.try_into().unwrap()).unwrap()
}
