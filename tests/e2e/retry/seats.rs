//! `max_conns`: no more exchanges at once than it says, whoever asks; the others wait, and every seat is given back.

use std::io::{BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use super::{door_to, request, reset};
use crate::support::backend::{Backend, ok, read_request};
use crate::support::client::plain;
use crate::support::door::Door;
use crate::support::wire::Wire;
use crate::support::{PATIENCE, eventually};

/// How long nothing must happen to be taken as never.
const QUIET: Duration = Duration::from_millis(300);

/// A target that answers when it is told to, in the words that it is told.
pub(super) struct Held {
    pub(super) backend: Backend,
    asked: Receiver<Asked>,
}

/// One request there.
pub(super) struct Asked {
    pub(super) path: String,
    stream: TcpStream,
    answered: Sender<()>,
}

impl Asked {
    /// Answers; the connection stays.
    pub(super) fn answer(mut self) {
        self.stream.write_all(&ok("whole")).unwrap();
        self.answered.send(()).unwrap();
    }

    /// Writes part of an answer, or none, and resets the connection.
    fn break_off(mut self, words: &[u8]) {
        self.stream.write_all(words).unwrap();
        if words.is_empty() {
            reset(self.stream);
        }
    }
}

impl Held {
    pub(super) fn new() -> Self {
        let (told, asked) = mpsc::channel();
        let backend = Backend::raw(move |stream| {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            while let Some(seen) = read_request(&mut reader) {
                let (answered, done) = mpsc::channel();
                let asked = Asked {
                    path: seen.line().split(' ').nth(1).unwrap().to_owned(),
                    stream: stream.try_clone().unwrap(),
                    answered,
                };
                if told.send(asked).is_err() || done.recv().is_err() {
                    drop(stream.shutdown(Shutdown::Both));
                    return;
                }
            }
        });
        Self { backend, asked }
    }

    #[track_caller]
    pub(super) fn next(&self) -> Asked {
        self.asked.recv_timeout(PATIENCE).unwrap()
    }

    #[track_caller]
    fn nobody_comes(&self) {
        let next = self.asked.recv_timeout(QUIET).map(|asked| asked.path);
        assert_eq!(next, Err(RecvTimeoutError::Timeout));
    }
}

fn door(held: &Held, rest: &str) -> Door {
    door_to(&format!("\"{}\"", held.backend.address), rest)
}

/// A connection on which a GET is on its way.
fn asking(door: &Door, path: &str) -> Wire {
    let mut wire = Wire::plain(door);
    wire.send(request("GET", path));
    wire
}

#[test]
fn the_others_wait_until_a_seat_is_free() {
    let held = Held::new();
    let door = door(&held, "max_conns = 2, timeout = { connect = \"20s\" }");
    let mut wires = [(); 5].map(|()| asking(&door, "/"));
    let mut under_way = vec![held.next(), held.next()];
    for _third_to_fifth in 0..3 {
        held.nobody_comes();
        under_way.remove(0).answer();
        under_way.push(held.next());
    }
    for asked in under_way {
        asked.answer();
    }
    for wire in &mut wires {
        assert_eq!(wire.answer().text(), "whole");
    }
}

#[test]
fn who_waits_in_vain_is_told_when_to_come_again() {
    let held = Held::new();
    let to = held.backend.address;
    let site = format!(
        "{{ to = \"{to}\", tls = \"off\", max_conns = 1, timeout = {{ connect = \"300ms\" }} }}"
    );
    let door = Door::serving("", &format!("\"a.test\" = {site}\n\"b.test\" = {site}"));
    let mut first = asking(&door, "/");
    let asked = held.next();
    // The seats are those of the target: another site with the same limit finds none.
    for host in ["a.test", "b.test"] {
        let started = Instant::now();
        let answer = Wire::plain(&door).ask(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(answer.status(), 503, "{host}");
        assert_eq!(answer.field("retry-after"), Some("1"));
        assert!(answer.text().contains("upstream-busy"), "{}", answer.text());
        assert!(started.elapsed() >= QUIET, "{host} {:?}", started.elapsed());
    }
    asked.answer();
    assert_eq!(first.answer().text(), "whole");
    let mut next = asking(&door, "/");
    held.next().answer();
    assert_eq!(next.answer().status(), 200);
}

#[test]
fn a_seat_is_given_back_however_the_exchange_ends() {
    let held = Held::new();
    let door = door(&held, "max_conns = 1, timeout = { connect = \"20s\" }");
    let part = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome";
    let ends: &[(&str, &[u8])] = &[
        ("the client leaves before an answer", b""),
        ("the client leaves within an answer", part),
        ("the target resets before an answer", b""),
        ("the target ends within an answer", part),
        (
            "a tunnel ends",
            b"HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        ),
    ];
    for (end, words) in ends {
        let mut wire = Wire::plain(&door);
        // Neither is sent again if the connection was kept.
        wire.send(if end.contains("tunnel") {
            "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"
        } else {
            "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n"
        });
        let mut asked = held.next();
        let mut next = asking(&door, "/next");
        if end.contains("client") || end.contains("tunnel") {
            asked.stream.write_all(words).unwrap();
            if !words.is_empty() {
                wire.head().unwrap();
            }
            held.nobody_comes();
            drop(wire);
            // A tunnel is over when both sides are done; a request when its client is.
            if end.contains("tunnel") {
                drop(asked);
            }
        } else {
            asked.break_off(words);
        }
        let asked = held.next();
        assert_eq!(asked.path, "/next", "{end}");
        asked.answer();
        assert_eq!(next.answer().text(), "whole", "{end}");
    }
}

#[test]
fn who_leaves_while_it_waits_is_forgotten() {
    let held = Held::new();
    let door = door(&held, "max_conns = 1, timeout = { connect = \"20s\" }");
    let mut first = asking(&door, "/first");
    let asked = held.next();
    let leaving = asking(&door, "/leaving");
    held.nobody_comes();
    drop(leaving);
    eventually("the line of the one who left", || {
        let said = door.said();
        said.lines()
            .any(|line| line.contains("/leaving") && line.contains("499"))
            .then_some(())
    });
    let mut last = asking(&door, "/last");
    asked.answer();
    assert_eq!(first.answer().status(), 200);
    let asked = held.next();
    assert_eq!(asked.path, "/last");
    asked.answer();
    assert_eq!(last.answer().status(), 200);
}

#[test]
fn a_target_with_a_free_seat_is_asked_instead_of_a_full_one() {
    let targets = [Held::new(), Held::new()];
    let to = targets
        .each_ref()
        .map(|held| format!("\"{}\"", held.backend.address));
    let door = door_to(&format!("[{}]", to.join(", ")), "max_conns = 1");
    let mut long = asking(&door, "/long");
    let (full, free) = eventually("the first request at either", || {
        let [one, other] = &targets;
        let asked = |held: &Held| held.asked.try_recv().ok();
        let at_one = asked(one).map(|asked| (asked, other));
        at_one.or_else(|| asked(other).map(|asked| (asked, one)))
    });
    for _turn in 0..6 {
        let mut wire = asking(&door, "/short");
        free.next().answer();
        assert_eq!(wire.answer().status(), 200);
    }
    full.answer();
    assert_eq!(long.answer().status(), 200);
}

#[test]
fn all_workers_together_keep_the_limit() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counting, highest) = (now.clone(), most.clone());
    let backend = Backend::http(move |_request| {
        let here = counting.fetch_add(1, Ordering::SeqCst) + 1;
        highest.fetch_max(here, Ordering::SeqCst);
        thread::park_timeout(Duration::from_millis(1));
        counting.fetch_sub(1, Ordering::SeqCst);
        ok("served")
    });
    let to = backend.address;
    let site = format!(
        "\"a.test\" = {{ to = \"{to}\", tls = \"off\", max_conns = 3, timeout = {{ connect = \"20s\" }} }}"
    );
    let door = Door::serving("workers = 4", &site);
    thread::scope(|scope| {
        for _client in 0..16 {
            scope.spawn(|| {
                let mut wire = Wire::plain(&door);
                for _request in 0..20 {
                    assert_eq!(wire.ask(request("GET", "/")).text(), "served");
                }
            });
        }
    });
    assert_eq!(
        (most.load(Ordering::SeqCst), now.load(Ordering::SeqCst)),
        (3, 0)
    );
    assert_eq!(backend.seen().len(), 320);
}

#[test]
fn tunnels_take_seats_too() {
    let (told, opened) = mpsc::channel();
    let backend = Backend::raw(move |mut stream| {
        // Nobody is left when the test is over.
        let _over = told.send(());
        let mut space = [0; 4096];
        while matches!(stream.read(&mut space), Ok(1..)) {}
    });
    let site = format!(
        "\"shop.onedoor.test\" = {{ passthrough = \"{}\", max_conns = 1, timeout = {{ connect = \"20s\" }} }}",
        backend.address
    );
    let door = Door::serving("workers = 1", &site);
    let hello = || {
        let mut stream = plain(door.tls());
        stream
            .write_all(&std::fs::read("tests/hellos/curl.bin").unwrap())
            .unwrap();
        stream
    };
    let first = hello();
    opened.recv_timeout(PATIENCE).unwrap();
    let _second = hello();
    assert_eq!(opened.recv_timeout(QUIET), Err(RecvTimeoutError::Timeout));
    drop(first);
    opened.recv_timeout(PATIENCE).unwrap();
}
