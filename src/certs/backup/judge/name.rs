//! What is kept of one name: of two certificates the newer one is served, whatever its number; an order is gone on with only where its
//! certificate may still be fetched and nobody has another.

use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::kept::{Kept, is_same, newness};
use super::{Decision, Deed};
use crate::certs::acme::journal::Journal;
use crate::certs::bundle::{Bundle, GENERATION_MAX, Ready};
use crate::certs::cert_id::CertId;
use crate::certs::utc::minute;
use crate::certs::vault::{self, Pointer};
use crate::storage::store::Key;

/// Of this age an order is dead to us: asking for its certificate is not worth an order that nobody answers for.
const ORDER_AGE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) made_at: SystemTime,
    pub(super) now: SystemTime,
}

pub(super) fn judge(id: &str, mine: &Kept<'_>, theirs: &Kept<'_>, times: Times) -> Vec<Decision> {
    let own = theirs.served();
    let incoming = mine.served();
    let judging = Judging {
        id: CertId::of_key(id),
        mine,
        theirs,
        own,
        incoming: incoming.filter(|incoming| {
            own.is_none_or(|own| newness(incoming, times.now) > newness(own, times.now))
        }),
        times,
    };
    let judging = Judging {
        incoming: judging
            .incoming
            .filter(|incoming| judging.number_of(incoming) <= GENERATION_MAX),
        ..judging
    };
    let mut decisions = judging.bundles();
    decisions.extend(judging.state());
    decisions.extend(judging.journal());
    decisions.extend(judging.pointer());
    decisions
}

struct Judging<'a> {
    id: CertId,
    mine: &'a Kept<'a>,
    theirs: &'a Kept<'a>,
    /// What the store serves.
    own: Option<&'a Ready>,
    /// What the backup has to serve, if it is newer.
    incoming: Option<&'a Ready>,
    times: Times,
}

