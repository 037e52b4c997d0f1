//! Bodies on their way: they stream in both directions, wait for 100 only as long as they must, and never outlive their client.

use std::io::{BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use crate::support::backend::{Backend, ok, read_request};
use crate::support::client::curl;
use crate::support::door::Door;
use crate::support::wire::Wire;
use crate::support::{PATIENCE, takes_less};

/// Reads a head off a connection, octet by octet, so that what follows is left.
fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => break,
        }
    }
    String::from_utf8(head).unwrap()
}

const EXPECTING: &str =
    "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";

#[test]
fn the_upstreams_100_lets_the_body_pass() {
    let backend = Backend::raw(|mut stream| {
        let head = read_head(&mut stream);
        assert!(head.contains("expect: 100-continue\r\n"), "{head}");
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap();
        let mut body = [0; 3];
        stream.read_exact(&mut body).unwrap();
        stream
            .write_all(&ok(std::str::from_utf8(&body).unwrap()))
            .unwrap();
    });
    let door = Door::before(&backend);
    let mut wire = Wire::tls(&door, "a.test");
    wire.send(EXPECTING);
    assert_eq!(wire.head().unwrap().status(), 100);
    assert_eq!(wire.ask("abc").text(), "abc");
    let (code, text) = curl(
        &door,
        "a.test",
        "/",
        &["--http1.1", "-H", "Expect: 100-continue", "--data", "abc"],
    );
    assert_eq!((code, text.as_str()), (0, "abc"));
}

