//! How streams end early, on either side: cancelled, cut, refused, and what is sent again.

use std::io::{BufReader, Read as _, Write as _};
use std::time::{Duration, Instant};

use serde_json::json;

use super::{door_to, door_to_h2c, next_request};
use crate::support::PATIENCE;
use crate::support::backend::{Backend, read_request};
use crate::support::client::{read_all, tls};
use crate::support::peer::{End, Ending, Peer, head};

/// How soon an end on one side must be felt on the other: far above what is promised, for a busy machine, and long before any of the
/// door's own deadlines.
const SOON: Duration = Duration::from_secs(10);

#[test]
fn a_client_that_resets_its_stream_cancels_the_exchange_at_an_http11_upstream() {
    let (told, heard) = std::sync::mpsc::channel();
    let backend = Backend::raw(move |mut stream| {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let request = read_request(&mut reader).unwrap();
        if request.line().contains("/begun") {
            let begun = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome";
            stream.write_all(begun).unwrap();
        }
        told.send("asked").unwrap();
        assert_eq!(reader.read(&mut [0; 1]).unwrap_or(0), 0);
        told.send("left").unwrap();
    });
    let door = door_to(&backend);
    let mut client = Peer::h2_client(&door, "a.test", &[]);
    for (stream, path) in [(1, "/silent"), (3, "/begun")] {
        client.get(stream, "a.test", path);
        assert_eq!(heard.recv_timeout(PATIENCE), Ok("asked"));
        if path == "/begun" {
            client.wait_on(stream, "data");
        }
        client.reset(stream, 8);
        assert_eq!(heard.recv_timeout(SOON), Ok("left"), "{path}");
    }
    assert!(client.so_far().iter().all(|event| event["is"] != "goaway"));
}

#[test]
fn a_client_that_resets_its_stream_resets_it_at_an_http2_upstream() {
    let (door, mut upstream) = door_to_h2c(&[]);
    let mut client = Peer::h2_client(&door, "a.test", &[]);
    for (stream, what) in [(1, "silent"), (3, "begun"), (5, "uploading")] {
        if what == "uploading" {
            client.headers(stream, &head("POST", "a.test", "/"), End::No);
            client.data(stream, "some", End::No);
        } else {
            client.get(stream, "a.test", "/");
        }
        let (at, _) = next_request(&mut upstream);
        match what {
            "begun" => {
                upstream.headers(at, &[(":status", "200")], End::No);
                client.wait_on(stream, "response");
            }
            "uploading" => drop(upstream.wait_on(at, "data")),
            _ => {}
        }
        let started = Instant::now();
        client.reset(stream, 8);
        upstream.wait_on(at, "reset");
        assert!(started.elapsed() < SOON, "{what}: {:?}", started.elapsed());
    }
}

#[test]
fn a_goaway_is_heard_by_a_client_that_still_sends() {
    let door = door_to(&Backend::saying("hello"));
    let mut client = tls(&door, "a.test", &["h2"]);
    let mut words = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    // DATA of a stream that nobody opened, far more than is read before that is known.
    let frame = [&b"\0\x40\0\0\0\0\0\0\x01"[..], &[0; 16 << 10]].concat();
    words.extend(frame.repeat(256));
    client.write_all(&words).unwrap();
    let said = read_all(&mut client);
    let goaway = "\x07\0\0\0\0\0";
    assert!(said.contains(goaway), "{said:?}");
    assert_eq!(client.sock.read(&mut [0; 1]).unwrap(), 0, "no reset");
}

#[test]
fn an_answer_that_is_cut_is_never_complete() {
    let cuts: [(&str, &[u8]); 3] = [
        (
            "length",
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome",
        ),
        (
            "chunk",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nsome",
        ),
        (
            "last chunk",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n",
        ),
    ];
    for (what, bytes) in cuts {
        let backend = Backend::raw(move |mut stream| {
            read_request(&mut BufReader::new(stream.try_clone().unwrap())).unwrap();
            stream.write_all(bytes).unwrap();
        });
        let door = door_to(&backend);
        let mut client = Peer::h2_client(&door, "a.test", &[]);
        client.get(1, "a.test", "/");
        let answer = client.answer(1);
        assert_eq!(answer.status(), "200", "{what}");
        assert!(matches!(answer.end, Ending::Reset(_)), "{what}: {answer:?}");
    }
}

