//! What a certificate authority allows, and how much of that onedoor takes for itself.

use std::time::Duration;

use serde::Serialize;

use super::instant::{DAY, HOUR, length};

/// The limits of one certificate authority.
#[derive(Debug)]
pub struct Limits {
    /// What a sentence calls it.
    pub ca: &'static str,
    pub source: Source,
    orders: Rate,
    domains: Rate,
    names: Rate,
    failures: Rate,
    accounts: Rate,
}

impl Limits {
    /// The numbers of the authority behind a directory URL, judged by its host.
    pub fn of(directory_url: &str) -> &'static Self {
        let host = host(directory_url);
        if host.eq_ignore_ascii_case("acme-v02.api.letsencrypt.org") {
            &LETS_ENCRYPT
        } else if host.eq_ignore_ascii_case("acme-staging-v02.api.letsencrypt.org") {
            &LETS_ENCRYPT_STAGING
        } else if PUBLIC_HOSTS
            .iter()
            .any(|public| host.eq_ignore_ascii_case(public))
        {
            &PUBLIC
        } else {
            &UNKNOWN
        }
    }

    pub fn rate(&self, limit: Limit) -> &Rate {
        match limit {
            Limit::NewOrders => &self.orders,
            Limit::CertificatesPerDomain => &self.domains,
            Limit::CertificatesPerNames => &self.names,
            Limit::FailedValidations => &self.failures,
            Limit::NewAccounts => &self.accounts,
        }
    }
}

/// Whose numbers they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Published,
    /// The authority publishes none; these keep a loop of ours from becoming its trouble.
    Assumed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    NewOrders,
    CertificatesPerDomain,
    CertificatesPerNames,
    FailedValidations,
    NewAccounts,
}

impl Limit {
    pub const ALL: [Self; 5] = [
        Self::NewOrders,
        Self::CertificatesPerDomain,
        Self::CertificatesPerNames,
        Self::FailedValidations,
        Self::NewAccounts,
    ];

    /// The word for it in the stored ledger: never changed.
    pub fn key(self) -> &'static str {
        match self {
            Self::NewOrders => "new_orders",
            Self::CertificatesPerDomain => "certificates_per_domain",
            Self::CertificatesPerNames => "certificates_per_names",
            Self::FailedValidations => "failed_validations",
            Self::NewAccounts => "new_accounts",
        }
    }

    /// What is counted, for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::NewOrders => "new orders",
            Self::CertificatesPerDomain => "certificates of a domain",
            Self::CertificatesPerNames => "certificates of the same names",
            Self::FailedValidations => "failed validations",
            Self::NewAccounts => "new accounts",
        }
    }
}

/// `capacity` at once, and as many again spread over `window`.
#[derive(Debug)]
pub struct Rate {
    pub capacity: u32,
    pub window: Duration,
    /// What onedoor takes by itself in any `window`; the rest is for hands. `None`: all of it.
    pub budget: Option<u32>,
}

impl Rate {
    const fn new(capacity: u32, window: Duration) -> Self {
        Self {
            capacity,
            window,
            budget: None,
        }
    }

    const fn own(capacity: u32, window: Duration, budget: u32) -> Self {
        Self {
            capacity,
            window,
            budget: Some(budget),
        }
    }

    /// Milliseconds until one comes back. Never zero: a faster rate is taken slower.
    pub(super) fn interval(&self) -> u64 {
        (length(self.window) / u64::from(self.capacity.max(1))).max(1)
    }

    /// Milliseconds that an emptied bucket needs to be full again.
    pub(super) fn depth(&self) -> u64 {
        self.interval().saturating_mul(u64::from(self.capacity))
    }
}

fn host(directory_url: &str) -> &str {
    let rest = directory_url
        .split_once("://")
        .map_or(directory_url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.split(':').next().unwrap_or_default()
}

const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);
const THREE_HOURS: Duration = Duration::from_secs(3 * 60 * 60);
/// Boulder: the same names within this time are a renewal, free of the limits on orders and domains.
pub(super) const RENEWAL_WITHIN: Duration = DAY.saturating_mul(120);

