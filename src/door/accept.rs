//! Accepting: one acceptor a listening socket, which hands every connection to the worker with the fewest.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;

use super::worker::{Handle, Order};
use crate::routing::SocketSpec;

/// Connections taken in one go, before other sockets have their turn.
const BATCH: usize = 64;
/// The pause when the system has no descriptor or memory left: long enough not to spin, short enough not to be felt.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// How many connections there may be, and how many there are.
#[derive(Debug)]
pub struct Capacity {
    max: AtomicUsize,
    open: AtomicUsize,
    freed: Notify,
}

/// One connection's place. Given back when dropped.
#[derive(Debug)]
pub struct Permit {
    capacity: Arc<Capacity>,
    worker: Option<Arc<AtomicUsize>>,
}

impl Capacity {
    /// Nobody is here yet.
    #[must_use]
    pub fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max: AtomicUsize::new(max.max(1)), open: AtomicUsize::new(0), freed: Notify::new() })
    }

    /// Takes effect for the next arrival.
    pub fn set_max(&self, max: usize) {
        self.max.store(max.max(1), Ordering::Relaxed);
        self.freed.notify_waiters();
    }

    /// Connections at this moment.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    /// Waits for a place: while there is none, clients wait in the kernel's queue.
    async fn permit(self: &Arc<Self>) -> Permit {
        loop {
            let freed = self.freed.notified();
            let mut freed = std::pin::pin!(freed);
            freed.as_mut().enable();
            let max = self.max.load(Ordering::Relaxed);
            let more = |open: usize| (open < max).then_some(open + 1);
            if self.open.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).is_ok() {
                return Permit { capacity: self.clone(), worker: None };
            }
            freed.await;
        }
    }
}

impl Permit {
    fn at(mut self, load: &Arc<AtomicUsize>) -> Self {
        load.fetch_add(1, Ordering::Relaxed);
        self.worker = Some(load.clone());
        self
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(load) = &self.worker {
            load.fetch_sub(1, Ordering::Relaxed);
        }
        self.capacity.open.fetch_sub(1, Ordering::AcqRel);
        self.capacity.freed.notify_one();
    }
}

/// Accepts on one socket until dropped by its task's end. Never returns.
///
/// # Errors
/// When the listener cannot be watched.
pub async fn accept(
    listener: Arc<TcpListener>,
    socket: SocketSpec,
    workers: Arc<[Handle]>,
    capacity: Arc<Capacity>,
) -> io::Result<()> {
    let watched = AsyncFd::register_with_interest(listener, Interest::READABLE)?;
    loop {
        let mut ready = watched.readable().await?;
        for _ in 0..BATCH {
            let permit = capacity.permit().await;
            match watched.get_ref().accept() {
                Ok((stream, peer)) => hand_over(&workers, permit, |permit| Order::Serve { stream, peer, socket, permit }).await,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready.clear_ready();
                    break;
                }
                Err(error) => mishap(socket, &error).await,
            }
        }
    }
}

async fn hand_over(workers: &[Handle], permit: Permit, order: impl FnOnce(Permit) -> Order) {
    let least = workers.iter().min_by_key(|worker| worker.load.load(Ordering::Relaxed));
    if let Some(worker) = least {
        let order = order(permit.at(&worker.load));
        // A worker that is gone has told why; its connection closes here.
        let _gone = worker.orders.send(order).await;
    }
}

async fn mishap(socket: SocketSpec, error: &io::Error) {
    let exhausted = matches!(
        error.raw_os_error().map(rustix::io::Errno::from_raw_os_error),
        Some(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE | rustix::io::Errno::NOBUFS | rustix::io::Errno::NOMEM)
    );
    if exhausted {
        tracing::warn!(listener = %socket.address, %error, "cannot accept, clients wait");
        tokio::time::sleep(EXHAUSTED_PAUSE).await;
    } else {
        // The client gave up between SYN and accept.
        tracing::debug!(listener = %socket.address, %error, "arrival lost");
    }
}