#[test]
fn a_reset_of_an_http2_upstream_is_a_reset_or_a_502() {
    let (door, mut upstream) = door_to_h2c(&[]);
    let mut client = Peer::h2_client(&door, "a.test", &[]);
    client.get(1, "a.test", "/begun");
    let (at, _) = next_request(&mut upstream);
    upstream.headers(at, &[(":status", "200")], End::No);
    upstream.data(at, "some", End::No);
    client.wait_on(1, "data");
    upstream.reset(at, 2);
    assert!(matches!(client.answer(1).end, Ending::Reset(_)));

    client.headers(3, &head("POST", "a.test", "/silent"), End::Yes);
    let (at, _) = next_request(&mut upstream);
    upstream.reset(at, 2);
    assert_eq!(client.answer(3).status(), "502");

    client.get(5, "a.test", "/after");
    let (at, _) = next_request(&mut upstream);
    upstream.headers(at, &[(":status", "200")], End::Yes);
    assert_eq!(client.answer(5).status(), "200");
}

#[test]
fn what_an_http2_upstream_refused_is_sent_again() {
    let (door, mut upstream) = door_to_h2c(&[]);
    let mut client = Peer::h2_client(&door, "a.test", &[]);
    client.get(1, "a.test", "/first");
    let (at, _) = next_request(&mut upstream);
    upstream.headers(at, &[(":status", "200")], End::Yes);
    assert_eq!(client.answer(1).status(), "200");

    // REFUSED_STREAM: nothing was processed, so that even a POST may be sent again.
    client.headers(3, &head("POST", "a.test", "/refused"), End::Yes);
    let (at, _) = next_request(&mut upstream);
    upstream.reset(at, 7);
    let again = upstream.wait("request");
    answer_at(&mut upstream, &again);
    assert_eq!(client.answer(3).status(), "201");

    // GOAWAY before the stream.
    client.headers(5, &head("POST", "a.test", "/gone"), End::Yes);
    let gone = upstream.wait("request");
    let (number, last) = (&gone["connection"], gone["stream"].as_u64().unwrap() - 2);
    upstream.order(&json!({"do": "goaway", "connection": number, "last": last}));
    let again = upstream.wait("request");
    assert_ne!(again["connection"], gone["connection"]);
    answer_at(&mut upstream, &again);
    assert_eq!(client.answer(5).status(), "201");
}

fn answer_at(upstream: &mut Peer, request: &serde_json::Value) {
    upstream.order(&json!({
        "do": "headers", "connection": request["connection"], "stream": request["stream"],
        "fields": [[":status", "201"]], "end": true
    }));
}

#[test]
fn what_an_http2_upstream_refuses_for_ever_is_a_502() {
    let (door, mut upstream) = door_to_h2c(&[]);
    let mut client = Peer::h2_client(&door, "a.test", &[]);
    client.headers(1, &head("POST", "a.test", "/"), End::Yes);
    for _ in 0..2 {
        let (at, _) = next_request(&mut upstream);
        upstream.reset(at, 7);
    }
    assert_eq!(client.answer(1).status(), "502");
}

#[test]
fn a_connection_that_was_told_to_go_takes_no_new_requests() {
    let (door, mut upstream) = door_to_h2c(&[]);
    let mut client = Peer::h2_client(&door, "a.test", &[]);
    client.get(1, "a.test", "/long");
    let long = upstream.wait("request");
    let last = &long["stream"];
    upstream.order(&json!({"do": "goaway", "connection": long["connection"], "last": last}));
    // The exchange under way goes on, the next one has a connection of its own.
    upstream.headers(1, &[(":status", "200")], End::No);
    client.wait_on(1, "response");
    client.get(3, "a.test", "/next");
    let next = upstream.wait("request");
    assert_ne!(next["connection"], long["connection"]);
    answer_at(&mut upstream, &next);
    assert_eq!(client.answer(3).status(), "201");
    upstream
        .order(&json!({"do": "data", "connection": 0, "stream": 1, "text": "end", "end": true}));
    assert_eq!(client.answer(1).body, "end");
}
