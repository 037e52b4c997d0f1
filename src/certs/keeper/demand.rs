//! Certificates at the first handshake: only for names that somebody we ask allows, a few at a time, and a no is remembered.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::time::{Duration, SystemTime};

use http::Request;
use tokio::sync::oneshot;

use crate::causes::one_line;
use crate::certs::http::{Client, bare};
use crate::certs::keeper::turn::Why;
use crate::certs::keeper::{Desk, Done, Outcome};
use crate::certs::vault::CertId;
use crate::hostname::{HostName, HostPattern};

/// How long whoever is asked may take.
pub(super) const ASK_TIMEOUT: Duration = Duration::from_secs(30);
/// Names that handshakes ask for and that are under way at a time; handshakes for more are refused.
pub(super) const ASKED_MAX: usize = 32;
/// As many more, for names that are kept: they are in the store, and strangers do not take their places.
const FETCHED_MAX: usize = 32;
/// Names that were refused and are remembered; of more, the ones refused first are asked for again.
const REFUSED_MAX: usize = 10_000;
/// How long a no holds.
const REFUSED_TIME: Duration = Duration::from_secs(5 * 60);
/// Names that are kept because somebody asked for them once.
const DEMANDED_MAX: usize = 100_000;

/// What was asked for by handshakes.
#[derive(Debug, Default)]
pub(super) struct Demands {
    /// Under way because of a handshake.
    pub(super) asked: HashSet<HostPattern>,
    /// Allowed, and kept from then on.
    pub(super) granted: HashSet<HostPattern>,
    refused: HashMap<HostPattern, SystemTime>,
}

/// Who is asked whether a name may have a certificate.
pub struct Ask {
    url: String,
    client: Client,
}

impl Ask {
    /// `url` gets `?domain=NAME`; only 2xx allows.
    #[must_use]
    pub fn at(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            client: Client::single(ASK_TIMEOUT),
        }
    }

    /// Whether the name may have one; a silent or broken answer is a no.
    async fn allows(&self, name: &HostName) -> bool {
        let mark = if self.url.contains('?') { '&' } else { '?' };
        let url = format!("{}{mark}domain={name}", self.url);
        let asked = async { self.client.status(bare(Request::get(&url))?).await };
        match asked.await {
            Ok(status) if status.is_success() => true,
            Ok(status) => {
                tracing::info!(%name, status = status.as_u16(), "no certificate on demand");
                false
            }
            Err(error) => {
                let error = one_line(&error);
                tracing::warn!(%name, url = self.url, error, "nobody says whether the name may have a certificate");
                false
            }
        }
    }
}

impl Demands {
    fn is_refused(&self, name: &HostPattern, now: SystemTime) -> bool {
        // A clock that jumped back would refuse for ever.
        let left = self
            .refused
            .get(name)
            .map(|until| until.duration_since(now));
        left.is_some_and(|left| left.is_ok_and(|left| left <= REFUSED_TIME))
    }

    fn refuse(&mut self, name: HostPattern, now: SystemTime) {
        if self.refused.len() >= REFUSED_MAX {
            self.refused.retain(|_name, until| *until > now);
        }
        if self.refused.len() >= REFUSED_MAX
            && let Some(oldest) = self.refused.iter().min_by_key(|(_name, until)| **until)
        {
            let oldest = oldest.0.clone();
            self.refused.remove(&oldest);
        }
        self.refused.insert(name, now + REFUSED_TIME);
    }
}

impl Desk {
    /// There is something in the store for these: what was refused is asked for again.
    pub(super) fn reconsider(&mut self, ids: &HashSet<CertId>) {
        let is_there = |name: &HostPattern| ids.contains(&CertId::of(name));
        self.demands.refused.retain(|name, _until| !is_there(name));
    }

    /// A handshake wants a certificate for a name that nobody has written down.
    pub(super) fn demand(&mut self, pattern: HostPattern, tell: oneshot::Sender<Outcome>) {
        let now = self.clock.now();
        if let Some(waiting) = self.tended.get_mut(&pattern) {
            waiting.push(tell);
            return;
        }
        let is_known = self.wanted.contains(&pattern) || self.demands.granted.contains(&pattern);
        let asked = self.demands.asked.len();
        if is_known && asked < ASKED_MAX + FETCHED_MAX {
            self.demands.asked.insert(pattern.clone());
            self.tend(pattern, Why::Demanded, vec![tell]);
            return;
        }
        let is_full = asked >= ASKED_MAX || self.demands.granted.len() >= DEMANDED_MAX;
        if is_full || self.demands.is_refused(&pattern, now) {
            // Whoever asked may have left.
            let _left = tell.send(Outcome::Unknown);
            return;
        }
        let (works, name) = (self.works.clone(), pattern.clone());
        let asking = async move {
            let allowed = match (&works.options().on_demand, &name) {
                (Some(ask), HostPattern::Exact(name)) => ask.allows(name).await,
                (Some(_) | None, _) => false,
            };
            if allowed {
                works.tend(&name, Why::Demanded).await
            } else {
                (Outcome::Unknown, works.clock().now())
            }
        };
        self.demands.asked.insert(pattern.clone());
        self.undertake(pattern, vec![tell], asking);
    }

    /// Remembers what came of it, for a name that is not written down. One that has a certificate is kept from now on, also if
    /// its renewal failed just now.
    pub(super) fn settle_demand(&mut self, done: &Done) {
        if self.wanted.contains(&done.name) || self.demands.granted.contains(&done.name) {
            return;
        }
        match done.outcome {
            Outcome::Unknown => self.demands.refuse(done.name.clone(), self.clock.now()),
            Outcome::Fine { .. }
            | Outcome::Renewed { .. }
            | Outcome::Failed { .. }
            | Outcome::Busy
            | Outcome::ServesOnly => {
                if self.works.shelf.has(&done.name) {
                    self.demands.granted.insert(done.name.clone());
                    self.works.watch_also(&done.name);
                } else if done.outcome != Outcome::Busy {
                    // Somebody else who is at it may be done when the client comes again.
                    self.demands.refuse(done.name.clone(), self.clock.now());
                }
            }
        }
    }
}

impl fmt::Debug for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ask")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_no_is_remembered_for_its_time_and_the_memory_has_an_end() {
        let name = |number: usize| HostPattern::parse(&format!("n{number}.test")).unwrap();
        let now = SystemTime::UNIX_EPOCH + REFUSED_TIME;
        let mut demands = Demands::default();
        demands.refuse(name(0), now);
        assert!(demands.is_refused(&name(0), now));
        assert!(!demands.is_refused(&name(0), now + REFUSED_TIME + Duration::from_secs(1)));
        assert!(!demands.is_refused(&name(0), SystemTime::UNIX_EPOCH - REFUSED_TIME));
        for number in 1..=REFUSED_MAX {
            demands.refuse(name(number), now + Duration::from_secs(1));
        }
        assert_eq!(demands.refused.len(), REFUSED_MAX);
        assert!(!demands.is_refused(&name(0), now));
    }
}
