//! Where a request begins and ends: what is refused, what is read leniently, and that nothing is ever taken for a second request.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::support::backend::{Backend, ok};
use crate::support::door::Door;
use crate::support::wire::Wire;
use crate::support::{eventually, takes_less};

/// Less than the door gives a client to hear its last words.
const AT_ONCE: Duration = Duration::from_millis(1500);

/// An upstream that keeps every octet it gets and never answers.
fn listener() -> (Backend, Arc<Mutex<Vec<u8>>>) {
    let heard: Arc<Mutex<Vec<u8>>> = Arc::default();
    let kept = heard.clone();
    let backend = Backend::raw(move |mut stream| {
        let mut space = [0; 4096];
        while let Ok(read @ 1..) = stream.read(&mut space) {
            kept.lock().unwrap().extend_from_slice(&space[..read]);
        }
    });
    (backend, heard)
}

/// Both ways to a door.
fn both(door: &Door, request: &str) -> [(Wire, Vec<u8>); 2] {
    [secure(door, request), clear(door, request)]
}

fn secure(door: &Door, request: &str) -> (Wire, Vec<u8>) {
    (Wire::tls(door, "a.test"), request.as_bytes().to_vec())
}

/// With `a.test` replaced in the request.
fn clear(door: &Door, request: &str) -> (Wire, Vec<u8>) {
    let request = request.replace("a.test", "b.test");
    (Wire::plain(door), request.into_bytes())
}

const REFUSED: &str = include_str!("framing/refused.txt");

/// The lines of the table: status, code, and octets.
fn refused() -> impl Iterator<Item = (&'static str, &'static str, String)> {
    let lines = REFUSED
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| {
        let mut words = line.splitn(3, ' ');
        let mut word = || words.next().unwrap();
        let (status, code, request) = (word(), word().trim_matches('-'), word());
        let request = request
            .replace(r"\r", "\r")
            .replace(r"\n", "\n")
            .replace(r"\t", "\t")
            .replace(r"\0", "\0")
            .replace(r"\x01", "\x01")
            .replace(r"\x0b", "\x0b")
            .replace(r"\x7f", "\x7f");
        (status, code, request)
    })
}

