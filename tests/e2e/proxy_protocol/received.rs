//! Headers that balancers send us: whom the upstream and the log hear of, and who is closed.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;

use socket2::{Domain, Socket, Type};

use super::balancer::{self, Header};
use crate::support::backend::Backend;
use crate::support::client::{plain, read_all, roots, tls_over};
use crate::support::door::Door;
use crate::support::wire::Wire;
use crate::support::{PATIENCE, eventually};

/// The clients of this test; the balancers come from another address of this machine.
const CLIENT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const FROM_BALANCERS: &str = "trust.proxy_protocol = [\"127.0.0.1\"]";
const FROM_OTHERS: &str = "trust.proxy_protocol = [\"192.0.2.0/24\", \"2001:db8::/32\"]";
const GET: &str = "GET /x HTTP/1.1\r\nHost: b.test\r\n\r\n";

/// `a.test` over TLS and `b.test` in clear text.
fn config(backend: &Backend, settings: &str) -> String {
    let to = backend.address;
    format!(
        r#"
        listen = ["127.0.0.1:0"]
        http = ["127.0.0.1:0"]
        log = {{ access = "access.log", level = "debug" }}
        {settings}
        [sites]
        "a.test" = "{to}"
        "b.test" = {{ to = "{to}", tls = "off" }}
        "#
    )
}

fn door(backend: &Backend, settings: &str) -> Door {
    Door::up(&config(backend, settings))
}

/// A connection from [`CLIENT`].
fn from_client(to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((CLIENT, 0)).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// A connection that begins with these octets.
fn begun(to: SocketAddr, octets: impl AsRef<[u8]>) -> Wire {
    let mut wire = Wire::over(plain(to));
    wire.send(octets);
    wire
}

fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [
        b"\r\n\r\n\0\r\nQUIT\n",
        &[command, family][..],
        &length,
        rest,
    ]
    .concat()
}

/// From 192.0.2.7:258 to 192.0.2.80:443.
fn v2_of_192_0_2_7() -> Vec<u8> {
    v2(0x21, 0x11, &[192, 0, 2, 7, 192, 0, 2, 80, 1, 2, 1, 187])
}

#[test]
fn haproxy_and_nginx_say_who_the_client_is() {
    let backend = Backend::saying("yes");
    let door = door(&backend, FROM_BALANCERS);
    let balancers = |to| {
        [
            balancer::haproxy(to, Header::V1),
            balancer::haproxy(to, Header::V2),
            balancer::haproxy(to, Header::V2WithAdditions),
            balancer::nginx(to),
        ]
    };
    let client = CLIENT.to_string();
    let mut ports = Vec::new();
    for balancer in balancers(door.tls()) {
        let port = balancer.address.port();
        for version in ["--http1.1", "--http2"] {
            let output = Command::new("curl")
                .args(["--silent", "--show-error", "--fail", version])
                .args(["--interface", &client, "--cacert"])
                .arg(door.ca())
                .args(["--connect-to", &format!("::127.0.0.1:{port}")])
                .arg(format!("https://a.test:{port}/"))
                .output()
                .unwrap();
            assert_eq!(output.stdout, b"yes", "{version}: {output:?}");
            ports.push(port.to_string());
        }
    }
    for balancer in balancers(door.plain()) {
        let mut wire = Wire::over(from_client(balancer.address));
        assert_eq!(wire.ask(GET).text(), "yes");
        assert_eq!(wire.ask(GET).text(), "yes");
        ports.extend([
            balancer.address.port().to_string(),
            balancer.address.port().to_string(),
        ]);
    }
    let seen = backend.seen();
    assert_eq!(seen.len(), ports.len());
    for (seen, port) in seen.iter().zip(&ports) {
        assert_eq!(seen.all("x-forwarded-for"), [&client], "{}", seen.head);
        assert_eq!(seen.all("x-forwarded-port"), [port], "{}", seen.head);
    }
    eventually("all lines", || {
        let log = door.home().read("access.log");
        let lines = log
            .lines()
            .filter(|line| line.split(' ').nth(1) == Some(&client));
        (lines.count() == ports.len()).then_some(())
    });
}

