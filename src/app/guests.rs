//! The leases of a door with all that is needed to serve them: what was offered, what came of it, and the way to the guest.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::change::NotReloaded;
use super::luggage::{self, Home};
use super::prepare::sorted;
use super::strangers::{self, Whose};
use crate::config::Loaded;
use crate::config::doorway::Doorway;
use crate::config::merge::{self, Part, PartLog};
use crate::config::offer::Offer;
use crate::control::command::{Line, Outgoing};
use crate::control::leases::{
    ClaimedPath, Insistence, Kind, Lease, LeaseId, Presence, Table, claims_of,
};
use crate::control::owner::Owner;
use crate::control::session::message::{Estate, Inheritance, LogForm, Told};
use crate::storage::files::Storage;

/// How long the sites of a guest whose connection broke are served, in case it comes back.
pub(super) const GRACE: Duration = Duration::from_secs(5);

/// Every lease but the holder's own file's.
#[derive(Debug, Clone)]
pub(super) struct Guests {
    pub(super) table: Table,
    parties: BTreeMap<LeaseId, Arc<Party>>,
    pub(super) next: u32,
    /// Who we are, for those who are told.
    pub(super) holder: Owner,
    /// What the own sites do where a guest has a name.
    insistence: Insistence,
}

/// One configuration of everything that is in force.
#[derive(Debug)]
pub(super) struct Composed {
    pub(super) loaded: Arc<Loaded>,
    /// The lease of each site; empty: all are the holder's own.
    pub(super) origin: Vec<u32>,
    /// For each site whom it displaces; empty: nobody.
    pub(super) overrides: Vec<Option<u32>>,
    pub(super) notes: Vec<(u32, String)>,
    pub(super) clashes: Vec<(u32, String)>,
}

