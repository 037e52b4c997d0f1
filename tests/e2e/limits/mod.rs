//! Every limit a client can run into has its status, or ends quietly, and keeps the request from the upstream.

mod per_client;

use std::io::Read as _;
use std::time::{Duration, Instant};

use crate::support::backend::{Backend, ok};
use crate::support::client::{plain, read_all, tls};
use crate::support::door::Door;
use crate::support::wire::Wire;

/// `a.test` over TLS and `b.test` in clear text, with these limits.
fn door(backend: &Backend, limits: &str, site: &str) -> Door {
    Door::up(&format!(
        r#"
        listen = ["127.0.0.1:0"]
        http = ["127.0.0.1:0"]
        [limits]
        {limits}
        [sites]
        "a.test" = {{ to = "{0}", {site} }}
        "b.test" = {{ to = "{0}", tls = "off", {site} }}
        "#,
        backend.address
    ))
}

fn both(door: &Door) -> [(Wire, &'static str); 2] {
    [
        (Wire::tls(door, "a.test"), "a.test"),
        (Wire::plain(door), "b.test"),
    ]
}

#[test]
fn heads_beyond_a_limit_have_their_statuses() {
    let backend = Backend::saying("yes");
    let door = door(
        &backend,
        "headers = 20\nheader_bytes = \"16KiB\"\nuri_bytes = \"4KiB\"",
        "",
    );
    let fields = |count: usize| "X: y\r\n".repeat(count);
    let long = |octets: usize| format!("X: {}\r\n", "y".repeat(octets));
    let path = |octets: usize| "x".repeat(octets);
    let cases = [
        (path(4000), String::new(), 200, "yes"),
        (path(5000), String::new(), 414, "target-too-long"),
        (path(20_000), String::new(), 414, "target-too-long"),
        (path(100_000), String::new(), 414, "target-too-long"),
        (path(1), fields(18), 200, "yes"),
        (path(1), fields(20), 431, "head-too-large"),
        (path(1), fields(500), 431, "head-too-large"),
        (path(1), long(15_000), 200, "yes"),
        (path(1), long(17_000), 431, "head-too-large"),
        (path(1), long(1_000_000), 431, "head-too-large"),
        (path(1), long(4000).repeat(5), 431, "head-too-large"),
    ];
    let mut faults = Vec::new();
    for (path, fields, status, words) in cases {
        for (mut wire, host) in both(&door) {
            let head = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n");
            // The door answers before it has read all of the largest.
            let _refused = wire.try_send(head);
            let (path, fields) = (path.len(), fields.len());
            let Ok(answer) = wire.try_answer() else {
                faults.push(format!("{host} {path} {fields}: no answer"));
                continue;
            };
            let is_so = answer.status() == status && answer.text().contains(words);
            let closes = status == 200 || answer.field("connection") == Some("close");
            if !is_so || !closes {
                let head = answer.head + "\n" + &String::from_utf8_lossy(&answer.body);
                faults.push(format!(
                    "{host} {path} {fields}: wanted {status} {words}, got {head}"
                ));
            }
            if status != 200 {
                wire.closes();
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(backend.seen().len(), 6);
}

#[test]
fn bodies_beyond_max_body_are_413_by_length_and_by_chunks() {
    let backend = Backend::http(|seen| ok(&seen.body.len().to_string()));
    let door = door(&backend, "", "max_body = \"1KiB\"");
    let sized = |octets: usize| format!("Content-Length: {octets}\r\n\r\n{}", "x".repeat(octets));
    let chunked = |octets: usize| {
        let chunks = format!("200\r\n{}\r\n", "x".repeat(512)).repeat(octets / 512);
        format!("Transfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n")
    };
    for (mut wire, host) in both(&door) {
        for body in [sized(1024), chunked(1024)] {
            let request = format!("POST / HTTP/1.1\r\nHost: {host}\r\n{body}");
            assert_eq!(wire.ask(request).text(), "1024");
        }
    }
    for body in [
        sized(1025),
        sized(3_000_000),
        chunked(1536),
        chunked(2_000_000),
    ] {
        for (mut wire, host) in both(&door) {
            let _refused = wire.try_send(format!("POST / HTTP/1.1\r\nHost: {host}\r\n{body}"));
            let answer = wire.answer();
            assert_eq!(answer.status(), 413, "{}", answer.text());
            assert!(
                answer.text().contains("body-too-large"),
                "{}",
                answer.text()
            );
            wire.rest();
        }
    }
    assert_eq!(backend.seen().len(), 4);
}

#[test]
fn a_head_that_comes_too_slowly_is_408() {
    let backend = Backend::saying("yes");
    let door = door(&backend, "header_read = \"300ms\"", "");
    for (mut wire, host) in both(&door) {
        let started = Instant::now();
        wire.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\nX: "));
        let answer = wire.answer();
        assert_eq!(answer.status(), 408);
        assert!(answer.text().contains("slow-head"), "{}", answer.text());
        assert_eq!(answer.field("connection"), Some("close"));
        wire.closes();
        assert!(started.elapsed() >= Duration::from_millis(300));
    }
    // The second message of a connection has the same time.
    for (mut wire, host) in both(&door) {
        let whole = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(wire.ask(whole).text(), "yes");
        assert_eq!(wire.ask("GET ").status(), 408);
        wire.closes();
    }
    assert_eq!(backend.seen().len(), 2);
}

#[test]
fn a_head_that_begins_behind_an_answered_one_has_its_own_time() {
    let limit = Duration::from_secs(2);
    let door = Door::up(
        r#"
        listen = ["127.0.0.1:0"]
        http = ["127.0.0.1:0"]
        limits.header_read = "2s"
        [sites]
        "b.test" = { redirect = "https://a.test", tls = "off" }
        "#,
    );
    let mut wire = Wire::plain(&door);
    wire.send("GET / HTTP/1.1\r\nHost: b.test\r\nX: ");
    // Some of the first head's time goes by.
    std::thread::sleep(limit / 4);
    // With its end comes more of the second head than is read at once.
    let second = "y".repeat(24 << 10);
    let begun = Instant::now();
    wire.send(format!(
        "y\r\n\r\nGET / HTTP/1.1\r\nHost: b.test\r\nX: {second}"
    ));
    assert_eq!(wire.answer().status(), 308);
    assert_eq!(wire.answer().status(), 408);
    assert!(begun.elapsed() >= limit, "{:?}", begun.elapsed());
}

#[test]
fn a_silent_client_is_closed_without_a_word() {
    let backend = Backend::saying("yes");
    let door = door(&backend, "idle = \"2s\"", "");
    let mut asking = both(&door);
    for (wire, host) in &mut asking {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(wire.ask(request).text(), "yes");
    }
    for (mut wire, _host) in asking.into_iter().chain(both(&door)) {
        wire.closes();
    }
}

#[test]
fn a_handshake_that_takes_too_long_is_closed_without_a_word() {
    let backend = Backend::saying("yes");
    // Enough for a whole handshake on a busy machine.
    let door = door(&backend, "handshake = \"3s\"", "");
    let hello_begins = [22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
    let mut slow = [&[][..], &hello_begins].map(|bytes| {
        let mut wire = Wire::over(plain(door.tls()));
        wire.send(bytes);
        wire
    });
    slow.iter_mut().for_each(Wire::closes);
    // Others are not disturbed.
    let stream = tls(&door, "a.test", &[]);
    stream.sock.set_nodelay(true).unwrap();
    let mut wire = Wire::over(stream);
    assert_eq!(
        wire.ask("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").text(),
        "yes"
    );
}

#[test]
fn a_client_that_does_not_read_its_answer_is_dropped() {
    let backend = Backend::http(|_request| ok(&"x".repeat(32 << 20)));
    let door = door(&backend, "idle = \"1s\"", "");
    let mut stream = plain(door.plain());
    let mut wire = Wire::over(stream.try_clone().unwrap());
    wire.send("GET / HTTP/1.1\r\nHost: b.test\r\n\r\n");
    // The first octets only: the answer is under way, and nobody takes the rest.
    stream.read_exact(&mut [0; 100]).unwrap();
    crate::support::eventually("the end of the exchange", || {
        door.said().contains("client-left").then_some(())
    });
    let rest = read_all(&mut stream);
    assert!(rest.len() < 32 << 20, "{}", rest.len());
}