#[test]
fn a_final_answer_before_the_body_is_passed_on_without_it() {
    let (told, heard) = mpsc::channel();
    let backend = Backend::raw(move |mut stream| {
        read_head(&mut stream);
        let answer = "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno";
        stream.write_all(answer.as_bytes()).unwrap();
        let mut rest = Vec::new();
        drop(stream.read_to_end(&mut rest));
        told.send(rest).unwrap();
    });
    let door = Door::before(&backend);
    let mut wire = Wire::tls(&door, "a.test");
    let answer = wire.ask(EXPECTING);
    assert_eq!((answer.status(), answer.text().as_str()), (403, "no"));
    // The body that was not wanted is not the beginning of a request either.
    let _closed = wire.try_send("abcGET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    drop(wire.rest());
    assert_eq!(heard.recv_timeout(PATIENCE).unwrap(), b"");
}

#[test]
fn a_client_that_does_not_wait_is_served() {
    let backend = Backend::http(|seen| ok(&String::from_utf8_lossy(&seen.body)));
    let door = Door::before(&backend);
    let mut wire = Wire::tls(&door, "a.test");
    // This upstream never says 100: the body goes on after a moment.
    wire.send(format!("{EXPECTING}abc"));
    let mut answer = wire.answer();
    if answer.status() == 100 {
        answer = wire.answer();
    }
    assert_eq!(answer.text(), "abc");
    assert_eq!(
        wire.ask("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").status(),
        200
    );
}

#[test]
fn an_upstream_that_never_says_100_gets_the_body_after_a_moment() {
    let backend = Backend::http(|seen| ok(&String::from_utf8_lossy(&seen.body)));
    let door = Door::before(&backend);
    let mut wire = Wire::tls(&door, "a.test");
    wire.send(EXPECTING);
    assert_eq!(wire.head().unwrap().status(), 100);
    assert_eq!(wire.ask("abc").text(), "abc");
    // HTTP/1.0 knows no 100 and never gets one (R9110 10.1.1).
    let mut wire = Wire::plain(&door);
    wire.send(
        "POST / HTTP/1.0\r\nHost: b.test\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc",
    );
    assert_eq!(wire.answer().text(), "abc");
    assert_eq!(backend.seen()[1].field("expect"), None);
}

#[test]
fn interim_answers_do_not_disturb_the_final_one() {
    let backend = Backend::http(|_seen| {
        let early = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n";
        [early.as_bytes(), &ok("final")].concat()
    });
    let door = Door::before(&backend);
    for mut wire in [Wire::tls(&door, "a.test")] {
        for _ in 0..2 {
            wire.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
            let mut answer = wire.answer();
            while answer.status() < 200 {
                answer = wire.answer();
            }
            assert_eq!(answer.text(), "final");
        }
    }
    let mut old = Wire::plain(&door);
    assert_eq!(
        old.ask("GET / HTTP/1.0\r\nHost: b.test\r\n\r\n").text(),
        "final"
    );
}

#[test]
fn a_switch_that_nobody_asked_for_is_502() {
    let backend = Backend::http(|_seen| {
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n".into()
    });
    let door = Door::before(&backend);
    let answer = Wire::tls(&door, "a.test").ask("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!(answer.status(), 502, "{}", answer.text());
    let other = "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: y\r\n\r\n";
    assert_eq!(Wire::tls(&door, "a.test").ask(other).status(), 502);
}

#[test]
fn an_answer_passes_before_the_upload_ends() {
    let backend = Backend::raw(|mut stream| {
        read_head(&mut stream);
        stream.write_all(&ok("early")).unwrap();
        drop(stream.read_to_end(&mut Vec::new()));
    });
    let door = Door::before(&backend);
    for body in [
        "Content-Length: 1000000\r\n\r\nabc",
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ] {
        let mut wire = Wire::tls(&door, "a.test");
        assert_eq!(
            wire.ask(format!("POST / HTTP/1.1\r\nHost: a.test\r\n{body}"))
                .text(),
            "early"
        );
    }
}

#[test]
fn an_answer_passes_even_if_the_upstream_resets_the_upload() {
    let backend = Backend::raw(|mut stream| {
        read_head(&mut stream);
        // Closing with unread octets is a reset.
        stream.peek(&mut [0]).unwrap();
        stream.write_all(&ok("enough")).unwrap();
    });
    let door = Door::before(&backend);
    let body = "x".repeat(200_000);
    let mut wire = Wire::tls(&door, "a.test");
    wire.send(format!(
        "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000000\r\n\r\n{body}"
    ));
    assert_eq!(wire.answer().text(), "enough");
}

#[test]
fn an_upload_reaches_the_upstream_while_it_is_sent() {
    let (told, heard) = mpsc::channel();
    let backend = Backend::raw(move |mut stream| {
        read_head(&mut stream);
        let mut octets = 0;
        let mut space = [0; 64 << 10];
        while octets < 5 << 20 {
            let read = stream.read(&mut space).unwrap();
            octets += read;
            told.send(octets).unwrap();
        }
        stream.write_all(&ok("all")).unwrap();
    });
    let door = Door::before(&backend);
    let mut wire = Wire::tls(&door, "a.test");
    wire.send(format!(
        "PUT / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {}\r\n\r\n",
        5 << 20
    ));
    for part in 1..=5 {
        wire.send(vec![b'x'; 1 << 20]);
        // The next part is sent only once this one has arrived.
        while heard.recv_timeout(PATIENCE).unwrap() < part << 20 {}
    }
    assert_eq!(wire.answer().text(), "all");
}

#[test]
fn events_arrive_one_by_one() {
    for framing in ["Transfer-Encoding: chunked", "Connection: close"] {
        let (go, wait) = mpsc::channel::<()>();
        let wait = Mutex::new(wait);
        let is_chunked = framing.starts_with("Transfer");
        let backend = Backend::raw(move |mut stream| {
            read_head(&mut stream);
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n{framing}\r\n\r\n");
            stream.write_all(head.as_bytes()).unwrap();
            for number in 0..5 {
                wait.lock().unwrap().recv_timeout(PATIENCE).unwrap();
                let event = format!("data: {number}\n\n");
                let event = if is_chunked {
                    format!("{:x}\r\n{event}\r\n", event.len())
                } else {
                    event
                };
                stream.write_all(event.as_bytes()).unwrap();
            }
            if is_chunked {
                stream.write_all(b"0\r\n\r\n").unwrap();
            }
        });
        let door = Door::before(&backend);
        let mut wire = Wire::tls(&door, "a.test");
        wire.send("GET /events HTTP/1.1\r\nHost: a.test\r\n\r\n");
        let head = wire.head().unwrap();
        assert_eq!(head.field("content-type"), Some("text/event-stream"));
        for number in 0..5 {
            go.send(()).unwrap();
            let event = wire.chunk().unwrap().unwrap();
            assert_eq!(event, format!("data: {number}\n\n").into_bytes());
        }
        assert_eq!(wire.chunk().unwrap(), None);
    }
}

/// How long after the client left the upstream saw the end of its connection.
fn time_to_cancel(
    before_leaving: impl Fn(&mut TcpStream) + Send + Sync + 'static,
    request: &str,
    until: &str,
) -> Duration {
    let (told, heard) = mpsc::channel();
    let backend = Backend::raw(move |mut stream| {
        read_head(&mut stream);
        before_leaving(&mut stream);
        told.send(None).unwrap();
        drop(std::io::copy(&mut stream, &mut std::io::sink()));
        told.send(Some(Instant::now())).unwrap();
    });
    let door = Door::before(&backend);
    let mut wire = Wire::plain(&door);
    wire.send(request);
    assert_eq!(heard.recv_timeout(PATIENCE).unwrap(), None);
    if !until.is_empty() {
        while !String::from_utf8_lossy(&wire.exactly(1).unwrap()).contains(until) {}
    }
    let left = Instant::now();
    drop(wire);
    let ended = heard.recv_timeout(PATIENCE).unwrap().unwrap();
    ended.saturating_duration_since(left)
}

#[test]
fn a_client_that_leaves_cancels_the_exchange_within_100_ms() {
    let get = "GET / HTTP/1.1\r\nHost: b.test\r\n\r\n";
    let limit = Duration::from_millis(100);
    takes_less(limit, "waiting", || time_to_cancel(|_stream| {}, get, ""));
    let reading = |stream: &mut TcpStream| {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n!";
        stream.write_all(head.as_bytes()).unwrap();
    };
    takes_less(limit, "reading", || time_to_cancel(reading, get, "!"));
    let uploading = |stream: &mut TcpStream| drop(stream.read_exact(&mut [0; 3]));
    let post = "POST / HTTP/1.1\r\nHost: b.test\r\nContent-Length: 100\r\n\r\nabc";
    takes_less(limit, "uploading", || time_to_cancel(uploading, post, ""));
}

/// The answer and the end leave in one packet, where the system can be asked for that.
fn cork(stream: &TcpStream) {
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(stream).set_tcp_cork(true).unwrap();
    #[cfg(not(target_os = "linux"))]
    stream.set_nodelay(false).unwrap();
}

/// Serves one request a connection and closes it right behind the answer, without saying so.
fn closing_after_each() -> (Backend, Arc<Mutex<u32>>) {
    let served: Arc<Mutex<u32>> = Arc::default();
    let count = served.clone();
    let backend = Backend::raw(move |stream| {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        if let Some(seen) = read_request(&mut reader) {
            let body = if seen.body.is_empty() {
                "empty"
            } else {
                "full"
            };
            *count.lock().unwrap() += 1;
            cork(&stream);
            (&stream).write_all(&ok(body)).unwrap();
            drop(stream.shutdown(Shutdown::Both));
        }
    });
    (backend, served)
}

#[test]
fn an_upstream_that_closes_idle_connections_at_once_fails_nobody() {
    let (backend, served) = closing_after_each();
    let door = Door::before(&backend);
    let mut wire = Wire::tls(&door, "a.test");
    for number in 0..200 {
        let answer = wire.ask("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        assert_eq!(answer.text(), "empty", "{number}: {}", answer.head);
        let post = "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\n\r\nbody";
        let answer = wire.ask(post);
        assert_eq!(answer.text(), "full", "{number}: {}", answer.head);
    }
    assert_eq!(*served.lock().unwrap(), 400);
}