#[test]
fn bad_requests_are_refused_and_nothing_reaches_the_upstream() {
    let (backend, heard) = listener();
    let door = Door::before(&backend);
    let mut faults = Vec::new();
    for (status, code, request) in refused() {
        // Whatever follows in the same packet must not be served either.
        let request = format!("{request}GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n");
        for way in [secure, clear] {
            takes_less(AT_ONCE, &request, || {
                let (mut wire, bytes) = way(&door, &request);
                let sent = Instant::now();
                wire.send(bytes);
                let said = String::from_utf8(wire.rest()).unwrap();
                let time = sent.elapsed();
                let is_refused = said.starts_with(&format!("HTTP/1.1 {status} "))
                    && said.matches("HTTP/1.1 ").count() == 1
                    && said.contains("connection: close\r\n")
                    && said.contains(&format!(": {code}"));
                if !is_refused {
                    faults.push(format!(
                        "{request:?}\n  wanted {status} {code}, got {said:?}"
                    ));
                }
                time
            });
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let heard = heard.lock().unwrap();
    assert!(heard.is_empty(), "{:?}", String::from_utf8_lossy(&heard));
}

#[test]
fn a_length_beside_chunks_is_dropped_and_the_connection_closes() {
    let backend = Backend::saying("taken");
    let door = Door::before(&backend);
    let (length, chunked) = ("Content-Length: 30", "Transfer-Encoding: chunked");
    for [first, second] in [[length, chunked], [chunked, length]] {
        for (mut wire, bytes) in both(
            &door,
            &format!(
                "POST / HTTP/1.1\r\nHost: a.test\r\n{first}\r\n{second}\r\n\r\n\
                 3\r\nabc\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n"
            ),
        ) {
            assert_eq!(wire.ask(bytes).status(), 200);
            wire.closes();
        }
    }
    assert_eq!(backend.seen().len(), 4);
    for seen in backend.seen() {
        assert_eq!(
            (seen.line(), seen.body.as_slice()),
            ("POST / HTTP/1.1", &b"abc"[..])
        );
        assert_eq!(seen.field("content-length"), None);
    }
}

#[test]
fn bare_line_feeds_and_leading_blank_lines_are_read_but_not_passed_on() {
    let (backend, heard) = listener();
    let door = Door::before(&backend);
    let mut wire = Wire::plain(&door);
    wire.send("\r\n\r\nPOST /x HTTP/1.1\nHost: b.test\nContent-Length: 3\n\nabc");
    let text = eventually("the request", || {
        let text = String::from_utf8(heard.lock().unwrap().clone()).unwrap();
        text.ends_with("abc").then_some(text)
    });
    assert!(text.starts_with("POST /x HTTP/1.1\r\n"), "{text:?}");
    assert_eq!(text.matches('\n').count(), text.matches("\r\n").count());
}

#[test]
fn targets_have_the_form_that_goes_with_their_method() {
    let backend = Backend::saying("yes");
    let door = Door::before(&backend);
    let mut wire = Wire::tls(&door, "a.test");
    let host = "Host: a.test\r\n\r\n";
    assert_eq!(
        wire.ask(format!("OPTIONS * HTTP/1.1\r\n{host}")).status(),
        200
    );
    assert_eq!(backend.seen()[0].line(), "OPTIONS * HTTP/1.1");
    let absolute = "GET https://a.test/x?y HTTP/1.1\r\nHost: wrong.test\r\n\r\n";
    assert_eq!(wire.ask(absolute).status(), 200);
    assert_eq!(backend.seen()[1].line(), "GET /x?y HTTP/1.1");
    assert_eq!(backend.seen()[1].all("host"), ["a.test"]);
    let unknown = wire.ask(format!("BREW /pot HTTP/1.1\r\n{host}"));
    assert_eq!(unknown.status(), 200);
    assert_eq!(backend.seen()[2].line(), "BREW /pot HTTP/1.1");
}

#[test]
fn bad_chunks_end_the_exchange_on_both_sides() {
    const BODIES: &[&str] = &[
        "x\r\nabc\r\n0\r\n\r\n",
        "-3\r\nabc\r\n0\r\n\r\n",
        "+3\r\nabc\r\n0\r\n\r\n",
        "0x3\r\nabc\r\n0\r\n\r\n",
        "\r\nabc\r\n0\r\n\r\n",
        "3 3\r\nabc\r\n0\r\n\r\n",
        "ffffffffffffffffff\r\nabc\r\n0\r\n\r\n",
        "3\nabc\r\n0\r\n\r\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "3\r\nabc0\r\n\r\n",
        "3\r\nabc\n0\r\n\r\n",
        "3\r\nabc\r\n0\r\nbad trailer\r\n\r\n",
        "3\r\nabc\r\n0\r\nX: y\0z\r\n\r\n",
        "3;a\nb\r\nabc\r\n0\r\n\r\n",
    ];
    let backend = Backend::saying("taken");
    let door = Door::before(&backend);
    let mut faults = Vec::new();
    for body in BODIES {
        let head = "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n";
        let request = format!("{head}{body}GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n");
        for (mut wire, bytes) in both(&door, &request) {
            wire.send(bytes);
            let said = String::from_utf8(wire.rest()).unwrap();
            let is_refused = said.starts_with("HTTP/1.1 400 ")
                && said.matches("HTTP/1.1 ").count() == 1
                && said.contains("connection: close\r\n");
            if !is_refused {
                faults.push(format!("{body:?}: {said:?}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(backend.seen().is_empty(), "{:?}", backend.seen());
}

#[test]
fn chunks_are_framed_anew_and_extensions_are_dropped() {
    let (backend, heard) = listener();
    let door = Door::before(&backend);
    let mut wire = Wire::plain(&door);
    wire.send(concat!(
        "POST / HTTP/1.1\r\nHost: b.test\r\nTransfer-Encoding: Chunked\r\nTrailer: X-Sum\r\n\r\n",
        "003;name=value\r\nabc\r\nA;q=\"x\"\r\n0123456789\r\n0\r\nX-Sum: 1\r\nHost: evil\r\n\r\n"
    ));
    let text = eventually("the last chunk", || {
        let text = String::from_utf8(heard.lock().unwrap().clone()).unwrap();
        let ends = text.contains("\r\n0\r\n") && text.ends_with("\r\n\r\n");
        ends.then_some(text)
    });
    assert!(
        !text.contains("name=value") && !text.contains("q="),
        "{text}"
    );
    assert!(
        text.contains("abc") && text.contains("0123456789"),
        "{text}"
    );
    assert_eq!(text.matches("transfer-encoding: chunked\r\n").count(), 1);
    assert!(text.contains("\r\nx-sum: 1\r\n"), "{text}");
    assert!(!text.contains("evil"), "{text}");
}

#[test]
fn extensions_and_trailers_are_bounded() {
    let backend = Backend::saying("taken");
    let door = Door::before(&backend);
    let head = "POST / HTTP/1.1\r\nHost: b.test\r\nTransfer-Encoding: chunked\r\n\r\n";
    let extension = format!("3;{}\r\nabc\r\n0\r\n\r\n", "x".repeat(64 << 10));
    let trailer = format!("3\r\nabc\r\n0\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
    let trailers = format!("3\r\nabc\r\n0\r\n{}\r\n", "X: y\r\n".repeat(20_000));
    for body in [extension, trailer, trailers] {
        let mut wire = Wire::plain(&door);
        // The door may close before it has read all.
        let _closed = wire.try_send(format!("{head}{body}"));
        let said = String::from_utf8(wire.rest()).unwrap();
        assert!(
            said.starts_with("HTTP/1.1 400 ") || said.is_empty(),
            "{said:?}"
        );
    }
    assert!(backend.seen().is_empty(), "{:?}", backend.seen());
}

#[test]
fn equal_lengths_are_folded_into_one() {
    let backend = Backend::saying("taken");
    let door = Door::before(&backend);
    let mut wire = Wire::plain(&door);
    let request =
        "POST / HTTP/1.1\r\nHost: b.test\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc";
    assert_eq!(wire.ask(request).status(), 200);
    assert_eq!(backend.only().all("content-length"), ["3"]);
    assert_eq!(backend.only().body, b"abc");
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let backend = Backend::http(|seen| ok(seen.line()));
    let door = Door::before(&backend);
    for (mut wire, bytes) in both(&door, "GET /N HTTP/1.1\r\nHost: a.test\r\n\r\n") {
        let one = String::from_utf8(bytes).unwrap();
        let all: String = (0..20)
            .map(|number| one.replace('N', &number.to_string()))
            .collect();
        wire.send(all);
        for number in 0..20 {
            assert_eq!(wire.answer().text(), format!("GET /{number} HTTP/1.1"));
        }
    }
}

#[test]
fn connections_are_kept_or_closed_as_the_version_says() {
    let backend = Backend::saying("yes");
    let door = Door::before(&backend);
    let closing = [
        "GET / HTTP/1.0\r\nHost: a.test\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: a.test\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Close\r\n\r\n",
    ];
    let keeping = [
        "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n\r\n",
    ];
    for request in closing {
        for (mut wire, bytes) in both(&door, request) {
            let answer = wire.ask(bytes);
            assert_eq!((answer.status(), answer.text().as_str()), (200, "yes"));
            wire.closes();
        }
    }
    for request in keeping {
        for (mut wire, bytes) in both(&door, request) {
            for _ in 0..3 {
                assert_eq!(wire.ask(&bytes).text(), "yes");
            }
        }
    }
}

#[test]
fn an_answer_without_a_length_ends_with_the_connection_for_http10() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let backend = Backend::http(move |_request| chunked.into());
    let door = Door::before(&backend);
    let mut wire = Wire::plain(&door);
    let request = "GET / HTTP/1.0\r\nHost: b.test\r\nConnection: keep-alive\r\n\r\n";
    let answer = wire.ask(request);
    assert_eq!(answer.field("transfer-encoding"), None, "{}", answer.head);
    assert_eq!(answer.text(), "abc");
}

#[test]
fn a_body_that_the_upstream_did_not_read_is_never_the_next_request() {
    const EARLY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nearly";
    const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: b.test\r\n\r\n";
    let lines: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = lines.clone();
    let open: Mutex<Vec<TcpStream>> = Mutex::default();
    let backend = Backend::raw(move |mut stream| {
        let mut heard = Vec::new();
        let mut space = [0; 512];
        while !heard.windows(4).any(|end| end == b"\r\n\r\n") {
            match stream.read(&mut space) {
                Ok(read @ 1..) => heard.extend_from_slice(&space[..read]),
                _ => return,
            }
        }
        let line = String::from_utf8_lossy(&heard);
        kept.lock()
            .unwrap()
            .push(line.lines().next().unwrap().to_owned());
        // Answered, never read on, and not closed either: that would be a reset.
        drop(stream.write_all(EARLY));
        open.lock().unwrap().push(stream);
    });
    let door = Door::before(&backend);
    let large = HIDDEN.repeat(50_000);
    for body in [HIDDEN, &large] {
        let mut wire = Wire::plain(&door);
        let length = body.len();
        let _closed = wire.try_send(format!(
            "POST /first HTTP/1.1\r\nHost: b.test\r\nContent-Length: {length}\r\n\r\n{body}"
        ));
        let _closed = wire.try_send("GET /second HTTP/1.1\r\nHost: b.test\r\n\r\n");
        if let Ok(answer) = wire.try_answer() {
            assert_eq!(answer.text(), "early");
        }
        drop(wire.try_answer());
    }
    let lines = lines.lock().unwrap();
    assert!(
        lines.iter().any(|line| line.contains("/first")),
        "{lines:?}"
    );
    assert!(
        !lines.iter().any(|line| line.contains("/hidden")),
        "{lines:?}"
    );
}
