//! The HTTP/2 connections to one endpoint, shared by a worker's requests: as few as carry them, but no request waits behind the limit
//! of one, or on one that fell silent, while another may be opened.

use std::cell::{Cell, OnceCell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use hyper::client::conn::http2::SendRequest;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::Outgoing;
use crate::deadline::Wheel;

/// Connections to one endpoint; requests beyond what they all carry wait on the least busy one.
const CONNECTIONS_MAX: usize = 8;
/// How long a connection with requests under way may say nothing at all before new ones go elsewhere.
const SILENCE: Duration = Duration::from_secs(2);
/// How long others' attempt to open a connection is waited for before one's own.
const OPENING_PATIENCE: Duration = Duration::from_millis(500);

/// Connections of one worker to one endpoint.
pub(super) struct Shares {
    connections: RefCell<Vec<Shared>>,
    /// Whether the endpoint is known to speak HTTP/2.
    is_spoken: Cell<bool>,
    opening: Cell<usize>,
    changed: Rc<Notify>,
    wheel: Wheel,
}

struct Shared {
    sender: SendRequest<Outgoing>,
    load: Rc<Load>,
}

/// How busy one connection is.
pub(super) struct Load {
    under_way: Cell<usize>,
    /// Says how many requests at once the upstream allows.
    limit: OnceCell<Box<dyn Fn() -> usize>>,
    /// Whether the upstream said anything yet: its limits come first (RFC 9113 section 3.4).
    is_settled: Cell<bool>,
    /// When it last said something, or began to be waited for.
    heard: Cell<Duration>,
    changed: Rc<Notify>,
    wheel: Wheel,
}

/// One request on a connection.
pub(super) struct UnderWay(Rc<Load>);

/// The right to open another connection: others wait a little for it.
pub(super) struct Opening<'a>(&'a Shares);

/// What a request does that needs a connection.
pub(super) enum Turn<'a> {
    Take(SendRequest<Outgoing>, UnderWay),
    Open(Opening<'a>),
}

impl Shares {
    /// None yet. `is_spoken` if the endpoint is known to speak nothing but HTTP/2.
    pub(super) fn new(wheel: Wheel, is_spoken: bool) -> Self {
        Self {
            connections: RefCell::default(),
            is_spoken: Cell::new(is_spoken),
            opening: Cell::new(0),
            changed: Rc::default(),
            wheel,
        }
    }

    /// A place on a connection that has one, or on any if there may be no more connections.
    pub(super) fn take(&self) -> Option<(SendRequest<Outgoing>, UnderWay)> {
        let mut connections = self.connections.borrow_mut();
        if connections.is_empty() {
            return None;
        }
        connections.retain(|shared| !shared.sender.is_closed());
        let now = self.wheel.elapsed();
        let open = |shared: &&Shared| shared.load.has_place() && !shared.load.is_silent(now);
        let chosen = connections.iter().find(open).or_else(|| {
            let load = |shared: &&Shared| (shared.load.is_silent(now), shared.load.under_way.get());
            let is_full = connections.len() >= CONNECTIONS_MAX;
            is_full.then(|| connections.iter().min_by_key(load))?
        })?;
        Some((chosen.sender.clone(), chosen.load.begin()))
    }

