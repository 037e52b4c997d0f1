//! Flow control from end to end: whoever does not read slows the other side, costs no memory, and starves nobody.

use std::io::{BufReader, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;

use super::{door_to, door_to_h2c, next_request};
use crate::support::backend::{Backend, ok, read_request};
use crate::support::peer::{End, Ending, Peer, head};
use crate::support::{PATIENCE, eventually, settled};

/// More than all windows and socket buffers on the way hold together.
const LARGE: u64 = 48 << 20;
/// What may be on the way while nobody reads: two sockets' buffers on each side, and our windows.
const ON_THE_WAY_MAX: u64 = 24 << 20;

/// An upstream that sends `LARGE` octets and counts what the system took from it.
fn pouring() -> (Backend, Arc<AtomicU64>) {
    let sent = Arc::new(AtomicU64::new(0));
    let counted = sent.clone();
    let backend = Backend::raw(move |mut stream| {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        while let Some(request) = read_request(&mut reader) {
            if !request.line().contains("/large") {
                stream.write_all(&ok("small")).unwrap();
                continue;
            }
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n");
            stream.write_all(head.as_bytes()).unwrap();
            let piece = [0; 16 << 10];
            for _ in 0..LARGE / piece.len() as u64 {
                if stream.write_all(&piece).is_err() {
                    return;
                }
                counted.fetch_add(piece.len() as u64, Ordering::Relaxed);
            }
        }
    });
    (backend, sent)
}

#[test]
fn a_client_that_does_not_read_slows_the_upstream_and_costs_no_memory() {
    let (backend, sent) = pouring();
    let door = door_to(&backend);
    let before = door.resident();
    let mut client = Peer::h2_client(&door, "a.test", &["--acks", "none"]);
    client.get(1, "a.test", "/large");
    let held = settled(|| sent.load(Ordering::Relaxed));
    assert!(held < ON_THE_WAY_MAX, "{held}");
    let grown = door.resident().saturating_sub(before);
    assert!(grown < 8 << 20, "{grown}");
    // The stream's window is used up, and is given back now.
    let mut got = || -> u64 {
        let data = client.so_far().iter().filter(|event| event["is"] == "data");
        data.map(|event| event["length"].as_u64().unwrap()).sum()
    };
    eventually("a whole window", || (got() >= 65_535).then_some(()));
    assert_eq!(settled(&mut got), 65_535);
    client.order(&json!({"do": "acks", "which": "both"}));
    for stream in [0, 1] {
        client.order(&json!({"do": "window", "stream": stream, "add": 65_535}));
    }
    let answer = client.answer(1);
    assert_eq!((answer.length, answer.end), (LARGE, Ending::Complete));
}

#[test]
fn a_stream_that_is_not_read_does_not_starve_the_others() {
    let (backend, _sent) = pouring();
    let door = door_to(&backend);
    let options = ["--acks", "connection", "--connection-window", "1000000"];
    let mut client = Peer::h2_client(&door, "a.test", &options);
    for stream in [1, 3, 5] {
        client.get(stream, "a.test", "/large");
        client.wait_on(stream, "data");
    }
    for stream in (7..47).step_by(2) {
        client.get(stream, "a.test", "/small");
        let answer = client.answer(stream);
        assert_eq!(
            (answer.body.as_str(), answer.end),
            ("small", Ending::Complete)
        );
    }
}

#[test]
fn an_upload_that_is_not_read_does_not_starve_the_others() {
    let (door, mut upstream) = door_to_h2c(&["--acks", "connection"]);
    let mut client = Peer::h2_client(&door, "a.test", &[]);
    client.headers(1, &head("POST", "a.test", "/stalled"), End::No);
    client.order(&json!({"do": "data", "stream": 1, "zeros": LARGE, "end": true}));
    let (stalled, _) = next_request(&mut upstream);
    upstream.wait_on(stalled, "data");
    for stream in (3..23).step_by(2) {
        client.headers(stream, &head("POST", "a.test", "/"), End::No);
        client.data(stream, "small", End::Yes);
        let (at, _) = next_request(&mut upstream);
        upstream.wait_on(at, "ended");
        upstream.headers(at, &[(":status", "204")], End::Yes);
        assert_eq!(client.answer(stream).status(), "204");
    }
    let got = upstream
        .so_far()
        .iter()
        .filter(|event| event["stream"] == stalled);
    let got: u64 = got.filter_map(|event| event["length"].as_u64()).sum();
    assert!(got <= 65_535, "{got}");
}

#[test]
fn an_upstream_that_does_not_read_slows_the_client() {
    let (told, heard) = std::sync::mpsc::channel();
    let (go, may_go) = std::sync::mpsc::channel();
    let may_go = std::sync::Mutex::new(may_go);
    let backend = Backend::raw(move |mut stream| {
        told.send(()).unwrap();
        may_go.lock().unwrap().recv().unwrap();
        let seen = read_request(&mut BufReader::new(stream.try_clone().unwrap())).unwrap();
        stream.write_all(&ok(&seen.body.len().to_string())).unwrap();
    });
    let door = door_to(&backend);
    let before = door.resident();
    let mut client = Peer::h2_client(&door, "a.test", &[]);
    client.headers(1, &head("POST", "a.test", "/"), End::No);
    client.order(&json!({"do": "data", "stream": 1, "zeros": LARGE, "end": true}));
    heard.recv_timeout(PATIENCE).unwrap();
    let received = || door.resident();
    let grown = settled(received).saturating_sub(before);
    assert!(grown < 8 << 20, "{grown}");
    assert!(client.so_far().iter().all(|event| event["is"] != "sent"));
    go.send(()).unwrap();
    assert_eq!(client.answer(1).body, LARGE.to_string());
}
