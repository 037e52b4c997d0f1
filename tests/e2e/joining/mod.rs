//! One door, many terminals: guests join the holder, and go on with the door when it leaves.

mod conflicts;
mod crash;
mod crowd;
mod crowds;
mod handover;
mod heirs;
mod leave;
mod luggage;
mod others;
mod raw;
mod reload;
mod replacing;
mod restart;
mod rights;
mod strangers;
mod streams;
mod together;
mod versions;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{fs, io};

use rustix::process::{Pid, Signal, kill_process};
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

/// Clients that connect, ask and connect again until they are told to end.
struct Loop {
    done: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    threads: Vec<JoinHandle<()>>,
}

/// What came of it so far.
#[derive(Debug, Clone)]
struct Seen {
    tried: usize,
    failures: Vec<String>,
    /// When an answer came last.
    last: Instant,
    /// The longest time from one answer to the next.
    longest: Duration,
}

impl Loop {
    /// One client.
    fn begin(address: SocketAddr, roots: &Arc<RootCertStore>, name: &'static str) -> Self {
        Self::begin_all(address, roots, &[name])
    }

    /// One client for each name.
    fn begin_all(address: SocketAddr, roots: &Arc<RootCertStore>, names: &[&'static str]) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let seen = Arc::new(Mutex::new(Seen {
            tried: 0,
            failures: Vec::new(),
            last: Instant::now(),
            longest: Duration::ZERO,
        }));
        let client = |name: &&'static str| {
            let (stop, seen, roots, name) = (done.clone(), seen.clone(), roots.clone(), *name);
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let asked = ask(address, &roots, name);
                    seen.lock().unwrap().note(name, asked);
                }
            })
        };
        let threads = names.iter().map(client).collect();
        Self {
            done,
            seen,
            threads,
        }
    }

    /// Waits for so many more.
    fn more(&self, number: usize) {
        let tried = || self.seen.lock().unwrap().tried;
        let goal = tried() + number;
        eventually("more connections", || (tried() > goal).then_some(()));
    }

    /// From now on the gap is measured anew.
    fn mark(&self) {
        self.seen.lock().unwrap().longest = Duration::ZERO;
    }

    /// The longest time from one answer to the next since then.
    fn longest(&self) -> Duration {
        self.seen.lock().unwrap().longest
    }

    fn end(mut self) -> Seen {
        self.done.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
        self.seen.lock().unwrap().clone()
    }
}

impl Seen {
    fn note(&mut self, name: &str, asked: io::Result<String>) {
        self.tried += 1;
        match asked {
            Ok(_body) => {
                let now = Instant::now();
                self.longest = self.longest.max(now - self.last);
                self.last = now;
            }
            Err(error) if self.failures.len() < FAILURES_KEPT => {
                self.failures.push(format!("{name}: {error}"));
            }
            Err(_another) => {}
        }
    }
}

/// A process that is no child of ours; killed when dropped.
struct Distant(u32);

impl Distant {
    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.0).unwrap()).unwrap();
        // It may have ended already.
        let _gone = kill_process(pid, signal);
    }

    /// Waits for its end, whoever else waits for it.
    #[track_caller]
    fn ended(&self) {
        eventually("the end of a process", || (!is_alive(self.0)).then_some(()));
    }
}

impl Drop for Distant {
    fn drop(&mut self) {
        if is_alive(self.0) {
            self.signal(Signal::KILL);
        }
    }
}

/// Whether a process runs: one that ended and was not asked for yet does not.
fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit_once(") ")
        .and_then(|(_name, rest)| rest.chars().next());
    state.is_some_and(|state| !matches!(state, 'Z' | 'X'))
}
