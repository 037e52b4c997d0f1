//! Stores that a fleet shares: Redis, moto as S3, and one that only seems to be one. Each is on an address of its own, so that it comes
//! back where it was; and emptied, for the honest ones keep everything in memory.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::support::eventually;
use crate::support::pebble::own_address;

const PORT: u16 = 6390;
const BUCKET: &str = "fleet";
const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/python/bin/python");
/// moto, so that it keeps its word to several at once too.
const MOTO_IN_TURN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/moto_in_turn.py");
const S3S: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/s3s/bin/s3s-fs");
/// moto looks whether there is a signature, not whether it is right.
const ANYBODY: &str = "AWS4-HMAC-SHA256 Credential=A/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Redis,
    Bucket,
    Lying,
}

/// A store that runs; gone when dropped.
pub(super) struct Shared {
    kind: Kind,
    address: Ipv4Addr,
    child: Child,
    folder: TempDir,
}

impl Shared {
    #[track_caller]
    pub(super) fn start(kind: Kind) -> Self {
        let (address, folder) = (own_address(), TempDir::new().unwrap());
        let child = run(kind, address, &folder);
        let store = Self {
            kind,
            address,
            child,
            folder,
        };
        store.make_ready();
        store
    }

    /// From now on nobody is there, and everything is lost.
    pub(super) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Empty, where it was.
    #[track_caller]
    pub(super) fn revive(&mut self) {
        self.child = run(self.kind, self.address, &self.folder);
        self.make_ready();
    }

    fn make_ready(&self) {
        eventually("a store that answers", || match self.kind {
            Kind::Redis => self.ask("PING\r\n")?.contains("PONG").then_some(()),
            Kind::Bucket => {
                let answer = self.ask_moto("PUT", &format!("/{BUCKET}"))?;
                answer.starts_with("HTTP/1.1 200").then_some(())
            }
            Kind::Lying => {
                let _there_already = fs::create_dir(self.folder.path().join(BUCKET));
                self.ask_moto("GET", "/").map(drop)
            }
        });
    }

    /// What a configuration says of it.
    pub(super) fn said(&self) -> String {
        let address = SocketAddr::from((self.address, PORT));
        match self.kind {
            Kind::Redis => format!("url = \"redis://{address}/0?prefix=fleet\""),
            Kind::Bucket | Kind::Lying => format!(
                "url = \"s3://{BUCKET}/edge\", endpoint = \"http://{address}\", access_key = \"A\", secret_key = \"B\""
            ),
        }
    }

    /// The names of what it holds, as it tells them.
    pub(super) fn names(&self) -> String {
        let names = match self.kind {
            Kind::Redis => self.ask("KEYS *\r\n"),
            Kind::Bucket | Kind::Lying => self.ask_moto("GET", &format!("/{BUCKET}?list-type=2")),
        };
        names.unwrap_or_default()
    }

    fn ask_moto(&self, method: &str, path: &str) -> Option<String> {
        self.ask(&format!(
            "{method} {path} HTTP/1.1\r\nHost: store\r\nAuthorization: {ANYBODY}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        ))
    }

    fn ask(&self, words: &str) -> Option<String> {
        let mut stream = TcpStream::connect((self.address, PORT)).ok()?;
        stream.write_all(words.as_bytes()).ok()?;
        if self.kind == Kind::Redis {
            // It would wait for more.
            stream.write_all(b"QUIT\r\n").ok()?;
        }
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        Some(String::from_utf8_lossy(&answer).into_owned())
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // It may have been killed already.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

#[track_caller]
fn run(kind: Kind, address: Ipv4Addr, folder: &TempDir) -> Child {
    let (address, port) = (address.to_string(), PORT.to_string());
    let mut command = match kind {
        Kind::Redis => {
            let mut command = Command::new("redis-server");
            command.args(["--bind", &address, "--port", &port]);
            command.args(["--save", "", "--appendonly", "no"]);
            command
        }
        Kind::Bucket => {
            let mut command = Command::new(PYTHON);
            command.args([MOTO_IN_TURN, "-H", &address, "-p", &port]);
            command
        }
        Kind::Lying => {
            let mut command = Command::new(S3S);
            command.args(["--host", &address, "--port", &port]);
            command.args(["--access-key", "A", "--secret-key", "B"]);
            command.arg(folder.path());
            command
        }
    };
    let log = File::create(folder.path().join("log")).unwrap();
    command
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .expect("a store is missing: run `tests/run --prepare`")
}
