//! Certificates for handshakes: plans which name gets which, gives the one to show, and looks for renewed files.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::SystemTime;

use arc_swap::ArcSwapOption;
use rustls::sign::CertifiedKey;

use crate::certs::cert_dir;
use crate::certs::challenges::Challenges;
pub use crate::certs::challenges::Sought;
use crate::certs::draft::Draft;
use crate::certs::local_ca::LocalCa;
use crate::certs::local_ca::error::Error as LocalCaError;
use crate::certs::pair::{Pair, fault};
use crate::certs::plan::{Event, Meanwhile, Plan, Slot};
use crate::certs::shelf::Shelf;
use crate::certs::stamp::Files;
use crate::hostname::{HostName, HostPattern};

/// One name of one site, and where its certificate shall come from.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub name: HostPattern,
    pub source: Source,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The operator's own pair.
    Pair { cert: PathBuf, key: PathBuf },
    /// The local CA, also where another source would come first.
    LocalCa,
    /// The name needs none: its TLS, if any, does not end here.
    Nothing,
    /// A pair of the folder that names it, else the local CA for a local name, else a public CA if there is one.
    Auto {
        /// Whose pairs are matched by their names.
        folder: Option<Arc<PathBuf>>,
    },
}

/// What holds for all names.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Suffixes the local CA signs besides the built-in ones.
    pub local_suffixes: Vec<HostName>,
    /// Whether a public CA signs for all other names, and what they show until it has; none without one.
    pub public: Option<Meanwhile>,
}

/// A wanted name that gets no certificate.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// Index into the wanted names.
    pub index: usize,
    pub error: Refused,
}

/// Why a name gets no certificate.
#[derive(Debug, Clone)]
pub enum Refused {
    /// Its pair cannot be served.
    Pair(Arc<fault::Error>),
    /// The local CA cannot be used.
    LocalCa(Arc<LocalCaError>),
    /// The local CA was made for other names, and clients would refuse what it signs for this one.
    Outside {
        /// What it was made for.
        scope: Arc<str>,
        remedy: Remedy,
    },
    /// It is neither in the folder of pairs nor local.
    NoSource,
}

/// What a name needs that the local CA cannot sign for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// A new CA: the settings have its suffix.
    NewCa,
    /// A suffix in the settings; there is no CA yet.
    Suffix,
    /// Both.
    SuffixAndNewCa,
}

/// What is odd and hinders nobody.
#[derive(Debug)]
pub enum Warning {
    /// About a pair that is served.
    Pair(fault::Warning),
    /// About a file in the folder of pairs.
    CertDir(cert_dir::Problem),
    /// A pair of the folder cannot be served, so the next best source was taken.
    SteppedOver(Arc<fault::Error>),
    /// The files of a pair went bad since they were read; what was read is served on.
    Kept(Arc<fault::Error>),
}

/// A cheap handle on everything that outlives a plan: what was read, and the local CA.
#[derive(Debug, Clone)]
pub struct Resolver(Arc<Inner>);

impl Default for Resolver {
    fn default() -> Self {
        Self::new()
    }
}

/// Obtains a certificate that a handshake waits for.
pub struct Demand(Box<Obtain>);

type Obtain = dyn Fn(HostPattern) -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync;

impl Demand {
    /// By `obtain`, which says whether there is one now.
    #[must_use]
    pub fn new<F>(obtain: impl Fn(HostPattern) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = bool> + Send + 'static,
    {
        Self(Box::new(move |name| Box::pin(obtain(name))))
    }
}

impl fmt::Debug for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Demand")
    }
}

#[derive(Debug)]
struct Inner {
    shelf: Shelf,
    challenges: Challenges,
    demand: ArcSwapOption<Demand>,
    /// Whoever makes a plan that needs it sees to it that it is there.
    local_ca: ArcSwapOption<LocalCa>,
    /// The pairs that living plans serve.
    known: Mutex<HashMap<Files, Weak<Pair>>>,
}

