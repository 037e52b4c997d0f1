//! Shows a CA that names are ours: by the door, by the plain port, or by DNS.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::certs::acme::request::ChallengeKind;
use crate::certs::acme::seams::BoxFuture;
use crate::certs::acme::solver::{Challenge, SolveError, Solver};
use crate::certs::challenges::Challenges;
use crate::certs::dns::Published;
use crate::certs::dns::wait::until_visible;
use crate::certs::keeper::works::Dns;
use crate::clock::Clock;
use crate::hostname::HostName;

/// How long authoritative servers may take to show a record.
const VISIBLE_WITHIN: Duration = Duration::from_secs(120);

/// Answers with what this process has.
pub(super) struct Answers {
    pub(super) challenges: Challenges,
    pub(super) dns: Option<Dns>,
    pub(super) clock: Clock,
    /// What was published, by record and value.
    pub(super) published: Mutex<HashMap<(String, String), Published>>,
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
        let published = dns
            .publisher
            .publish(&dns.resolver, &name, &value)
            .await
            .map_err(|error| SolveError(error.into()))?;
        let record = published.record().to_owned();
        self.published
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert((name, value.clone()), published);
        until_visible(&dns.resolver, &self.clock, &record, &value, VISIBLE_WITHIN)
            .await
            .map_err(|error| SolveError(error.into()))
    }

    async fn withdraw(&self, challenge: &Challenge) {
        let Some(dns) = &self.dns else {
            return;
        };
        let (name, value) = (challenge.dns_name(), challenge.dns_value());
        let published = self
            .published
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&(name.clone(), value.clone()));
        let withdrawn = async {
            let published = match published {
                Some(published) => published,
                // By a process before this one.
                None => dns.publisher.recall(&dns.resolver, &name, &value).await?,
            };
            dns.publisher.withdraw(&published).await
        };
        if let Err(error) = withdrawn.await {
            tracing::warn!(name = %challenge.name, error = &error as &dyn std::error::Error, "a record was left in the DNS");
        }
    }
}
