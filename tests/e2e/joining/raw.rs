//! The control socket spoken by hand: requests, and guests without a process of their own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::PATIENCE;

/// A guest that says what the test says.
pub(super) struct Raw {
    stream: BufReader<UnixStream>,
    /// The first word of the holder.
    pub(super) welcome: Value,
}

/// A refusal: the status and what it says.
pub(super) type Refused = (u16, Value);

/// What an onedoor of this version says of itself, with these sites of its command line.
pub(super) fn wanted(sites: &[String]) -> Value {
    json!({
        "protocol": 1,
        "min": 1,
        "version": env!("CARGO_PKG_VERSION"),
        "owner": {
            "pid": std::process::id(),
            "uid": 0,
            "command": "by hand",
            "folder": "/srv",
            "since": "2026-01-31T12:00:00Z",
        },
        "offer": { "main": null, "arguments": sites },
        "log": "text",
    })
}

impl Raw {
    /// Joins with sites `HOST=TARGET`.
    #[track_caller]
    pub(super) fn join(control: &Path, sites: &[String]) -> Self {
        Self::ask(control, &wanted(sites)).unwrap()
    }

    pub(super) fn ask(control: &Path, body: &Value) -> Result<Self, Refused> {
        let body = body.to_string();
        let mut stream = connect(control);
        let head = format!(
            "POST /v1/join HTTP/1.1\r\nhost: onedoor\r\nconnection: upgrade\r\n\
             upgrade: onedoor-session\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        // A refusal may come before the end of it.
        let _sent = stream
            .write_all(head.as_bytes())
            .and_then(|()| stream.write_all(body.as_bytes()));
        let mut stream = BufReader::new(stream);
        let head = head_of(&mut stream);
        let status = status_of(&head);
        if status != 101 {
            return Err((status, body_of(&mut stream)));
        }
        let mut joined = Self {
            stream,
            welcome: Value::Null,
        };
        joined.welcome = joined.told().unwrap()["welcome"].clone();
        Ok(joined)
    }

    /// What the holder says next; none: it ended the conversation.
    pub(super) fn told(&mut self) -> Option<Value> {
        let mut line = String::new();
        let read = self.stream.read_line(&mut line).ok()?;
        (read > 0).then(|| serde_json::from_str(&line).unwrap())
    }

    /// What it says next that has this field.
    #[track_caller]
    pub(super) fn told_of(&mut self, what: &str) -> Value {
        loop {
            let told = self.told().expect(what);
            if let Some(value) = told.get(what) {
                return value.clone();
            }
        }
    }

    pub(super) fn say(&mut self, said: &Value) {
        let line = format!("{said}\n");
        self.stream.get_mut().write_all(line.as_bytes()).unwrap();
    }

    /// The same with these sites from now on.
    pub(super) fn offer(&mut self, sites: &[String]) {
        let offer = json!({ "main": null, "arguments": sites });
        self.say(&json!({ "offer": { "offer": offer, "based_on": 0 } }));
    }

    /// Says goodbye and waits until the holder has heard it.
    pub(super) fn leave(mut self) {
        self.say(&json!("leave"));
        while self.told().is_some() {}
    }
}

/// One request without a body: the status and the answer.
pub(super) fn ask(control: &Path, request: &str) -> Refused {
    ask_with(control, request, "")
}

/// The same with more header fields, each ended by a line break.
pub(super) fn ask_with(control: &Path, request: &str, fields: &str) -> Refused {
    let mut stream = connect(control);
    let head = format!("{request} HTTP/1.1\r\nhost: onedoor\r\nconnection: close\r\n{fields}\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut stream = BufReader::new(stream);
    let head = head_of(&mut stream);
    (status_of(&head), body_of(&mut stream))
}

/// `GET /v1/status`.
#[track_caller]
pub(super) fn status(control: &Path) -> Value {
    let (code, status) = ask(control, "GET /v1/status");
    assert_eq!(code, 200, "{status}");
    status
}

fn connect(control: &Path) -> UnixStream {
    let stream = UnixStream::connect(control.join("control.sock")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn head_of(stream: &mut BufReader<UnixStream>) -> String {
    let mut head = String::new();
    while stream.read_line(&mut head).unwrap_or(0) > 0 && !head.ends_with("\r\n\r\n") {}
    head
}

fn status_of(head: &str) -> u16 {
    let word = head.split(' ').nth(1).unwrap_or("0");
    word.parse().unwrap()
}

fn body_of(stream: &mut BufReader<UnixStream>) -> Value {
    let mut body = Vec::new();
    // A holder that refuses early may close with octets unread.
    let _ended = stream.read_to_end(&mut body);
    serde_json::from_slice(&body).unwrap_or(Value::Null)
}