    /// A place as in [`Self::take`], or the right to open a connection. While another is being opened, that is waited for.
    pub(super) async fn turn(&self) -> Turn<'_> {
        while self.is_spoken.get() && self.is_opening() {
            let changed = self.changed.notified();
            if let Some((sender, under_way)) = self.take() {
                return Turn::Take(sender, under_way);
            }
            let is_late = timeout(OPENING_PATIENCE, changed).await.is_err();
            // More than may be shared would help nobody: an upstream that is slow gets no crowd at its door.
            if is_late && self.opening.get() < CONNECTIONS_MAX {
                break;
            }
        }
        match self.take() {
            Some((sender, under_way)) => Turn::Take(sender, under_way),
            None => Turn::Open(self.open()),
        }
    }

    fn is_opening(&self) -> bool {
        let is_new = |shared: &Shared| !shared.load.is_settled.get() && !shared.sender.is_closed();
        self.opening.get() > 0 || self.connections.borrow().iter().any(is_new)
    }

    fn open(&self) -> Opening<'_> {
        self.opening.set(self.opening.get() + 1);
        Opening(self)
    }

    /// A load for a connection that is being opened.
    pub(super) fn load(&self) -> Rc<Load> {
        Rc::new(Load {
            under_way: Cell::new(0),
            limit: OnceCell::new(),
            is_settled: Cell::new(false),
            heard: Cell::new(self.wheel.elapsed()),
            changed: self.changed.clone(),
            wheel: self.wheel.clone(),
        })
    }

    /// Lets others use a connection, beginning with whoever opened it. One too many serves that one alone.
    pub(super) fn share(&self, sender: &SendRequest<Outgoing>, load: Rc<Load>) -> UnderWay {
        self.is_spoken.set(true);
        let under_way = load.begin();
        let mut connections = self.connections.borrow_mut();
        if connections.len() < CONNECTIONS_MAX {
            connections.push(Shared {
                sender: sender.clone(),
                load,
            });
        }
        under_way
    }

    /// New requests get another connection: this one may be dead without a word. Those under way on it keep it.
    pub(super) fn unshare(&self, under_way: &UnderWay) {
        let mut connections = self.connections.borrow_mut();
        connections.retain(|shared| !Rc::ptr_eq(&shared.load, &under_way.0));
    }

    /// Forgets connections that are closed, or idle for longer than `idle`.
    pub(super) fn sweep(&self, now: Duration, idle: Duration) {
        self.connections.borrow_mut().retain(|shared| {
            let load = &shared.load;
            let is_idle = load.under_way.get() == 0;
            let is_old = is_idle && now.saturating_sub(load.heard.get()) > idle;
            !is_old && !shared.sender.is_closed()
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.connections.borrow().is_empty()
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        self.0.opening.set(self.0.opening.get() - 1);
        self.0.changed.notify_waiters();
    }
}

impl Load {
    /// Who says how many requests at once the upstream allows.
    pub(super) fn limit_by(&self, limit: impl Fn() -> usize + 'static) {
        let _first = self.limit.set(Box::new(limit));
    }

    /// The upstream said something.
    pub(super) fn heard(&self) {
        self.heard.set(self.wheel.elapsed());
        if !self.is_settled.replace(true) {
            self.changed.notify_waiters();
        }
    }

    fn begin(self: &Rc<Self>) -> UnderWay {
        let before = self.under_way.get();
        if before == 0 {
            self.heard.set(self.wheel.elapsed());
        }
        self.under_way.set(before + 1);
        UnderWay(self.clone())
    }

    fn has_place(&self) -> bool {
        self.under_way.get() < self.limit.get().map_or(1, |limit| limit())
    }

    fn is_silent(&self, now: Duration) -> bool {
        self.under_way.get() > 0 && now.saturating_sub(self.heard.get()) > SILENCE
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let load = &self.0;
        let had_place = load.has_place();
        load.under_way.set(load.under_way.get() - 1);
        if load.under_way.get() == 0 {
            load.heard.set(load.wheel.elapsed());
        }
        if !had_place {
            load.changed.notify_waiters();
        }
    }
}

impl fmt::Debug for UnderWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UnderWay")
            .field(&self.0.under_way.get())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn others_wait_while_as_many_are_opened_as_may_be_shared() {
        let shares = Shares::new(Wheel::new(), true);
        let mut openings: Vec<_> = (0..CONNECTIONS_MAX).map(|_| shares.open()).collect();
        let crowded = timeout(10 * OPENING_PATIENCE, shares.turn()).await;
        assert!(crowded.is_err());
        openings.pop();
        let turn = timeout(2 * OPENING_PATIENCE, shares.turn()).await;
        assert!(matches!(turn, Ok(Turn::Open(_))));
    }
}
