//! Exchanges that leave HTTP: WebSocket and other upgrades over HTTP/1.1, and WebSocket in streams of HTTP/2.

mod streams;

use std::io::{BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

use crate::support::backend::{Backend, Seen, ok, read_request};
use crate::support::client::{Tls, read_all, tls};
use crate::support::door::Door;
use crate::support::peer::{Peer, run, way_to};
use crate::support::{PATIENCE, eventually};

const SALT: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

fn door(to: &str) -> Door {
    Door::serving("workers = 1", &format!("\"a.test\" = \"{to}\""))
}

/// How an upstream answers.
type Agree = fn(&Seen) -> Vec<u8>;

/// An upstream that answers each upgrade with what `agree` says and gives the stream away.
fn upstream(agree: Agree) -> (Backend, Receiver<(Seen, BufReader<TcpStream>)>) {
    let (give, streams) = channel();
    let backend = Backend::raw(move |mut stream| {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        while let Some(seen) = read_request(&mut reader) {
            let answer = agree(&seen);
            stream.write_all(&answer).unwrap();
            if answer.starts_with(b"HTTP/1.1 101") {
                give.send((seen, reader)).unwrap();
                return;
            }
        }
    });
    (backend, streams)
}

fn websocket(seen: &Seen) -> Vec<u8> {
    let Some(key) = seen.field("sec-websocket-key") else {
        return ok("plain");
    };
    let salted = format!("{key}{SALT}");
    let digest = aws_lc_rs::digest::digest(
        &aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY,
        salted.as_bytes(),
    );
    let accept = BASE64_STANDARD.encode(digest);
    switch("websocket", &format!("Sec-WebSocket-Accept: {accept}\r\n"))
}

fn switch(protocol: &str, more: &str) -> Vec<u8> {
    format!("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n{more}\r\n")
        .into_bytes()
}

/// An upgrade request of HTTP/1.1, with bytes right behind it.
fn ask_for(door: &Door, protocol: &str, early: &str) -> Tls {
    let mut client = tls(door, "a.test", &["http/1.1"]);
    let request = format!(
        "GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: {protocol}\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n{early}"
    );
    client.write_all(request.as_bytes()).unwrap();
    client
}

/// Reads the head of an answer, byte by byte so that nothing behind it is lost.
fn read_head(client: &mut impl std::io::Read) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if client.read(&mut byte).unwrap() == 0 {
            break;
        }
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

fn read_some<const N: usize>(from: &mut impl std::io::Read) -> String {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn a_websocket_library_talks_to_another_through_the_door() {
    let (mut server, address) = Peer::listen("ws_server.py", &[]);
    let door = door(&address.to_string());
    let [port, ca] = way_to(&door);
    let heard = run(
        "ws_client.py",
        &["--port", &port, "--ca", &ca, "--name", "a.test"],
    );
    assert_eq!(
        heard,
        json!({
            "first": "welcome", "same": [true, true, true, true, true, true, true], "text": "größer ∞",
            "pong": true, "protocol": "chat", "closed": 4001
        })
    );
    assert_eq!(server.wait("closed")["code"], 4001);
}

#[test]
fn early_bytes_of_both_sides_are_kept_and_half_close_is_passed_on() {
    let (backend, streams) = upstream(|seen| [websocket(seen), b"early bird".to_vec()].concat());
    let door = door(&backend.address.to_string());
    let mut client = ask_for(&door, "websocket", "early worm");
    let head = read_head(&mut client);
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let head = head.to_ascii_lowercase();
    assert!(head.contains("upgrade: websocket\r\n"), "{head}");
    assert!(
        head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"),
        "{head}"
    );
    let (seen, mut upstream) = streams.recv_timeout(PATIENCE).unwrap();
    assert_eq!(
        seen.field("sec-websocket-key"),
        Some("dGhlIHNhbXBsZSBub25jZQ==")
    );
    assert_eq!(seen.field("upgrade"), Some("websocket"));
    assert_eq!(read_some::<10>(&mut upstream), "early worm");
    assert_eq!(read_some::<10>(&mut client), "early bird");

    // The client has said all: the upstream hears the end, and its answer still comes.
    client.conn.send_close_notify();
    client.conn.complete_io(&mut client.sock).unwrap();
    assert_eq!(upstream.read(&mut [0]).unwrap(), 0);
    upstream.get_mut().write_all(b"late word").unwrap();
    assert_eq!(read_some::<9>(&mut client), "late word");
    drop(upstream);
    assert_eq!(read_all(&mut client), "");
    let line = eventually("the line in the log", || {
        door.home()
            .read("out")
            .lines()
            .find(|line| line.contains(" 101 "))
            .map(str::to_owned)
    });
    assert!(
        line.contains(" 19B ") && line.contains("received=10B"),
        "{line}"
    );
}

#[test]
fn the_upstreams_half_close_reaches_the_client() {
    let (backend, streams) = upstream(websocket);
    let door = door(&backend.address.to_string());
    let mut client = ask_for(&door, "websocket", "");
    read_head(&mut client);
    let (_, mut upstream) = streams.recv_timeout(PATIENCE).unwrap();
    upstream.get_mut().write_all(b"bye").unwrap();
    upstream.get_mut().shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&mut client), "bye");
    client.write_all(b"late").unwrap();
    assert_eq!(read_some::<4>(&mut upstream), "late");
    drop(client);
    assert_eq!(upstream.read(&mut [0]).unwrap_or(0), 0);
}

