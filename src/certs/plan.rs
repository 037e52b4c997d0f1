//! Which certificate each wanted name gets: compiled once, read at every handshake.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::sign::CertifiedKey;

use crate::certs::pair::fault::{Error, Warning};
use crate::certs::pair::{self, Pair};
use crate::certs::resolver::{Refusal, Refused, Wanted};
use crate::certs::shelf::{Place, Shelf};
use crate::certs::stamp::{Files, Stamp};
use crate::hostname::{HostName, HostPattern};

/// One slot for each wanted name, in the order they were wanted. Pairs are shared among slots.
#[derive(Debug, Default)]
pub struct Plan {
    pub(super) slots: Box<[Slot]>,
    pub(super) pairs: Box<[Installed]>,
    /// The folders that pairs were looked for in.
    pub(super) cert_dirs: Box<[Arc<PathBuf>]>,
    pub(super) kept: Box<[Kept]>,
    pub(super) meanwhile: Meanwhile,
}

/// A name whose certificate a public CA signs, and where it lies.
#[derive(Debug, Clone)]
pub struct Kept {
    pub name: HostPattern,
    pub(super) place: Arc<Place>,
}

impl Kept {
    /// The name's own certificate, or for a pattern one that was obtained for `name` alone.
    pub(super) fn certified(&self, name: &HostName, shelf: &Shelf) -> Option<Arc<CertifiedKey>> {
        let own = self.place.certified();
        match self.name {
            HostPattern::Exact(_) => own,
            HostPattern::Wildcard(_) | HostPattern::CatchAll => {
                own.or_else(|| shelf.certified(name))
            }
        }
    }
}

/// What a name without a certificate yet is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Meanwhile {
    /// Nothing: its handshakes fail.
    #[default]
    Refuse,
    /// One that the local CA signs.
    LocalCa,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Slot {
    /// Index into the plan's pairs.
    Pair(u32),
    LocalCa,
    /// Index into the kept names.
    Kept(u32),
    Refused,
}

/// A pair in service.
#[derive(Debug)]
pub(super) struct Installed {
    pub(super) files: Files,
    pub(super) origin: Origin,
    /// What every successor must cover.
    pub(super) names: Vec<HostPattern>,
    pub(super) current: ArcSwap<Pair>,
    /// The files that were refused last, so that one fault is told once.
    pub(super) refused: Mutex<Option<Stamp>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Named,
    CertDir,
}

/// What a look at a pair's files led to.
#[derive(Debug)]
pub enum Event {
    /// A changed pair was accepted and is served from now on.
    Renewed {
        cert: PathBuf,
        not_after: SystemTime,
        warnings: Vec<Warning>,
    },
    /// A changed pair was refused; the old one is served on.
    Kept { files: Files, error: Error },
}

