//! The addresses of targets that are names: found once for the whole process, asked for again as they grow old, read by workers without
//! waiting.

mod dns;
mod finding;
mod look_up;
mod name;
mod service;
mod settings;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use finding::Finding;
pub use name::{Found, Name};

use crate::config::Resolver;

/// Addresses of one name that are made use of.
const ADDRESSES_MAX: usize = 64;

/// Every name that somebody asks for. Nothing is found before [`Names::serve`] runs.
#[derive(Debug, Clone, Default)]
pub struct Names(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    table: Mutex<Table>,
    /// Something is due earlier than it was.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Table {
    resolver: Resolver,
    names: BTreeMap<Box<str>, Tended>,
}

#[derive(Debug)]
struct Tended {
    name: Arc<Name>,
    finding: Finding,
    due: Due,
}

/// When a name is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    Now,
    At(Instant),
    /// It is being asked for.
    UnderWay,
    /// What is being asked for is out of date: once more.
    UnderWayInVain,
}

impl Names {
    /// The addresses of a host, from now on: they are kept up to date as long as somebody holds this.
    #[must_use]
    pub fn of(&self, host: &str) -> Arc<Name> {
        let mut table = self.table();
        if let Some(tended) = table.names.get(host) {
            return tended.name.clone();
        }
        let name = Arc::new(Name::new(host));
        let tended = Tended {
            name: name.clone(),
            finding: Finding::default(),
            due: Due::Now,
        };
        table.names.insert(host.into(), tended);
        drop(table);
        self.0.changed.notify_one();
        name
    }

    /// Whom names are asked of from now on. When that changes, all of them are asked for again; what is known stays until then.
    pub fn ask_of(&self, resolver: Resolver) {
        let mut table = self.table();
        if table.resolver == resolver {
            return;
        }
        table.resolver = resolver;
        for tended in table.names.values_mut() {
            tended.due = match tended.due {
                Due::Now | Due::At(_) => Due::Now,
                Due::UnderWay | Due::UnderWayInVain => Due::UnderWayInVain,
            };
        }
        drop(table);
        self.0.changed.notify_one();
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
