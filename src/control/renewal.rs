//! `/v1/renew`: somebody at the machine wants a certificate renewed now. Who renews, and how, is told by `app`.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::time;

use crate::hostname::HostPattern;

/// Where renewals are asked for, as in `POST /v1/renew?name=shop.example.com`.
pub const RENEW_PATH: &str = "/v1/renew";
/// How long an answer may take: an order waits for DNS and for the CA.
pub const RENEWAL_TIMEOUT: Duration = Duration::from_secs(180);
/// Renewals that are waited for at once; the connections left over are for health.
pub const RENEWALS_MAX: usize = 8;

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "lowercase")]
pub enum Renewal {
    /// There was a certificate already, and it was only looked at.
    Fine { generation: u64, until: Timestamp },
    /// There is a new one.
    Renewed { generation: u64, until: Timestamp },
    /// There is no new one, in words, and when it is tried again.
    Failed { problem: String, again: Timestamp },
    /// Somebody else is at it.
    Busy,
    /// The running onedoor does not keep this name.
    Unknown,
    /// It never orders: `role = "serve-only"`.
    #[serde(rename = "serve-only")]
    ServesOnly,
}

/// The outcome of one renewal, when it is there.
pub type Awaited = Pin<Box<dyn Future<Output = Renewal> + Send>>;

/// Who renews. Cheap to clone.
#[derive(Clone)]
pub struct Renewer {
    renew: Arc<dyn Fn(HostPattern) -> Awaited + Send + Sync>,
    places: Arc<Semaphore>,
}

impl Renewer {
    #[must_use]
    pub fn new(renew: impl Fn(HostPattern) -> Awaited + Send + Sync + 'static) -> Self {
        Self {
            renew: Arc::new(renew),
            places: Arc::new(Semaphore::new(RENEWALS_MAX)),
        }
    }

    /// Answers a request with this query, within [`RENEWAL_TIMEOUT`].
    pub(super) async fn answer(&self, query: Option<&str>) -> (StatusCode, Vec<u8>) {
        let Some(name) = query.and_then(wanted) else {
            let body = br#"{"error":"bad-name"}"#.to_vec();
            return (StatusCode::BAD_REQUEST, body);
        };
        let Ok(_place) = self.places.try_acquire() else {
            let body = br#"{"error":"too-many-renewals"}"#.to_vec();
            return (StatusCode::SERVICE_UNAVAILABLE, body);
        };
        let renewing = time::timeout(RENEWAL_TIMEOUT, (self.renew)(name));
        let renewal = renewing.await.unwrap_or(Renewal::Busy);
        match serde_json::to_vec(&renewal) {
            Ok(body) => (StatusCode::OK, body),
            Err(_unwritable) => (StatusCode::INTERNAL_SERVER_ERROR, Vec::new()),
        }
    }
}

/// The path and query that ask for this name. No octet of a name needs to be escaped in a query.
pub(super) fn target(name: &HostPattern) -> String {
    format!("{RENEW_PATH}?name={name}")
}

fn wanted(query: &str) -> Option<HostPattern> {
    let mut fields = query.split('&');
    let name = fields.find_map(|field| field.strip_prefix("name="))?;
    HostPattern::parse(name).ok()
}

impl fmt::Debug for Renewer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Renewer")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_query_is_a_name_or_refused() {
        #[track_caller]
        fn check(query: &str, expected: Option<&str>) {
            let found = wanted(query).map(|name| name.to_string());
            assert_eq!(found.as_deref(), expected, "{query}");
        }
        check("name=A.test", Some("a.test"));
        check("force=1&name=*.a.test", Some("*.a.test"));
        check("name=::1", Some("::1"));
        check("name=", None);
        check("name=a%2Ftest", None);
        check("host=a.test", None);
        for name in ["a.test", "*.a.test", "::1"] {
            let name = HostPattern::parse(name).unwrap();
            let target = target(&name);
            let (_path, query) = target.split_once('?').unwrap();
            assert_eq!(wanted(query), Some(name));
        }
    }

    #[tokio::test]
    async fn more_renewals_than_are_waited_for_are_refused() {
        let renewer = Renewer::new(|_name| Box::pin(std::future::pending()));
        let taken = renewer.places.clone();
        let all = u32::try_from(RENEWALS_MAX).unwrap();
        let _places = taken.acquire_many(all).await.unwrap();
        let (status, _body) = renewer.answer(Some("name=a.test")).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    }
}