/// A certificate's source, in words for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Described<'a> {
    OwnPair(&'a Path),
    /// The path within the folder of pairs.
    CertDir(&'a Path),
    LocalCa,
    /// A public CA; whether its certificate is there yet.
    Public(bool),
    /// The name was refused.
    Nothing,
}

impl Plan {
    /// Where the certificate of this slot comes from.
    #[must_use]
    pub fn describe(&self, slot: usize) -> Described<'_> {
        match self.slots.get(slot) {
            Some(Slot::Pair(index)) => self
                .pairs
                .get(*index as usize)
                .map_or(Described::Nothing, |installed| {
                    self.describe_pair(installed)
                }),
            Some(Slot::LocalCa) => Described::LocalCa,
            Some(Slot::Kept(index)) => Described::Public(
                self.kept
                    .get(*index as usize)
                    .is_some_and(|kept| kept.place.generation().is_some() || kept.place.is_away()),
            ),
            Some(Slot::Refused) | None => Described::Nothing,
        }
    }

    /// Slots with the same identity show the same certificate; 0 where every name has its own, or none.
    #[must_use]
    pub fn identity(&self, slot: usize) -> u32 {
        match self.slots.get(slot) {
            Some(Slot::Pair(index)) => index.saturating_add(1),
            Some(Slot::LocalCa | Slot::Kept(_) | Slot::Refused) | None => 0,
        }
    }

    /// Whether a handshake may need the local CA.
    #[must_use]
    pub fn needs_local_ca(&self) -> bool {
        let stands_in = self.meanwhile == Meanwhile::LocalCa && !self.kept.is_empty();
        stands_in || self.has_local_names()
    }

    /// Whether there is a name that gets no other certificate.
    #[must_use]
    pub fn has_local_names(&self) -> bool {
        let mut slots = self.slots.iter();
        slots.any(|slot| matches!(slot, Slot::LocalCa))
    }

    /// Refuses the names that the local CA shall sign and `judge` finds a fault with. Their slots are refused from then on.
    #[must_use]
    pub fn settle(
        &mut self,
        wanted: &[Wanted],
        judge: impl Fn(&HostPattern) -> Option<Refused>,
    ) -> Vec<Refusal> {
        let mut refusals = Vec::new();
        for (index, (slot, wanted)) in self.slots.iter_mut().zip(wanted).enumerate() {
            if matches!(slot, Slot::LocalCa)
                && let Some(error) = judge(&wanted.name)
            {
                *slot = Slot::Refused;
                refusals.push(Refusal { index, error });
            }
        }
        refusals
    }

    /// The names whose certificates a public CA shall sign.
    #[must_use]
    pub fn kept(&self) -> &[Kept] {
        &self.kept
    }

    fn describe_pair<'a>(&self, installed: &'a Installed) -> Described<'a> {
        let cert = installed.files.cert.as_path();
        match installed.origin {
            Origin::Named => Described::OwnPair(cert),
            Origin::CertDir => {
                let mut folders = self.cert_dirs.iter();
                let within = folders.find_map(|folder| cert.strip_prefix(folder.as_path()).ok());
                Described::CertDir(within.unwrap_or(cert))
            }
        }
    }
}

impl Installed {
    pub(super) fn certified(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.current.load().certified)
    }

    /// Looks at the files; takes a changed pair in if it is good for all the names.
    pub(super) fn refresh(&self, now: SystemTime) -> Option<Event> {
        let found = Stamp::of(&self.files);
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if found == self.current.load().stamp {
            *refused = None;
            return None;
        }
        if *refused == Some(found) {
            return None;
        }
        Some(match self.load(now) {
            Ok((pair, warnings)) => {
                *refused = None;
                let not_after = pair.facts.not_after;
                self.current.store(Arc::new(pair));
                Event::Renewed {
                    cert: self.files.cert.clone(),
                    not_after,
                    warnings,
                }
            }
            Err(error) => {
                *refused = Some(found);
                Event::Kept {
                    files: self.files.clone(),
                    error,
                }
            }
        })
    }

    fn load(&self, now: SystemTime) -> Result<(Pair, Vec<Warning>), Error> {
        let (pair, warnings) = Pair::load(&self.files, now)?;
        pair.covers(&self.files, &self.names)?;
        Ok((pair, warnings))
    }
}

impl fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OwnPair(cert) => write!(f, "own pair {}", cert.display()),
            Self::CertDir(cert) => write!(f, "cert_dir {}", cert.display()),
            Self::LocalCa => f.write_str("local CA"),
            Self::Public(true) => f.write_str("public CA"),
            Self::Public(false) => f.write_str("public CA, not there yet"),
            Self::Nothing => f.write_str("none"),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Renewed {
                cert, not_after, ..
            } => write!(
                f,
                "{} was read again and holds until {}",
                cert.display(),
                pair::fault::day(*not_after)
            ),
            Self::Kept { error, .. } => {
                write!(f, "the old certificate is served on: {error}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_small() {
        assert!(size_of::<Slot>() <= 8);
    }
}
