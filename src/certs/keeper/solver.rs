//! Shows a CA that names are ours: by the door, by the plain port, or by DNS.

use std::sync::Arc;

use tokio::sync::Mutex;

use crate::certs::acme::request::ChallengeKind;
use crate::certs::acme::seams::BoxFuture;
use crate::certs::acme::solver::{Challenge, SolveError, Solver};
use crate::certs::challenges::{Challenges, Shared};
use crate::certs::keeper::records::Records;
use crate::clock::Clock;
use crate::hostname::HostName;
use crate::storage::store::{Lease, Store};

/// Answers with what this process has, and through the store with every host of a fleet.
pub(super) struct Answers<'a> {
    pub(super) challenges: &'a Challenges,
    pub(super) dns: Option<Arc<dyn Records>>,
    pub(super) store: &'a Store,
    pub(super) lease: &'a Mutex<Lease>,
    pub(super) clock: &'a Clock,
}

impl Solver for Answers<'_> {
    fn can(&self, kind: ChallengeKind, _name: &str) -> bool {
        match kind {
            ChallengeKind::Http01 | ChallengeKind::TlsAlpn01 => true,
            ChallengeKind::Dns01 => self.dns.is_some(),
        }
    }

    fn present<'a>(&'a self, challenge: &'a Challenge) -> BoxFuture<'a, Result<(), SolveError>> {
        Box::pin(async move {
            match challenge.kind {
                ChallengeKind::Http01 => {
                    let token = &challenge.token;
                    self.challenges
                        .put_http(token, &challenge.key_authorization)
                        .map_err(|error| SolveError(error.into()))?;
                    self.share(Shared::Http { token }, challenge).await
                }
                ChallengeKind::TlsAlpn01 => {
                    let name = HostName::parse(&challenge.name)
                        .map_err(|error| SolveError(error.to_string().into()))?;
                    self.challenges
                        .put_alpn(&name, &challenge.digest())
                        .map_err(|error| SolveError(error.into()))?;
                    self.share(Shared::Alpn { name: &name }, challenge).await
                }
                ChallengeKind::Dns01 => self.publish(challenge).await,
            }
        })
    }

    fn clean<'a>(&'a self, challenge: &'a Challenge) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            match challenge.kind {
                ChallengeKind::Http01 => {
                    let token = &challenge.token;
                    self.challenges.remove_http(token);
                    self.unshare(Shared::Http { token }).await;
                }
                ChallengeKind::TlsAlpn01 => {
                    if let Ok(name) = HostName::parse(&challenge.name) {
                        self.challenges.remove_alpn(&name);
                        self.unshare(Shared::Alpn { name: &name }).await;
                    }
                }
                ChallengeKind::Dns01 => self.withdraw(challenge).await,
            }
        })
    }
}

impl Answers<'_> {
    async fn share(&self, shared: Shared<'_>, challenge: &Challenge) -> Result<(), SolveError> {
        let lease = self.lease.lock().await;
        let (under, text) = ((self.store, &*lease), &challenge.key_authorization);
        let shared = self.challenges.share(under, shared, text, self.clock).await;
        shared.map_err(|error| SolveError(error.into()))
    }

    async fn unshare(&self, shared: Shared<'_>) {
        let lease = self.lease.lock().await;
        self.challenges.unshare((self.store, &lease), shared).await;
    }

    async fn publish(&self, challenge: &Challenge) -> Result<(), SolveError> {
        let Some(dns) = &self.dns else {
            return Err(SolveError("`acme.dns` is not set".into()));
        };
        let (name, value) = (challenge.dns_name(), challenge.dns_value());
        dns.publish(&name, &value).await
    }

    async fn withdraw(&self, challenge: &Challenge) {
        let Some(dns) = &self.dns else {
            return;
        };
        let (name, value) = (challenge.dns_name(), challenge.dns_value());
        if let Err(error) = dns.withdraw(&name, &value).await {
            tracing::warn!(name = %challenge.name, error = &error as &dyn std::error::Error, "a record was left in the DNS");
        }
    }
}
