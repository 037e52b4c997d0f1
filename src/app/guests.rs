//! The leases of a door with all that is needed to serve them: what was offered, what came of it, and the way to the guest.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::config::Loaded;
use crate::config::merge::{self, Merged, Part, PartLog};
use crate::config::offer::Offer;
use crate::control::command::{Line, Outgoing};
use crate::control::leases::{Kind, Lease, LeaseId, Presence, Table};
use crate::control::session::message::{Inheritance, LogForm, Told};

/// How long the sites of a guest whose connection broke are served, in case it comes back.
pub(super) const GRACE: Duration = Duration::from_secs(5);

/// Every lease but the holder's own file's.
#[derive(Debug, Clone)]
pub(super) struct Guests {
    pub(super) table: Table,
    parties: BTreeMap<LeaseId, Arc<Party>>,
    pub(super) next: u32,
}

/// What belongs to one lease. Replaced whole.
#[derive(Debug)]
pub(super) struct Party {
    pub(super) offer: Offer,
    /// Read from the offer; the paths in it are the holder's.
    pub(super) loaded: Loaded,
    pub(super) log: LogForm,
    /// Takes the lease up again.
    pub(super) token: String,
    /// None: saved, or away.
    pub(super) line: Option<Line>,
    /// Whose connection broke is waited for until then.
    pub(super) away_until: Option<Instant>,
}

impl Guests {
    pub(super) fn new() -> Self {
        Self {
            table: Table::new(),
            parties: BTreeMap::new(),
            next: LeaseId::FILE.0 + 1,
        }
    }

    pub(super) fn fresh_id(&mut self) -> LeaseId {
        let id = LeaseId(self.next);
        self.next += 1;
        id
    }

    pub(super) fn party(&self, id: LeaseId) -> Option<&Arc<Party>> {
        self.parties.get(&id)
    }

    pub(super) fn by_token(&self, token: &str) -> Option<LeaseId> {
        self.parties
            .iter()
            .find(|(_id, party)| party.token == token && !token.is_empty())
            .map(|(id, _party)| *id)
    }

    pub(super) fn put(&mut self, id: LeaseId, party: Party) {
        self.parties.insert(id, Arc::new(party));
    }

    pub(super) fn end(&mut self, id: LeaseId) -> Option<Arc<Party>> {
        self.table.end(id);
        self.parties.remove(&id)
    }

    /// Tells a guest, if it listens; a guest whose queue is full misses it.
    pub(super) fn tell(&self, id: LeaseId, told: Told) {
        let line = self.parties.get(&id).and_then(|party| party.line.as_ref());
        if let Some(line) = line {
            let outgoing = Outgoing {
                told,
                descriptors: Vec::new(),
            };
            // One that does not read is found out by its session.
            let _full = line.try_send(outgoing);
        }
    }

    /// The connection broke: the sites stay for a while.
    pub(super) fn lost(&mut self, id: LeaseId, now: Instant) {
        self.table.set_presence(id, Presence::Away);
        self.change(id, |party| {
            party.line = None;
            party.away_until = Some(now + GRACE);
        });
    }

    /// The guest is there again.
    pub(super) fn found(&mut self, id: LeaseId, line: Line, log: LogForm) {
        self.table.set_presence(id, Presence::Connected);
        self.change(id, |party| {
            party.line = Some(line);
            party.log = log;
            party.away_until = None;
        });
    }

    fn change(&mut self, id: LeaseId, edit: impl FnOnce(&mut Party)) {
        if let Some(party) = self.parties.get_mut(&id) {
            let mut changed = Party {
                offer: party.offer.clone(),
                loaded: party.loaded.clone(),
                log: party.log,
                token: party.token.clone(),
                line: party.line.clone(),
                away_until: party.away_until,
            };
            edit(&mut changed);
            *party = Arc::new(changed);
        }
    }

    /// When the next guest's grace is over.
    pub(super) fn next_end(&self) -> Option<Instant> {
        self.parties
            .values()
            .filter_map(|party| party.away_until)
            .min()
    }

    /// Guests that did not come back in time.
    pub(super) fn overdue(&self, now: Instant) -> Vec<LeaseId> {
        let is_overdue = |party: &Party| party.away_until.is_some_and(|end| end <= now);
        self.parties
            .iter()
            .filter(|(_id, party)| is_overdue(party))
            .map(|(id, _party)| *id)
            .collect()
    }

    /// Guests who could go on with the door, the oldest first.
    pub(super) fn heirs(&self) -> Vec<(LeaseId, Line)> {
        self.table
            .leases()
            .filter(|lease| lease.kind == Kind::Session)
            .filter_map(|lease| {
                let line = self.parties.get(&lease.id)?.line.clone()?;
                Some((lease.id, line))
            })
            .collect()
    }

    /// What an heir needs to serve the others; saved leases lie in the storage.
    pub(super) fn legacy(&self, heir: LeaseId) -> Vec<Inheritance> {
        self.table
            .leases()
            .filter(|lease| lease.kind == Kind::Session && lease.id != heir)
            .filter_map(|lease| {
                let party = self.parties.get(&lease.id)?;
                Some(Inheritance {
                    lease: Lease {
                        presence: Presence::Away,
                        ..lease.clone()
                    },
                    offer: party.offer.clone(),
                    log: party.log,
                    token: party.token.clone(),
                })
            })
            .collect()
    }

    /// One configuration of the holder's own and of everything that is in force.
    pub(super) fn compose(&self, own: &Loaded) -> Merged {
        let parts: Vec<Part<'_>> = self
            .table
            .leases()
            .filter_map(|lease| {
                let party = self.parties.get(&lease.id)?;
                Some(Part {
                    lease: lease.id.0,
                    loaded: &party.loaded,
                    log: match lease.kind {
                        Kind::Session => PartLog::Guest,
                        Kind::File | Kind::Saved => PartLog::Own,
                    },
                })
            })
            .collect();
        merge::merge(own, &parts, &|lease, name, port, path| {
            self.table.serves(LeaseId(lease), name, port, path)
        })
    }
}
