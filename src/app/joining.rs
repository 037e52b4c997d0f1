//! Guests: how they come, change what they offer, go, and come back.

use tokio::time::Instant;

use super::App;
use super::change::NotReloaded;
use super::commands::{conflict, format_of, not_allowed, owner_in_words, stale, too_many};
use super::guests::{Guests, Party, open};
use super::luggage::{self, Home};
use super::strangers::Whose;
use crate::config::Loaded;
use crate::config::doorway::Doorway;
use crate::config::offer::Offer;
use crate::control::command::{Line, Outgoing};
use crate::control::leases::{Kind, Lease, LeaseId, Presence, claims_of};
use crate::control::owner::Owner;
use crate::control::session::message::{Accepted, Join, LogForm, Refusal, Told, Versions, Welcome};

impl App {
    pub(super) async fn join(
        &mut self,
        join: Join,
        uid: u32,
        line: Line,
    ) -> Result<Welcome, Refusal> {
        let Join {
            owner,
            offer,
            insistence,
            log,
            token,
            ..
        } = join;
        let owner = Owner { uid, ..owner };
        if let Some(id) = token.and_then(|token| self.guests.by_token(&token)) {
            return Box::pin(self.rejoin(id, &owner, offer, line, log)).await;
        }
        let mut guests = self.guests.clone();
        let lease = Lease {
            id: guests.fresh_id(),
            kind: Kind::Session,
            owner,
            claims: Vec::new(),
            insistence,
            presence: Presence::Connected,
        };
        let id = lease.id;
        let party = Party {
            offer,
            loaded: self.own.as_ref().clone(),
            log,
            token: token_of_chance().map_err(|error| NotReloaded::System(error).refusal())?,
            line: Some(line),
            away_until: None,
        };
        self.tap(id, &party);
        let joined = Box::pin(self.put_in_force(guests, lease, party)).await;
        let notes = joined.inspect_err(|_refused| self.taps.remove(id.0))?;
        if let Some(lease) = self.guests.table.lease(id) {
            let Owner { pid, command, .. } = &lease.owner;
            tracing::info!(lease = %id, pid, command, "a guest joined");
        }
        self.welcome(id, notes)
    }

    async fn rejoin(
        &mut self,
        id: LeaseId,
        owner: &Owner,
        offer: Offer,
        line: Line,
        log: LogForm,
    ) -> Result<Welcome, Refusal> {
        let same = self
            .guests
            .table
            .lease(id)
            .is_some_and(|lease| lease.owner.uid == owner.uid);
        if !same {
            return Err(not_allowed("this lease belongs to another user"));
        }
        let unchanged = self
            .guests
            .party(id)
            .is_some_and(|party| party.offer == offer);
        let notes = if unchanged {
            Vec::new()
        } else {
            Box::pin(self.offer(id, offer, self.revision()))
                .await?
                .notes
        };
        // Who is refused stays away, and its grace goes on.
        self.guests.found(id, line, log);
        if let Some(party) = self.guests.party(id) {
            self.tap(id, party);
        }
        tracing::info!(lease = %id, pid = owner.pid, "a guest is back");
        self.welcome(id, notes)
    }

    pub(super) async fn offer(
        &mut self,
        id: LeaseId,
        offer: Offer,
        based_on: u64,
    ) -> Result<Accepted, Refusal> {
        if based_on > self.revision() {
            return Err(stale(self.revision()));
        }
        let Some((lease, earlier)) = self.guests.both(id) else {
            return Err(not_allowed("the lease is over"));
        };
        let party = Party { offer, ..earlier };
        let notes = self.put_in_force(self.guests.clone(), lease, party).await?;
        Ok(self.accepted(id, notes))
    }