#[test]
fn the_idle_time_of_a_tunnel_is_its_own() {
    let (backend, streams) = upstream(websocket);
    let door = Door::up(&format!(
        r#"
        listen = ["127.0.0.1:0"]
        http = ["127.0.0.1:0"]
        limits = {{ idle = "1s" }}
        [sites]
        "a.test" = {{ to = "{}", timeout = {{ idle = "1s", tunnel_idle = "3s" }} }}
        "#,
        backend.address
    ));
    let started = Instant::now();
    let mut client = ask_for(&door, "websocket", "");
    read_head(&mut client);
    let (_, mut upstream) = streams.recv_timeout(PATIENCE).unwrap();
    assert_eq!(read_all(&mut client), "");
    assert!(started.elapsed() >= Duration::from_secs(3));
    assert_eq!(upstream.read(&mut [0]).unwrap_or(0), 0);
}

#[test]
fn any_protocol_may_be_switched_to_if_it_was_asked_for() {
    let (backend, streams) = upstream(|_seen| switch("echo/2", ""));
    let door = door(&backend.address.to_string());
    let mut client = ask_for(&door, "echo/2, echo/1", "ping");
    let head = read_head(&mut client).to_ascii_lowercase();
    assert!(head.contains("upgrade: echo/2\r\n"), "{head}");
    let (_, mut upstream) = streams.recv_timeout(PATIENCE).unwrap();
    assert_eq!(read_some::<4>(&mut upstream), "ping");
    upstream.get_mut().write_all(b"pong").unwrap();
    assert_eq!(read_some::<4>(&mut client), "pong");
}

#[test]
fn a_refused_upgrade_is_an_ordinary_answer() {
    let (backend, _streams) = upstream(|_seen| ok("no"));
    let door = door(&backend.address.to_string());
    let mut client = ask_for(&door, "websocket", "");
    assert!(read_head(&mut client).starts_with("HTTP/1.1 200 "));
    assert_eq!(read_some::<2>(&mut client), "no");
    // The connection goes on as HTTP.
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
        .unwrap();
    assert!(read_head(&mut client).starts_with("HTTP/1.1 200 "));
}

#[test]
fn a_switch_that_nobody_asked_for_is_a_502() {
    let answers: [(&str, Agree, &str); 4] = [
        (
            "another protocol",
            |_seen| switch("echo/3", ""),
            "websocket",
        ),
        (
            "two protocols",
            |_seen| switch("websocket, echo", ""),
            "websocket",
        ),
        ("none asked", |_seen| switch("websocket", ""), ""),
        (
            "none named",
            |_seen| b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\n\r\n".to_vec(),
            "websocket",
        ),
    ];
    for (what, agree, asked) in answers {
        let (backend, _streams) = upstream(agree);
        let door = door(&backend.address.to_string());
        let mut client = if asked.is_empty() {
            let mut client = tls(&door, "a.test", &["http/1.1"]);
            client
                .write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
                .unwrap();
            client
        } else {
            ask_for(&door, asked, "")
        };
        let head = read_head(&mut client);
        assert!(head.starts_with("HTTP/1.1 502 "), "{what}: {head}");
    }
}
