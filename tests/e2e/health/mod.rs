//! `health`: targets that are asked how they are.

mod kinds;
mod turns;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde_json::Value;

use crate::support::backend::{Backend, Seen, ok};
use crate::support::door::Door;
use crate::support::eventually;
use crate::support::wire::Wire;

/// Says its name to everybody, and to checks how it is.
struct Service {
    backend: Backend,
    status: Arc<AtomicU16>,
    /// When it was checked.
    moments: Arc<Mutex<Vec<Instant>>>,
}

impl Service {
    fn named(name: &'static str) -> Self {
        let status = Arc::new(AtomicU16::new(200));
        let moments: Arc<Mutex<Vec<Instant>>> = Arc::default();
        let (said, noted) = (status.clone(), moments.clone());
        let backend = Backend::http(move |request| {
            if request.line() != "GET /up HTTP/1.1" {
                return ok(name);
            }
            noted.lock().unwrap().push(Instant::now());
            let status = said.load(Ordering::SeqCst);
            let fields = "Location: /login\r\nContent-Length: 0\r\nConnection: close";
            format!("HTTP/1.1 {status} Said\r\n{fields}\r\n\r\n").into_bytes()
        });
        Self {
            backend,
            status,
            moments,
        }
    }

    fn says(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    fn address(&self) -> SocketAddr {
        self.backend.address
    }

    fn checks(&self) -> Vec<Seen> {
        let mut seen = self.backend.seen();
        seen.retain(|seen| seen.line().starts_with("GET /up "));
        seen
    }
}

/// Often, and decided at once.
const QUICK: &str = r#"every = "20ms", fails = 1, passes = 1, timeout = "20s""#;

fn site(name: &str, to: &str, health: &str) -> String {
    format!("\"{name}\" = {{ to = {to}, tls = \"off\", health = {health} }}\n")
}

fn config(sites: &str) -> String {
    format!("listen = [\"127.0.0.1:0\"]\nhttp = [\"127.0.0.1:0\"]\nworkers = 1\n[sites]\n{sites}")
}

/// Targets that are down, as `status` tells it.
fn down(door: &Door) -> Vec<Value> {
    let (code, out, err) = door.home().run(&["status", "--json"]);
    assert_eq!(code, 0, "{err}");
    let status: Value = serde_json::from_str(&out).unwrap();
    status["down"].as_array().unwrap().clone()
}

/// Why the only target that is down is so, once one is.
#[track_caller]
fn why(door: &Door) -> String {
    let down = eventually("a target that is down", || down(door).pop());
    down["why"].as_str().unwrap().to_owned()
}

#[track_caller]
fn wait_until_all_are_up(door: &Door) {
    eventually("all targets up", || down(door).is_empty().then_some(()));
}

fn ask(wire: &mut Wire, host: &str) -> (u16, String) {
    let answer = wire.ask(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    (answer.status(), answer.text())
}