/// <https://letsencrypt.org/docs/rate-limits/>
static LETS_ENCRYPT: Limits = Limits {
    ca: "Let's Encrypt",
    source: Source::Published,
    orders: Rate::new(300, THREE_HOURS),
    domains: Rate::own(50, WEEK, 40),
    names: Rate::own(5, WEEK, 2),
    failures: Rate::own(5, HOUR, 3),
    accounts: Rate::own(10, THREE_HOURS, 3),
};

/// Made for trying: no budget of our own.
/// <https://letsencrypt.org/docs/staging-environment/>
static LETS_ENCRYPT_STAGING: Limits = Limits {
    ca: "Let's Encrypt's staging environment",
    source: Source::Published,
    orders: Rate::new(1_500, THREE_HOURS),
    domains: Rate::new(30_000, Duration::from_secs(1)),
    names: Rate::new(30_000, WEEK),
    failures: Rate::new(200, HOUR),
    accounts: Rate::new(50, THREE_HOURS),
};

/// Public authorities that publish no numbers. They bill or ban by hand, so Let's Encrypt's hold, but for the domain: there
/// people go because that limit hurt them.
static PUBLIC: Limits = Limits {
    ca: "this certificate authority",
    source: Source::Assumed,
    orders: Rate::new(300, THREE_HOURS),
    domains: Rate::new(300, WEEK),
    names: Rate::own(5, WEEK, 2),
    failures: Rate::own(5, HOUR, 3),
    accounts: Rate::own(10, THREE_HOURS, 3),
};
const PUBLIC_HOSTS: &[&str] = &[
    "acme.zerossl.com",
    "dv.acme-v02.api.pki.goog",
    "dv.acme-v02.test-api.pki.goog",
    "acme.ssl.com",
    "acme-api.actalis.com",
];

/// Anything else is most likely a private authority, whose certificates may live for minutes: two certificates of ten minutes
/// each, renewed at half their life, must fit, and a loop must not.
static UNKNOWN: Limits = Limits {
    ca: "this certificate authority",
    source: Source::Assumed,
    orders: Rate::new(1_500, THREE_HOURS),
    domains: Rate::new(1_500, THREE_HOURS),
    names: Rate::own(60, HOUR, 30),
    failures: Rate::own(60, HOUR, 20),
    accounts: Rate::own(60, THREE_HOURS, 30),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certs::ledger::bucket::RECENT_MAX;

    #[track_caller]
    fn check(directory_url: &str, expected: &Limits) {
        assert!(std::ptr::eq(Limits::of(directory_url), expected));
    }

    #[test]
    fn authorities_are_known_by_the_host_of_their_directory() {
        check(
            "https://acme-v02.api.letsencrypt.org/directory",
            &LETS_ENCRYPT,
        );
        check("https://ACME-v02.api.letsencrypt.org:443", &LETS_ENCRYPT);
        check(
            "https://acme-staging-v02.api.letsencrypt.org/directory",
            &LETS_ENCRYPT_STAGING,
        );
        check("https://acme.zerossl.com/v2/DV90", &PUBLIC);
        check("https://ca.internal:9000/acme/acme/directory", &UNKNOWN);
        check(
            "https://evil.example/acme-v02.api.letsencrypt.org",
            &UNKNOWN,
        );
        check("", &UNKNOWN);
    }

    #[test]
    fn every_budget_is_below_its_capacity_and_can_be_remembered() {
        for limits in [&LETS_ENCRYPT, &LETS_ENCRYPT_STAGING, &PUBLIC, &UNKNOWN] {
            for rate in Limit::ALL.map(|limit| limits.rate(limit)) {
                assert!(rate.capacity > 0 && rate.interval() > 0);
                if let Some(budget) = rate.budget {
                    assert!(budget < rate.capacity);
                    assert!(usize::try_from(rate.capacity).unwrap() <= RECENT_MAX);
                }
            }
        }
    }

    #[test]
    fn one_comes_back_when_lets_encrypt_says_so() {
        let interval = |limit| LETS_ENCRYPT.rate(limit).interval();
        assert_eq!(interval(Limit::NewOrders), 36_000);
        assert_eq!(interval(Limit::CertificatesPerNames), 120_960_000);
        assert_eq!(interval(Limit::FailedValidations), 720_000);
        assert_eq!(interval(Limit::NewAccounts), 1_080_000);
    }
}
