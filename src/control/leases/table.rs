//! The leases of a door, in the order of their grants, and what they come to.
//!
//! A claim keeps its rank as long as its lease keeps it; a new claim stands before all that are there. The holder's own file stands behind
//! everybody: nobody gets its names without insisting, and what it claims anew while a guest serves it waits for that guest's end.

use std::fmt;

use super::grant::Gone;
use super::standing::{Standing, Standings};
use super::{
    Claim, ClaimedPath, Conflict, Displacement, Grant, Insistence, Kind, Lease, LeaseId, Presence,
};

/// Leases at once, the holder's own among them.
pub const LEASES_MAX: usize = 256;
/// Claims of one lease; the holder's own file has what it says.
pub const CLAIMS_MAX: usize = 10_000;

/// Why there is no room for a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    Leases,
    Claims(usize),
}

/// All leases of a door.
#[derive(Debug, Default, Clone)]
pub struct Table {
    held: Vec<Held>,
    standings: Standings,
    /// The latest rank that was given.
    rank: u64,
}

#[derive(Debug, Clone)]
struct Held {
    lease: Lease,
    /// One a claim.
    ranks: Vec<u64>,
}

/// What everything else stands before.
const RANK_OF_FILE: u64 = 0;

impl Table {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn lease(&self, id: LeaseId) -> Option<&Lease> {
        self.leases().find(|lease| lease.id == id)
    }

    /// In the order of their first grants.
    pub fn leases(&self) -> impl Iterator<Item = &Lease> {
        self.held.iter().map(|held| &held.lease)
    }

    /// The saved lease of which `wanted` is a change: both are saved and claim the same names at the same ports.
    #[must_use]
    pub fn changed_by(&self, wanted: &Lease) -> Option<LeaseId> {
        let hosts = |lease: &Lease| {
            let mut hosts: Vec<(String, u16)> = lease
                .claims
                .iter()
                .map(|claim| (claim.name.clone(), claim.port))
                .collect();
            hosts.sort_unstable();
            hosts.dedup();
            hosts
        };
        if wanted.kind != Kind::Saved {
            return None;
        }
        let own = hosts(wanted);
        let is_changed = |lease: &&Lease| lease.kind == Kind::Saved && hosts(lease) == own;
        self.leases().find(is_changed).map(|lease| lease.id)
    }

    /// Whether a lease, or a change of one, fits.
    ///
    /// # Errors
    /// What there is too much of.
    pub fn room_for(&self, wanted: &Lease) -> Result<(), Full> {
        if wanted.id == LeaseId::FILE {
            return Ok(());
        }
        if wanted.claims.len() > CLAIMS_MAX {
            return Err(Full::Claims(wanted.claims.len()));
        }
        if self.lease(wanted.id).is_none() && self.held.len() >= LEASES_MAX {
            return Err(Full::Leases);
        }
        Ok(())
    }

    /// Whether a lease may be had, or changed to this if its number is in the table. Changes nothing.
    ///
    /// # Errors
    /// Every claim that somebody else has and does not yield.
    pub fn judge(&self, wanted: &Lease) -> Result<Grant, Vec<Conflict>> {
        let mut grant = Grant::default();
        if wanted.id == LeaseId::FILE {
            self.wait_for_guests(wanted, &mut grant);
            return Ok(grant);
        }
        let mut opposed = Vec::new();
        for claim in &wanted.claims {
            for standing in self.opposed_to(wanted, claim) {
                let Some(holder) = self.lease(standing.lease) else {
                    continue;
                };
                match gone(wanted, holder) {
                    Some(_) if grant.takes_over.contains(&holder.id) => {}
                    Some(why) => grant.note_takeover(holder.id, &holder.owner, why),
                    None => opposed.push((claim, standing, holder)),
                }
            }
        }
        match wanted.insistence {
            Insistence::Asks if !opposed.is_empty() => Err(conflicts(&opposed)),
            Insistence::Asks | Insistence::Replaces => {
                for (_claim, standing, holder) in opposed {
                    grant.displace(standing, holder);
                }
                Ok(grant)
            }
        }
    }

    /// Puts a lease into the table, or changes it, as it was judged; leases that are taken over end.
    pub fn grant(&mut self, lease: Lease, grant: &Grant) {
        let taken = |held: &Held| grant.takes_over.contains(&held.lease.id);
        self.held.retain(|held| !taken(held));
        self.put(lease);
    }

    /// Puts a lease that was granted elsewhere into the table, after those that were granted before it there.
    pub fn inherit(&mut self, lease: Lease) {
        self.put(lease);
    }

    /// Ends a lease; what it displaced is in force again.
    pub fn end(&mut self, id: LeaseId) -> Option<Lease> {
        let index = self.held.iter().position(|held| held.lease.id == id)?;
        let ended = self.held.remove(index);
        self.settle();
        Some(ended.lease)
    }

    pub fn set_presence(&mut self, id: LeaseId, presence: Presence) {
        let held = self.held.iter_mut().find(|held| held.lease.id == id);
        if let Some(held) = held {
            held.lease.presence = presence;
        }
    }

    /// The lease whose claim is in force at a place; of those that share it the oldest.
    #[must_use]
    pub fn owner_of(&self, name: &str, port: u16, path: &ClaimedPath) -> Option<LeaseId> {
        let mut standings = self.standings.at_place(name, port, path);
        standings
            .find(|standing| standing.in_force)
            .map(|standing| standing.lease)
    }

    /// Whether a claim of a lease is served.
    #[must_use]
    pub fn in_force(&self, id: LeaseId, claim: &Claim) -> bool {
        self.keeps(id, &claim.name, claim.port, &claim.path)
    }

