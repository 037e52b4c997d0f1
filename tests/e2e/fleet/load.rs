//! Handshakes without end, within bounds: each replica is asked in turn, and every failure is kept.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::RootCertStore;

use crate::support::client::try_tls;

/// At most, however long the test takes.
const HANDSHAKES_MAX: usize = 10_000;
const PAUSE: Duration = Duration::from_millis(10);
const CLIENTS: usize = 2;

pub(super) struct Load {
    ends: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    /// On each of these addresses, for this name.
    pub(super) fn on(addresses: &[SocketAddr], roots: &Arc<RootCertStore>, name: &str) -> Self {
        let (ends, done): (Arc<AtomicBool>, Arc<AtomicUsize>) = Default::default();
        let clients = (0..CLIENTS).map(|_client| {
            let (ends, done) = (ends.clone(), done.clone());
            let (addresses, roots, name) = (addresses.to_vec(), roots.clone(), name.to_owned());
            thread::spawn(move || {
                let mut failures = Vec::new();
                for address in addresses.iter().cycle() {
                    if ends.load(Ordering::SeqCst) {
                        break;
                    }
                    if let Err(error) = try_tls(*address, &roots, &name, &[]) {
                        failures.push(format!("{address}: {error}"));
                    }
                    if done.fetch_add(1, Ordering::SeqCst) >= HANDSHAKES_MAX {
                        break;
                    }
                    thread::park_timeout(PAUSE);
                }
                failures
            })
        });
        Self {
            clients: clients.collect(),
            ends,
            done,
        }
    }

    /// Handshakes so far, good or bad.
    pub(super) fn done(&self) -> usize {
        self.done.load(Ordering::SeqCst)
    }

    /// What failed in all that time.
    pub(super) fn ended(self) -> Vec<String> {
        self.ends.store(true, Ordering::SeqCst);
        let clients = self.clients.into_iter();
        clients.flat_map(|client| client.join().unwrap()).collect()
    }
}
