//! Accepting: one acceptor a listening socket, which hands every connection to the worker with the fewest.
//!
//! An acceptor is a thread that does nothing else: what it accepts was never registered with a runtime before its worker has it.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;

use super::crowd::Seat;
use super::worker::{Handle, Order};
use crate::observe::counters::Counters;
use crate::routing::SocketSpec;

/// The pause when the system has no descriptor or memory left: long enough not to spin, short enough not to be felt.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);
/// How long an acceptor without a free place sleeps before it looks whether it should stop.
const FULL_PAUSE: Duration = Duration::from_millis(200);

/// How many connections there may be, and how many there are.
#[derive(Debug)]
pub struct Capacity {
    max: AtomicUsize,
    open: AtomicUsize,
    full: Mutex<()>,
    freed: Condvar,
    /// Acceptors that wait for a place.
    waiting: AtomicUsize,
}

/// One connection's place. Given back when dropped.
#[derive(Debug)]
pub struct Permit {
    capacity: Arc<Capacity>,
    worker: Option<(Arc<AtomicUsize>, Arc<Counters>)>,
    /// In a box: mostly nobody counts by address.
    seat: Option<Box<Seat>>,
}

impl Capacity {
    /// Nobody is here yet.
    #[must_use]
    pub fn new(max: usize) -> Arc<Self> {
        Arc::new(Self {
            max: AtomicUsize::new(max.max(1)),
            open: AtomicUsize::new(0),
            full: Mutex::new(()),
            freed: Condvar::new(),
            waiting: AtomicUsize::new(0),
        })
    }

    /// Takes effect for the next arrival.
    pub fn set_max(&self, max: usize) {
        self.max.store(max.max(1), Ordering::Relaxed);
    }

    /// Connections at this moment.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    /// Whether nobody else is accepted at this moment.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.open() >= self.max.load(Ordering::Relaxed)
    }

    fn permit(self: &Arc<Self>) -> Option<Permit> {
        let max = self.max.load(Ordering::Relaxed);
        let more = |open: usize| (open < max).then_some(open + 1);
        self.open
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, more)
            .ok()?;
        Some(Permit {
            capacity: self.clone(),
            worker: None,
            seat: None,
        })
    }

    /// Waits until a place may be free. Clients wait in the kernel's queue meanwhile.
    fn wait(&self) {
        let full = self.full.lock().unwrap_or_else(PoisonError::into_inner);
        self.waiting.fetch_add(1, Ordering::AcqRel);
        drop(self.freed.wait_timeout(full, FULL_PAUSE));
        self.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Permit {
    fn at(mut self, worker: &Handle) -> Self {
        worker.load.fetch_add(1, Ordering::Relaxed);
        self.worker = Some((worker.load.clone(), worker.counters.clone()));
        self
    }

    /// Together with a place among the connections of its client.
    pub(super) fn with(mut self, seat: Seat) -> Self {
        self.seat = Some(Box::new(seat));
        self
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some((load, counters)) = &self.worker {
            load.fetch_sub(1, Ordering::Relaxed);
            // Dropped by the worker that has the connection: nobody else writes its counters.
            counters.connection_closed();
        }
        self.capacity.open.fetch_sub(1, Ordering::AcqRel);
        if self.capacity.waiting.load(Ordering::Acquire) > 0 {
            self.capacity.freed.notify_one();
        }
    }
}

/// A socket that is being accepted on. Dropped, it accepts no more; the socket stays open as long as somebody else holds it.
#[derive(Debug)]
pub struct Acceptor {
    /// Closing it ends the thread.
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl Acceptor {
    /// Begins to accept.
    ///
    /// # Errors
    /// When the system gives no thread or descriptor.
    pub fn start(
        listener: Arc<TcpListener>,
        socket: SocketSpec,
        workers: Arc<[Handle]>,
        capacity: Arc<Capacity>,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let (stop, stopped) = UnixStream::pair()?;
        let accepting = Accepting {
            listener,
            socket,
            workers,
            capacity,
            stopped,
        };
        let thread = std::thread::Builder::new()
            .name("acceptor".to_owned())
            .spawn(move || accepting.run())?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the acceptor was reported when it happened.
            let _ended = thread.join();
        }
    }
}

struct Accepting {
    listener: Arc<TcpListener>,
    socket: SocketSpec,
    workers: Arc<[Handle]>,
    capacity: Arc<Capacity>,
    stopped: UnixStream,
}

enum Next {
    Accept,
    Stop,
}

impl Accepting {
    fn run(&self) {
        let mut exhausted = false;
        while self.goes_on() {
            match self.capacity.permit() {
                None => self.capacity.wait(),
                Some(permit) => match self.listener.accept() {
                    Ok((stream, peer)) => {
                        exhausted = false;
                        self.hand_over(permit, stream, peer);
                    }
                    Err(error) if is_exhaustion(&error) => {
                        if !std::mem::replace(&mut exhausted, true) {
                            tracing::warn!(listener = %self.socket.address, %error, "cannot accept, clients wait");
                        }
                        std::thread::sleep(EXHAUSTED_PAUSE);
                    }
                    // Another thread was faster, or the client gave up between SYN and accept.
                    Err(error) => {
                        tracing::trace!(listener = %self.socket.address, %error, "arrival lost")
                    }
                },
            }
        }
    }

    fn goes_on(&self) -> bool {
        match self.wait() {
            Ok(Next::Accept) => true,
            Ok(Next::Stop) => false,
            Err(error) => {
                tracing::error!(listener = %self.socket.address, %error, "nothing is accepted any more");
                false
            }
        }
    }

    fn wait(&self) -> io::Result<Next> {
        let mut watched = [
            PollFd::new(&self.listener, PollFlags::IN),
            PollFd::new(&self.stopped, PollFlags::IN),
        ];
        match rustix::event::poll(&mut watched, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::NOMEM | Errno::AGAIN) => std::thread::sleep(EXHAUSTED_PAUSE),
            Err(error) => return Err(error.into()),
        }
        Ok(if watched[1].revents().is_empty() {
            Next::Accept
        } else {
            Next::Stop
        })
    }

    fn hand_over(&self, permit: Permit, stream: TcpStream, peer: SocketAddr) {
        let least = self
            .workers
            .iter()
            .min_by_key(|worker| worker.load.load(Ordering::Relaxed));
        if let Some(worker) = least {
            let (socket, permit) = (self.socket, permit.at(worker));
            // A worker that is gone has told why; its connection closes here.
            let _gone = worker.orders.blocking_send(Order::Serve {
                stream,
                peer,
                socket,
                permit,
            });
        }
    }
}

/// Whether the system has no descriptor or memory left.
fn is_exhaustion(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error().map(Errno::from_raw_os_error),
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)
    )
}
