//! Sites whose bytes are carried: `passthrough` unopened, `tcp` behind TLS that ends here.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::support::absent::nobody;
use crate::support::authority::{Authority, Pair};
use crate::support::backend::Backend;
use crate::support::client::{ask, get, plain, read_all, tls, try_tls};
use crate::support::door::Door;

const CHROMIUM: &[u8] = include_bytes!("../hellos/chromium.bin");
/// The name that it asks for.
const SHOP: &str = "shop.onedoor.test";

#[test]
fn the_client_sees_the_certificate_of_the_upstream() {
    let authority = Authority::new();
    let pair = authority.pair(&["own.example.com", "deep.sub.example.com"]);
    let certificate = pair.certificate.clone();
    let upstream = tls_upstream(&pair);
    let opened = Backend::saying("opened here");
    let door = up(&format!(
        r#"
        "own.example.com" = {{ passthrough = "{0}" }}
        "*.sub.example.com" = {{ passthrough = "{0}" }}
        "opened.test" = "{1}"
        "#,
        upstream.address, opened.address
    ));
    let roots = authority.roots();
    for name in ["own.example.com", "deep.sub.example.com"] {
        let mut client = try_tls(door.tls(), &roots, name, &["h2"]).unwrap();
        let shown = client.conn.peer_certificates().unwrap();
        assert_eq!(shown, std::slice::from_ref(&certificate));
        assert_eq!(ask(&mut client, b"ping"), "ping and goodbye");
    }
    assert_eq!(get(&door, "opened.test", "/"), "opened here");
}

#[test]
fn a_passed_hello_arrives_unchanged_to_the_octet() {
    let (upstream, received) = recorder(b"late words");
    let door = up(&passthrough(&upstream));
    for pieces in [CHROMIUM.len(), 700, 1] {
        let mut client = plain(door.tls());
        client.set_nodelay(true).unwrap();
        let behind = [CHROMIUM, b"whatever comes behind it"].concat();
        for piece in behind.chunks(pieces) {
            client.write_all(piece).unwrap();
        }
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_all(&mut client), "late words");
        assert_eq!(received.recv().unwrap(), behind, "in pieces of {pieces}");
    }
}

#[test]
fn half_close_reaches_the_other_side_of_a_tunnel() {
    let (told, heard) = channel();
    let told = Mutex::new(told);
    let upstream = Backend::raw(move |mut stream| {
        let mut hello = vec![0; CHROMIUM.len()];
        stream.read_exact(&mut hello).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        told.lock().unwrap().send(read_all(&mut stream)).unwrap();
    });
    let door = up(&passthrough(&upstream));
    let mut client = plain(door.tls());
    client.write_all(CHROMIUM).unwrap();
    assert_eq!(read_all(&mut client), "");
    client.write_all(b"the client still speaks").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(heard.recv().unwrap(), "the client still speaks");
}

#[test]
fn a_reset_of_the_upstream_ends_the_tunnel() {
    let upstream = Backend::raw(drop);
    let door = up(&passthrough(&upstream));
    let mut client = plain(door.tls());
    client.write_all(CHROMIUM).unwrap();
    assert_eq!(read_all(&mut client), "");
}

#[test]
fn a_dead_target_closes_the_connection() {
    let address = nobody();
    let door = up(&format!("\"{SHOP}\" = {{ passthrough = \"{address}\" }}"));
    let mut client = plain(door.tls());
    client.write_all(CHROMIUM).unwrap();
    assert_eq!(read_all(&mut client), "");
}

#[test]
fn the_next_target_is_tried() {
    let address = nobody();
    let (upstream, received) = recorder(b"here");
    let door = up(&format!(
        "\"{SHOP}\" = {{ passthrough = [\"{address}\", \"{}\"] }}",
        upstream.address
    ));
    for _ in 0..2 {
        let mut client = plain(door.tls());
        client.write_all(CHROMIUM).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_all(&mut client), "here");
        assert_eq!(received.recv().unwrap(), CHROMIUM);
    }
}

#[test]
fn tcp_ends_tls_and_forwards_the_bytes() {
    let echo = Backend::raw(echo);
    let door = up(&format!(
        r#"
        "db.test" = {{ tcp = "{0}" }}
        "mqtt.test" = {{ tcp = "{0}", alpn = ["mqtt", "x-amzn-mqtt-ca"] }}
        "#,
        echo.address
    ));
    let mut client = tls(&door, "db.test", &[]);
    let large: Vec<u8> = (0..300_000_u32).flat_map(u32::to_be_bytes).collect();
    let mut returned = vec![0; large.len()];
    for (sent, received) in large.chunks(50_000).zip(returned.chunks_mut(50_000)) {
        client.write_all(sent).unwrap();
        client.read_exact(received).unwrap();
    }
    assert!(returned == large);
    let client = tls(&door, "mqtt.test", &["http/1.1", "mqtt"]);
    assert_eq!(client.conn.alpn_protocol(), Some(&b"mqtt"[..]));
}

#[test]
fn half_close_reaches_the_other_side_of_opened_tls() {
    let (upstream, received) = recorder(b"late words");
    let door = up(&format!(
        "\"db.test\" = {{ tcp = \"{}\" }}",
        upstream.address
    ));
    let mut client = tls(&door, "db.test", &[]);
    client.write_all(b"last words").unwrap();
    client.conn.send_close_notify();
    client.flush().unwrap();
    assert_eq!(read_all(&mut client), "late words");
    assert_eq!(received.recv().unwrap(), b"last words");
}

#[test]
fn a_client_that_speaks_second_hears_the_upstream() {
    let upstream = Backend::raw(|mut stream| stream.write_all(b"220 welcome\r\n").unwrap());
    let door = up(&format!(
        "\"mail.test\" = {{ tcp = \"{}\" }}",
        upstream.address
    ));
    assert_eq!(
        read_all(&mut tls(&door, "mail.test", &[])),
        "220 welcome\r\n"
    );
}

fn up(sites: &str) -> Door {
    Door::up(&format!(
        "listen = [\"127.0.0.1:0\"]\nhttp = false\n[sites]\n{sites}"
    ))
}

fn passthrough(upstream: &Backend) -> String {
    format!("\"{SHOP}\" = {{ passthrough = \"{}\" }}", upstream.address)
}

fn echo(mut stream: TcpStream) {
    let mut space = [0; 16 << 10];
    while let Ok(read) = stream.read(&mut space) {
        if read == 0 || stream.write_all(&space[..read]).is_err() {
            break;
        }
    }
}

/// Reads to the end, tells what came, and only then answers.
fn recorder(answer: &'static [u8]) -> (Backend, Receiver<Vec<u8>>) {
    let (told, received) = channel();
    let told = Mutex::new(told);
    let upstream = Backend::raw(move |mut stream| {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        told.lock().unwrap().send(bytes).unwrap();
        stream.write_all(answer).unwrap();
    });
    (upstream, received)
}

/// A TLS server of its own, which answers once and closes.
fn tls_upstream(pair: &Pair) -> Backend {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let mut config = ServerConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![pair.certificate.clone()], pair.key())
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let config = Arc::new(config);
    Backend::raw(move |stream| {
        let connection = ServerConnection::new(config.clone()).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        let mut word = [0; 4];
        stream.read_exact(&mut word).unwrap();
        stream.write_all(&word).unwrap();
        stream.write_all(b" and goodbye").unwrap();
        stream.conn.send_close_notify();
        stream.flush().unwrap();
    })
}
