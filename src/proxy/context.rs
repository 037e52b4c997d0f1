//! What all exchanges of one worker share.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::config::Limits;
use crate::config::target::Target;
use crate::deadline::Wheel;
use crate::observe::access::AccessWriter;
use crate::observe::counters::Counters;
use crate::relay::Scratch;
use crate::routing::Routes;
use crate::upstream::Upstreams;
use crate::upstream::tls::TlsClients;

/// One generation of everything that a request is decided by.
#[derive(Debug)]
pub struct Table {
    pub routes: Routes,
    pub clients: TlsClients,
    pub limits: Limits,
    /// How long connections may finish once they were asked to.
    pub drain: Duration,
    /// One a certificate slot: slots with equal, non-zero identities show the same certificate.
    pub identities: Box<[u32]>,
}

/// How far the process is in leaving.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    Serving,
    /// Connections are asked to finish.
    Draining,
    /// Whatever is left ends now.
    Cut,
}

/// A worker's side of proxying. Lives on one thread.
#[derive(Debug)]
pub struct Context {
    table: RefCell<Rc<Arc<Table>>>,
    pub stage: Cell<Stage>,
    pub upstreams: Upstreams,
    pub wheel: Wheel,
    pub scratch: Scratch,
    pub access: AccessWriter,
    pub counters: Arc<Counters>,
    turns: RefCell<HashMap<usize, usize>>,
}

impl Context {
    /// A worker that serves by `table`.
    #[must_use]
    pub fn new(table: Arc<Table>, wheel: Wheel, access: AccessWriter, counters: Arc<Counters>) -> Self {
        Self {
            table: RefCell::new(Rc::new(table)),
            stage: Cell::new(Stage::Serving),
            upstreams: Upstreams::new(wheel.clone()),
            wheel,
            scratch: Scratch::default(),
            access,
            counters,
            turns: RefCell::default(),
        }
    }

    /// The newest table; whoever holds it keeps its generation.
    #[must_use]
    pub fn table(&self) -> Rc<Arc<Table>> {
        self.table.borrow().clone()
    }

    /// Takes over a new table and wakes every connection to look at it.
    pub fn adopt(&self, table: Arc<Table>) {
        *self.table.borrow_mut() = Rc::new(table);
        self.turns.borrow_mut().clear();
        self.wheel.wake_all();
    }

    /// Moves on towards leaving and wakes every connection to look.
    pub fn advance(&self, stage: Stage) {
        if stage > self.stage.get() {
            self.stage.set(stage);
            self.wheel.wake_all();
        }
    }

    /// The targets in the order in which this request tries them: in turn, for each list of targets by itself.
    pub fn in_turn<'a>(&self, targets: &'a [Arc<Target>]) -> impl Iterator<Item = &'a Arc<Target>> + use<'a> {
        let start = if targets.len() < 2 {
            0
        } else {
            let mut turns = self.turns.borrow_mut();
            let turn = turns.entry(targets.as_ptr().addr()).or_default();
            *turn = turn.wrapping_add(1);
            *turn % targets.len()
        };
        targets[start..].iter().chain(&targets[..start])
    }
}
