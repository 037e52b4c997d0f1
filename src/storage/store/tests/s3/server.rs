//! Stores that speak S3: moto, which keeps its word, and s3s-fs, which does not when asked for several things at once.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tempfile::TempDir;

use crate::storage::store::Store;
use crate::storage::store::s3::{Place, S3};

pub(super) const ACCESS: &str = "AKIATEST";
/// Signed by nobody.
const ANYBODY: &str = "AWS4-HMAC-SHA256 Credential=A/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
/// moto, so that it keeps its word to several at once too.
const MOTO_IN_TURN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/moto_in_turn.py");
pub(super) const SECRET: &str = "not-to-be-shown";

/// One for all tests of a process, and gone with it.
pub(crate) static MOTO: LazyLock<Server> = LazyLock::new(Server::moto);

pub(crate) struct Server {
    pub(super) address: String,
    child: Child,
    /// What it keeps its buckets in.
    folder: TempDir,
}

impl Server {
    fn moto() -> Self {
        let python = tool("python/bin/python");
        let mut command = guarded(&python);
        command
            .args([MOTO_IN_TURN, "-H", "127.0.0.1", "-p", "0"])
            // So that listings have several pages.
            .env("MOTO_S3_DEFAULT_MAX_KEYS", "3");
        Self::start(command, TempDir::new().unwrap())
    }

    /// A store that says yes to several writers at once.
    pub(super) fn lying() -> Self {
        let program = tool("s3s/bin/s3s-fs");
        let folder = TempDir::new().unwrap();
        let mut command = guarded(&program);
        command
            .args(["--host", "127.0.0.1", "--port", "0"])
            .args(["--access-key", ACCESS, "--secret-key", SECRET])
            .arg(folder.path())
            .env("RUST_LOG", "info")
            .env("NO_COLOR", "1");
        Self::start(command, folder)
    }

    fn start(mut command: Command, folder: TempDir) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = said.by_ref().find_map(|line| {
            let line = line.unwrap();
            let (_before, rest) = line.split_once("http://")?;
            Some(rest.trim_end_matches('/').to_owned())
        });
        thread::spawn(move || said.for_each(drop));
        Self {
            address: address.expect("the store ended: run `tests/run --prepare`"),
            child,
            folder,
        }
    }

    /// A bucket of moto that no other test has.
    pub(crate) fn bucket(&self) -> String {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let bucket = format!("bucket-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        assert!(
            self.ask("PUT", &format!("/{bucket}"), b"")
                .starts_with("HTTP/1.1 200")
        );
        bucket
    }

    /// A bucket of a store that keeps buckets in its folder.
    pub(super) fn folder_bucket(&self) -> String {
        let bucket = "bucket".to_owned();
        std::fs::create_dir(self.folder.path().join(&bucket)).unwrap();
        bucket
    }

    pub(super) fn place(&self, bucket: &str) -> Place {
        place(&self.address, bucket)
    }

    /// A process of its own, as far as the store can see.
    pub(crate) fn store(&self, bucket: &str) -> Store {
        store(self.place(bucket))
    }

    /// As anybody may ask moto, which looks at no signature.
    pub(super) fn ask(&self, method: &str, path: &str, body: &[u8]) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let (host, length) = (&self.address, body.len());
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: {ANYBODY}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _reaped = self.child.wait();
    }
}

pub(super) fn place(address: &str, bucket: &str) -> Place {
    let place = Place::parse(&format!("s3://{bucket}/edge/one")).unwrap();
    let place = place.at_endpoint(&format!("http://{address}")).unwrap();
    place.with_keys(ACCESS, SECRET, None)
}

pub(super) fn store(place: Place) -> Store {
    Store::on(S3::at(place).unwrap())
}

fn tool(path: &str) -> PathBuf {
    let target = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target");
    let program = target.join(path);
    assert!(
        program.exists(),
        "no {}: run `tests/run --prepare`",
        program.display()
    );
    program
}

/// The program, which ends when our end of its standard input is closed, however that comes about.
fn guarded(program: &std::path::Path) -> Command {
    const SCRIPT: &str = r#""$@" </dev/null 2>&1 & cat >/dev/null; kill $!; wait"#;
    let mut command = Command::new("sh");
    command.args(["-c", SCRIPT, "sh"]).arg(program);
    command
}
