//! The local CA of a configuration: opened when a plan needs it, and judged by the names that it is needed for.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::sleep;

use super::App;
use super::prepare::Planned;
use super::start::tell_remarks;
use crate::causes::one_line;
use crate::certs::local_ca::LocalCa;
use crate::certs::local_ca::error::Error;
use crate::certs::local_ca::making::{RootKey, Wish};
use crate::certs::local_ca::safe::Safe;
use crate::certs::local_ca::scope::Scope;
use crate::certs::resolver::{Refusal, Refused, Remedy, Resolver};
use crate::clock::Clock;
use crate::config::Config;
use crate::hostname::HostPattern;

/// Between two attempts to have a CA from a storage that is out of reach.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// Between two looks at whether the CA in service is still that of the storage.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Where the CA is, and what becomes of one that is not there.
#[derive(Debug, Clone)]
pub struct Local {
    /// None: this machine has no place for any.
    safe: Option<Safe>,
    missing: Missing,
}

/// What becomes of a CA that is needed and not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    Make,
    /// Names are judged as if it had been made, and nothing is changed.
    Imagine,
}

/// What a plan is served with.
#[derive(Debug, Default)]
pub struct Settled {
    /// None: no name needs it, or it cannot be had yet.
    pub ca: Option<Arc<LocalCa>>,
    /// What one is to be made by, should all else be well.
    pub absent: Option<Wish>,
    pub refusals: Vec<Refusal>,
    pub remarks: Vec<String>,
}

/// The CA that a configuration would have made.
#[must_use]
pub fn wish(config: &Config) -> Wish {
    Wish {
        scope: Scope::of(&config.local_suffixes),
        root_key: if config.keep_root_key {
            RootKey::Keep
        } else {
            RootKey::Discard
        },
    }
}

impl Local {
    #[must_use]
    pub fn new(safe: Safe, missing: Missing) -> Self {
        Self {
            safe: Some(safe),
            missing,
        }
    }

    /// Where there is no place to look at.
    #[must_use]
    pub fn nowhere() -> Self {
        Self {
            safe: None,
            missing: Missing::Imagine,
        }
    }

    /// Finds the CA for what is planned, if anything needs it; refuses the names that it cannot sign for. `current` is the one in
    /// service: it is served on if it is the same, or if no other can be had. Nothing is made yet.
    pub async fn settle(
        &self,
        planned: &mut Planned,
        config: &Config,
        current: Option<Arc<LocalCa>>,
        now: SystemTime,
    ) -> Settled {
        if !planned.plan.needs_local_ca() {
            return Settled::with(current);
        }
        let found = match &self.safe {
            Some(safe) => safe.look(now).await,
            None => Ok(None),
        };
        let mut settled = match (found, current) {
            (Ok(None), Some(current)) if self.put_back().await => Settled::with(Some(current)),
            (Ok(found), current) => Settled::found(found, current),
            (Err(error), Some(current)) => Settled {
                remarks: vec![format!(
                    "the local CA in service is served on: {}",
                    one_line(&error)
                )],
                ..Settled::with(Some(current))
            },
            (Err(error), None) => return self.unusable(planned, error),
        };
        self.show(settled.ca.as_deref()).await;
        let wish = wish(config);
        settled.refusals = judge(planned, &wish, settled.ca.as_deref());
        settled
            .remarks
            .extend(unheard(planned, config, settled.ca.as_deref()));
        if settled.ca.is_none() && self.missing == Missing::Make {
            settled.absent = Some(wish);
        }
        settled
    }

    /// Makes the CA that was absent, unless somebody else has meanwhile.
    pub(super) async fn make(
        &self,
        planned: &mut Planned,
        wish: &Wish,
        now: SystemTime,
    ) -> Settled {
        let Some(safe) = &self.safe else {
            return Settled::default();
        };
        match safe.open(wish, now).await {
            Ok(made) => Settled::found(Some(made), None),
            Err(error) => self.unusable(planned, error),
        }
    }

    /// Names that only it can serve are refused, unless it may be there in a while.
    fn unusable(&self, planned: &mut Planned, error: Error) -> Settled {
        if self.may_pass(&error) || !planned.plan.has_local_names() {
            let why = one_line(&error);
            let remark =
                format!("names that the local CA signs for are refused until it can be had: {why}");
            return Settled {
                remarks: vec![remark],
                ..Settled::default()
            };
        }
        let error = Arc::new(error);
        let broken = |_name: &HostPattern| Some(Refused::LocalCa(error.clone()));
        Settled {
            refusals: planned.plan.settle(&planned.wanted, broken),
            ..Settled::default()
        }
    }

    fn may_pass(&self, error: &Error) -> bool {
        error.concerns_store() && self.safe.as_ref().is_some_and(Safe::is_shared)
    }

    /// Another machine may have made it, and people here look for its root as well.
    async fn show(&self, ca: Option<&LocalCa>) {
        if let (Some(safe), Some(ca), Missing::Make) = (&self.safe, ca, self.missing) {
            safe.show(&ca.root().pem).await;
        }
    }

