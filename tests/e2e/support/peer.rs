//! Clients and upstreams in Python, from tests/peers: run to their end, or remote-controlled line by line.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::door::Door;

/// An interpreter and its packages may be slow to come from a busy disk.
const PATIENCE: Duration = super::PATIENCE.saturating_mul(3);
const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/python/bin/python");
const PEERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers");

/// A peer that runs; gone when dropped.
pub(crate) struct Peer {
    child: Child,
    orders: ChildStdin,
    lines: Receiver<String>,
    /// Events that were read and not yet asked for.
    kept: Vec<Value>,
}

fn command(script: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(PYTHON);
    command.arg(format!("{PEERS}/{script}")).args(arguments);
    command
}

/// Runs a peer to its end and returns the JSON that it printed.
#[track_caller]
pub(crate) fn run(script: &str, arguments: &[&str]) -> Value {
    let output = command(script, arguments)
        .output()
        .expect("no Python packages: run `tests/run --prepare`");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let cause = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {text}{cause}");
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("{script}: {text}{cause}"))
}

/// What a TLS client of a door needs to know: its port and the local CA.
pub(crate) fn way_to(door: &Door) -> [String; 2] {
    let port = door.tls().port().to_string();
    [port, door.ca().display().to_string()]
}

impl Peer {
    /// Starts a peer that says things line by line.
    #[track_caller]
    pub(crate) fn start(script: &str, arguments: &[&str]) -> Self {
        let mut child = command(script, arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("no Python packages: run `tests/run --prepare`");
        let (said, lines) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if said.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            orders: child.stdin.take().unwrap(),
            child,
            lines,
            kept: Vec::new(),
        }
    }

    /// Starts a server; its first line is the port.
    #[track_caller]
    pub(crate) fn listen(script: &str, arguments: &[&str]) -> (Self, SocketAddr) {
        let peer = Self::start(script, arguments);
        let port: u16 = peer.line(PATIENCE).unwrap().parse().unwrap();
        (peer, SocketAddr::from(([127, 0, 0, 1], port)))
    }

    /// An HTTP/2 server under remote control.
    #[track_caller]
    pub(crate) fn h2_upstream(arguments: &[&str]) -> (Self, SocketAddr) {
        Self::listen("h2_peer.py", arguments)
    }

    /// An HTTP/2 client of a door under remote control, after the handshake.
    #[track_caller]
    pub(crate) fn h2_client(door: &Door, name: &str, arguments: &[&str]) -> Self {
        let [port, ca] = way_to(door);
        let mut all = vec!["--connect", &port, "--ca", &ca, "--name", name];
        all.extend(arguments);
        let mut peer = Self::start("h2_peer.py", &all);
        // Every door takes WebSockets in streams (RFC 8441 section 3).
        assert_eq!(peer.wait("settings")["settings"]["8"], 1);
        peer
    }

    fn line(&self, patience: Duration) -> Option<String> {
        self.lines.recv_timeout(patience).ok()
    }

    pub(crate) fn order(&mut self, order: &Value) {
        writeln!(self.orders, "{order}").unwrap();
    }

    /// A head, or trailers. `end` says whether the stream ends with it.
    pub(crate) fn headers(&mut self, stream: u32, fields: &[(&str, &str)], end: End) {
        let end = end == End::Yes;
        self.order(&json!({"do": "headers", "stream": stream, "fields": fields, "end": end}));
    }

    pub(crate) fn data(&mut self, stream: u32, text: &str, end: End) {
        let end = end == End::Yes;
        self.order(&json!({"do": "data", "stream": stream, "text": text, "end": end}));
    }

    pub(crate) fn reset(&mut self, stream: u32, code: u32) {
        self.order(&json!({"do": "reset", "stream": stream, "code": code}));
    }

    /// A GET of a host, whole.
    pub(crate) fn get(&mut self, stream: u32, host: &str, path: &str) {
        let fields = head("GET", host, path);
        self.headers(stream, &fields, End::Yes);
    }

    /// The first event of a kind that nobody has asked for yet; the others stay for later.
    #[track_caller]
    pub(crate) fn wait(&mut self, what: &str) -> Value {
        self.wait_for(what, |event| event["is"] == what)
    }

    /// The same, on one stream.
    #[track_caller]
    pub(crate) fn wait_on(&mut self, stream: u32, what: &str) -> Value {
        self.wait_for(what, |event| {
            event["is"] == what && event["stream"] == stream
        })
    }

    #[track_caller]
    pub(crate) fn wait_for(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        if let Some(place) = self.kept.iter().position(&fits) {
            return self.kept.remove(place);
        }
        let started = Instant::now();
        loop {
            let left = PATIENCE.saturating_sub(started.elapsed());
            let Some(line) = self.line(left) else {
                panic!("never heard: {what}; but {:?}", self.kept);
            };
            let event: Value = serde_json::from_str(&line).unwrap();
            if fits(&event) {
                return event;
            }
            self.kept.push(event);
        }
    }

    /// What came so far and was not asked for.
    pub(crate) fn so_far(&mut self) -> &[Value] {
        while let Some(line) = self.line(Duration::ZERO) {
            self.kept.push(serde_json::from_str(&line).unwrap());
        }
        &self.kept
    }

    /// Waits for the end of a stream: its status, the body, and the fields of head and trailers; or the code it was reset with.
    #[track_caller]
    pub(crate) fn answer(&mut self, stream: u32) -> Answer {
        let mut answer = Answer::default();
        loop {
            let event = self.wait_for("the end of a stream", |event| {
                event["stream"] == stream && event["is"] != "sent" || event["is"] == "closed"
            });
            match event["is"].as_str().unwrap() {
                "response" => answer.head = fields(&event),
                "trailers" => answer.trailers = fields(&event),
                "data" => {
                    answer.length += event["length"].as_u64().unwrap();
                    answer.body += event["text"].as_str().unwrap_or_default();
                }
                "ended" => {
                    answer.end = Ending::Complete;
                    return answer;
                }
                "reset" => {
                    answer.end = Ending::Reset(event["code"].as_u64().unwrap());
                    return answer;
                }
                "closed" => {
                    answer.end = Ending::Closed;
                    return answer;
                }
                _ => {}
            }
        }
    }
}

/// Whether a stream ends here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Yes,
    No,
}

/// How a stream ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Ending {
    Complete,
    Reset(u64),
    #[default]
    Closed,
}

/// What came back on a stream.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) head: Vec<(String, String)>,
    pub(crate) body: String,
    pub(crate) length: u64,
    pub(crate) trailers: Vec<(String, String)>,
    pub(crate) end: Ending,
}

impl Answer {
    pub(crate) fn status(&self) -> &str {
        field(&self.head, ":status").unwrap_or_default()
    }
}

/// The usual head of a request.
pub(crate) fn head<'a>(method: &'a str, host: &'a str, path: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        (":method", method),
        (":scheme", "https"),
        (":authority", host),
        (":path", path),
    ]
}

pub(crate) fn fields(event: &Value) -> Vec<(String, String)> {
    serde_json::from_value(event["fields"].clone()).unwrap()
}

pub(crate) fn field<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = fields.iter().find(|(field, _)| field == name);
    found.map(|(_, value)| value.as_str())
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended already.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}