    /// Reads what a lease offers, judges what it claims, and puts it into service. Returns what the person behind it should know.
    pub(super) async fn put_in_force(
        &mut self,
        mut guests: Guests,
        mut lease: Lease,
        mut party: Party,
    ) -> Result<Vec<String>, Refusal> {
        let (id, whose) = (lease.id, self.whose(lease.owner.uid));
        let earlier = self.guests.party(id).map(|party| party.loaded.clone());
        let revision = self.revision() + 1;
        party.loaded = self
            .read_offer(&party.offer, id, revision, earlier, whose)
            .await
            .map_err(NotReloaded::refusal)?;
        lease.claims = claims_of(&party.loaded.config);
        if guests.is_empty() {
            guests.claim_for_file(&self.own);
        }
        let admitted = self.admit(&lease, &party.loaded).await;
        let judged = admitted
            .and_then(|()| {
                guests
                    .table
                    .room_for(&lease)
                    .map_err(|full| too_many(&full))
            })
            .and_then(|()| guests.table.judge(&lease).map_err(|found| conflict(&found)));
        let grant = match judged {
            Ok(grant) => grant,
            Err(refused) => {
                self.discard(id, self.revision_of(id)).await;
                return Err(refused);
            }
        };
        let mut notes: Vec<String> = grant.notes.clone();
        let taken: Vec<LeaseId> = grant.takes_over.clone();
        let mut displaced: Vec<LeaseId> = grant.displaces.iter().map(|one| one.lease).collect();
        displaced.dedup();
        let words = owner_in_words(&lease.owner);
        guests.table.grant(lease, &grant);
        for taken in &taken {
            guests.end(*taken);
        }
        guests.put(id, party);
        let before = self.guests.clone();
        let adopted = match self.consider(self.own.clone(), guests).await {
            Ok(change) => {
                let own = change.notes.iter().filter(|(lease, _note)| *lease == id.0);
                notes.extend(own.map(|(_lease, note)| note.clone()));
                self.adopt(change).await
            }
            Err(refused) => Err(refused),
        };
        if let Err(refused) = adopted {
            self.discard(id, self.revision_of(id)).await;
            return Err(refused.refusal());
        }
        self.discard(id, Some(revision)).await;
        for note in &notes {
            tracing::info!(lease = %id, "{note}");
        }
        for taken in taken {
            let reason =
                format!("{words} took its names over: the same command in the same folder");
            before.tell(taken, Told::Ended { reason });
            self.forget(taken).await;
        }
        for displaced in displaced {
            let note = format!("{words} serves names of yours until it ends (--replace)");
            self.guests.tell(displaced, Told::Note(note));
        }
        Ok(notes)
    }

    /// The revision whose luggage a lease needs, if it is in service already.
    fn revision_of(&self, id: LeaseId) -> Option<u64> {
        let party = self.guests.party(id)?;
        luggage::revision_of(&self.luggage, id, &party.loaded)
    }

    async fn read_offer(
        &self,
        offer: &Offer,
        id: LeaseId,
        revision: u64,
        earlier: Option<Loaded>,
        whose: Whose,
    ) -> Result<Loaded, NotReloaded> {
        let (offer, luggage) = (offer.clone(), self.luggage.clone());
        let doorway = Doorway::of(&self.own.config);
        let reading = tokio::task::spawn_blocking(move || {
            let home = Home {
                storage: &luggage,
                lease: id,
                revision,
            };
            open(&offer, &doorway, earlier.as_ref(), home, whose)
        });
        reading.await.map_err(NotReloaded::stopped)?
    }

    /// Ends a lease; its sites drain, and whom it displaced is served again.
    pub(super) async fn end_lease(&mut self, id: LeaseId, how: &str) {
        let Some(lease) = self.guests.table.lease(id).cloned() else {
            return;
        };
        let mut guests = self.guests.clone();
        guests.end(id);
        let restored: Vec<LeaseId> = self
            .guests
            .table
            .leases()
            .map(|other| other.id)
            .filter(|other| {
                guests.table.displaced(*other).len() < self.guests.table.displaced(*other).len()
            })
            .collect();
        let ended = match self.consider(self.own.clone(), guests).await {
            Ok(change) => self.adopt(change).await,
            Err(refused) => Err(refused),
        };
        if let Err(refused) = ended {
            tracing::error!(lease = %id, "the sites of a lease that ended stay until the next change: {}", refused.refusal().text);
            self.guests.end(id);
        }
        self.forget(id).await;
        for other in restored {
            let note = "your names are yours again".to_owned();
            self.guests.tell(other, Told::Note(note));
        }
        tracing::info!(lease = %id, pid = lease.owner.pid, command = lease.owner.command, "a guest {how}");
    }

