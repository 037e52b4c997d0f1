//! May this order be sent? All of its limits are looked at, and then all of them are spent, or none is.

use std::collections::BTreeSet;
use std::time::SystemTime;

use super::Ledger;
use super::block::Place;
use super::bucket::Judge;
use super::instant::{length, millis};
use super::limits::{Limits, RENEWAL_WITHIN};
use super::refusal::Refusal;
use super::subject;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    New,
    /// Outside an ARI window, or of an authority without one.
    Renewal,
    /// Inside its ARI window and naming the certificate it replaces: exempt from every limit, so it is written down and spends
    /// nothing. Only a wait that the authority asked for as a whole holds it back, since such a one comes from a load balancer
    /// that knows no exemption.
    AriRenewal,
    /// By hand, or when a certificate in use is about to expire: judged by the authority's own numbers, though it spends our budget as well.
    Forced,
}

impl Purpose {
    fn event(self) -> &'static str {
        match self {
            Self::New => "order",
            Self::Renewal => "renewal",
            Self::AriRenewal => "renewal inside its window",
            Self::Forced => "forced order",
        }
    }

    fn judge(self) -> Judge {
        match self {
            Self::New | Self::Renewal | Self::AriRenewal => Judge::Budget,
            Self::Forced => Judge::Capacity,
        }
    }
}

impl Ledger {
    /// Spends what an order for `names` spends, or says which of its limits is free last and spends nothing.
    ///
    /// The same names, issued within Boulder's time for renewals, do not count as new order nor for their domains.
    pub fn admit(
        &mut self,
        limits: &Limits,
        names: &BTreeSet<String>,
        purpose: Purpose,
        now: SystemTime,
    ) -> Result<(), Refusal> {
        let at = self.settle_at(limits, now);
        let spent = match purpose {
            Purpose::AriRenewal => {
                self.unblocked(limits, None, at)?;
                Vec::new()
            }
            Purpose::New | Purpose::Renewal | Purpose::Forced => {
                let spent = self.spendings(names, at);
                let looked_at = names.iter().map(|name| Place::name(name));
                let refusals = spent
                    .iter()
                    .cloned()
                    .chain(looked_at)
                    .filter_map(|place| self.look(limits, &place, purpose.judge(), at).err());
                if let Some(refusal) = refusals.max_by_key(|refusal| refusal.free_at) {
                    return Err(refusal);
                }
                spent
            }
        };
        for place in spent {
            self.spend(limits, &place, at);
        }
        self.log(at, purpose.event(), subject::set(names));
        Ok(())
    }

    /// An order admitted at `admitted`, and not as [`Purpose::AriRenewal`], ended before its certificate was asked for, so the
    /// authority did not count one: what was spent of the certificates is given back. The order itself stays spent. Without this
    /// a name that fails twice would wait for days after its fault was mended. To be called once for an order.
    pub fn not_issued(
        &mut self,
        limits: &Limits,
        names: &BTreeSet<String>,
        admitted: SystemTime,
        now: SystemTime,
    ) {
        let set = subject::set(names);
        let now = self.settle_at(limits, now);
        let admitted = millis(admitted);
        for place in self.certificates(names, admitted) {
            self.bucket(&place)
                .give_back(limits.rate(place.limit), admitted, now);
        }
        self.log(now, "not issued", set);
    }

    fn spendings(&self, names: &BTreeSet<String>, now: u64) -> Vec<Place> {
        let mut spent = self.certificates(names, now);
        if !self.is_renewal(names, now) {
            spent.push(Place::orders());
        }
        spent
    }

    pub(super) fn certificates(&self, names: &BTreeSet<String>, now: u64) -> Vec<Place> {
        let mut places = vec![Place::names(names)];
        if !self.is_renewal(names, now) {
            let domains: BTreeSet<Place> = names.iter().map(|name| Place::domain(name)).collect();
            places.extend(domains);
        }
        places
    }

    fn is_renewal(&self, names: &BTreeSet<String>, now: u64) -> bool {
        self.issued
            .get(&subject::set(names))
            .is_some_and(|at| at.saturating_add(length(RENEWAL_WITHIN)) > now)
    }
}
