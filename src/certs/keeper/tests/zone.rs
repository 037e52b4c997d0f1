//! TXT records that all processes write to and the CAs read.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use crate::certs::acme::fake::Probe;
use crate::certs::acme::seams::BoxFuture;
use crate::certs::acme::solver::{Challenge, SolveError};
use crate::certs::keeper::Records;

/// Names and values.
#[derive(Debug, Clone, Default)]
pub(super) struct Zone(Arc<Mutex<BTreeSet<(String, String)>>>);

impl Zone {
    /// Whether a CA that looks finds what it wants.
    pub(super) fn shows(&self, probe: &Probe) -> bool {
        let wanted = Challenge {
            kind: probe.kind,
            name: probe.name.clone(),
            token: probe.token.clone(),
            key_authorization: probe.key_authorization.clone(),
        };
        let record = (wanted.dns_name(), wanted.dns_value());
        self.0.lock().unwrap().contains(&record)
    }

    /// How many are left.
    pub(super) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

impl Records for Zone {
    fn publish<'a>(
        &'a self,
        name: &'a str,
        value: &'a str,
    ) -> BoxFuture<'a, Result<(), SolveError>> {
        Box::pin(async move {
            let record = (name.to_owned(), value.to_owned());
            self.0.lock().unwrap().insert(record);
            Ok(())
        })
    }

    fn withdraw<'a>(
        &'a self,
        name: &'a str,
        value: &'a str,
    ) -> BoxFuture<'a, Result<(), SolveError>> {
        Box::pin(async move {
            let record = (name.to_owned(), value.to_owned());
            self.0.lock().unwrap().remove(&record);
            Ok(())
        })
    }
}
