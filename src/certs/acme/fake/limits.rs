//! Let's Encrypt's limits as token buckets (GCRA). The registered domain of a name is taken to be its last two labels.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use super::reply::Reply;

const HOUR: Duration = Duration::from_secs(60 * 60);

/// So many in such a time; as much at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    pub(crate) count: u32,
    pub(crate) period: Duration,
}

#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) accounts: Limit,
    pub(crate) orders: Limit,
    pub(crate) of_domain: Limit,
    pub(crate) of_set: Limit,
    pub(crate) failures: Limit,
}

impl Default for Limits {
    /// Production's.
    fn default() -> Self {
        let limit = |count, hours: u32| Limit {
            count,
            period: HOUR * hours,
        };
        Self {
            accounts: limit(10, 3),
            orders: limit(300, 3),
            of_domain: limit(50, 7 * 24),
            of_set: limit(5, 7 * 24),
            failures: limit(5, 1),
        }
    }
}

/// The theoretical arrival time of each bucket.
#[derive(Debug, Default)]
pub(super) struct Buckets(BTreeMap<String, SystemTime>);

impl Buckets {
    /// Every client has the same address.
    pub(super) fn admit_account(
        &mut self,
        limits: &Option<Limits>,
        now: SystemTime,
    ) -> Result<(), Reply> {
        let Some(limits) = limits else {
            return Ok(());
        };
        let accounts = "accounts from one address".to_owned();
        self.check(limits.accounts, &accounts, now)?;
        self.spend(limits.accounts, accounts, now);
        Ok(())
    }

    /// Whether an order may be made; one of the orders' tokens is spent then, the others on issuance.
    pub(super) fn admit(
        &mut self,
        limits: &Option<Limits>,
        account: usize,
        names: &BTreeSet<String>,
        is_renewal: bool,
        now: SystemTime,
    ) -> Result<(), Reply> {
        let Some(limits) = limits else {
            return Ok(());
        };
        for name in names {
            self.check(limits.failures, &failures(account, name), now)?;
        }
        self.check(limits.of_set, &set(names), now)?;
        if is_renewal {
            return Ok(());
        }
        for domain in domains(names) {
            self.check(limits.of_domain, &domain, now)?;
        }
        let orders = format!("orders of account {account}");
        self.check(limits.orders, &orders, now)?;
        self.spend(limits.orders, orders, now);
        Ok(())
    }

    pub(super) fn spend_issuance(
        &mut self,
        limits: &Option<Limits>,
        names: &BTreeSet<String>,
        is_renewal: bool,
        now: SystemTime,
    ) {
        let Some(limits) = limits else {
            return;
        };
        self.spend(limits.of_set, set(names), now);
        if is_renewal {
            return;
        }
        for domain in domains(names) {
            self.spend(limits.of_domain, domain, now);
        }
    }

    pub(super) fn spend_failure(
        &mut self,
        limits: &Option<Limits>,
        (account, name): &(usize, String),
        now: SystemTime,
    ) {
        if let Some(limits) = limits {
            self.spend(limits.failures, failures(*account, name), now);
        }
    }

    fn check(&self, limit: Limit, bucket: &str, now: SystemTime) -> Result<(), Reply> {
        let next = self.after(limit, bucket, now);
        let allowed = now + limit.period;
        let Ok(wait) = next.duration_since(allowed) else {
            return Ok(());
        };
        if wait.is_zero() {
            return Ok(());
        }
        // A whole second more than needed: the header has no parts of one.
        let wait = Duration::from_secs(wait.as_secs() + 1);
        let at = Timestamp::try_from(now + wait).unwrap();
        let at = at.strftime("%Y-%m-%d %H:%M:%S");
        let words = format!("too many {bucket}: retry after {at} UTC: see https://ca.test/limits");
        Err(Reply::problem(429, "rateLimited", &words).retry_after(wait))
    }

    fn spend(&mut self, limit: Limit, bucket: String, now: SystemTime) {
        let next = self.after(limit, &bucket, now);
        self.0.insert(bucket, next);
    }

    fn after(&self, limit: Limit, bucket: &str, now: SystemTime) -> SystemTime {
        let from = self.0.get(bucket).copied().unwrap_or(now).max(now);
        from + limit.period / limit.count
    }
}

fn failures(account: usize, name: &str) -> String {
    format!("failed authorizations of {name} by account {account}")
}

fn set(names: &BTreeSet<String>) -> String {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    format!("certificates for exactly {}", names.join(" "))
}

fn domains(names: &BTreeSet<String>) -> BTreeSet<String> {
    let domain = |name: &String| {
        let dots = name.rmatch_indices('.').map(|(at, _)| at + 1);
        let start = dots.clone().nth(1).unwrap_or(0);
        format!("certificates for {}", &name[start..])
    };
    names.iter().map(domain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_full_at_first_and_refills_evenly() {
        let start = SystemTime::UNIX_EPOCH + HOUR * 1000;
        let limits = Some(Limits::default());
        let names = BTreeSet::from(["a.example.test".to_owned()]);
        let mut buckets = Buckets::default();
        for _issued in 0..5 {
            assert!(buckets.admit(&limits, 0, &names, false, start).is_ok());
            buckets.spend_issuance(&limits, &names, false, start);
        }
        let refusal = buckets.admit(&limits, 0, &names, false, start);
        assert_eq!(refusal.unwrap_err().status, 429);
        let later = start + HOUR * 34;
        assert!(buckets.admit(&limits, 0, &names, false, later).is_ok());
        buckets.spend_issuance(&limits, &names, false, later);
        assert!(buckets.admit(&limits, 0, &names, false, later).is_err());
    }
}