    /// What is kept for a lease outside the tables.
    async fn forget(&self, id: LeaseId) {
        self.taps.remove(id.0);
        self.discard(id, None).await;
    }

    async fn discard(&self, id: LeaseId, keep: Option<u64>) {
        let luggage = self.luggage.clone();
        let discarding = tokio::task::spawn_blocking(move || {
            luggage::discard(&luggage, id, keep);
        });
        // It tells by itself what it cannot remove.
        let _stopped = discarding.await;
    }

    /// The door is ours: guests hear only now where it is, and what others brought to a holder before us is of no more use.
    pub(super) async fn settle_in(&mut self) {
        self.guests.wait_from(Instant::now());
        let (luggage, kept) = (self.luggage.clone(), self.guests.luggage(&self.luggage));
        let discarding = tokio::task::spawn_blocking(move || {
            luggage::discard_others(&luggage, &kept);
        });
        let _stopped = discarding.await;
    }

    /// Ends the leases whose guests did not come back.
    pub(super) async fn end_overdue(&mut self) {
        for id in self.guests.overdue(Instant::now()) {
            Box::pin(self.end_lease(id, "did not come back")).await;
        }
    }

    /// Sends the lines of a guest's sites to it.
    fn tap(&self, id: LeaseId, party: &Party) {
        let Some(line) = party.line.clone() else {
            return;
        };
        let mut lines = self.taps.guest(id.0, format_of(party.log));
        let (taps, mut lost) = (self.taps.clone(), 0);
        drop(self.shutdown.spawn_attendant(async move {
            while let Some(block) = lines.recv().await {
                let dropped = taps.dropped(id.0);
                let fresh = dropped.saturating_sub(std::mem::replace(&mut lost, dropped));
                if fresh > 0 {
                    let note = format!(
                        "{fresh} log lines are missing here: they came faster than they were read"
                    );
                    let told = Told::Note(note);
                    let descriptors = Vec::new();
                    if line.send(Outgoing { told, descriptors }).await.is_err() {
                        return;
                    }
                }
                let told = Told::Lines(String::from_utf8_lossy(&block).into_owned());
                let descriptors = Vec::new();
                if line.send(Outgoing { told, descriptors }).await.is_err() {
                    return;
                }
            }
        }));
    }

    fn welcome(&self, id: LeaseId, notes: Vec<String>) -> Result<Welcome, Refusal> {
        let Some(party) = self.guests.party(id) else {
            return Err(not_allowed("the lease is over"));
        };
        Ok(Welcome {
            versions: Versions::own(),
            pid: std::process::id(),
            lease: id,
            token: party.token.clone(),
            accepted: self.accepted(id, notes),
            storage: self.storage.folder().to_owned(),
            doorway: Some(Doorway::of(&self.own.config)),
            local_ca: self.local_ca_path(),
        })
    }

    fn accepted(&self, id: LeaseId, notes: Vec<String>) -> Accepted {
        Accepted {
            revision: self.revision(),
            table: self.table_of(id),
            urls: self.urls_of(id),
            notes,
            listeners: self.health.borrow().listeners.clone(),
        }
    }
}

/// 128 random bits, which nobody else knows.
fn token_of_chance() -> std::io::Result<String> {
    let mut bits = [0; 16];
    aws_lc_rs::rand::fill(&mut bits)
        .map_err(|_unspecified| std::io::Error::other("the system gives no randomness"))?;
    Ok(bits.iter().map(|octet| format!("{octet:02x}")).collect())
}