impl Resolver {
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            shelf: Shelf::default(),
            challenges: Challenges::default(),
            demand: ArcSwapOption::empty(),
            local_ca: ArcSwapOption::empty(),
            known: Mutex::default(),
        }))
    }

    /// Compiles what is wanted. A refusal concerns its name alone: all others are served by the plan. One that
    /// [needs the local CA](Plan::needs_local_ca) is to be [settled](Plan::settle) with it.
    ///
    /// Reads files, so it belongs on no data thread. A pair that an earlier, still living plan serves is not read again while its files are the same.
    #[must_use]
    pub fn plan(
        &self,
        wanted: &[Wanted],
        options: &Options,
        now: SystemTime,
    ) -> (Plan, Vec<Refusal>, Vec<Warning>) {
        let mut draft = Draft::new(self, options, now);
        let mut slots = Vec::with_capacity(wanted.len());
        let mut refusals = Vec::new();
        for (index, wanted) in wanted.iter().enumerate() {
            slots.push(draft.slot(wanted).unwrap_or_else(|error| {
                refusals.push(Refusal { index, error });
                Slot::Refused
            }));
        }
        let (plan, warnings) = draft.finish(slots);
        self.remember(&plan);
        (plan, refusals, warnings)
    }

    /// The certificate to show for the wanted name with this index; `name` is the exact one the client asked for, as the local CA signs no other.
    ///
    /// None if the name was refused, or if the system gives no randomness.
    #[must_use]
    pub fn certified(
        &self,
        plan: &Plan,
        slot: usize,
        name: &HostName,
        now: SystemTime,
    ) -> Option<Arc<CertifiedKey>> {
        match plan.slots.get(slot)? {
            Slot::Pair(index) => Some(plan.pairs.get(*index as usize)?.certified()),
            Slot::LocalCa => self.locally(name, now),
            Slot::Kept(index) => {
                let kept = plan.kept.get(*index as usize)?;
                kept.certified(name, &self.0.shelf)
            }
            Slot::Refused => None,
        }
    }

    /// What may come while the handshake for `name` waits: the slot's own certificate if it is in the store, or one for `name` alone
    /// where the slot stands for many.
    #[must_use]
    pub fn obtainable(&self, plan: &Plan, slot: usize, name: &HostName) -> Option<HostPattern> {
        let Some(Slot::Kept(index)) = plan.slots.get(slot) else {
            return None;
        };
        let kept = plan.kept.get(*index as usize)?;
        if kept.place.is_away() {
            return Some(kept.name.clone());
        }
        let is_pattern = !matches!(kept.name, HostPattern::Exact(_));
        let may_be_asked = is_pattern && name.ip().is_none() && name.parent().is_some();
        may_be_asked.then(|| HostPattern::Exact(name.clone()))
    }

    /// Waits until there is one, or it is known that there will be none.
    pub async fn obtain(&self, name: HostPattern) -> bool {
        let Some(demand) = self.0.demand.load_full() else {
            return false;
        };
        (demand.0)(name).await
    }

    /// Who obtains certificates at the first handshake from now on.
    pub fn obtain_by(&self, demand: Demand) {
        self.0.demand.store(Some(Arc::new(demand)));
    }

    /// What a kept name shows while it has no certificate of its own and none can be obtained at once.
    #[must_use]
    pub fn stand_in(
        &self,
        plan: &Plan,
        slot: usize,
        name: &HostName,
        now: SystemTime,
    ) -> Option<Arc<CertifiedKey>> {
        let is_kept = matches!(plan.slots.get(slot), Some(Slot::Kept(_)));
        match plan.meanwhile {
            Meanwhile::LocalCa if is_kept => self.locally(name, now),
            Meanwhile::LocalCa | Meanwhile::Refuse => None,
        }
    }

    fn locally(&self, name: &HostName, now: SystemTime) -> Option<Arc<CertifiedKey>> {
        let ca = self.0.local_ca.load_full()?;
        ca.certified(name, now)
            .inspect_err(|error| tracing::error!(%name, %error, "no certificate"))
            .ok()
    }

    /// The answers to what CAs ask.
    #[must_use]
    pub fn challenges(&self) -> &Challenges {
        &self.0.challenges
    }

    /// Where kept certificates lie.
    #[must_use]
    pub fn shelf(&self) -> &Shelf {
        &self.0.shelf
    }

    /// Looks at the files of every pair; serves changed ones if they are good. A fault is told once for each change.
    ///
    /// Reads files, so it belongs on no data thread.
    #[must_use]
    pub fn refresh(&self, plan: &Plan, now: SystemTime) -> Vec<Event> {
        let events: Vec<Event> = plan
            .pairs
            .iter()
            .filter_map(|installed| installed.refresh(now))
            .collect();
        if !events.is_empty() {
            self.remember(plan);
        }
        events
    }

    /// The local CA, once it is served.
    #[must_use]
    pub fn local_ca(&self) -> Option<Arc<LocalCa>> {
        self.0.local_ca.load_full()
    }

    /// Handshakes get leaves of this CA from now on.
    pub fn serve_local_ca(&self, ca: Arc<LocalCa>) {
        self.0.local_ca.store(Some(ca));
    }

    pub(super) fn known(&self, files: &Files) -> Option<Arc<Pair>> {
        self.lock_known().get(files)?.upgrade()
    }

    fn remember(&self, plan: &Plan) {
        let mut known = self.lock_known();
        known.retain(|_, pair| pair.strong_count() > 0);
        known.extend(plan.pairs.iter().map(|installed| {
            let pair = Arc::downgrade(&installed.current.load());
            (installed.files.clone(), pair)
        }));
    }

    fn lock_known(&self) -> MutexGuard<'_, HashMap<Files, Weak<Pair>>> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pair(error) => error.fmt(f),
            Self::LocalCa(error) => error.fmt(f),
            Self::Outside { scope, remedy } => {
                write!(f, "the local CA is for {scope} alone: ")?;
                f.write_str(match remedy {
                    Remedy::NewCa => "make a new one with `onedoor certs new-ca`",
                    Remedy::Suffix => "name its suffix in `tls.local_suffixes`",
                    Remedy::SuffixAndNewCa => {
                        "name its suffix in `tls.local_suffixes`, then make a new one with `onedoor certs new-ca`"
                    }
                })
            }
            Self::NoSource => f.write_str(
                "no certificate: set `acme` or `cert` and `key`, put a pair that names it into `cert_dir`, or let the local CA sign it by naming its suffix in `tls.local_suffixes`",
            ),
        }
    }
}

impl std::error::Error for Refused {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Pair(error) => error.source(),
            Self::LocalCa(error) => error.source(),
            Self::Outside { .. } | Self::NoSource => None,
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pair(warning) => warning.fmt(f),
            Self::CertDir(problem) => problem.fmt(f),
            Self::SteppedOver(error) => write!(f, "a pair of `cert_dir` is not used: {error}"),
            Self::Kept(error) => write!(f, "the old certificate is served on: {error}"),
        }
    }
}

#[cfg(test)]
#[path = "resolver_tests.rs"]
mod tests;
