//! The local CA of a configuration: opened when a plan needs it, and judged by the names that it is needed for.

use std::sync::Arc;
use std::time::SystemTime;

use super::prepare::Planned;
use crate::causes::one_line;
use crate::certs::local_ca::LocalCa;
use crate::certs::local_ca::making::{RootKey, Wish};
use crate::certs::local_ca::safe::Safe;
use crate::certs::local_ca::scope::Scope;
use crate::certs::resolver::{Refusal, Refused, Remedy};
use crate::config::Config;
use crate::hostname::HostPattern;

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
    /// service: it is served on if it is the same, or if no other can be had.
    pub async fn settle(
        &self,
        planned: &mut Planned,
        config: &Config,
        current: Option<Arc<LocalCa>>,
        now: SystemTime,
    ) -> Settled {
        if !planned.plan.needs_local_ca() {
            return Settled {
                ca: current,
                ..Settled::default()
            };
        }
        let wish = wish(config);
        let found = match (&self.safe, self.missing) {
            (Some(safe), Missing::Make) => safe.open(&wish, now).await.map(Some),
            (Some(safe), Missing::Imagine) => safe.look(now).await,
            (None, _) => Ok(None),
        };
        let mut remarks = Vec::new();
        let ca = match found {
            Ok(found) => found.map(|found| match current {
                Some(current) if current.is_same(&found) => current,
                Some(_) | None => {
                    remarks.extend_from_slice(found.remarks());
                    Arc::new(found)
                }
            }),
            Err(error) if current.is_some() => {
                let why = one_line(&error);
                remarks.push(format!("the local CA in service is served on: {why}"));
                current
            }
            Err(error) if error.is_passing() || !planned.plan.has_local_names() => {
                let why = one_line(&error);
                remarks.push(format!(
                    "names that the local CA signs for are refused until it can be had: {why}"
                ));
                return Settled {
                    remarks,
                    ..Settled::default()
                };
            }
            Err(error) => {
                let error = Arc::new(error);
                let broken = |_name: &HostPattern| Some(Refused::LocalCa(error.clone()));
                return Settled {
                    refusals: planned.plan.settle(&planned.wanted, broken),
                    ..Settled::default()
                };
            }
        };
        let refusals = judge(planned, &wish, ca.as_deref());
        remarks.extend(unheard(planned, config, ca.as_deref()));
        Settled {
            ca,
            refusals,
            remarks,
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
