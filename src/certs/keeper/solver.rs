//! Shows a CA that names are ours: by the door, by the plain port, or by DNS.

use std::sync::Arc;

use crate::certs::acme::request::ChallengeKind;
use crate::certs::acme::seams::BoxFuture;
use crate::certs::acme::solver::{Challenge, SolveError, Solver};
use crate::certs::challenges::Challenges;
use crate::certs::keeper::records::Records;
use crate::hostname::HostName;

/// Answers with what this process has.
pub(super) struct Answers {
    pub(super) challenges: Challenges,
    pub(super) dns: Option<Arc<dyn Records>>,
}

impl Solver for Answers {
    fn can(&self, kind: ChallengeKind, _name: &str) -> bool {
        match kind {
            ChallengeKind::Http01 | ChallengeKind::TlsAlpn01 => true,
            ChallengeKind::Dns01 => self.dns.is_some(),
        }
    }

    fn present<'a>(&'a self, challenge: &'a Challenge) -> BoxFuture<'a, Result<(), SolveError>> {
        Box::pin(async move {
            match challenge.kind {
                ChallengeKind::Http01 => self
                    .challenges
                    .put_http(&challenge.token, &challenge.key_authorization)
                    .map_err(|error| SolveError(error.into())),
                ChallengeKind::TlsAlpn01 => {
                    let name = HostName::parse(&challenge.name)
                        .map_err(|error| SolveError(error.to_string().into()))?;
                    self.challenges
                        .put_alpn(&name, &challenge.digest())
                        .map_err(|error| SolveError(error.into()))
                }
                ChallengeKind::Dns01 => self.publish(challenge).await,
            }
        })
    }

    fn clean<'a>(&'a self, challenge: &'a Challenge) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            match challenge.kind {
                ChallengeKind::Http01 => self.challenges.remove_http(&challenge.token),
                ChallengeKind::TlsAlpn01 => {
                    if let Ok(name) = HostName::parse(&challenge.name) {
                        self.challenges.remove_alpn(&name);
                    }
                }
                ChallengeKind::Dns01 => self.withdraw(challenge).await,
            }
        })
    }
}

impl Answers {
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
