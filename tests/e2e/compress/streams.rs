//! Encoded bodies as streams: nothing waits, little is kept, and what breaks off is never complete.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::{Mutex, mpsc};
use std::thread;

use super::{compressing, decoded, text};
use crate::support::PATIENCE;
use crate::support::backend::{Backend, read_request};
use crate::support::client::curl;
use crate::support::door::Door;
use crate::support::eventually;
use crate::support::wire::Wire;

fn head_of_chunks(kind: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n")
}

fn chunk(stream: &mut TcpStream, octets: &str) -> std::io::Result<()> {
    write!(stream, "{:x}\r\n{octets}\r\n", octets.len())
}

/// An upstream that sends each piece as it is told to.
fn told(kind: &'static str) -> (Backend, mpsc::Sender<String>) {
    let (tell, heard) = mpsc::channel::<String>();
    let heard = Mutex::new(heard);
    let backend = Backend::raw(move |mut stream| {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        read_request(&mut reader).unwrap();
        stream.write_all(head_of_chunks(kind).as_bytes()).unwrap();
        for piece in heard.lock().unwrap().iter() {
            chunk(&mut stream, &piece).unwrap();
        }
        stream.write_all(b"0\r\n\r\n").unwrap();
    });
    (backend, tell)
}

#[test]
fn each_event_arrives_before_the_next_is_sent() {
    for (version, coding) in [
        ("--http1.1", "gzip"),
        ("--http2", "br"),
        ("--http2", "zstd"),
    ] {
        for kind in ["text/event-stream", "application/x-ndjson"] {
            let (backend, tell) = told(kind);
            let door = compressing(&backend);
            let mut client = curl_reading(
                &door,
                &[
                    version,
                    "-H",
                    &format!("Accept-Encoding: {coding}"),
                    "--compressed",
                ],
            );
            let mut lines = BufReader::new(client.stdout.take().unwrap());
            for number in 0..3 {
                let event = format!("data: {number}\n");
                tell.send(event.clone()).unwrap();
                let mut line = String::new();
                lines.read_line(&mut line).unwrap();
                assert_eq!(line, event, "{version} {coding} {kind}");
            }
            drop(tell);
            let mut rest = String::new();
            lines.read_to_string(&mut rest).unwrap();
            assert_eq!(rest, "");
            assert!(client.wait().unwrap().success());
        }
    }
}

fn curl_reading(door: &Door, options: &[&str]) -> std::process::Child {
    let address = door.tls();
    Command::new("curl")
        .args(["--silent", "--no-buffer", "--max-time", "20", "--cacert"])
        .arg(door.ca())
        .arg("--resolve")
        .arg(format!("a.test:{}:{}", address.port(), address.ip()))
        .args(options)
        .arg(format!("https://a.test:{}/", address.port()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn large_streams_take_little_memory() {
    const PIECES: usize = 512;
    let piece = text(16 << 10);
    let length = PIECES * piece.len();
    let backend = Backend::raw(move |mut stream| {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        read_request(&mut reader).unwrap();
        stream
            .write_all(head_of_chunks("text/html").as_bytes())
            .unwrap();
        for _ in 0..PIECES {
            chunk(&mut stream, &piece).unwrap();
        }
        stream.write_all(b"0\r\n\r\n").unwrap();
    });
    let door = compressing(&backend);
    let before = door.resident_at_most();
    thread::scope(|scope| {
        for coding in ["gzip", "br", "zstd", "gzip"] {
            let door = &door;
            scope.spawn(move || {
                let request =
                    format!("GET / HTTP/1.1\r\nHost: a.test\r\nAccept-Encoding: {coding}\r\n\r\n");
                let answer = Wire::tls(door, "a.test").ask(request);
                assert_eq!(decoded(coding, &answer.body).len(), length);
            });
        }
    });
    let more = door.resident_at_most() - before;
    assert!(more < 24 << 20, "{} MiB", more >> 20);
}

#[test]
fn an_answer_that_breaks_off_is_never_complete() {
    let page = text(100_000);
    let sent = page.clone();
    let backend = Backend::raw(move |mut stream| {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        read_request(&mut reader).unwrap();
        stream
            .write_all(head_of_chunks("text/html").as_bytes())
            .unwrap();
        chunk(&mut stream, &sent).unwrap();
    });
    let door = compressing(&backend);
    for coding in ["gzip", "br", "zstd"] {
        let request =
            format!("GET / HTTP/1.1\r\nHost: a.test\r\nAccept-Encoding: {coding}\r\n\r\n");
        let cut = Wire::tls(&door, "a.test").try_answer_to(&request);
        assert!(cut.is_err(), "{cut:?}");
        let accept = format!("Accept-Encoding: {coding}");
        let options = ["--http2", "-H", &accept, "--output", "/dev/null"];
        let (code, words) = curl(&door, "a.test", "/", &options);
        assert_eq!(code, 92, "{words}");
    }
    // What came before the end still arrived.
    let mut wire = Wire::plain(&door);
    wire.send("GET / HTTP/1.1\r\nHost: b.test\r\nAccept-Encoding: gzip\r\n\r\n");
    wire.head().unwrap();
    let mut decoder = flate2::write::GzDecoder::new(Vec::new());
    while let Ok(Some(piece)) = wire.chunk() {
        decoder.write_all(&piece).unwrap();
    }
    decoder.flush().unwrap();
    assert_eq!(decoder.get_ref().len(), page.len());
    assert!(decoder.try_finish().is_err());
    eventually("the outcome", || {
        let log = door.home().read("access.log");
        (log.matches("\"outcome\":\"upstream-cut\"").count() == 7).then_some(())
    });
}

#[test]
fn a_client_that_leaves_ends_the_upstreams_answer() {
    let (told, heard) = mpsc::channel();
    let backend = Backend::raw(move |mut stream| {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        read_request(&mut reader).unwrap();
        stream
            .write_all(head_of_chunks("text/html").as_bytes())
            .unwrap();
        let piece = text(64 << 10);
        while chunk(&mut stream, &piece).is_ok() {}
        told.send(()).unwrap();
    });
    let door = compressing(&backend);
    let mut wire = Wire::tls(&door, "a.test");
    wire.send("GET / HTTP/1.1\r\nHost: a.test\r\nAccept-Encoding: br\r\n\r\n");
    wire.head().unwrap();
    wire.chunk().unwrap();
    drop(wire);
    heard.recv_timeout(PATIENCE).unwrap();
}

#[test]
fn trailers_follow_an_encoded_body() {
    let backend = Backend::raw(|mut stream| {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        read_request(&mut reader).unwrap();
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTrailer: X-Sum\r\n\
                    Transfer-Encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        chunk(&mut stream, &text(2_000)).unwrap();
        stream
            .write_all(b"0\r\nX-Sum: 7\r\nContent-Digest: x\r\n\r\n")
            .unwrap();
    });
    let door = compressing(&backend);
    let mut wire = Wire::plain(&door);
    wire.send(
        "GET / HTTP/1.1\r\nHost: b.test\r\nTE: trailers\r\nConnection: TE, close\r\n\
         Accept-Encoding: gzip\r\n\r\n",
    );
    let rest = String::from_utf8_lossy(&wire.rest()).to_lowercase();
    assert!(rest.ends_with("0\r\nx-sum: 7\r\n\r\n"), "{rest}");
}
