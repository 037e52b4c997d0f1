//! Asking by given settings: the hosts file first, then name servers, along the search list, both families side by side.

use std::fmt;
use std::net::IpAddr;
use std::pin::pin;
use std::time::Duration;

use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::{Hosts, TokioResolver};
use tokio::time::timeout;

use super::finding::{Answer, Family};
use super::look_up::SYSTEM_PERIOD;

/// The whole time for one name as it stands.
const LOOK_UP_TIME: Duration = Duration::from_secs(10);
/// How long one family's answer waits for the other's: some name servers never say anything about IPv6.
const OTHER_FAMILY_PATIENCE: Duration = Duration::from_millis(500);
const LATE: &str = "the name servers do not answer";

/// Whom to ask, and how.
pub(super) struct Settings {
    servers: TokioResolver,
    hosts: Hosts,
    search: Vec<Name>,
    /// Names with fewer dots go through the search list before they are asked for as they stand.
    ndots: usize,
}

impl Settings {
    pub(super) fn new(
        servers: TokioResolver,
        hosts: Hosts,
        search: Vec<Name>,
        ndots: usize,
    ) -> Self {
        Self {
            servers,
            hosts,
            search,
            ndots,
        }
    }

    pub(super) async fn ask(&self, host: &str) -> Answer {
        let name = match Name::from_str_relaxed(host) {
            Ok(name) => name,
            Err(error) => return Answer::failed(&error.to_string()),
        };
        if let Some(answer) = self.in_hosts(&name) {
            return answer;
        }
        let mut failed = None;
        let mut missing = None;
        for candidate in candidates(&name, &self.search, self.ndots) {
            let answer = self.both(&candidate).await;
            if answer.is_found() {
                return answer;
            }
            // The search goes on, as the C library's does; but then the name is not known to be missing.
            let seen = if answer.is_failed() {
                &mut failed
            } else {
                &mut missing
            };
            seen.get_or_insert(answer);
        }
        let nothing = || Answer::failed("the name is too long");
        failed.or(missing).unwrap_or_else(nothing)
    }

    fn in_hosts(&self, name: &Name) -> Option<Answer> {
        let kinds = [RecordType::AAAA, RecordType::A];
        let found: Vec<IpAddr> = kinds
            .into_iter()
            .filter_map(|kind| {
                self.hosts
                    .lookup_static_host(&Query::query(name.clone(), kind))
            })
            .flat_map(|lookup| addresses(&lookup))
            .collect();
        (!found.is_empty()).then(|| Answer::at(found, SYSTEM_PERIOD))
    }

    async fn both(&self, name: &Name) -> Answer {
        let mut v6 = pin!(self.family(name, RecordType::AAAA));
        let mut v4 = pin!(self.family(name, RecordType::A));
        tokio::select! {
            v6 = &mut v6 => {
                let v4 = after(&v6, v4).await;
                Answer { v6, v4 }
            }
            v4 = &mut v4 => {
                let v6 = after(&v4, v6).await;
                Answer { v6, v4 }
            }
        }
    }

    async fn family(&self, name: &Name, kind: RecordType) -> Family {
        match timeout(LOOK_UP_TIME, self.servers.lookup(name.clone(), kind)).await {
            Ok(looked_up) => family(looked_up),
            Err(_late) => late(),
        }
    }
}

async fn after(first: &Family, second: impl Future<Output = Family>) -> Family {
    match first {
        Family::At { .. } => timeout(OTHER_FAMILY_PATIENCE, second)
            .await
            .unwrap_or_else(|_late| late()),
        Family::Nowhere { .. } | Family::Failed { .. } => second.await,
    }
}

fn late() -> Family {
    Family::Failed {
        reason: LATE.to_owned(),
    }
}

fn family(looked_up: Result<Lookup, NetError>) -> Family {
    let ttl = |seconds| Duration::from_secs(u64::from(seconds));
    match looked_up {
        Ok(lookup) => {
            // Aliases on the way count too.
            let ttls = lookup.answers().iter().map(|record| record.ttl);
            let ttl = ttl(ttls.min().unwrap_or_default());
            match addresses(&lookup) {
                addresses if addresses.is_empty() => Family::Nowhere { ttl },
                addresses => Family::At { addresses, ttl },
            }
        }
        Err(NetError::Dns(DnsError::NoRecordsFound(missing))) => Family::Nowhere {
            ttl: ttl(missing.negative_ttl.unwrap_or_default()),
        },
        Err(NetError::Timeout) => late(),
        Err(error) => Family::Failed {
            reason: error.to_string(),
        },
    }
}

fn addresses(lookup: &Lookup) -> Vec<IpAddr> {
    let records = lookup.answers().iter();
    records.filter_map(|record| record.data.ip_addr()).collect()
}

/// The full names that a name may stand for, the likeliest first (resolv.conf(5), `search` and `ndots`).
fn candidates(name: &Name, search: &[Name], ndots: usize) -> Vec<Name> {
    let mut whole = name.clone();
    whole.set_fqdn(true);
    if name.is_fqdn() {
        return vec![whole];
    }
    let dots = usize::from(name.num_labels()).saturating_sub(1);
    let longer = search.iter().filter_map(|suffix| {
        let mut longer = name.clone().append_domain(suffix).ok()?;
        longer.set_fqdn(true);
        Some(longer)
    });
    let mut candidates: Vec<Name> = longer.collect();
    let at = if dots >= ndots { 0 } else { candidates.len() };
    candidates.insert(at, whole);
    candidates
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("search", &self.search)
            .field("ndots", &self.ndots)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, ndots: usize, expected: &[&str]) {
        let search =
            ["svc.example", "example"].map(|suffix| Name::from_str_relaxed(suffix).unwrap());
        let name = Name::from_str_relaxed(name).unwrap();
        let candidates: Vec<String> = candidates(&name, &search, ndots)
            .iter()
            .map(Name::to_string)
            .collect();
        assert_eq!(candidates, expected);
    }

    #[test]
    fn names_with_few_dots_go_through_the_search_list_first() {
        check("db", 1, &["db.svc.example.", "db.example.", "db."]);
        check(
            "my_db",
            1,
            &["my_db.svc.example.", "my_db.example.", "my_db."],
        );
        check(
            "a.test",
            1,
            &["a.test.", "a.test.svc.example.", "a.test.example."],
        );
        check(
            "a.test",
            5,
            &["a.test.svc.example.", "a.test.example.", "a.test."],
        );
        check("a.test.", 5, &["a.test."]);
    }

    #[test]
    fn an_answer_without_addresses_is_no_failure() {
        let missing = hickory_resolver::net::NoRecords::new(
            Query::query(Name::root(), RecordType::A),
            hickory_resolver::proto::op::ResponseCode::NXDomain,
        );
        let missing = family(Err(NetError::Dns(DnsError::NoRecordsFound(missing))));
        assert!(matches!(missing, Family::Nowhere { .. }), "{missing:?}");
        let failed = family(Err(NetError::Timeout));
        assert!(matches!(failed, Family::Failed { .. }), "{failed:?}");
    }
}
