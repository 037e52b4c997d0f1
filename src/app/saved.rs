//! Leases of `onedoor add`: put into service at once, and kept in the storage for every door that comes after.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time;

use super::App;
use super::commands::stale;
use super::guests::{Guests, Party, open};
use super::kept::{self, Forgotten};
use super::luggage::Home;
use super::strangers::Whose;
use crate::config::Loaded;
use crate::config::doorway::Doorway;
use crate::config::offer::Offer;
use crate::config::site::{Rule, Service};
use crate::control::command::BasedOn;
use crate::control::leases::{Claim, Kind, Lease, LeaseId, Presence, claims_of};
use crate::control::owner::Owner;
use crate::control::saved::{Kept, SavedLease};
use crate::control::session::message::{LogForm, Refusal};
use crate::storage::files::Storage;
use crate::storage::store::Store;

/// How often it is looked whether the last exchange of an old target has ended.
const DRAIN_LOOK: Duration = Duration::from_millis(20);
/// After this nobody waits for the old target any more.
const DRAIN_MAX: Duration = Duration::from_secs(3600);

impl App {
    pub(super) async fn save(
        &mut self,
        saved: SavedLease,
        based_on: BasedOn,
        uid: u32,
    ) -> Result<Kept, Refusal> {
        self.check(based_on)?;
        let mut guests = self.guests.clone();
        let known = saved_lease(&self.guests, &saved.host);
        let id = known.unwrap_or_else(|| guests.fresh_id());
        let old = known.map_or_else(Vec::new, |id| self.rules_of(id));
        let earlier = known.and_then(|id| self.guests.both(id));
        let saved = SavedLease {
            owner: Owner { uid, ..saved.owner },
            ..saved
        };
        let lease = lease_of(&saved, id, Vec::new());
        let party = party(&saved, self.own.as_ref().clone());
        self.put_in_force(guests, lease, party).await?;
        if let Err(error) = kept::keep(self.keeping.own(), &saved).await {
            self.put_back(id, earlier).await;
            return Err(unkept(&error));
        }
        let changed = !old.is_empty() && old.iter().any(|rule| !self.is_served(rule));
        tracing::info!(host = saved.host, target = saved.target, "saved");
        Ok(Kept {
            revision: self.revision(),
            url: self
                .urls_of(id)
                .into_iter()
                .next()
                .unwrap_or_else(|| saved.host.clone()),
            drained: changed.then(|| self.drained(old)),
        })
    }

    /// What was in service before a change that could not be kept.
    async fn put_back(&mut self, id: LeaseId, earlier: Option<(Lease, Party)>) {
        if let Some((lease, party)) = earlier {
            let guests = self.guests.clone();
            if self.put_in_force(guests, lease, party).await.is_ok() {
                return;
            }
        }
        Box::pin(self.end_lease(id, "could not be kept")).await;
    }

    pub(super) async fn remove(
        &mut self,
        host: &str,
        based_on: BasedOn,
        _uid: u32,
    ) -> Result<u64, Refusal> {
        self.check(based_on)?;
        // What could not be put into service lies in the storage all the same.
        let forgotten = kept::forget(self.keeping.own(), host).await;
        let forgotten = forgotten.map_err(|error| unkept(&error))?;
        match (saved_lease(&self.guests, host), forgotten) {
            (Some(id), Forgotten::Removed | Forgotten::Unknown) => {
                Box::pin(self.end_lease(id, "was removed")).await;
            }
            (None, Forgotten::Removed) => {}
            (None, Forgotten::Unknown) => return Err(unknown(host)),
        }
        Ok(self.revision())
    }

    fn check(&self, based_on: BasedOn) -> Result<(), Refusal> {
        match based_on {
            BasedOn::Revision(revision) if revision != self.revision() => {
                Err(stale(self.revision()))
            }
            BasedOn::Revision(_) | BasedOn::Whatever => Ok(()),
        }
    }

    /// The rules in service for a lease. Exchanges hold them too.
    fn rules_of(&self, id: LeaseId) -> Vec<Weak<Rule>> {
        let mut rules = Vec::new();
        for (index, site) in self.loaded.config.sites.iter().enumerate() {
            if self.lease_of(index) != id {
                continue;
            }
            if let Service::Plain(http) | Service::Secure(_, http) = &site.service {
                let all = http
                    .root
                    .iter()
                    .chain(http.paths.iter().map(|path| &path.rule));
                rules.extend(all.map(Arc::downgrade));
            }
        }
        rules
    }

