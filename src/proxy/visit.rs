//! A connection being served: who is there, through which name, and for which site.

use std::cell::{Cell, OnceCell, RefCell};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use http::HeaderValue;

use super::context::{self, Stage, Table};
use super::headers::{ClientCertificate, Scheme};
use super::record::Record;
use crate::config::backends::Backends;
use crate::config::site::TlsVersion;
use crate::deadline::Deadline;
use crate::hostname::HostName;
use crate::routing::{Asked, Decision, Kind, Site, SocketSpec};
use crate::upstream::dial::prelude;
use crate::upstream::{Upgraded, Upstreams};

/// How long a drain waits for the first request of a connection that was let in.
pub const FIRST_REQUEST_TIME: Duration = Duration::from_secs(1);

/// What never changes while a connection lasts.
#[derive(Debug)]
pub struct Arrived {
    /// The client, also behind a balancer that passes connections on with PROXY headers.
    pub peer: SocketAddr,
    /// Where the connection arrived at this machine.
    pub local: SocketAddr,
    pub socket: SocketSpec,
    /// None: the peer came by itself.
    pub passed_on: Option<PassedOn>,
    /// The name in the hello.
    pub name: Option<HostName>,
    /// None where TLS did not end here.
    pub tls: Option<TlsVersion>,
    /// None on a plain socket, where every request chooses its site.
    pub home: Option<Home>,
    /// What the client showed of itself.
    pub certificate: Option<Box<ClientCertificate>>,
}

/// A connection that a balancer opened for the peer, and said so in a PROXY header.
#[derive(Debug, Clone, Copy)]
pub struct PassedOn {
    /// The balancer.
    pub by: SocketAddr,
    /// What the peer connected to.
    pub to: SocketAddr,
}

/// The site that a TLS connection was opened for, as of a generation of the table.
#[derive(Debug, Clone)]
pub struct Home {
    pub revision: u64,
    pub site: Arc<Site>,
    pub slot: u32,
}

/// A connection being served. Shared by its driver and its exchanges, on one thread.
#[derive(Debug)]
pub struct Visit {
    pub context: Rc<context::Context>,
    pub peer: SocketAddr,
    pub local: SocketAddr,
    pub socket: SocketSpec,
    pub name: Option<HostName>,
    pub tls: Option<TlsVersion>,
    pub client_ip: HeaderValue,
    pub port: HeaderValue,
    pub phase: Cell<Phase>,
    pub certificate: Option<Box<ClientCertificate>>,
    passed_on: Option<Box<PassedOn>>,
    home: RefCell<Option<Home>>,
    exchanges: Cell<u32>,
    has_asked: Cell<bool>,
    /// How long a drain waits for the first request.
    youth: OnceCell<Box<Deadline>>,
    /// Set by an exchange whose answer changes protocols (HTTP/1.1).
    upgraded: RefCell<Option<Tunnel>>,
    /// Upstream connections that say for whom they are.
    own: RefCell<Option<Rc<Upstreams>>>,
}

/// Where an HTTP/1.1 connection stands. HTTP/2 is always busy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Between messages, everything flushed.
    Quiet,
    /// A head has begun.
    Head,
    /// An exchange is under way, or its answer not flushed.
    Busy,
}

/// What becomes of a connection after a change of the table or the stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outlook {
    Stays,
    /// It should finish: the process leaves, or its site is gone.
    Finishes,
    /// It ends now.
    Ends,
}

/// An upstream stream that took over from HTTP; its record ends when it does.
#[derive(Debug)]
pub struct Tunnel {
    pub upstream: Upgraded,
    pub idle: Duration,
    pub record: Box<Record>,
}

impl Visit {
    /// Formats once what every request of the connection needs.
    #[must_use]
    pub fn new(context: Rc<context::Context>, arrived: Arrived) -> Self {
        let Arrived {
            peer,
            local,
            socket,
            passed_on,
            name,
            tls,
            home,
            certificate,
        } = arrived;
        let reached = passed_on.map_or(local, |passed_on| passed_on.to);
        let text = |text: String| {
            HeaderValue::try_from(text)
                .unwrap_or_else(|_unprintable| HeaderValue::from_static("unknown"))
        };
        Self {
            context,
            client_ip: text(peer.ip().to_canonical().to_string()),
            port: HeaderValue::from(reached.port()),
            passed_on: passed_on.map(Box::new),
            certificate,
            peer,
            local,
            socket,
            name,
            tls,
            phase: Cell::new(Phase::Quiet),
            home: RefCell::new(home),
            exchanges: Cell::new(0),
            has_asked: Cell::new(false),
            youth: OnceCell::new(),
            upgraded: RefCell::new(None),
            own: RefCell::new(None),
        }
    }

    /// Upstream connections that begin with this prelude, which says for whom they are: kept as long as the client stays, or until it
    /// speaks for somebody else.
    #[must_use]
    pub fn upstreams_of(&self, prelude: Box<[u8]>) -> Rc<Upstreams> {
        let mut own = self.own.borrow_mut();
        match &*own {
            Some(own) if *own.prelude() == *prelude => own.clone(),
            Some(_) | None => {
                let fresh = self.context.upstreams.of_one_client(prelude);
                own.insert(fresh).clone()
            }
        }
    }

    /// What a connection to one of these targets begins with, opened for a client at `ip`.
    #[must_use]
    pub fn prelude(&self, backends: &Backends, ip: IpAddr) -> Option<Box<[u8]>> {
        let client = SocketAddr::new(ip, self.peer.port());
        let version = backends.proxy_protocol?;
        Some(prelude::of_client(version, client, self.local))
    }

