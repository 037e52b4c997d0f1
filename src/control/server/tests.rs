//! Requests as bytes, over real sockets.

use std::path::{Path, PathBuf};
use std::process::{self, Stdio};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task;

use super::*;
use crate::control::health::Status;
use crate::control::renewal::Renewal;

#[tokio::test]
async fn health_is_503_until_it_is_ready_and_again_while_draining() {
    let door = Door::open();
    assert!(
        door.ask("GET /v1/health")
            .await
            .starts_with("HTTP/1.1 503 ")
    );
    door.health
        .send_modify(|health| health.status = Status::Ready);
    let reply = door.ask("GET /v1/health").await;
    assert!(reply.starts_with("HTTP/1.1 200 "), "{reply}");
    assert!(reply.contains("content-type: application/json"), "{reply}");
    assert!(reply.contains(r#""status":"ready""#), "{reply}");
    door.health
        .send_modify(|health| health.status = Status::Draining);
    let reply = door.ask("GET /v1/health").await;
    assert!(reply.starts_with("HTTP/1.1 503 "), "{reply}");
    assert!(reply.contains(r#""status":"draining""#), "{reply}");
}

#[tokio::test]
async fn what_is_not_there_is_404_and_what_is_not_done_is_405() {
    let door = Door::open();
    let reply = door.ask("GET /v2/health").await;
    assert!(reply.starts_with("HTTP/1.1 404 "), "{reply}");
    assert!(reply.ends_with(r#"{"error":"not-found"}"#), "{reply}");
    let reply = door.ask("DELETE /v1/health").await;
    assert!(reply.starts_with("HTTP/1.1 405 "), "{reply}");
    assert!(reply.contains("allow: GET, HEAD"), "{reply}");
    let reply = door.ask("GET /v1/renew?name=a.test").await;
    assert!(reply.contains("allow: POST"), "{reply}");
}

#[tokio::test(start_paused = true)]
async fn a_renewal_is_waited_for_longer_than_anything_else() {
    let door = Door::open();
    let reply = door.ask("POST /v1/renew?name=slow.test").await;
    assert!(reply.starts_with("HTTP/1.1 200 "), "{reply}");
    assert!(reply.ends_with(r#"{"outcome":"unknown"}"#), "{reply}");
    let reply = door.ask("POST /v1/renew?name=a/b").await;
    assert!(reply.starts_with("HTTP/1.1 400 "), "{reply}");
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let door = Door::open();
    let long = format!("GET /{}", "x".repeat(2 * HEAD_BYTES_MAX));
    let reply = door.ask(&long).await;
    assert!(reply.starts_with("HTTP/1.1 4"), "{reply}");
}

#[tokio::test]
async fn the_connections_beyond_the_limit_wait_and_the_silent_ones_end() {
    let door = Door::open();
    let mut silent = Vec::new();
    for _connection in 0..CONNECTIONS_MAX {
        silent.push(UnixStream::connect(door.socket()).await.unwrap());
    }
    let reply = door.ask("GET /v1/health").await;
    assert!(reply.starts_with("HTTP/1.1 503 "), "{reply}");
}

#[tokio::test]
async fn the_cut_closes_the_socket() {
    let door = Door::open();
    let mut open = UnixStream::connect(door.socket()).await.unwrap();
    door.ask("GET /v1/health").await;
    door.shutdown.cut_off();
    let mut rest = Vec::new();
    open.read_to_end(&mut rest).await.unwrap();
    assert!(UnixStream::connect(door.socket()).await.is_err());
}

#[tokio::test]
async fn curl_can_ask() {
    let door = Door::open();
    let mut curl = process::Command::new("curl");
    curl.args(["--silent", "--max-time", "5", "--unix-socket"])
        .arg(door.socket())
        .arg("http://onedoor/v1/health")
        .stdin(Stdio::null());
    let Ok(output) = task::spawn_blocking(move || curl.output()).await.unwrap() else {
        return;
    };
    let health: Health = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(health, *door.health.borrow());
}

#[test]
fn only_the_same_user_and_root_may_talk() {
    assert!(may_talk(1000, 1000));
    assert!(may_talk(0, 1000));
    assert!(!may_talk(1001, 1000));
    assert!(!may_talk(1000, 0));
}

struct Door {
    root: tempfile::TempDir,
    health: watch::Sender<Health>,
    shutdown: Shutdown,
}

impl Door {
    fn open() -> Self {
        let root = tempfile::tempdir().unwrap();
        let since = "2026-01-31T12:00:00Z".parse().unwrap();
        let (health, told) = watch::channel(Health::starting(since));
        let shutdown = Shutdown::new();
        let listener = StdUnixListener::bind(socket(root.path())).unwrap();
        let renewer = Renewer::new(|_name| {
            Box::pin(async {
                time::sleep(2 * CONNECTION_TIMEOUT).await;
                Renewal::Unknown
            })
        });
        let sources = Sources {
            renewer,
            ..Sources::of(told)
        };
        start(listener, sources, &shutdown).unwrap();
        Self {
            root,
            health,
            shutdown,
        }
    }

    fn socket(&self) -> PathBuf {
        socket(self.root.path())
    }

    async fn ask(&self, line: &str) -> String {
        let mut stream = UnixStream::connect(self.socket()).await.unwrap();
        let head = format!("{line} HTTP/1.1\r\nHost: onedoor\r\n\r\n");
        // The holder may refuse before it has read everything.
        let _written = stream.write_all(head.as_bytes()).await;
        let mut reply = Vec::new();
        let _read = stream.read_to_end(&mut reply).await;
        String::from_utf8(reply).unwrap()
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.shutdown.cut_off();
    }
}

fn socket(root: &Path) -> PathBuf {
    root.join("control.sock")
}
