//! A worker: one thread with its own runtime, on which a connection lives and dies.

use std::cell::RefCell;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use rustls::sign::CertifiedKey;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, oneshot};

use super::accept::Permit;
use super::arrival::{Arrival, From};
use super::awaited::Awaited;
use super::crowd::Crowd;
use super::serve;
use super::tls::Policies;
use crate::certs::plan::Plan;
use crate::certs::resolver::{Resolver, Sought};
use crate::deadline::{Deadline, Wheel};
use crate::hostname::{HostName, HostPattern};
use crate::observe::access::AccessLog;
use crate::observe::counters::Counters;
use crate::observe::lines::Lines;
use crate::observe::taps::Taps;
use crate::proxy::context::{Context, Held, Stage, Table};
use crate::routing::{Socket, SocketSpec};

/// Orders that wait for a worker; an acceptor waits when there are more.
const ORDERS_MAX: usize = 1024;
/// Ticks between two looks for idle upstream connections.
const SWEEP_TICKS: u32 = 50;

/// One generation of all that a connection is decided by.
#[derive(Debug)]
pub struct Current {
    pub table: Arc<Table>,
    pub plan: Plan,
    pub resolver: Resolver,
}

/// What a worker is told.
#[derive(Debug)]
pub enum Order {
    Serve {
        stream: TcpStream,
        peer: SocketAddr,
        socket: SocketSpec,
        permit: Permit,
    },
    /// Says when it has.
    Adopt(Arc<Current>, oneshot::Sender<()>),
    Advance(Stage),
}

/// A worker from outside.
#[derive(Debug, Clone)]
pub struct Handle {
    pub orders: mpsc::Sender<Order>,
    /// Connections it has.
    pub load: Arc<AtomicUsize>,
    pub counters: Arc<Counters>,
}

/// What all workers start with.
#[derive(Debug, Clone)]
pub struct Options {
    pub current: Arc<Current>,
    pub policies: Arc<Policies>,
    pub access: Option<Arc<AccessLog>>,
    /// Who reads lines besides.
    pub taps: Arc<Taps>,
    pub awaited: Arc<Awaited>,
    /// Whether somebody from the network was turned away already, by any worker.
    pub turned_away: Arc<AtomicBool>,
    pub crowd: Arc<Crowd>,
}

/// A worker from inside.
#[derive(Debug)]
pub(super) struct Worker {
    pub context: Rc<Context>,
    pub policies: Arc<Policies>,
    awaited: Arc<Awaited>,
    current: RefCell<Held<Current>>,
    turned_away: Arc<AtomicBool>,
    pub crowd: Arc<Crowd>,
}

/// Starts the worker with this number. Its thread ends after the order to cut, or when its handle is gone.
///
/// # Errors
/// When the system gives no thread, or no runtime can be made in it.
pub fn start(number: usize, options: Options) -> io::Result<(Handle, JoinHandle<()>)> {
    let (orders, inbox) = mpsc::channel(ORDERS_MAX);
    let counters = Arc::new(Counters::default());
    let handle = Handle {
        orders,
        load: Arc::default(),
        counters: counters.clone(),
    };
    let (ready, started) = std::sync::mpsc::sync_channel(1);
    let thread = std::thread::Builder::new()
        .name(format!("worker-{number}"))
        .spawn(move || {
            match Builder::new_current_thread()
                .enable_all()
                .build_local(LocalOptions::default())
            {
                Ok(runtime) => {
                    // The receiver waits for exactly this.
                    let _waiting = ready.send(Ok(()));
                    runtime.block_on(run(options, counters, inbox));
                }
                Err(error) => drop(ready.send(Err(error))),
            }
        })?;
    started.recv().map_err(io::Error::other)??;
    Ok((handle, thread))
}

async fn run(options: Options, counters: Arc<Counters>, mut inbox: mpsc::Receiver<Order>) {
    let Options {
        current,
        policies,
        access,
        taps,
        awaited,
        turned_away,
        crowd,
    } = options;
    let wheel = Wheel::new();
    let lines = Lines::new(access.map(|log| log.writer()), taps);
    let context = Rc::new(Context::new(
        current.table.clone(),
        wheel.clone(),
        lines,
        counters,
    ));
    let worker = Rc::new(Worker {
        context: context.clone(),
        policies,
        awaited,
        current: RefCell::new(Held::new(current)),
        turned_away,
        crowd,
    });
    let ticking = context.clone();
    tokio::task::spawn_local(async move {
        let mut ticks = 0_u32;
        let each_tick = || {
            ticks = ticks.wrapping_add(1);
            ticking.tick();
            if ticks.is_multiple_of(SWEEP_TICKS) {
                ticking.upstreams.sweep();
            }
        };
        wheel.turn(each_tick).await;
    });
    while let Some(order) = inbox.recv().await {
        match order {
            Order::Serve {
                stream,
                peer,
                socket,
                permit,
            } => worker.take_in(stream, peer, socket, permit),
            Order::Adopt(current, adopted) => {
                worker.adopt(current);
                // Nobody waits for a late one any more.
                let _waiting = adopted.send(());
            }
            Order::Advance(stage) => {
                context.advance(stage);
                if stage == Stage::Cut {
                    break;
                }
            }
        }
    }
    context.flush_log();
}