    fn is_served(&self, rule: &Weak<Rule>) -> bool {
        let Some(rule) = rule.upgrade() else {
            return false;
        };
        self.loaded
            .config
            .sites
            .iter()
            .any(|site| match &site.service {
                Service::Plain(http) | Service::Secure(_, http) => http
                    .root
                    .iter()
                    .chain(http.paths.iter().map(|path| &path.rule))
                    .any(|served| Arc::ptr_eq(served, &rule)),
                Service::Passthrough(_) | Service::Tcp(..) => false,
            })
    }

    /// Becomes true once nobody holds the old rules any more.
    fn drained(&self, old: Vec<Weak<Rule>>) -> watch::Receiver<bool> {
        let (told, drained) = watch::channel(false);
        drop(self.shutdown.spawn_attendant(async move {
            let empty = async {
                while old.iter().any(|rule| rule.strong_count() > 0) {
                    time::sleep(DRAIN_LOOK).await;
                }
            };
            let in_time = tokio::select! {
                waited = time::timeout(DRAIN_MAX, empty) => waited.is_ok(),
                // Nobody wants to know any more.
                () = told.closed() => return,
            };
            // Who asked may be gone by now.
            let _gone = told.send(in_time);
        }));
        drained
    }
}

/// Puts what the storage keeps into the leases of a door that starts; what cannot be read is told and stepped over.
pub(super) async fn restore(
    store: &Store,
    storage: &Storage,
    own: &Arc<Loaded>,
    guests: &mut Guests,
) {
    let all = match kept::all(store).await {
        Ok(all) => all,
        Err(error) => {
            tracing::error!(%error, "saved leases are not served: the storage cannot be read");
            return;
        }
    };
    for (key, saved) in all {
        let restored = saved.and_then(|saved| enter(&saved, storage, own, guests));
        if let Err(problem) = restored {
            tracing::error!(%key, problem, "a saved lease is not served: `onedoor rm` removes it");
        }
    }
}

fn enter(
    saved: &SavedLease,
    storage: &Storage,
    own: &Arc<Loaded>,
    guests: &mut Guests,
) -> Result<(), String> {
    let id = guests.fresh_id();
    let doorway = Doorway::of(&own.config);
    let home = Home {
        storage,
        lease: id,
        revision: 0,
    };
    let loaded = open(&offer_of(saved), &doorway, None, home, Whose::Trusted)
        .map_err(|refused| refused.refusal().text)?;
    let lease = lease_of(saved, id, claims_of(&loaded.config));
    if guests.is_empty() {
        guests.claim_for_file(own);
    }
    let taken = |_conflicts| "its name is taken by the configuration".to_owned();
    guests
        .table
        .room_for(&lease)
        .map_err(|full| full.to_string())?;
    let grant = guests.table.judge(&lease).map_err(taken)?;
    guests.table.grant(lease, &grant);
    guests.put(id, party(saved, loaded));
    Ok(())
}

fn lease_of(saved: &SavedLease, id: LeaseId, claims: Vec<Claim>) -> Lease {
    Lease {
        id,
        kind: Kind::Saved,
        owner: saved.owner.clone(),
        claims,
        insistence: saved.insistence,
        presence: Presence::Connected,
    }
}

/// A saved lease as a party; what it loads is read when it is put in force.
fn party(saved: &SavedLease, loaded: Loaded) -> Party {
    Party {
        offer: offer_of(saved),
        loaded,
        log: LogForm::Text,
        token: String::new(),
        line: None,
        away_until: None,
    }
}

fn offer_of(saved: &SavedLease) -> Offer {
    Offer {
        arguments: vec![format!("{}={}", saved.host, saved.target)],
        ..Offer::default()
    }
}

fn saved_lease(guests: &Guests, host: &str) -> Option<LeaseId> {
    let argument = format!("{host}=");
    guests
        .table
        .leases()
        .filter(|lease| lease.kind == Kind::Saved)
        .map(|lease| lease.id)
        .find(|id| {
            guests.party(*id).is_some_and(|party| {
                let mut arguments = party.offer.arguments.iter();
                arguments.any(|known| known.starts_with(&argument))
            })
        })
}

fn unknown(host: &str) -> Refusal {
    Refusal {
        error: "unknown-name".to_owned(),
        text: format!(
            "error[unknown-name]: `{host}` was not added\n  try:  onedoor ls        shows what is served, and by whom\n"
        ),
        exit: 1,
    }
}

fn unkept(error: &dyn std::error::Error) -> Refusal {
    Refusal {
        error: "not-kept".to_owned(),
        text: format!("error[not-kept]: the storage did not take it: {error}\n"),
        exit: 1,
    }
}
