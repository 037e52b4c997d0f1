//! Upstreams that fail at every octet of an answer they give, and of a request they read.

use std::collections::HashSet;
use std::io::{BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use super::{always, door, last, request, reset};
use crate::support::backend::{Backend, Seen, ok, read_request};
use crate::support::door::Door;
use crate::support::wire::Wire;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole";

/// A target that fails each path under `/cut` once, and then answers `again`; everything else it answers at once and stays.
struct Failing {
    backend: Backend,
    whole: Arc<Mutex<Vec<String>>>,
}

impl Failing {
    /// `fail` has the stream once a request that is to fail was begun: it is told where in its path, and how many octets were peeked.
    fn new(read: Read) -> Self {
        let whole: Arc<Mutex<Vec<String>>> = Arc::default();
        let failed: Arc<Mutex<HashSet<String>>> = Arc::default();
        let noted = whole.clone();
        let backend = Backend::raw(move |stream| {
            serve(stream, read, &noted, &mut |path| {
                failed.lock().unwrap().insert(path.to_owned())
            });
        });
        Self { backend, whole }
    }

    /// How often a path was read as a whole request.
    fn count(&self, path: &str) -> usize {
        let whole = self.whole.lock().unwrap();
        whole.iter().filter(|seen| *seen == path).count()
    }
}

/// What a target does before it fails.
#[derive(Clone, Copy)]
enum Read {
    /// Reads the whole request and writes part of an answer.
    All,
    /// Reads part of the request.
    Part,
}

fn path_of(seen: &Seen) -> String {
    seen.line().split(' ').nth(1).unwrap().to_owned()
}

/// The number at the end of `/cut/.../12`.
fn cut_of(path: &str) -> Option<usize> {
    let number = path.strip_prefix("/cut/")?.rsplit('/').next()?;
    number.parse().ok()
}

fn serve(
    stream: TcpStream,
    read: Read,
    whole: &Mutex<Vec<String>>,
    is_first: &mut dyn FnMut(&str) -> bool,
) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        if matches!(read, Read::Part)
            && let Some(path) = peek_path(&stream)
            && let Some(octets) = cut_of(&path)
            && is_first(&path)
        {
            // Nothing is buffered: the request before was read to its end, and this one is looked at only.
            (&stream).read_exact(&mut vec![0; octets]).unwrap();
            return reset(stream);
        }
        let Some(seen) = read_request(&mut reader) else {
            return;
        };
        let path = path_of(&seen);
        whole.lock().unwrap().push(path.clone());
        match cut_of(&path) {
            Some(octets) if matches!(read, Read::All) && is_first(&path) => {
                drop((&stream).write_all(&ANSWER[..octets]));
                return;
            }
            Some(_) => drop((&stream).write_all(&last("200 OK", "again"))),
            None => (&stream).write_all(&ok("warm")).unwrap(),
        }
    }
}

/// The path of the next request, without taking anything. None at the end.
fn peek_path(stream: &TcpStream) -> Option<String> {
    let mut space = [0; 4096];
    loop {
        let octets = stream.peek(&mut space).ok().filter(|octets| *octets > 0)?;
        let text = String::from_utf8_lossy(&space[..octets]);
        if let Some((line, _rest)) = text.split_once("\r\n") {
            return line.split(' ').nth(1).map(str::to_owned);
        }
    }
}

/// What one request must come to.
#[derive(Debug, PartialEq, Eq)]
struct Result {
    /// None: cut in the middle of the body.
    answer: Option<(u16, String)>,
    first: usize,
    second: usize,
}

fn result(answer: Option<(u16, &str)>, first: usize, second: usize) -> Result {
    let answer = answer.map(|(status, text)| (status, text.to_owned()));
    Result {
        answer,
        first,
        second,
    }
}

/// Asks on a kept connection to the first target, or on a fresh one.
fn run(
    door: &Door,
    first: &Failing,
    second: &Backend,
    age: &str,
    method: &str,
    path: &str,
) -> Result {
    let mut wire = Wire::plain(door);
    if age == "kept" {
        assert_eq!(wire.ask(request("GET", "/warm")).text(), "warm");
    }
    let mut answer = wire
        .try_answer_to(&request(method, path))
        .ok()
        .map(|answer| (answer.status(), answer.text()));
    if let Some((502, text)) = &mut answer {
        assert!(text.contains("upstream-closed"), "{text}");
        text.clear();
    }
    let line = format!("{method} {path} HTTP/1.1");
    let seen = second.seen();
    Result {
        answer,
        first: first.count(path),
        second: seen.iter().filter(|seen| seen.line() == line).count(),
    }
}

#[test]
fn an_answer_that_is_cut_anywhere_has_the_promised_outcome() {
    let first = Failing::new(Read::All);
    let second = always("200 OK", "second");
    let door = door(first.backend.address, second.address, "");
    let head = ANSWER.len() - 5;
    for age in ["fresh", "kept"] {
        for method in ["GET", "PUT", "POST"] {
            for cut in 0..=ANSWER.len() {
                let expected = match (method, age) {
                    _ if cut == ANSWER.len() => result(Some((200, "whole")), 1, 0),
                    _ if cut >= head => result(None, 1, 0),
                    ("POST", _) => result(Some((502, "")), 1, 0),
                    (_, "kept") if cut == 0 => result(Some((200, "again")), 2, 0),
                    _ => result(Some((200, "second")), 1, 1),
                };
                let path = format!("/cut/{age}/{method}/{cut}");
                let result = run(&door, &first, &second, age, method, &path);
                assert_eq!(result, expected, "{path}");
            }
        }
    }
}

#[test]
fn a_request_that_is_read_in_part_has_the_promised_outcome() {
    let first = Failing::new(Read::Part);
    let second = always("200 OK", "second");
    let door = door(first.backend.address, second.address, "");
    for age in ["fresh", "kept"] {
        for method in ["GET", "PUT", "POST"] {
            // Heads are longer than this: what is read is always less than the whole.
            for cut in (0..150).chain(150..=200) {
                let expected = match (method, age) {
                    ("POST", _) => result(Some((502, "")), 0, 0),
                    (_, "kept") => result(Some((200, "again")), 1, 0),
                    _ => result(Some((200, "second")), 0, 1),
                };
                let path = format!("/cut/{age}/{method}/{cut}");
                let result = run(&door, &first, &second, age, method, &path);
                assert_eq!(result, expected, "{path}");
            }
        }
    }
}

/// Connections that end while nobody looks: no request is lost, whatever its method, as the system is asked before one is written.
#[test]
fn a_kept_connection_that_ended_meanwhile_costs_nobody_an_answer() {
    let (told, ended) = std::sync::mpsc::channel();
    let first = Backend::raw(move |stream| {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        if read_request(&mut reader).is_some() {
            (&stream).write_all(&ok("once")).unwrap();
        }
        drop(reader);
        drop(stream);
        // Nobody is left when the test is over.
        let _over = told.send(());
    });
    let second = always("200 OK", "second");
    let door = door(first.address, second.address, "");
    let mut wire = Wire::plain(&door);
    for turn in 0..50 {
        for method in ["POST", "PATCH", "GET", "PUT", "DELETE"] {
            let answer = wire.ask(request(method, "/"));
            assert_eq!(answer.text(), "once", "{method} in turn {turn}");
            ended.recv().unwrap();
        }
    }
    assert!(second.seen().is_empty());
}
