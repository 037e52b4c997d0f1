//! What is under way while a new process takes over.

use std::io::{Read as _, Write as _};

use super::restart::restart;
use super::{Distant, follower, join, site};
use crate::lifecycle::{DATA, GOAWAY, HEADERS, Slow, open_stream, read_frames_until};
use crate::support::answer::read_answer;
use crate::support::backend::{Backend, ok, read_request};
use crate::support::client::{Tls, tls};
use crate::support::door::Door;
use crate::support::eventually;

#[test]
fn a_web_socket_lives_on_in_the_old_process_until_it_ends() {
    let backend = echo();
    let mut first = Door::up(&site("one.test", &backend).replace("5s", "1h"));
    let second = join(&first, &follower("two.test", &backend));
    let mut own = open(&first, "one.test");
    let mut guests = open(&first, "two.test");
    let next = restart(&first);
    for _round in 0..3 {
        say(&mut own, "still here");
        say(&mut guests, "and here");
    }
    let mut fresh = open(&first, "one.test");
    say(&mut fresh, "by the new process");
    assert!(!second.home().read("out").contains(" 101 "));
    drop((own, guests));
    eventually("the line of what ended late", || {
        second.home().read("out").contains(" 101 ").then_some(())
    });
    assert!(first.ended().success(), "{}", first.said());
    say(&mut fresh, "that goes on");
    drop((second, next));
}

#[test]
fn a_web_socket_is_cut_when_the_drain_is_over() {
    let backend = echo();
    let mut first = Door::up(&site("one.test", &backend).replace("5s", "500ms"));
    let mut stream = open(&first, "one.test");
    let next = restart(&first);
    assert!(first.ended().success(), "{}", first.said());
    assert!(first.said().contains("cut=1"), "{}", first.said());
    let mut rest = Vec::new();
    // A cut may be a reset.
    let _cut = stream.read_to_end(&mut rest);
    assert!(rest.is_empty());
    drop(next);
}

#[test]
fn an_upload_is_finished_by_the_old_process() {
    let backend = Backend::http(|request| ok(&format!("{} octets", request.body.len())));
    let mut first = Door::up(&site("one.test", &backend));
    let mut stream = tls(&first, "one.test", &["http/1.1"]);
    let half = vec![b'x'; 200_000];
    let begun = "POST / HTTP/1.1\r\nHost: one.test\r\nContent-Length: 400000\r\n\r\n";
    stream.write_all(begun.as_bytes()).unwrap();
    stream.write_all(&half).unwrap();
    stream.flush().unwrap();
    let next = restart(&first);
    stream.write_all(&half).unwrap();
    stream.flush().unwrap();
    assert_eq!(read_answer(&mut stream).unwrap().body, "400000 octets");
    assert!(first.ended().success(), "{}", first.said());
    assert_eq!(backend.seen().len(), 1);
    drop(next);
}

#[test]
fn a_stream_of_http2_is_finished_by_the_old_process() {
    let slow = Slow::new();
    let mut first = Door::up(&site("one.test", &slow.backend));
    let mut stream = tls(&first, "one.test", &["h2"]);
    open_stream(&mut stream, "one.test");
    slow.arrived();
    let next = restart(&first);
    let mut seen = Vec::new();
    read_frames_until(&mut stream, &mut seen, GOAWAY);
    slow.answer();
    read_frames_until(&mut stream, &mut seen, DATA);
    assert!(seen.contains(&HEADERS), "{seen:?}");
    drop(stream);
    assert!(first.ended().success(), "{}", first.said());
    drop(next);
}

#[test]
fn a_restart_does_not_wait_for_what_is_under_way() {
    let backend = echo();
    let first = Door::up(&site("one.test", &backend).replace("5s", "1h"));
    let streams: Vec<Tls> = (0..3).map(|_| open(&first, "one.test")).collect();
    // One after another, while each of the earlier ones drains.
    let next: Vec<Distant> = (0..3).map(|_| restart(&first)).collect();
    let mut numbers: Vec<u32> = next.iter().map(|one| one.0).collect();
    numbers.dedup();
    assert_eq!(numbers.len(), 3);
    for mut stream in streams {
        say(&mut stream, "still here");
    }
}

/// An upstream that answers a WebSocket upgrade and then says everything back.
pub(super) fn echo() -> Backend {
    Backend::raw(|mut stream| {
        let mut reader = std::io::BufReader::new(stream.try_clone().unwrap());
        while let Some(request) = read_request(&mut reader) {
            if request.field("upgrade").is_some() {
                break;
            }
            let _gone = stream.write_all(&ok("no upgrade"));
        }
        let switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
            Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
        if stream.write_all(switch).is_ok() {
            let _ended = std::io::copy(&mut reader, &mut stream);
        }
    })
}

/// The handshake of RFC 6455 section 1.3.
pub(super) fn open(door: &Door, name: &str) -> Tls {
    let mut stream = tls(door, name, &["http/1.1"]);
    let request = format!(
        "GET / HTTP/1.1\r\nHost: {name}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    assert_eq!(read_answer(&mut stream).unwrap().status(), 101);
    stream
}

/// Says something and hears it.
#[track_caller]
pub(super) fn say(stream: &mut Tls, word: &str) {
    stream.write_all(word.as_bytes()).unwrap();
    stream.flush().unwrap();
    let mut heard = vec![0; word.len()];
    stream.read_exact(&mut heard).unwrap();
    assert_eq!(heard, word.as_bytes());
}
