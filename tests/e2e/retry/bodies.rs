//! Bodies that are sent again, octet for octet, and those that are too long for it.

use std::io::{BufReader, Read as _, Write as _};
use std::sync::mpsc;

use super::{always, door, door_to, reset};
use crate::support::absent::nobody;
use crate::support::backend::{Backend, ok, read_request};
use crate::support::door::Door;
use crate::support::peer::{End, Peer, head};
use crate::support::wire::Wire;

fn octets(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index * 31 % 251) as u8).collect()
}

/// Reads so many octets of a request and resets; says so each time.
fn reading(octets: usize) -> (Backend, mpsc::Receiver<()>) {
    let (told, gone) = mpsc::channel();
    let backend = Backend::raw(move |mut stream| {
        let mut left = octets;
        let mut space = vec![0; 16 << 10];
        while left > 0 {
            let end = left.min(space.len());
            match stream.read(&mut space[..end]) {
                Ok(0) | Err(_) => break,
                Ok(read) => left -= read,
            }
        }
        reset(stream);
        // Nobody is left when the test is over.
        let _over = told.send(());
    });
    (backend, gone)
}

fn put(body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let mut request =
        format!("PUT / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {length}\r\n\r\n").into_bytes();
    request.extend_from_slice(body);
    request
}

fn asked(door: &Door, request: &[u8]) -> u16 {
    let mut wire = Wire::plain(door);
    // An answer may come before all of it was taken.
    let _refused = wire.try_send(request);
    wire.answer().status()
}

#[test]
fn a_body_is_sent_again_octet_for_octet() {
    for read in [1, 300, 2_000, 9_000] {
        let (first, _gone) = reading(read);
        let second = always("200 OK", "second");
        let door = door(first.address, second.address, "");
        let body = octets(10 << 10);
        assert_eq!(asked(&door, &put(&body)), 200, "{read}");
        let seen = second.only();
        assert!(seen.body == body, "{read}: {} octets", seen.body.len());
        assert_eq!(seen.field("content-length"), Some("10240"));
    }
}

#[test]
fn chunks_and_trailers_are_sent_again() {
    let (first, _gone) = reading(200);
    let second = always("200 OK", "second");
    let door = door(first.address, second.address, "");
    let mut wire = Wire::plain(&door);
    let request = "PUT / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n\
                   5\r\nfirst\r\n6\r\nsecond\r\n0\r\nx-sum: 1\r\n\r\n";
    assert_eq!(wire.ask(request).status(), 200);
    assert_eq!(second.only().body, b"firstsecond");
}

#[test]
fn what_was_not_read_yet_follows_what_is_sent_again() {
    let (first, gone) = reading(1_000);
    let second = always("200 OK", "second");
    let door = door(first.address, second.address, "");
    let body = octets(40 << 10);
    let request = put(&body);
    let mut wire = Wire::plain(&door);
    let (begin, rest) = request.split_at(20 << 10);
    wire.send(begin);
    gone.recv().unwrap();
    wire.send(rest);
    assert_eq!(wire.answer().status(), 200);
    assert!(second.only().body == body);
}

#[test]
fn beyond_the_limit_a_body_is_not_sent_again() {
    let second = always("200 OK", "second");
    let (early, _gone) = reading(1_000);
    let (late, _gone) = reading(70 << 10);
    for (length, first, status) in [
        (64 << 10, &early, 200),
        ((64 << 10) + 1, &early, 502),
        (1 << 20, &late, 502),
    ] {
        let door = door(first.address, second.address, "");
        assert_eq!(asked(&door, &put(&octets(length))), status, "{length}");
    }
    assert_eq!(second.seen().len(), 1);
    // Of one that no connection was opened for nothing is gone, however long it is.
    let dead = door(nobody(), second.address, "");
    assert_eq!(asked(&dead, &put(&octets(1 << 20))), 200);
    assert!(second.seen()[1].body == octets(1 << 20));
}

#[test]
fn a_rule_that_does_not_try_again_repeats_no_body() {
    let (first, _gone) = reading(1_000);
    let second = always("200 OK", "second");
    let door = door(first.address, second.address, "retry = false");
    assert_eq!(asked(&door, &put(&octets(5_000))), 502);
    assert!(second.seen().is_empty());
}

#[test]
fn a_body_goes_once_more_to_the_target_whose_kept_connection_died() {
    let first = Backend::raw(|stream| {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut served = 0;
        while let Some(seen) = read_request(&mut reader) {
            served += 1;
            // The second on a connection is read and gets no answer.
            if served == 2 {
                return;
            }
            let text = seen.body.len().to_string();
            (&stream).write_all(&ok(&text)).unwrap();
        }
    });
    // What a connection does by its nature is not the rule's to say.
    for rule in ["", "retry = false"] {
        let door = door_to(&format!("\"{}\"", first.address), rule);
        let mut wire = Wire::plain(&door);
        for _turn in 0..10 {
            assert_eq!(wire.ask(put(&octets(5_000))).text(), "5000", "{rule}");
        }
    }
}

#[test]
fn what_an_http2_upstream_refused_is_sent_again_with_its_body() {
    let (mut upstream, address) = Peer::h2_upstream(&[]);
    let door = door_to(&format!("\"h2c://{address}\""), "");
    let mut wire = Wire::plain(&door);
    wire.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 9\r\n\r\nthe body.");
    let stream =
        |event: &serde_json::Value| u32::try_from(event["stream"].as_u64().unwrap()).unwrap();
    let refused = stream(&upstream.wait("request"));
    assert_eq!(upstream.wait_on(refused, "data")["text"], "the body.");
    upstream.reset(refused, 7);
    let request = upstream.wait("request");
    let again = stream(&request);
    assert_eq!(upstream.wait_on(again, "data")["text"], "the body.");
    upstream.headers(again, &[(":status", "204")], End::Yes);
    assert_eq!(wire.answer().status(), 204);
}

#[test]
fn an_http2_client_s_body_is_sent_again() {
    let (first, _gone) = reading(300);
    let second = always("200 OK", "second");
    let to = format!(
        "[{{ url = \"{}\" }}, {{ url = \"{}\", backup = true }}]",
        first.address, second.address
    );
    let door = Door::serving("workers = 1", &format!("\"a.test\" = {{ to = {to} }}"));
    let mut client = Peer::h2_client(&door, "a.test", &[]);
    client.headers(1, &head("PUT", "a.test", "/"), End::No);
    client.data(1, &"x".repeat(1_000), End::Yes);
    assert_eq!(client.answer(1).status(), "200");
    assert_eq!(second.only().body, [b'x'; 1_000]);
}
