//! Upstreams that fail: each fault has its status and its code, and a broken answer never looks complete.

use std::io::{BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use socket2::{Domain, SockRef, Socket, Type};

use crate::support::absent::nobody;
use crate::support::backend::{Backend, ok, read_request};
use crate::support::client::curl;
use crate::support::door::Door;
use crate::support::wire::Wire;

/// One site in clear text for each target, named by its number, and the same over TLS.
fn door(site: &str, targets: &[String]) -> Door {
    let sites: String = targets
        .iter()
        .enumerate()
        .map(|(number, to)| {
            format!(
                "\"{number}.plain.test\" = {{ to = \"{to}\", tls = \"off\", {site} }}\n\
                 \"{number}.test\" = {{ to = \"{to}\", {site} }}\n"
            )
        })
        .collect();
    Door::up(&format!(
        "listen = [\"127.0.0.1:0\"]\nhttp = [\"127.0.0.1:0\"]\n[sites]\n{sites}"
    ))
}

fn get(number: usize) -> String {
    format!("GET / HTTP/1.1\r\nHost: {number}.plain.test\r\n\r\n")
}

/// Reads a request and answers with these octets, then closes.
fn saying(answer: Vec<u8>) -> Backend {
    Backend::raw(move |stream| {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        if read_request(&mut reader).is_some() {
            drop((&stream).write_all(&answer));
        }
    })
}

fn reset(stream: TcpStream) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    drop(read_request(&mut reader));
    SockRef::from(&stream)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(stream);
}

/// What an upstream says instead of an answer, and the code that the client gets.
const NO_ANSWERS: &[(&str, &str)] = &[
    ("upstream-closed", ""),
    ("upstream-closed", "HTTP/1.1 200 OK\r\nContent-Le"),
    ("upstream-malformed", "garbage\r\n\r\n"),
    ("upstream-malformed", "SSH-2.0-OpenSSH_9.2\r\n"),
    ("upstream-malformed", "HTTP/1.1 2x0 OK\r\n\r\n"),
    ("upstream-malformed", "HTTP/1.1 99 Low\r\n\r\n"),
    ("upstream-malformed", "HTTP/3.0 200 OK\r\n\r\n"),
];

/// Fields that make an answer one that cannot be passed on.
const BAD_FIELDS: &[&str] = &[
    "X : y",
    "X: y\0z",
    "Content-Length: 3\r\nContent-Length: 4",
    "Content-Length: 3, 4",
    "Content-Length: -1",
    "Content-Length: +1",
    "Transfer-Encoding: chunked\r\nContent-Length: 3",
    "Transfer-Encoding: chunked, chunked",
    "Transfer-Encoding: gzip, chunked",
    "Connection: content-length\r\nContent-Length: 0",
];

/// Both, and heads beyond the limits.
fn bad_answers() -> Vec<(&'static str, String)> {
    let said = NO_ANSWERS
        .iter()
        .map(|(code, head)| (*code, (*head).to_owned()));
    let with = |fields: &str| format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n0\r\n\r\n");
    let bad = BAD_FIELDS.iter().map(|fields| ("upstream-", with(fields)));
    let old = with("Transfer-Encoding: chunked").replace("HTTP/1.1", "HTTP/1.0");
    let mut answers: Vec<_> = said.chain(bad).collect();
    answers.push(("upstream-bad-framing", old));
    answers.push(("upstream-malformed", with(&"X: y\r\n".repeat(300))));
    let large = with(&format!("X: {}", "y".repeat(100 << 10)));
    answers.push(("upstream-malformed", large));
    answers
}

