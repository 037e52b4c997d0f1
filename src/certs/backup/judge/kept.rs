//! All that one side, a backup or a store, has of one name, read and found good or not.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use crate::certs::backup::part::Part;
use crate::certs::bundle::{Bundle, GENERATION_MAX, Ready};
use crate::certs::cert_id::CertId;
use crate::certs::vault;
use crate::storage::store::Key;

/// All that one side has of a name.
#[derive(Default)]
pub(super) struct Kept<'a> {
    pub(super) pointer: Option<&'a [u8]>,
    pub(super) journal: Option<&'a [u8]>,
    pub(super) state: Option<&'a [u8]>,
    pub(super) bundles: BTreeMap<u64, Bundled<'a>>,
    /// There, and not readable.
    pub(super) unreadable: BTreeSet<&'a Key>,
}

pub(super) struct Bundled<'a> {
    pub(super) bytes: &'a [u8],
    /// Or why it cannot be served.
    pub(super) ready: Result<Ready, String>,
}

/// Everything of names, by what stands for them. Bundles with higher numbers than `generation_max` are not good.
pub(super) fn by_name<'a>(
    objects: &'a BTreeMap<Key, Vec<u8>>,
    unreadable: &'a BTreeSet<Key>,
    generation_max: u64,
) -> BTreeMap<&'a str, Kept<'a>> {
    let mut names: BTreeMap<&str, Kept<'_>> = BTreeMap::new();
    for (key, bytes) in objects {
        let Some((part, id)) = Part::of(key).and_then(|part| Some((part, part.id()?))) else {
            continue;
        };
        let kept = names.entry(id).or_default();
        match part {
            Part::Pointer(_) => kept.pointer = Some(bytes),
            Part::Journal(_) => kept.journal = Some(bytes),
            Part::State(_) => kept.state = Some(bytes),
            Part::Bundle(id, generation) => {
                let ready = bundle(id, generation, bytes).and_then(|ready| {
                    if generation <= generation_max {
                        return Ok(ready);
                    }
                    Err(format!(
                        "its number is {generation}, and none above {generation_max} is believed"
                    ))
                });
                kept.bundles.insert(generation, Bundled { bytes, ready });
            }
            Part::Account | Part::Ledger | Part::LocalCa | Part::Other => {}
        }
    }
    for key in unreadable {
        if let Some(id) = Part::of(key).and_then(Part::id) {
            names.entry(id).or_default().unreadable.insert(key);
        }
    }
    names
}

fn bundle(id: &str, generation: u64, bytes: &[u8]) -> Result<Ready, String> {
    let ready = Bundle::read(bytes).map_err(|error| error.to_string())?;
    if !CertId::of_key(id).is_of(&ready) {
        return Err("its certificate is for another name".to_owned());
    }
    if ready.bundle.generation != generation {
        return Err("its number is not that of its place".to_owned());
    }
    Ok(ready)
}

impl Kept<'_> {
    /// As the vault finds it: what the pointer names, else the newest that is good.
    pub(super) fn served(&self) -> Option<&Ready> {
        let good = |bundled: &Bundled<'_>| bundled.ready.is_ok();
        let named = self.named().and_then(|named| self.bundles.get(&named));
        let newest = self.bundles.values().rev().find(|it| good(it));
        named.filter(|it| good(it)).or(newest)?.ready.as_ref().ok()
    }

    pub(super) fn named(&self) -> Option<u64> {
        vault::pointed_at(self.pointer?)
    }

    /// The highest number that is known, good or not, of those that there can be; 0 if none is.
    pub(super) fn highest(&self) -> u64 {
        let kept = self.bundles.keys().copied();
        let unreadable = self.unreadable.iter().filter_map(|key| number(key));
        kept.chain(unreadable)
            .chain(self.named())
            .filter(|generation| *generation <= GENERATION_MAX)
            .max()
            .unwrap_or(0)
    }

    pub(super) fn is_taken(&self, key: &Key, generation: u64) -> bool {
        self.bundles.contains_key(&generation) || self.unreadable.contains(key)
    }

    /// The number of a good bundle with this certificate.
    pub(super) fn with_the_leaf(&self, ready: &Ready) -> Option<u64> {
        let mut bundles = self.bundles.iter().rev();
        let found = bundles.find(|(_, it)| it.ready.as_ref().is_ok_and(|own| is_same(own, ready)));
        found.map(|(generation, _)| *generation)
    }

    pub(super) fn has_key(&self, pem: &str) -> bool {
        let mut good = self
            .bundles
            .values()
            .filter_map(|it| it.ready.as_ref().ok());
        good.any(|ready| ready.bundle.key.0.trim() == pem.trim())
    }
}

/// What is over is never newer; else what was issued later, and of the same instant what holds longer.
pub(super) fn newness(ready: &Ready, now: SystemTime) -> (bool, SystemTime, SystemTime) {
    let facts = &ready.facts;
    (facts.not_after > now, facts.not_before, facts.not_after)
}

pub(super) fn is_same(one: &Ready, other: &Ready) -> bool {
    one.leaf() == other.leaf()
}

fn number(key: &Key) -> Option<u64> {
    match Part::of(key)? {
        Part::Bundle(_, generation) => Some(generation),
        Part::Pointer(_)
        | Part::Journal(_)
        | Part::State(_)
        | Part::Account
        | Part::Ledger
        | Part::LocalCa
        | Part::Other => None,
    }
}