    /// How the client reached us.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        if self.tls.is_some() {
            Scheme::Https
        } else {
            Scheme::Http
        }
    }

    /// Whether the peer sits on this machine. For whom it asks may not: see [`super::record::Record`].
    #[must_use]
    pub fn is_local(&self) -> bool {
        let is_here = |end: SocketAddr| end.ip().to_canonical().is_loopback();
        // Elsewhere, a loopback address is that machine's.
        let came_from_here = |passed_on: &PassedOn| is_here(passed_on.by);
        is_here(self.peer) && self.passed_on.as_deref().is_none_or(came_from_here)
    }

    /// What the peer connected to: a balancer's address, if one passed the connection on.
    #[must_use]
    pub fn reached(&self) -> SocketAddr {
        self.passed_on
            .as_deref()
            .map_or(self.local, |passed_on| passed_on.to)
    }

    /// Exchanges under way.
    #[must_use]
    pub fn exchanges(&self) -> u32 {
        self.exchanges.get()
    }

    pub(super) fn began(&self) {
        self.has_asked.set(true);
        self.exchanges.set(self.exchanges.get() + 1);
        self.phase.set(Phase::Busy);
    }

    pub(super) fn ended(&self) {
        self.exchanges.set(self.exchanges.get().saturating_sub(1));
    }

    pub(super) fn upgrade(&self, tunnel: Tunnel) {
        *self.upgraded.borrow_mut() = Some(tunnel);
    }

    /// Whether an exchange of this connection opened a tunnel.
    #[must_use]
    pub fn has_tunnel(&self) -> bool {
        self.upgraded.borrow().is_some()
    }

    /// The tunnel that the last exchange opened, if it did.
    #[must_use]
    pub fn take_tunnel(&self) -> Option<Tunnel> {
        self.upgraded.borrow_mut().take()
    }

    /// The site that the connection was opened for, as `table` has it; none on plain connections, or when the name leads nowhere now, or
    /// to a site that demands other certificates of its clients.
    #[must_use]
    pub fn home(&self, table: &Table) -> Option<Home> {
        let known = self.home.borrow().clone()?;
        if known.revision == table.routes.revision {
            return Some(known);
        }
        let fresh = self.find_home(table)?;
        if fresh.site.client_auth() != known.site.client_auth() {
            return None;
        }
        *self.home.borrow_mut() = Some(fresh.clone());
        Some(fresh)
    }

    /// Whether the table is the one that the connection's site was last found in. The common case, and without a count.
    fn is_at_home(&self, table: &Table) -> bool {
        let home = self.home.borrow();
        home.as_ref()
            .is_some_and(|home| home.revision == table.routes.revision)
    }

    fn find_home(&self, table: &Table) -> Option<Home> {
        let socket = table.routes.socket(self.socket)?;
        let asked = Asked {
            name: self.name.as_ref(),
            only_protocol: None,
        };
        match table.routes.decide(socket, self.local.ip(), asked) {
            Decision::Serve { site, slot } => Some(Home {
                revision: table.routes.revision,
                site,
                slot,
            }),
            Decision::Tunnel(site) => Some(Home {
                revision: table.routes.revision,
                slot: site.first_slot,
                site,
            }),
            Decision::Answer | Decision::Refuse(_) => None,
        }
    }

    /// Looked at by the driver whenever it is woken; the task is woken again when it may have changed.
    #[must_use]
    pub fn outlook(&self, cx: &Context<'_>) -> Outlook {
        match self.context.stage.get() {
            Stage::Cut => Outlook::Ends,
            Stage::Draining if self.is_about_to_ask(cx) => Outlook::Stays,
            Stage::Draining => Outlook::Finishes,
            Stage::Serving => self.outlook_in(&self.context.table()),
        }
    }

    /// Whoever was let in is heard once: a client that connected a moment before the drain has its first request on the way.
    fn is_about_to_ask(&self, cx: &Context<'_>) -> bool {
        if self.has_asked.get() {
            return false;
        }
        let youth = self
            .youth
            .get_or_init(|| Box::new(self.context.wheel.deadline_in(FIRST_REQUEST_TIME)));
        youth.poll_expired(cx).is_pending()
    }

    fn outlook_in(&self, table: &Table) -> Outlook {
        let is_served = match self.socket.kind {
            Kind::Tls => self.is_at_home(table) || self.home(table).is_some(),
            Kind::Plain => table.routes.socket(self.socket).is_some(),
        };
        if is_served {
            Outlook::Stays
        } else {
            Outlook::Finishes
        }
    }
}

/// The end of a visit from outside: first a request to finish, and after `drain` the end.
#[derive(Debug)]
pub struct Leave {
    deadline: Deadline,
    drain: Duration,
    told: bool,
}

/// What a driver does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Stay,
    /// Said once: let what is under way end, begin nothing.
    Finish,
    End,
}

impl Leave {
    /// For a driver of this visit.
    #[must_use]
    pub fn of(visit: &Visit) -> Self {
        Self {
            deadline: visit.context.wheel.deadline(),
            drain: visit.context.table().drain,
            told: false,
        }
    }

    /// The next step; the task is woken when it changes.
    pub fn poll(&mut self, cx: &Context<'_>, visit: &Visit) -> Step {
        let expired = self.deadline.poll_expired(cx).is_ready();
        match visit.outlook(cx) {
            Outlook::Ends => Step::End,
            Outlook::Finishes if !self.told => {
                self.told = true;
                self.deadline.arm(self.drain);
                Step::Finish
            }
            Outlook::Finishes if expired => Step::End,
            Outlook::Finishes => Step::Stay,
            Outlook::Stays => {
                // A site that was gone and is back: its next end has its own time.
                if std::mem::take(&mut self.told) {
                    self.deadline.disarm();
                }
                Step::Stay
            }
        }
    }
}
