//! One door, many terminals: guests join the holder, and go on with the door when it leaves.

mod conflicts;
mod crash;
mod crowds;
mod leave;
mod luggage;
mod others;
mod raw;
mod reload;
mod replacing;
mod rights;
mod strangers;
mod together;
mod versions;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use rustls::RootCertStore;

use crate::support::answer::{read_answer, send_get};
use crate::support::backend::Backend;
use crate::support::client::try_tls;
use crate::support::door::{Door, Home};
use crate::support::eventually;

/// A file with one site, on a port that the system chooses.
pub(crate) fn site(name: &str, backend: &Backend) -> String {
    format!(
        r#"
        listen = ["127.0.0.1:0"]
        http = false
        drain = "5s"
        [sites]
        "{name}" = "{}"
        "#,
        backend.address
    )
}

/// A file with one site that follows the door's ports.
pub(crate) fn follower(name: &str, backend: &Backend) -> String {
    format!("[sites]\n\"{name}\" = \"{}\"\n", backend.address)
}

/// `onedoor up` with this file beside a door that is there.
#[track_caller]
pub(crate) fn join(door: &Door, config: &str) -> Door {
    Door::up_in(door.home().beside(config), &["up"])
}

/// What `onedoor up` ends with beside a door.
fn refused(home: &Home, arguments: &[&str]) -> (i32, String) {
    let (code, _out, err) = home.run(arguments);
    (code, err)
}

/// One request on a connection of its own.
pub(crate) fn ask(
    address: SocketAddr,
    roots: &Arc<RootCertStore>,
    name: &str,
) -> io::Result<String> {
    let mut stream = try_tls(address, roots, name, &[])?;
    send_get(&mut stream, name, "/");
    Ok(read_answer(&mut stream)?.body)
}

/// A few tell what is wrong.
const FAILURES_KEPT: usize = 5;

/// A client that connects, asks and connects again until it is told to end.
struct Loop {
    done: Arc<AtomicBool>,
    tried: Arc<AtomicUsize>,
    failures: Arc<Mutex<Vec<String>>>,
    thread: Option<JoinHandle<()>>,
}

impl Loop {
    fn begin(address: SocketAddr, roots: &Arc<RootCertStore>, name: &'static str) -> Self {
        let (done, tried) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicUsize::new(0)),
        );
        let failures: Arc<Mutex<Vec<String>>> = Arc::default();
        let (stop, count, failed, roots) =
            (done.clone(), tried.clone(), failures.clone(), roots.clone());
        let thread = thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                if let Err(error) = ask(address, &roots, name) {
                    let mut failed = failed.lock().unwrap();
                    if failed.len() < FAILURES_KEPT {
                        failed.push(error.to_string());
                    }
                }
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self {
            done,
            tried,
            failures,
            thread: Some(thread),
        }
    }

    /// Waits for so many more.
    fn more(&self, number: usize) {
        let goal = self.tried.load(Ordering::Relaxed) + number;
        eventually("more connections", || {
            (self.tried.load(Ordering::Relaxed) > goal).then_some(())
        });
    }

    /// How many there were, and what went wrong.
    fn end(mut self) -> (usize, Vec<String>) {
        self.done.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
        let failures = self.failures.lock().unwrap().clone();
        (self.tried.load(Ordering::Relaxed), failures)
    }
}