impl Worker {
    /// The newest generation.
    #[must_use]
    pub(super) fn current(&self) -> Held<Current> {
        self.current.borrow().clone()
    }

    /// Whether connections from this peer begin with a PROXY header.
    #[must_use]
    pub(super) fn expects_preface(&self, peer: SocketAddr) -> bool {
        let table = self.context.table();
        let balancers = &table.trust.proxy_protocol;
        !balancers.is_empty() && balancers.contains(peer.ip())
    }

    /// For all that comes before the first request.
    #[must_use]
    pub(super) fn handshake_deadline(&self) -> Deadline {
        let context = &self.context;
        context.wheel.deadline_in(context.table().limits.handshake)
    }

    /// The certificate of a slot, for a client that asked for `name`.
    #[must_use]
    pub(super) fn certificate(&self, slot: u32, name: &HostName) -> Option<Arc<CertifiedKey>> {
        let current = self.current();
        current
            .resolver
            .certified(&current.plan, slot as usize, name, self.context.now())
    }

    /// What stands in for the certificate of a slot that has none.
    #[must_use]
    pub(super) fn stand_in(&self, slot: u32, name: &HostName) -> Option<Arc<CertifiedKey>> {
        let current = self.current();
        let now = self.context.now();
        current
            .resolver
            .stand_in(&current.plan, slot as usize, name, now)
    }

    /// What may come while the handshake for this name waits.
    #[must_use]
    pub(super) fn obtainable(&self, slot: u32, name: Option<&HostName>) -> Option<HostPattern> {
        let current = self.current();
        current
            .resolver
            .obtainable(&current.plan, slot as usize, name?)
    }

    /// Waits for it; whether it is there.
    pub(super) async fn obtain(&self, name: HostPattern) -> bool {
        let resolver = self.current().resolver.clone();
        resolver.obtain(name).await
    }

    /// What a CA that asks for `name` by TLS-ALPN-01 is shown.
    #[must_use]
    pub(super) fn answer(&self, name: Option<&HostName>) -> Option<Arc<CertifiedKey>> {
        self.current().resolver.challenges().alpn(name?)
    }

    /// What other hosts may have to show to it, if they are worth waiting for.
    #[must_use]
    pub(super) fn seek_answer(&self, name: Option<&HostName>) -> Option<Sought<Arc<CertifiedKey>>> {
        self.current().resolver.challenges().seek_alpn(name?)
    }

    fn adopt(&self, current: Arc<Current>) {
        let table = current.table.clone();
        *self.current.borrow_mut() = Held::new(current);
        self.context.adopt(table);
    }

    fn take_in(
        self: &Rc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        socket: SocketSpec,
        permit: Permit,
    ) {
        self.context.counters.connection_opened();
        if self.awaited.arrived(peer) {
            return;
        }
        match self.arrival(stream, peer, socket, permit) {
            Ok(Some(arrival)) => drop(tokio::task::spawn_local(serve::serve(
                self.clone(),
                arrival,
            ))),
            Ok(None) => tracing::debug!(%peer, "arrived at an address that nobody is served on"),
            Err(error) => tracing::debug!(%peer, %error, "arrival lost"),
        }
    }

    /// Once: whoever wants to be reached from the network sees it at the first try, and a scan fills no log.
    fn tell_of_stranger(&self, peer: SocketAddr, local: SocketAddr) {
        if !self.turned_away.swap(true, Ordering::Relaxed) {
            let port = local.port();
            tracing::warn!(%peer, %local, "closed a connection from the network, and will not tell of more: `listen = [\"localhost:{port}\"]` is for this machine alone, `listen = [{port}]` lets others in");
        }
    }

    fn arrival(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        socket: SocketSpec,
        permit: Permit,
    ) -> io::Result<Option<Arrival>> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        // A dual-stack socket of a service manager shows IPv4 as mapped addresses; sites are named by plain ones.
        let local = stream.local_addr()?;
        let local = SocketAddr::new(local.ip().to_canonical(), local.port());
        let current = self.current();
        let routes = &current.table.routes;
        let socket = routes.narrowest(socket, local.ip());
        let served = routes.socket(socket);
        if !served.is_some_and(|socket| socket.admits(local.ip())) {
            if served.is_some_and(Socket::guards) {
                self.tell_of_stranger(peer, local);
            }
            return Ok(None);
        }
        let stream = tokio::net::TcpStream::from_std(stream)?;
        Ok(Some(Arrival {
            stream,
            from: From {
                peer,
                local,
                socket,
                passed_on: None,
            },
            permit,
        }))
    }
}
