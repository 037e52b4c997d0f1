//! One look-up, by whoever is to be asked.

use std::sync::Arc;
use std::time::Duration;

use super::dns::Dns;
use super::finding::Answer;
use crate::config::Resolver;

/// How often the system's resolver is asked, which tells no TTL; so often too the hosts file is looked at for a name in it.
pub(super) const SYSTEM_PERIOD: Duration = Duration::from_secs(30);

/// Everyone who may be asked.
#[derive(Debug, Default)]
pub(super) struct LookUps {
    dns: Dns,
}

impl LookUps {
    pub(super) async fn ask(self: Arc<Self>, resolver: Resolver, host: Box<str>) -> Answer {
        match resolver {
            Resolver::Dns => self.dns.ask(&host).await,
            Resolver::System => system(&host).await,
        }
    }
}

/// `getaddrinfo`, on a blocking thread. Its failures cannot be told from a name that is not there.
async fn system(host: &str) -> Answer {
    match tokio::net::lookup_host((host, 0)).await {
        Ok(found) => Answer::at(found.map(|address| address.ip()), SYSTEM_PERIOD),
        Err(error) => Answer::failed(&error.to_string()),
    }
}