impl Judging<'_> {
    fn bundles(&self) -> Vec<Decision> {
        let bundles = self.mine.bundles.iter();
        let decisions = bundles.filter_map(|(number, bundled)| {
            let key = vault::generation_key(&self.id, *number).ok()?;
            if let Some(incoming) = self.incoming
                && incoming.bundle.generation == *number
                && self.is_to_be_written(incoming)
            {
                return Some(self.put(&key, bundled.bytes, incoming));
            }
            let same = self.theirs.bundles.get(number);
            if same.is_some_and(|same| same.bytes == bundled.bytes) {
                return Some(Decision::new(&key, Deed::Same, SAME.to_owned()));
            }
            Some(match &bundled.ready {
                Ok(ready) => self.beside(&key, *number, bundled.bytes, ready),
                Err(fault) => Decision::new(&key, Deed::Drop, format!("in the backup, {fault}")),
            })
        });
        decisions.collect()
    }

    /// Of the one that is put into service.
    fn put(&self, key: &Key, bytes: &[u8], incoming: &Ready) -> Decision {
        let until = minute(incoming.facts.not_after);
        let number = incoming.bundle.generation;
        let fresh = self.number_of(incoming);
        if fresh == number {
            let why = format!("valid until {until}");
            return Decision::new(key, Deed::Write(bytes.to_vec()), why);
        }
        let highest = self.theirs.highest();
        self.renumbered(incoming, fresh).map_or_else(
            || Decision::new(key, Deed::Drop, "it cannot be written again".to_owned()),
            |(key, bytes)| {
                let why = format!(
                    "valid until {until}; number {number} in the backup, but the storage knows numbers up to {highest}"
                );
                Decision::new(&key, Deed::Write(bytes), why)
            },
        )
    }

    /// Of one that is only kept beside that.
    fn beside(&self, key: &Key, number: u64, bytes: &[u8], ready: &Ready) -> Decision {
        let until = minute(ready.facts.not_after);
        let decided = |deed, why: String| Decision::new(key, deed, why);
        if let Some(there) = self.theirs.with_the_leaf(ready) {
            let why = format!("the storage has the same certificate, as number {there}");
            return decided(Deed::Same, why);
        }
        match self.own {
            Some(own) if newness(own, self.times.now) > newness(ready, self.times.now) => {
                let own = minute(own.facts.not_after);
                let why =
                    format!("valid until {until}; the storage has a newer one, valid until {own}");
                decided(Deed::Keep, why)
            }
            Some(_older) if self.incoming.is_none() => {
                let why = format!(
                    "valid until {until}; the storage knows numbers up to {}, and there is none above",
                    self.theirs.highest()
                );
                decided(Deed::Drop, why)
            }
            Some(_older) => {
                let why =
                    format!("valid until {until}; a newer one of the backup is put into service");
                decided(Deed::Keep, why)
            }
            None if self.theirs.is_taken(key, number) => {
                let why = "the storage has something else under its number".to_owned();
                decided(Deed::Drop, why)
            }
            None => {
                let why = format!("valid until {until}; an older one");
                decided(Deed::Write(bytes.to_vec()), why)
            }
        }
    }

    /// Not if the store has it under a number above which it knows none.
    fn is_to_be_written(&self, incoming: &Ready) -> bool {
        let there = self.theirs.with_the_leaf(incoming);
        there.is_none_or(|there| there < self.theirs.highest())
    }

    /// Numbers grow: nothing in the store may be taken for newer than what is put in front of it.
    fn number_of(&self, incoming: &Ready) -> u64 {
        let (number, highest) = (incoming.bundle.generation, self.theirs.highest());
        if !self.is_to_be_written(incoming) {
            return highest;
        }
        if number > highest {
            return number;
        }
        highest.max(self.mine.highest()).saturating_add(1)
    }

    fn renumbered(&self, ready: &Ready, generation: u64) -> Option<(Key, Vec<u8>)> {
        let bundle = Bundle {
            generation,
            ..(*ready.bundle).clone()
        };
        let key = vault::generation_key(&self.id, generation).ok()?;
        Some((key, json(&bundle)?))
    }

    fn pointer(&self) -> Option<Decision> {
        let key = vault::key(&self.id, "current").ok()?;
        let decided = |deed, why: &str| Some(Decision::new(&key, deed, why.to_owned()));
        let generation = match (self.incoming, self.own) {
            (Some(incoming), _) => self.number_of(incoming),
            // It is served, but only because it is the newest.
            (None, Some(own)) if self.theirs.named().is_none() => own.bundle.generation,
            (None, Some(_)) => {
                let is_same =
                    self.mine.pointer.is_some() && self.mine.pointer == self.theirs.pointer;
                let (deed, why) = if is_same {
                    (Deed::Same, SAME)
                } else {
                    (Deed::Keep, "what the storage serves stays in service")
                };
                return self.mine.pointer.and_then(|_some| decided(deed, why));
            }
            (None, None) => {
                let why = "there is no certificate that can be served";
                return self.mine.pointer.and_then(|_some| decided(Deed::Drop, why));
            }
        };
        if self.theirs.named() == Some(generation) {
            return decided(Deed::Same, SAME);
        }
        if self.theirs.unreadable.contains(&key) {
            return decided(Deed::Keep, "what the storage has there cannot be read");
        }
        let bytes = json(&Pointer { generation })?;
        let why = format!("number {generation} is in service");
        decided(Deed::Write(bytes), &why)
    }

    /// It is about one certificate, by its number.
    fn state(&self) -> Option<Decision> {
        let key = vault::key(&self.id, "state").ok()?;
        let bytes = self.mine.state?;
        let decided = |deed, why: &str| Some(Decision::new(&key, deed, why.to_owned()));
        if self.theirs.state == Some(bytes) {
            return decided(Deed::Same, SAME);
        }
        if self.theirs.state.is_some() || self.theirs.unreadable.contains(&key) {
            return decided(Deed::Keep, "the storage has its own");
        }
        let is_of_another = match (self.incoming, self.own) {
            (Some(incoming), _) => self.number_of(incoming) != incoming.bundle.generation,
            (None, Some(own)) => self.mine.served().is_none_or(|mine| {
                !is_same(mine, own) || mine.bundle.generation != own.bundle.generation
            }),
            (None, None) => false,
        };
        if is_of_another {
            return decided(Deed::Drop, "it is about another certificate than is served");
        }
        decided(Deed::Write(bytes.to_vec()), "how the last tries went")
    }

    fn journal(&self) -> Option<Decision> {
        let key = vault::key(&self.id, "journal").ok()?;
        let bytes = self.mine.journal?;
        let decided = |deed, why: &str| Some(Decision::new(&key, deed, why.to_owned()));
        let Ok(journal) = serde_json::from_slice::<Journal>(bytes) else {
            return decided(Deed::Drop, "in the backup, it is damaged");
        };
        let plan = journal.plan()?;
        if self.theirs.journal == Some(bytes) {
            return decided(Deed::Same, SAME);
        }
        let is_idle = |bytes: &[u8]| {
            serde_json::from_slice(bytes).is_ok_and(|own| matches!(own, Journal::Idle))
        };
        if self.theirs.unreadable.contains(&key)
            || self.theirs.journal.is_some_and(|own| !is_idle(own))
        {
            return decided(Deed::Keep, "the storage has an order of its own");
        }
        match journal {
            Journal::Idle | Journal::Planned(_) | Journal::Ordered(_) | Journal::Challenged(_) => {
                let why = "the order was not finished: a new one is made when one is due";
                return decided(Deed::Drop, why);
            }
            Journal::Finalizing(_) | Journal::Downloaded(_) => {}
        }
        if self.mine.has_key(&plan.key_pem) || self.theirs.has_key(&plan.key_pem) {
            return decided(Deed::Drop, "the order's certificate came");
        }
        if self.own.is_some() {
            return decided(Deed::Drop, "the storage has a certificate without it");
        }
        let age = self.times.now.duration_since(self.times.made_at);
        let ahead = self.times.made_at.duration_since(self.times.now);
        if age.or(ahead).is_ok_and(|age| age >= ORDER_AGE_MAX) {
            return decided(Deed::Drop, "the order is too old to be gone on with");
        }
        decided(
            Deed::Write(bytes.to_vec()),
            "the order's certificate may still be fetched",
        )
    }
}

fn json(value: &impl Serialize) -> Option<Vec<u8>> {
    serde_json::to_vec(value).ok()
}

const SAME: &str = "the storage has the same";