#[test]
fn a_header_in_any_pieces_and_with_what_follows_is_read() {
    let backend = Backend::saying("yes");
    let door = door(&backend, FROM_BALANCERS);
    let v1 = b"PROXY TCP4 192.0.2.7 192.0.2.80 258 443\r\n".to_vec();
    for header in [v1, v2_of_192_0_2_7()] {
        let whole = [&header, GET.as_bytes()].concat();
        assert_eq!(begun(door.plain(), &whole).answer().text(), "yes");
        let stream = plain(door.plain());
        stream.set_nodelay(true).unwrap();
        let mut wire = Wire::over(stream);
        for octet in &whole {
            wire.send([*octet]);
        }
        assert_eq!(wire.answer().text(), "yes");
        // Nothing more is a header.
        wire.send(&header);
        assert_eq!(wire.answer().status(), 400);

        let mut stream = plain(door.tls());
        stream.set_nodelay(true).unwrap();
        for octet in &header {
            stream.write_all(&[*octet]).unwrap();
        }
        let stream = tls_over(stream, &roots(&door), "a.test", &["http/1.1"]).unwrap();
        let request = GET.replace("b.test", "a.test");
        assert_eq!(Wire::over(stream).ask(request).text(), "yes");
    }
    for seen in backend.seen() {
        assert_eq!(seen.field("x-forwarded-for"), Some("192.0.2.7"));
        assert_eq!(seen.field("x-forwarded-port"), Some("443"));
    }
    assert_eq!(backend.seen().len(), 6);
}

/// The hello comes in one piece with the header.
#[test]
fn a_hello_behind_a_header_is_read() {
    let backend = Backend::saying("yes");
    let door = door(&backend, FROM_BALANCERS);
    let stream = Behind {
        stream: plain(door.tls()),
        header: v2_of_192_0_2_7(),
    };
    let stream = tls_over(stream, &roots(&door), "a.test", &["http/1.1"]).unwrap();
    let request = GET.replace("b.test", "a.test");
    assert_eq!(Wire::over(stream).ask(request).text(), "yes");
    assert_eq!(backend.only().field("x-forwarded-for"), Some("192.0.2.7"));
}

/// Puts a header in front of the first octets, in one write.
struct Behind {
    stream: TcpStream,
    header: Vec<u8>,
}

impl Read for Behind {
    fn read(&mut self, space: &mut [u8]) -> std::io::Result<usize> {
        self.stream.read(space)
    }
}

impl Write for Behind {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        let header = std::mem::take(&mut self.header);
        self.stream.write_all(&[&header, octets].concat())?;
        Ok(octets.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.stream.flush()
    }
}

#[test]
fn addresses_of_both_families_are_told_and_a_balancers_own_connection_is_its_own() {
    let backend = Backend::saying("yes");
    let door = door(&backend, FROM_BALANCERS);
    let cases: [(Vec<u8>, &str); 7] = [
        ("PROXY TCP6 2001:db8::7 ::1 1 443\r\n".into(), "2001:db8::7"),
        (
            "PROXY TCP6 ::ffff:192.0.2.9 ::1 1 443\r\n".into(),
            "192.0.2.9",
        ),
        ("PROXY UNKNOWN\r\n".into(), "127.0.0.1"),
        (
            "PROXY UNKNOWN 192.0.2.7 192.0.2.8 1 2\r\n".into(),
            "127.0.0.1",
        ),
        (v2(0x20, 0x00, b""), "127.0.0.1"),
        (
            v2(0x20, 0x11, &[192, 0, 2, 7, 192, 0, 2, 8, 0, 1, 0, 2]),
            "127.0.0.1",
        ),
        (v2(0x21, 0x00, b""), "127.0.0.1"),
    ];
    for (header, client) in &cases {
        let request = [header, GET.as_bytes()].concat();
        assert_eq!(begun(door.plain(), request).answer().text(), "yes");
        let seen = backend.seen().pop().unwrap();
        assert_eq!(seen.field("x-forwarded-for"), Some(*client));
    }
    assert_eq!(backend.seen().len(), cases.len());
}