    /// Whether what a lease claims at a place is served.
    #[must_use]
    pub fn keeps(&self, id: LeaseId, name: &str, port: u16, path: &ClaimedPath) -> bool {
        self.standings
            .at_place(name, port, path)
            .any(|standing| standing.lease == id && standing.in_force)
    }

    /// What a lease claims and somebody else serves for now.
    #[must_use]
    pub fn displaced(&self, id: LeaseId) -> Vec<&Claim> {
        let claims = self.lease(id).map_or(&[][..], |lease| &lease.claims);
        claims
            .iter()
            .filter(|claim| !self.in_force(id, claim))
            .collect()
    }

    /// Claims of others that exclude a claim, and did not exclude what the lease had there before.
    fn opposed_to<'s>(&'s self, wanted: &Lease, claim: &Claim) -> Vec<&'s Standing> {
        let before = self.before(wanted.id, claim);
        let is_new = |standing: &&Standing| {
            standing.lease != wanted.id
                && before.is_none_or(|before| !standing.claim.excludes(&before.claim))
        };
        let mut opposed = self.standings.opposed_to(claim);
        opposed.retain(is_new);
        opposed
    }

    /// What a lease has at the place of a claim so far.
    fn before(&self, id: LeaseId, claim: &Claim) -> Option<&Standing> {
        let mut standings = self
            .standings
            .at_place(&claim.name, claim.port, &claim.path);
        standings.find(|standing| standing.lease == id)
    }

    fn wait_for_guests(&self, file: &Lease, grant: &mut Grant) {
        for claim in &file.claims {
            let standings = self.standings.opposed_to(claim).into_iter();
            let served =
                |standing: &&Standing| standing.lease != LeaseId::FILE && standing.in_force;
            for standing in standings.filter(served) {
                let Some(guest) = self.lease(standing.lease) else {
                    continue;
                };
                let owner = &guest.owner;
                grant.notes.push(format!(
                    "{claim} is served by `{}` (pid {}) until that ends",
                    owner.command, owner.pid
                ));
                grant.waits.push(Displacement {
                    lease: guest.id,
                    claim: claim.clone(),
                    owner: owner.clone(),
                });
            }
        }
    }

    fn put(&mut self, lease: Lease) {
        self.rank += 1;
        let ranks = lease.claims.iter();
        let ranks = ranks.map(|claim| self.rank_of(&lease, claim)).collect();
        let new = Held { lease, ranks };
        let id = new.lease.id;
        match self.held.iter_mut().find(|held| held.lease.id == id) {
            Some(held) => *held = new,
            None => self.held.push(new),
        }
        self.settle();
    }

    /// A place keeps its rank unless its target changes while it is served, which may oppose those that shared the old one.
    fn rank_of(&self, lease: &Lease, claim: &Claim) -> u64 {
        if lease.id == LeaseId::FILE {
            return RANK_OF_FILE;
        }
        match self.before(lease.id, claim) {
            Some(before) if before.claim.target == claim.target || !before.in_force => before.rank,
            Some(_) | None => self.rank,
        }
    }

    fn settle(&mut self) {
        let claims = self.held.iter().flat_map(|held| {
            let ranked = held.lease.claims.iter().zip(&held.ranks);
            ranked.map(|(claim, rank)| (held.lease.id, claim, *rank))
        });
        self.standings = Standings::of(claims);
    }
}

/// Only what a connection keeps can be taken over.
fn gone(wanted: &Lease, holder: &Lease) -> Option<Gone> {
    match (holder.kind, holder.presence) {
        (Kind::File | Kind::Saved, _) => None,
        (Kind::Session, Presence::Away) => Some(Gone::Away),
        (Kind::Session, Presence::Connected) => {
            let is_same = wanted.owner.is_same_work(&holder.owner);
            is_same.then_some(Gone::SameWork)
        }
    }
}

/// What is displaced itself is named only where nothing in force is in the way.
fn conflicts(opposed: &[(&Claim, &Standing, &Lease)]) -> Vec<Conflict> {
    let is_named = |(claim, standing, _): &&(&Claim, &Standing, &Lease)| {
        standing.in_force
            || !opposed
                .iter()
                .any(|(other, standing, _)| other == claim && standing.in_force)
    };
    let named = opposed.iter().filter(is_named);
    let conflict = |(claim, standing, holder): &(&Claim, &Standing, &Lease)| Conflict {
        wanted: (*claim).clone(),
        held: standing.claim.clone(),
        lease: holder.id,
        kind: holder.kind,
        owner: holder.owner.clone(),
    };
    named.map(conflict).collect()
}

impl Grant {
    fn displace(&mut self, standing: &Standing, holder: &Lease) {
        if !standing.in_force {
            return;
        }
        let owner = &holder.owner;
        self.notes.push(format!(
            "{} is taken from `{}` (pid {}) until this ends",
            standing.claim, owner.command, owner.pid
        ));
        self.displaces.push(Displacement {
            lease: holder.id,
            claim: standing.claim.clone(),
            owner: owner.clone(),
        });
    }
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leases => write!(
                f,
                "this door has {LEASES_MAX} leases, which is all it takes: end one of them (`onedoor status` lists them)"
            ),
            Self::Claims(claims) => write!(
                f,
                "{claims} names and paths are more than the {CLAIMS_MAX} that one lease takes: split the configuration, or make it the holder's own"
            ),
        }
    }
}

impl std::error::Error for Full {}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "table_properties.rs"]
mod properties;