    /// Whether the storage, which has lost its CA, has it again.
    async fn put_back(&self) -> bool {
        match (&self.safe, self.missing) {
            (Some(safe), Missing::Make) => safe.put_back().await.unwrap_or(false),
            (Some(_), Missing::Imagine) | (None, _) => false,
        }
    }

    /// Looks after the CA in service for as long as it runs: one that cannot be had yet, one that others replaced, one that the
    /// storage lost.
    async fn attend(self, resolver: Resolver, wish: Wish, clock: Clock) {
        loop {
            let pause = match resolver.local_ca() {
                Some(_) => LOOK_EVERY,
                None => RETRY_AFTER,
            };
            sleep(pause).await;
            self.look_again(&resolver, &wish, clock.now()).await;
        }
    }

    async fn look_again(&self, resolver: &Resolver, wish: &Wish, now: SystemTime) {
        let Some(safe) = &self.safe else {
            return;
        };
        let current = resolver.local_ca();
        let found = match &current {
            Some(_) => safe.look(now).await,
            None => safe.open(wish, now).await.map(Some),
        };
        match found {
            Ok(Some(found)) => {
                if current.is_none() {
                    tracing::info!("the local CA can be had again");
                }
                let Settled { ca, remarks, .. } = Settled::found(Some(found), current);
                tell_remarks(&remarks);
                self.show(ca.as_deref()).await;
                if let Some(ca) = ca {
                    resolver.serve_local_ca(ca);
                }
            }
            Ok(None) => {
                if self.put_back().await {
                    tracing::warn!("the storage had lost the local CA, and has it again");
                }
            }
            Err(error) => {
                let error = one_line(&error);
                tracing::debug!(error, "the local CA cannot be looked at");
            }
        }
    }
}

impl App {
    /// Looks after the local CA from now on, if the configuration in service needs it.
    pub(super) fn attend_local_ca(&mut self) {
        if let Some(former) = self.attending_ca.take() {
            former.abort();
        }
        if !self.current.plan.needs_local_ca() {
            return;
        }
        let wish = wish(&self.loaded.config);
        let (local, resolver) = (self.local.clone(), self.resolver.clone());
        let attending = local.attend(resolver, wish, Clock::system());
        self.attending_ca = Some(self.shutdown.spawn_attendant(attending));
    }
}

impl Settled {
    fn with(ca: Option<Arc<LocalCa>>) -> Self {
        Self {
            ca,
            ..Self::default()
        }
    }

    /// What is odd about a CA is told once.
    fn found(found: Option<LocalCa>, current: Option<Arc<LocalCa>>) -> Self {
        match (found, current) {
            (Some(found), Some(current)) if current.is_same(&found) => Self::with(Some(current)),
            (Some(found), current) => {
                let another = current.map(|_current| {
                    let root = found.root().path.display();
                    format!("the local CA in the storage is a new one and served from now on: clients must be made to trust {root}")
                });
                Self {
                    remarks: another
                        .into_iter()
                        .chain(found.remarks().iter().cloned())
                        .collect(),
                    ..Self::with(Some(Arc::new(found)))
                }
            }
            // Clients trust it, so it is not for a reload to make another.
            (None, Some(current)) => Self {
                remarks: vec![
                    "the local CA is gone from the storage: the one in service is served on until the next start"
                        .to_owned(),
                ],
                ..Self::with(Some(current))
            },
            (None, None) => Self::default(),
        }
    }
}

fn judge(planned: &mut Planned, wish: &Wish, ca: Option<&LocalCa>) -> Vec<Refusal> {
    let scope = ca.map_or(&wish.scope, LocalCa::scope);
    let words: Arc<str> = scope.to_string().into();
    planned.plan.settle(&planned.wanted, |name| {
        if scope.permits_all(name) {
            return None;
        }
        let remedy = match ca {
            Some(_) if wish.scope.permits_all(name) => Remedy::NewCa,
            Some(_) => Remedy::SuffixAndNewCa,
            None => Remedy::Suffix,
        };
        Some(Refused::Outside {
            scope: words.clone(),
            remedy,
        })
    })
}

/// Suffixes that only a name of the catch-all may need, which nobody knows before it is asked for.
fn unheard(planned: &Planned, config: &Config, ca: Option<&LocalCa>) -> Option<String> {
    let ca = ca?;
    let is_any = |name: &HostPattern| name.base().is_none();
    if !planned.wanted.iter().any(|wanted| is_any(&wanted.name)) {
        return None;
    }
    let suffixes = config.local_suffixes.iter();
    let outside: Vec<String> = suffixes
        .filter(|suffix| !ca.scope().permits(suffix))
        .map(|suffix| format!("`{suffix}`"))
        .collect();
    (!outside.is_empty()).then(|| {
        let outside = outside.join(", ");
        format!("the local CA was made before `tls.local_suffixes` had {outside}: clients refuse what it signs there, until `onedoor certs new-ca` makes a new one")
    })
}

#[cfg(test)]
#[path = "local_ca_tests.rs"]
mod tests;