#[test]
fn every_fault_before_the_head_has_its_status_and_code() {
    let answers = bad_answers();
    let backends: Vec<Backend> = answers
        .iter()
        .map(|(_code, answer)| saying(answer.clone().into_bytes()))
        .collect();
    let resetting = Backend::raw(reset);
    let mut cases: Vec<(&str, String, String)> = answers
        .iter()
        .zip(&backends)
        .map(|((code, answer), backend)| (*code, backend.address.to_string(), answer.clone()))
        .collect();
    for (code, target) in [
        ("upstream-refused", nobody().to_string()),
        ("upstream-closed", resetting.address.to_string()),
        (
            "upstream-unknown-name",
            "http://nowhere.invalid:80".to_owned(),
        ),
        (
            "upstream-unreachable",
            "unix:/nowhere/at-all.sock".to_owned(),
        ),
    ] {
        cases.push((code, target.clone(), target));
    }
    let targets: Vec<String> = cases
        .iter()
        .map(|(_code, target, _)| target.clone())
        .collect();
    let door = door("", &targets);
    let mut faults = Vec::new();
    for (number, (code, _target, what)) in cases.iter().enumerate() {
        let answer = Wire::plain(&door).ask(get(number));
        if answer.status() != 502 || !answer.text().contains(code) {
            let what: String = what.chars().take(80).collect();
            let text = answer.text();
            faults.push(format!(
                "{what:?}: wanted 502 {code}, got {} {text}",
                answer.head
            ));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_truncated_answer_never_looks_complete() {
    const LENGTH: &str = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc";
    const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let answers = [
        LENGTH.to_owned(),
        format!("{CHUNKED}3\r\nabc\r\n"),
        format!("{CHUNKED}9\r\nabc"),
        format!("{CHUNKED}3\r\nabc\r\n0\r\n"),
        format!("{CHUNKED}3\r\nabc\r\nxyz\r\n"),
        format!("{CHUNKED}3\r\nabcd\r\n0\r\n\r\n"),
        format!("{CHUNKED}3\r\nabc\r\nffffffffffffffffff\r\n"),
        format!("{CHUNKED}3\r\nabc\r\n-1\r\n"),
    ];
    let backends: Vec<Backend> = answers
        .iter()
        .map(|answer| saying(answer.clone().into_bytes()))
        .collect();
    let targets: Vec<String> = backends
        .iter()
        .map(|backend| backend.address.to_string())
        .collect();
    let door = door("", &targets);
    for (number, answer) in answers.iter().enumerate() {
        let cut = Wire::plain(&door).try_answer_to(&get(number));
        assert!(cut.is_err(), "{answer:?}: {cut:?}");
        for (version, codes) in [("--http1.1", [18, 56]), ("--http2", [18, 92])] {
            let (code, text) = curl(&door, &format!("{number}.test"), "/", &[version]);
            assert!(codes.contains(&code), "{answer:?} {version}: {code} {text}");
        }
    }
}

#[test]
fn an_answer_that_ends_with_its_connection_is_complete() {
    let backend = saying(b"HTTP/1.1 200 OK\r\n\r\nall of it".to_vec());
    let old = saying(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold".to_vec());
    let door = door("", &[backend.address.to_string(), old.address.to_string()]);
    assert_eq!(Wire::plain(&door).ask(get(0)).text(), "all of it");
    assert_eq!(Wire::plain(&door).ask(get(1)).text(), "old");
}

#[test]
fn octets_behind_an_answer_drop_that_connection() {
    let connections: Arc<Mutex<u32>> = Arc::default();
    let count = connections.clone();
    let backend = Backend::raw(move |stream| {
        *count.lock().unwrap() += 1;
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        while let Some(seen) = read_request(&mut reader) {
            let planted = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nplanted";
            let answer = [&ok(seen.line())[..], planted.as_bytes()].concat();
            if (&stream).write_all(&answer).is_err() {
                break;
            }
        }
    });
    let door = door("", &[backend.address.to_string()]);
    let mut wire = Wire::plain(&door);
    for number in 0..10 {
        let answer = wire.ask(format!(
            "GET /{number} HTTP/1.1\r\nHost: 0.plain.test\r\n\r\n"
        ));
        assert_eq!(answer.text(), format!("GET /{number} HTTP/1.1"));
    }
    assert_eq!(*connections.lock().unwrap(), 10);
}

#[test]
fn a_request_that_may_have_been_seen_is_sent_again_only_if_idempotent() {
    let lines: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen_lines = lines.clone();
    // Serves the first request of each connection, and takes the second without an answer.
    let backend = Backend::raw(move |stream| {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let note = |seen: &crate::support::backend::Seen| {
            seen_lines.lock().unwrap().push(seen.line().to_owned());
        };
        if let Some(first) = read_request(&mut reader) {
            note(&first);
            drop((&stream).write_all(&ok("yes")));
        }
        if let Some(second) = read_request(&mut reader) {
            note(&second);
        }
    });
    let door = door("", &[backend.address.to_string()]);
    let ask = |method: &str| {
        let mut wire = Wire::plain(&door);
        let host = "Host: 0.plain.test\r\nConnection: close";
        // One request to fill the pool of this worker, one that meets the closing connection.
        let first = "GET /fill HTTP/1.1\r\nHost: 0.plain.test\r\n\r\n";
        assert_eq!(wire.ask(first).text(), "yes");
        lines.lock().unwrap().clear();
        let answer = wire.ask(format!(
            "{method} /x HTTP/1.1\r\n{host}\r\nContent-Length: 0\r\n\r\n"
        ));
        let sent = lines
            .lock()
            .unwrap()
            .iter()
            .filter(|line| line.contains("/x"))
            .count();
        (answer.status(), sent)
    };
    assert_eq!(ask("POST"), (502, 1));
    assert_eq!(ask("GET"), (200, 2));
    assert_eq!(ask("PATCH"), (502, 1));
    assert_eq!(ask("DELETE"), (200, 2));
}

#[test]
fn times_that_are_over_are_504_or_break_the_answer() {
    let silent = Backend::raw(|mut stream| drop(stream.read_to_end(&mut Vec::new())));
    let halting = Backend::raw(|mut stream| {
        drop(read_request(&mut BufReader::new(
            stream.try_clone().unwrap(),
        )));
        drop(stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"));
        drop(stream.read_to_end(&mut Vec::new()));
    });
    let (full, _crowd) = full_queue();
    let times = r#"timeout = { connect = "300ms", response = "300ms", idle = "300ms" }"#;
    let targets = [silent.address, full].map(|address| address.to_string());
    let hasty = door(times, &targets);
    for (number, code) in [(0, "upstream-timeout"), (1, "upstream-connect-timeout")] {
        let started = Instant::now();
        let answer = Wire::plain(&hasty).ask(get(number));
        assert_eq!(answer.status(), 504);
        assert!(answer.text().contains(code), "{}", answer.text());
        assert!(started.elapsed() >= Duration::from_millis(300));
    }
    // The head may take its time.
    let patient = door(
        "timeout = { idle = \"300ms\" }",
        &[halting.address.to_string()],
    );
    let cut = Wire::plain(&patient).try_answer_to(&get(0)).unwrap_err();
    assert!(cut.bytes.ends_with(b"abc"));
    // An upload that halts is the client's fault.
    let mut wire = Wire::plain(&hasty);
    let head = "POST / HTTP/1.1\r\nHost: 0.plain.test\r\nContent-Length: 10\r\n\r\nabc";
    let answer = wire.ask(head);
    assert_eq!(answer.status(), 408, "{}", answer.head);
    assert!(answer.text().contains("slow-body"), "{}", answer.text());
    wire.closes();
}

/// An address whose queue of connections is full, so that no more are answered.
fn full_queue() -> (SocketAddr, Vec<Socket>) {
    let socket = || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let listener = socket();
    listener
        .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
        .unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut crowd = vec![listener];
    for _ in 0..4 {
        let client = socket();
        client.set_nonblocking(true).unwrap();
        // Under way is enough.
        let _under_way = client.connect(&address);
        crowd.push(client);
    }
    (address.as_socket().unwrap(), crowd)
}