/// What belongs to one lease. Replaced whole.
#[derive(Debug, Clone)]
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
    pub(super) fn new(holder: Owner, insistence: Insistence) -> Self {
        Self {
            table: Table::new(),
            parties: BTreeMap::new(),
            next: LeaseId::FILE.0 + 1,
            holder,
            insistence,
        }
    }

    /// Enters what the holder's own configuration claims, if anybody else claims something. What others serve at that time comes to
    /// it when they end.
    pub(super) fn claim_for_file(&mut self, own: &Loaded) {
        let lease = Lease {
            id: LeaseId::FILE,
            kind: Kind::File,
            owner: self.holder.clone(),
            claims: claims_of(&own.config),
            insistence: self.insistence,
            presence: Presence::Connected,
        };
        if let Ok(grant) = self.table.judge(&lease) {
            for note in &grant.notes {
                tracing::warn!("{note}");
            }
            self.table.grant(lease, &grant);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parties.is_empty()
    }

    /// Reads again what the guests of an earlier holder offered. Who cannot be served here joins again, and hears why.
    pub(super) fn take_over(&mut self, estate: &Estate, luggage: &Storage, own: &Arc<Loaded>) {
        self.next = estate.next_lease;
        self.claim_for_file(own);
        let doorway = Doorway::of(&own.config);
        let away_until = Some(Instant::now() + GRACE);
        for inherited in &estate.guests {
            let id = inherited.lease.id;
            let home = Home {
                storage: luggage,
                lease: id,
                revision: estate.revision + 1,
            };
            let whose = Whose::of(inherited.lease.owner.uid, self.holder.uid);
            match open(&inherited.offer, &doorway, None, home, whose) {
                Ok(loaded) => {
                    self.table.inherit(inherited.lease.clone());
                    let party = Party {
                        offer: inherited.offer.clone(),
                        loaded,
                        log: inherited.log,
                        token: inherited.token.clone(),
                        line: None,
                        away_until,
                    };
                    self.put(id, party);
                }
                Err(refused) => {
                    tracing::warn!(lease = %id, "a guest is not served: {}", refused.refusal().text);
                }
            }
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
        let party = self.parties.remove(&id);
        if self.is_empty() {
            self.table.end(LeaseId::FILE);
        }
        party
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

    /// The connection broke: the sites stay for a while. Nothing changes for a guest that came back by another one before this was
    /// heard.
    pub(super) fn lost(&mut self, id: LeaseId, now: Instant) {
        let is_there =
            |party: &Arc<Party>| party.line.as_ref().is_some_and(|line| !line.is_closed());
        if self.party(id).is_some_and(is_there) {
            return;
        }
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

    /// A lease and what belongs to it, to be changed or put back.
    pub(super) fn both(&self, id: LeaseId) -> Option<(Lease, Party)> {
        let lease = self.table.lease(id)?.clone();
        Some((lease, Party::clone(self.parties.get(&id)?)))
    }

    fn change(&mut self, id: LeaseId, edit: impl FnOnce(&mut Party)) {
        if let Some(party) = self.parties.get_mut(&id) {
            let mut changed = Party::clone(party);
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

    /// Whoever is away is waited for from now on.
    pub(super) fn wait_from(&mut self, now: Instant) {
        let away = |(id, party): (&LeaseId, &Arc<Party>)| party.away_until.is_some().then_some(*id);
        let away: Vec<LeaseId> = self.parties.iter().filter_map(away).collect();
        for id in away {
            self.change(id, |party| party.away_until = Some(now + GRACE));
        }
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

    /// Guests who could go on with the door, the oldest first: none of another user.
    pub(super) fn heirs(&self) -> Vec<(LeaseId, Line)> {
        let mut heirs = self.connected();
        heirs.retain(|(id, _line)| {
            let lease = self.table.lease(*id);
            lease.is_some_and(|lease| Whose::of(lease.owner.uid, self.holder.uid) == Whose::Trusted)
        });
        heirs
    }

    /// Guests who listen, the oldest first.
    pub(super) fn connected(&self) -> Vec<(LeaseId, Line)> {
        self.table
            .leases()
            .filter(|lease| lease.kind == Kind::Session)
            .filter_map(|lease| {
                let line = self.parties.get(&lease.id)?.line.clone()?;
                Some((lease.id, line))
            })
            .collect()
    }

    /// Tells a guest that its lease is over, and why.
    pub(super) fn dismiss(&self, id: LeaseId, reason: &str) {
        let reason = reason.to_owned();
        self.tell(id, Told::Ended { reason });
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
    pub(super) fn compose(&self, own: &Arc<Loaded>) -> Composed {
        if self.is_empty() {
            return Composed {
                loaded: own.clone(),
                origin: Vec::new(),
                overrides: Vec::new(),
                notes: Vec::new(),
                clashes: Vec::new(),
            };
        }
        let merged = merge::merge(own, &self.parts(), &|lease, name, port, path| {
            let path = ClaimedPath::from(path);
            self.table
                .keeps(LeaseId(lease), &name.to_string(), port, &path)
        });
        Composed {
            loaded: sorted(merged.loaded),
            origin: merged.origin,
            overrides: merged.overrides,
            notes: merged.notes,
            clashes: merged.clashes,
        }
    }

    /// The revision of the files in service that each of them brought.
    pub(super) fn luggage(&self, luggage: &Storage) -> BTreeMap<LeaseId, Option<u64>> {
        let of = |(id, party): (&LeaseId, &Arc<Party>)| {
            (*id, luggage::revision_of(luggage, *id, &party.loaded))
        };
        self.parties.iter().map(of).collect()
    }

    fn parts(&self) -> Vec<Part<'_>> {
        self.table
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
            .collect()
    }
}

/// Reads an offer and keeps the files in it. Blocks.
///
/// # Errors
/// What is wrong with it, or with the storage.
pub(super) fn open(
    offer: &Offer,
    doorway: &Doorway,
    earlier: Option<&Loaded>,
    home: Home<'_>,
    whose: Whose,
) -> Result<Loaded, NotReloaded> {
    let mut loaded = offer
        .read_at(Some(doorway), earlier)
        .map_err(NotReloaded::Config)?;
    if whose == Whose::AnotherUsers {
        strangers::restrict(&mut loaded.config);
    }
    luggage::unpack(home, offer, &mut loaded, whose)
        .map_err(|error| NotReloaded::System(std::io::Error::other(error)))?;
    Ok(loaded)
}

#[cfg(test)]
#[path = "guests_tests.rs"]
mod tests;