#[test]
fn whoever_must_send_a_header_and_does_not_is_closed_without_a_word() {
    let backend = Backend::saying("yes");
    let settings = format!("limits.handshake = \"400ms\"\n{FROM_BALANCERS}");
    let door = door(&backend, &settings);
    let mut damaged = v2_of_192_0_2_7();
    damaged[13] = 0x12;
    let endless = format!("PROXY UNKNOWN {}", "x".repeat(200));
    let slow = ["", "PROXY TCP4 192.0.2.7", "\r\n\r\n\0\r\nQUIT"];
    let broken: [&[u8]; 7] = [
        GET.as_bytes(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PROXY TCP4 192.0.2.7 192.0.2.80 258\r\nGET / HTTP/1.1\r\n",
        b"PROXY TCP4 localhost 192.0.2.80 258 443\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.80 258 443\nGET / HTTP/1.1\r\n",
        &damaged,
        endless.as_bytes(),
    ];
    let slow = slow.map(str::as_bytes);
    let all: Vec<&[u8]> = broken.into_iter().chain(slow).collect();
    let ends = [door.tls(), door.plain()];
    let mut wires: Vec<Wire> = ends
        .iter()
        .flat_map(|to| all.iter().map(|octets| begun(*to, octets)))
        .collect();
    wires.iter_mut().for_each(Wire::closes);
    assert!(backend.seen().is_empty());
    let said = door.said();
    assert_eq!(said.matches("wants a PROXY header").count(), 20, "{said}");
    for reason in [
        "does not begin with",
        "malformed",
        "bad address",
        "too long",
        "deadline passed",
    ] {
        assert!(said.contains(reason), "{reason}: {said}");
    }
}

#[test]
fn a_header_from_anybody_else_is_no_header() {
    let backend = Backend::saying("yes");
    let door = door(&backend, FROM_OTHERS);
    for header in [
        b"PROXY TCP4 192.0.2.7 192.0.2.80 258 443\r\n".to_vec(),
        v2_of_192_0_2_7(),
    ] {
        let request = [&header, GET.as_bytes()].concat();
        assert_eq!(begun(door.plain(), &request).answer().status(), 400);
        let answer = read_all(&mut {
            let mut stream = plain(door.tls());
            stream.write_all(&request).unwrap();
            stream
        });
        assert!(!answer.contains("200 OK"), "{answer}");
    }
    assert!(backend.seen().is_empty());
    assert_eq!(begun(door.plain(), GET).answer().text(), "yes");
    assert_eq!(backend.only().field("x-forwarded-for"), Some("127.0.0.1"));
}

#[test]
fn only_who_sits_on_this_machine_is_told_in_words_what_is_wrong() {
    let gone = Backend::raw(drop);
    let door = door(&gone, FROM_BALANCERS);
    let told = |from: &str| {
        let header = format!("PROXY TCP4 {from} 127.0.0.1 1 80\r\n{GET}");
        let answer = begun(door.plain(), header).answer();
        assert_eq!(answer.status(), 502);
        answer.text()
    };
    let address = gone.address.to_string();
    assert!(told("127.0.0.9").contains(&address));
    assert!(!told("192.0.2.7").contains(&address));
}

#[test]
fn a_reload_counts_for_new_connections() {
    let backend = Backend::saying("yes");
    let door = door(&backend, "");
    let mut old = begun(door.plain(), GET);
    assert_eq!(old.answer().text(), "yes");
    door.reload(&config(&backend, FROM_BALANCERS));
    begun(door.plain(), GET).closes();
    let header = format!("PROXY TCP4 192.0.2.7 127.0.0.1 1 80\r\n{GET}");
    assert_eq!(begun(door.plain(), header).answer().text(), "yes");
    assert_eq!(old.ask(GET).text(), "yes");
    let clients = backend.seen();
    let clients = clients
        .iter()
        .map(|seen| seen.field("x-forwarded-for").unwrap());
    assert_eq!(
        clients.collect::<Vec<_>>(),
        ["127.0.0.1", "192.0.2.7", "127.0.0.1"]
    );
    door.reload(&config(&backend, ""));
    assert_eq!(begun(door.plain(), GET).answer().text(), "yes");
}
