//! First words at the TLS port: hellos of every kind, and what is none.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Instant;

use rustls::{ClientConfig, ClientConnection, StreamOwned};
use rustls_pki_types::ServerName;

use crate::support::backend::Backend;
use crate::support::client::{ask, get, plain, read_all, roots};
use crate::support::door::Door;
use crate::support::{PATIENCE, eventually};

/// The name that all captured hellos ask for.
const SHOP: &str = "shop.onedoor.test";
const CAPTURED: [(&str, &[u8]); 7] = [
    ("chromium", include_bytes!("../hellos/chromium.bin")),
    ("curl", include_bytes!("../hellos/curl.bin")),
    ("go", include_bytes!("../hellos/go.bin")),
    ("java", include_bytes!("../hellos/java.bin")),
    ("node", include_bytes!("../hellos/node.bin")),
    ("openssl", include_bytes!("../hellos/openssl.bin")),
    ("python", include_bytes!("../hellos/python.bin")),
];
const GARBAGE_CONNECTIONS: usize = 3000;

#[test]
fn every_clients_hello_is_answered() {
    let (_backend, door) = shop("");
    for (client, hello) in CAPTURED {
        let mut stream = plain(door.tls());
        stream.write_all(hello).unwrap();
        assert_server_hello(&mut stream, client);
    }
}

#[test]
fn a_hello_that_comes_in_single_octets_works() {
    let (_backend, door) = shop("");
    for (client, hello) in [CAPTURED[0], CAPTURED[1]] {
        let mut stream = plain(door.tls());
        dribble(&mut stream, hello);
        assert_server_hello(&mut stream, client);
    }
    let mut connection = client(&door);
    let mut hello = Vec::new();
    connection.write_tls(&mut hello).unwrap();
    let mut stream = plain(door.tls());
    dribble(&mut stream, &hello);
    let mut stream = StreamOwned::new(connection, stream);
    let request = format!("GET / HTTP/1.1\r\nHost: {SHOP}\r\nConnection: close\r\n\r\n");
    let answer = ask(&mut stream, request.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[test]
fn a_hello_split_over_records_inside_the_name_works() {
    let (_backend, door) = shop("");
    for (client, hello) in CAPTURED {
        let name = hello
            .windows(SHOP.len())
            .position(|window| window == SHOP.as_bytes())
            .unwrap();
        let mut stream = plain(door.tls());
        stream.write_all(&in_two_records(hello, name + 4)).unwrap();
        assert_server_hello(&mut stream, client);
    }
}

#[test]
fn whoever_stalls_is_left_at_the_deadline_of_the_handshake() {
    let (_backend, door) = shop("[limits]\nhandshake = \"400ms\"\n");
    let (_, curl) = CAPTURED[1];
    let (half, _) = curl.split_at(curl.len() / 2);
    for (words, bytes) in [
        ("silence", &b""[..]),
        ("half a hello", half),
        ("a hello, then nothing", curl),
    ] {
        let mut stream = plain(door.tls());
        let started = Instant::now();
        stream.write_all(bytes).unwrap();
        read_all(&mut stream);
        assert!(started.elapsed() < PATIENCE / 2, "{words}");
    }
}

#[test]
fn a_hello_that_trickles_does_not_move_its_deadline() {
    let (_backend, door) = shop("[limits]\nhandshake = \"400ms\"\n");
    let (_, curl) = CAPTURED[1];
    let mut stream = plain(door.tls());
    stream
        .set_read_timeout(Some(std::time::Duration::from_millis(20)))
        .unwrap();
    let mut octets = curl[..curl.len() - 1].iter();
    let mut space = [0];
    eventually("the end of a slow hello", || {
        let octet = octets.next().expect("the hello was waited for to its end");
        let gone = stream.write_all(&[*octet]).is_err();
        (gone || matches!(stream.read(&mut space), Ok(0))).then_some(())
    });
}

#[test]
fn plain_http_on_the_tls_port_is_told_what_to_do() {
    let (_backend, door) = shop("");
    let mut stream = plain(door.tls());
    let answer = ask(
        &mut stream,
        format!("GET / HTTP/1.1\r\nHost: {SHOP}\r\n\r\n").as_bytes(),
    );
    assert!(
        answer.starts_with("HTTP/1.1 400 Bad Request\r\n"),
        "{answer}"
    );
    assert!(answer.contains("use https://"), "{answer}");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let length = format!("Content-Length: {}", body.len());
    assert!(head.contains(&length), "{answer}");
}

#[test]
fn larger_hellos_than_the_limit_are_left() {
    let (_backend, door) = shop("");
    let mut stream = plain(door.tls());
    // A record of a handshake message that is to have 60,000 octets.
    let mut endless = vec![22, 3, 1, 0x40, 0, 1, 0, 0xea, 0x60, 3, 3];
    endless.resize(5 + 0x4000, 0);
    endless.extend([22, 3, 1, 0x40, 0]);
    endless.resize(60_000, 0);
    // The door may close while this is being written.
    let _gone = stream.write_all(&endless);
    assert_eq!(read_all(&mut stream), "");
    assert_eq!(get(&door, SHOP, "/"), "shop");
}

#[test]
fn scans_and_garbage_log_nothing_and_serve_on() {
    let (_backend, door) = shop("");
    let address = door.tls();
    let before = eventually("the banner", || {
        Some(door.said()).filter(|said| said.contains("listening on"))
    });
    let kinds: [&[u8]; 6] = [
        b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10",
        b"\0\0\0\0\0\0\0\0",
        b"\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00",
        b"\x03\x00\x00\x13\x0e\xe0\x00\x00",
        b"",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ];
    for round in 0..GARBAGE_CONNECTIONS {
        let mut stream = plain(address);
        stream.write_all(kinds[round % kinds.len()]).unwrap();
        // The door may have closed already.
        let _gone = stream.shutdown(Shutdown::Both);
    }
    for kind in kinds {
        let mut stream = plain(address);
        stream.write_all(kind).unwrap();
        let _gone = stream.shutdown(Shutdown::Write);
        read_all(&mut stream);
    }
    assert_eq!(door.said(), before);
    assert_eq!(get(&door, SHOP, "/"), "shop");
}

fn shop(settings: &str) -> (Backend, Door) {
    let backend = Backend::saying("shop");
    let door = Door::up(&format!(
        r#"
        listen = ["127.0.0.1:0"]
        http = false
        {settings}
        [sites]
        "{SHOP}" = "{}"
        "#,
        backend.address
    ));
    (backend, door)
}

fn client(door: &Door) -> ClientConnection {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let config = ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots(door))
        .with_no_client_auth();
    ClientConnection::new(config.into(), ServerName::try_from(SHOP).unwrap()).unwrap()
}

fn dribble(stream: &mut TcpStream, bytes: &[u8]) {
    stream.set_nodelay(true).unwrap();
    for octet in bytes {
        stream.write_all(&[*octet]).unwrap();
    }
}

/// A flight of one record, cut anew after so many octets.
fn in_two_records(flight: &[u8], cut: usize) -> Vec<u8> {
    let mut cut_anew = Vec::new();
    for piece in [&flight[5..cut], &flight[cut..]] {
        cut_anew.extend([22, 3, 1]);
        cut_anew.extend(u16::try_from(piece.len()).unwrap().to_be_bytes());
        cut_anew.extend(piece);
    }
    cut_anew
}

/// A handshake record with a ServerHello inside.
#[track_caller]
fn assert_server_hello(stream: &mut TcpStream, client: &str) {
    let mut answer = [0; 6];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!((answer[0], answer[5]), (22, 2), "{client}: {answer:?}");
}
