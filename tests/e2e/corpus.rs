//! Other people's raw requests, with a strict second parser as the upstream: it accepts every octet that we send, and counts no
//! more requests than were meant.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;

use serde_json::Value;

use crate::support::client::plain;
use crate::support::door::Door;
use crate::support::peer::Peer;
use crate::support::wire::{Answer, Wire};

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/corpus");

/// Invalid for gunicorn only: the file, and why it is answered all the same.
const TAKEN: &str = include_str!("corpus/taken.txt");
/// Valid for gunicorn only: the file, and why it is refused.
const REFUSED: &str = include_str!("corpus/refused.txt");

/// Payloads are sent by so many at a time, each with a door and an upstream of its own.
const SHARES: usize = 8;

/// A file's payload.
struct Sent {
    name: String,
    path: PathBuf,
    octets: Vec<u8>,
}

#[derive(PartialEq, Eq)]
enum Verdict {
    Right,
    Wrong,
}

impl Verdict {
    fn right_if(holds: bool) -> Self {
        if holds { Self::Right } else { Self::Wrong }
    }
}

struct Run {
    door: Door,
    upstream: Peer,
    marks: usize,
}

impl Run {
    fn new() -> Self {
        let (upstream, address) = Peer::listen("strict_upstream.py", &[]);
        let door = Door::up(&format!(
            r#"
            listen = ["127.0.0.1:0"]
            http = ["127.0.0.1:0"]
            [limits]
            header_read = "1s"
            idle = "1s"
            [sites]
            "*" = {{ to = "{address}", tls = "off", timeout = {{ idle = "500ms" }} }}
            "#
        ));
        Self {
            door,
            upstream,
            marks: 0,
        }
    }

    /// Sends a payload on a connection of its own: the answers, and the targets that the upstream read.
    fn send(&mut self, payload: &[u8]) -> (Vec<Answer>, Vec<String>) {
        let mut wire = Wire::over(plain(self.door.plain()));
        let _refused = wire.try_send(payload);
        let mut answers = Vec::new();
        while let Ok(answer) = wire.try_answer() {
            answers.push(answer);
        }
        self.marks += 1;
        let mark = format!("/mark-{}", self.marks);
        let mut marking = Wire::over(plain(self.door.plain()));
        let answer = marking.ask(format!("GET {mark} HTTP/1.1\r\nHost: mark\r\n\r\n"));
        assert_eq!(answer.status(), 200);
        let mut targets = Vec::new();
        loop {
            let event = self.upstream.wait_for("the mark", |_event| true);
            // Octets that the upstream refused count as a request that nobody meant.
            let target = event["target"].as_str().unwrap_or("refused").to_owned();
            if target == mark {
                return (answers, targets);
            }
            targets.push(target);
        }
    }
}

/// The requests of a folder, by name.
fn payloads(folder: &str) -> Vec<Sent> {
    let folder = Path::new(CORPUS).join(folder);
    let entries = fs::read_dir(&folder).expect("no corpus: run `tests/run --prepare`");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "http"));
    files.sort();
    assert!(files.len() > 50, "no corpus: run `tests/run --prepare`");
    files
        .into_iter()
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let octets = with_host(octets(&fs::read(&path).unwrap()));
            Sent { name, path, octets }
        })
        .collect()
}

/// A file's text says octets by escapes; its own line ends mean nothing.
fn octets(text: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        let (octet, tail) = match rest {
            [b'\n', tail @ ..] => (None, tail),
            [b'\\', b'r', tail @ ..] => (Some(b'\r'), tail),
            [b'\\', b'n', tail @ ..] => (Some(b'\n'), tail),
            [b'\\', b't', tail @ ..] => (Some(b'\t'), tail),
            [b'\\', b'0', tail @ ..] => (Some(0), tail),
            [b'\\', b'x', high, low, tail @ ..] => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).unwrap();
                (Some(u8::from_str_radix(digits, 16).unwrap()), tail)
            }
            _ => (Some(*first), tail),
        };
        octets.extend(octet);
        rest = tail;
    }
    octets
}

/// Most of the files name no host, and would all be refused for that alone.
fn with_host(payload: Vec<u8>) -> Vec<u8> {
    let lower = payload.to_ascii_lowercase();
    if lower.windows(6).any(|bytes| bytes == b"\nhost:") {
        return payload;
    }
    let mut hosted = Vec::new();
    for line in payload.split_inclusive(|octet| *octet == b'\n') {
        hosted.extend_from_slice(line);
        if line.ends_with(b" HTTP/1.1\r\n") || line.ends_with(b" HTTP/1.0\r\n") {
            hosted.extend_from_slice(b"Host: corpus.test\r\n");
        }
    }
    hosted
}

/// Names and reasons.
fn listed(list: &'static str) -> Vec<(&'static str, &'static str)> {
    let lines = list.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split_once(' ').unwrap()).collect()
}

/// Runs all payloads of a folder, a few at a time, and returns what `judge` says against them.
fn faults_of(
    folder: &str,
    judge: impl Fn(&Sent, &[Answer], &[String]) -> Verdict + Sync,
) -> Vec<String> {
    let payloads = payloads(folder);
    let (faults, judge) = (&Mutex::new(Vec::new()), &judge);
    thread::scope(|scope| {
        for share in payloads.chunks(payloads.len().div_ceil(SHARES)) {
            scope.spawn(move || {
                let mut run = Run::new();
                for sent in share {
                    let (answers, targets) = run.send(&sent.octets);
                    if judge(sent, &answers, &targets) == Verdict::Wrong {
                        let statuses: Vec<u16> = answers.iter().map(Answer::status).collect();
                        let text = String::from_utf8_lossy(&sent.octets);
                        let text: String = text.chars().take(300).collect();
                        let fault = format!("{} {statuses:?} {targets:?} {text:?}", sent.name);
                        faults.lock().unwrap().push(fault);
                    }
                }
                assert_eq!(run.upstream.so_far(), &[] as &[Value]);
            });
        }
    });
    faults.lock().unwrap().clone()
}

#[test]
fn invalid_requests_are_refused_and_the_connection_closed() {
    let taken = listed(TAKEN);
    let faults = faults_of("invalid", |sent, answers, targets| {
        let is_refusal = |answer: &Answer| {
            matches!(answer.status(), 400 | 408 | 431 | 501 | 505)
                && answer.field("connection") == Some("close")
        };
        let is_refused = answers.last().is_some_and(is_refusal) && targets.len() < answers.len();
        let is_taken = taken.iter().any(|(name, _reason)| *name == sent.name);
        Verdict::right_if(is_refused != is_taken)
    });
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn valid_requests_are_read_as_they_were_meant() {
    let refused = listed(REFUSED);
    let faults = faults_of("valid", |sent, answers, targets| {
        let description = fs::read_to_string(sent.path.with_extension("py")).unwrap();
        let meant = match description.contains("request = [req1, req2]") {
            true => 2,
            false => 1,
        };
        let is_served = |answer: &Answer| answer.status() == 200;
        let all = targets.len() == meant && answers.len() == meant && answers.iter().all(is_served);
        let is_refused = refused.iter().any(|(name, _reason)| *name == sent.name);
        Verdict::right_if(all != is_refused && targets.len() <= meant)
    });
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
