//! Stands between a store and who asks it: loses answers, holds writes back or refuses them, and sets the store's clock.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Within these octets an answer has its date.
const HEAD_BYTES_MAX: usize = 2048;
const DENIAL: &[u8] =
    b"HTTP/1.1 403 Forbidden\r\ncontent-length: 40\r\n\r\n<Error><Code>AccessDenied</Code></Error>";

/// What befalls requests. Shared by all connections.
#[derive(Clone)]
pub(super) struct Between {
    pub(super) address: String,
    fate: Arc<Fate>,
}

struct Fate {
    /// Writes of this object lose their next answer.
    lose: Mutex<Option<String>>,
    /// Writes of this object wait until there is none.
    hold: watch::Sender<Option<String>>,
    /// Writes of this object are denied.
    refuse: Mutex<Option<String>>,
    /// This object has so many octets.
    swell: Mutex<Option<(String, usize)>>,
    /// The store's clock is ahead of its objects by this.
    ahead: Mutex<Duration>,
    /// Those that are held back.
    held: watch::Sender<usize>,
    /// Of writes: path and status.
    seen: Mutex<Vec<(String, String)>>,
}

impl Between {
    /// Serves until `serving` is dropped.
    pub(super) async fn before(store: String, serving: &mut JoinSet<()>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let between = Self {
            address: listener.local_addr().unwrap().to_string(),
            fate: Arc::new(Fate {
                lose: Mutex::default(),
                hold: watch::Sender::default(),
                refuse: Mutex::default(),
                swell: Mutex::default(),
                ahead: Mutex::default(),
                held: watch::Sender::default(),
                seen: Mutex::default(),
            }),
        };
        let fate = Arc::clone(&between.fate);
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(carry(stream, store.clone(), Arc::clone(&fate)));
            }
        });
        between
    }

    /// The answer to the next write of what ends so is lost.
    pub(super) fn lose(&self, path: &str) {
        *self.fate.lose.lock().unwrap() = Some(path.to_owned());
    }

    /// Writes of what ends so are denied from now on.
    pub(super) fn refuse(&self, path: &str) {
        *self.fate.refuse.lock().unwrap() = Some(path.to_owned());
    }

    /// Whoever reads what ends so gets so many octets from now on.
    pub(super) fn swell(&self, path: &str, size: usize) {
        *self.fate.swell.lock().unwrap() = Some((path.to_owned(), size));
    }

    /// From now on answers come so much later, going by their dates.
    pub(super) fn set_ahead(&self, ahead: Duration) {
        *self.fate.ahead.lock().unwrap() = ahead;
    }

    pub(super) fn hold(&self, path: &str) {
        self.fate.hold.send_replace(Some(path.to_owned()));
    }

    pub(super) async fn until_held(&self) {
        let mut held = self.fate.held.subscribe();
        held.wait_for(|held| *held > 0).await.unwrap();
    }

    pub(super) fn release(&self) {
        self.fate.hold.send_replace(None);
    }

    pub(super) async fn until_released_ones_are_answered(&self) {
        let mut held = self.fate.held.subscribe();
        held.wait_for(|held| *held == 0).await.unwrap();
    }

    /// The statuses that the store gave to writes of what ends so.
    pub(super) fn answers(&self, path: &str) -> Vec<String> {
        let seen = self.fate.seen.lock().unwrap();
        let of_it = seen.iter().filter(|(seen, _)| seen.ends_with(path));
        of_it.map(|(_, status)| status.clone()).collect()
    }
}

/// One request after the other.
async fn carry(mut client: TcpStream, store: String, fate: Arc<Fate>) {
    while let Some((path, request)) = read_request(&mut client).await {
        let write = request.starts_with(b"PUT");
        let is_held = |hold: &Option<String>| {
            let hold = hold.as_ref();
            write && hold.is_some_and(|hold| path.ends_with(hold.as_str()))
        };
        let mut hold = fate.hold.subscribe();
        let held = is_held(&hold.borrow());
        if held {
            fate.held.send_modify(|held| *held += 1);
            hold.wait_for(|hold| !is_held(hold)).await.unwrap();
        }
        let refused = write && {
            let refuse = fate.refuse.lock().unwrap();
            refuse.as_ref().is_some_and(|refuse| path.ends_with(refuse))
        };
        let answer = if refused {
            DENIAL.to_vec()
        } else {
            let ahead = *fate.ahead.lock().unwrap();
            dated(ask(&store, &request).await, ahead)
        };
        let swollen = fate.swell.lock().unwrap().clone();
        let answer = match swollen {
            Some((swell, size)) if request.starts_with(b"GET") && path.ends_with(&swell) => {
                resized(&answer, size)
            }
            _ => answer,
        };
        if write {
            let status = String::from_utf8_lossy(&answer[9..12]).into_owned();
            fate.seen.lock().unwrap().push((path.clone(), status));
        }
        if held {
            fate.held.send_modify(|held| *held -= 1);
        }
        let lost = write && {
            let mut lose = fate.lose.lock().unwrap();
            lose.take_if(|lose| path.ends_with(lose.as_str())).is_some()
        };
        if lost || client.write_all(&answer).await.is_err() {
            return;
        }
    }
}

async fn read_request(client: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut request = Vec::new();
    let head = loop {
        if client.read_buf(&mut request).await.ok()? == 0 {
            return None;
        }
        if let Some(at) = request.windows(4).position(|end| end == b"\r\n\r\n") {
            break at + 4;
        }
    };
    let text = String::from_utf8_lossy(&request[..head]).to_lowercase();
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    while request.len() < head + length {
        if client.read_buf(&mut request).await.ok()? == 0 {
            return None;
        }
    }
    let path = text.split(' ').nth(1)?.to_owned();
    Some((path, request))
}

/// On a connection of its own, to its end.
async fn ask(store: &str, request: &[u8]) -> Vec<u8> {
    let closing = [b"\r\nconnection: close\r\n".as_slice()].concat();
    let at = request.windows(2).position(|end| end == b"\r\n").unwrap();
    let mut stream = TcpStream::connect(store).await.unwrap();
    stream.write_all(&request[..at]).await.unwrap();
    stream.write_all(&closing).await.unwrap();
    stream.write_all(&request[at + 2..]).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    answer
}

/// The answer with its date set forward.
fn dated(answer: Vec<u8>, ahead: Duration) -> Vec<u8> {
    let begins = |at: &usize| {
        answer[*at..]
            .to_ascii_lowercase()
            .starts_with(b"\r\ndate: ")
    };
    let Some(at) = (0..answer.len().min(HEAD_BYTES_MAX)).find(begins) else {
        return answer;
    };
    let (before, rest) = answer.split_at(at + b"\r\ndate: ".len());
    let end = rest.windows(2).position(|end| end == b"\r\n").unwrap();
    let date = std::str::from_utf8(&rest[..end]).unwrap();
    let date = httpdate::parse_http_date(date).unwrap() + ahead;
    let date = httpdate::fmt_http_date(date);
    [before, date.as_bytes(), &rest[end..]].concat()
}

/// The answer with other content.
fn resized(answer: &[u8], size: usize) -> Vec<u8> {
    let end = answer.windows(4).position(|end| end == b"\r\n\r\n");
    let head = String::from_utf8_lossy(&answer[..end.unwrap()]);
    let is_length = |line: &&str| line.to_lowercase().starts_with("content-length:");
    let lines: Vec<_> = head.lines().filter(|line| !is_length(line)).collect();
    let head = format!("{}\r\ncontent-length: {size}\r\n\r\n", lines.join("\r\n"));
    [head.as_bytes(), &vec![b'x'; size]].concat()
}
