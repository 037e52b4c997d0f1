//! Which names a certificate can be ordered for, when, and how each of them is proven.

use std::fmt;
use std::net::IpAddr;

use super::{Acme, Ca, Challenge};
use crate::config::problem::{At, Problem};
use crate::hostname::HostPattern;

/// When the certificate of a name is ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ordered {
    /// As soon as the name is served.
    AtStart,
    /// At the first handshake for each name that the pattern stands for.
    OnDemand,
}

/// Why no certificate can be ordered for a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotOrdered {
    /// A wildcard is proven by DNS alone, and `dns` is not set.
    WildcardWithoutDns,
    /// It stands for every name there is, and `on_demand` is not set.
    CatchAllWithoutOnDemand,
    /// No public CA can reach it: an address of a private network, or a name without a dot.
    OutOfReach,
}

/// What needs nothing but sockets.
pub(super) const BY_CONNECTION: &[Challenge] = &[Challenge::TlsAlpn01, Challenge::Http01];

impl Acme {
    /// When a name's certificate is ordered. Names that the local CA signs are not asked for here.
    ///
    /// # Errors
    /// Why it cannot be.
    pub fn ordered(&self, name: &HostPattern) -> Result<Ordered, NotOrdered> {
        match name {
            HostPattern::Exact(exact) => {
                let reachable = match exact.ip() {
                    Some(address) => is_global(address),
                    None => exact.parent().is_some(),
                };
                if !reachable && self.cas().all(|ca| self.is_far(ca)) {
                    return Err(NotOrdered::OutOfReach);
                }
                Ok(Ordered::AtStart)
            }
            HostPattern::Wildcard(_) if self.dns.is_some() => Ok(Ordered::AtStart),
            HostPattern::Wildcard(_) if self.on_demand.is_some() => Ok(Ordered::OnDemand),
            HostPattern::Wildcard(_) => Err(NotOrdered::WildcardWithoutDns),
            HostPattern::CatchAll if self.on_demand.is_some() => Ok(Ordered::OnDemand),
            HostPattern::CatchAll => Err(NotOrdered::CatchAllWithoutOnDemand),
        }
    }

    /// What a name is proven by, in the order of the attempts: wildcards by DNS alone (RFC 8555 section 7.1.3), addresses never
    /// (RFC 8738 section 7), so these fall back to what is left to them. Empty for a wildcard without `dns`.
    #[must_use]
    pub fn challenges_for(&self, name: &HostPattern) -> Vec<Challenge> {
        match name {
            HostPattern::Wildcard(_) if self.dns.is_some() => vec![Challenge::Dns01],
            HostPattern::Wildcard(_) => Vec::new(),
            HostPattern::Exact(exact) if exact.ip().is_some() => {
                let mut left = self.challenges.to_vec();
                left.retain(|challenge| *challenge != Challenge::Dns01);
                if left.is_empty() {
                    left = BY_CONNECTION.to_vec();
                }
                left
            }
            HostPattern::Exact(_) | HostPattern::CatchAll => self.challenges.to_vec(),
        }
    }

    /// Whether a CA proves names from the outside only.
    fn is_far(&self, ca: &Ca) -> bool {
        let public = ca.directory.is_public() || ca.directory.is_lets_encrypt();
        public && self.roots.is_none()
    }

    /// What is odd about ordering for a name.
    pub(in crate::config) fn remark(&self, name: &HostPattern, at: At) -> Option<Problem> {
        let address = name.base()?.ip()?;
        let first = &self.first;
        let refused = first.directory.is_lets_encrypt()
            && first.profile.as_deref() != Some(SHORT_LIVED)
            && is_global(address);
        refused.then(|| {
            Problem::warning(
                "profile-without-addresses",
                format!("Let's Encrypt signs `{address}` in one profile only"),
            )
            .at(at, "an order for this address would be refused")
            .help(format!("[acme]\nprofile = \"{SHORT_LIVED}\""))
        })
    }
}

/// The only profile of Let's Encrypt with addresses.
const SHORT_LIVED: &str = "shortlived";

impl NotOrdered {
    pub(in crate::config) fn problem(self, name: &HostPattern, at: At) -> Problem {
        let (code, help) = match self {
            Self::WildcardWithoutDns => (
                "wildcard-needs-dns",
                "[acme]\ndns = { type = \"rfc2136\", … }   or \"acme-dns\", \"cloudflare\", \"exec\"",
            ),
            Self::CatchAllWithoutOnDemand => (
                "catch-all-needs-on-demand",
                "name the hosts, give the site `cert` and `key`, or order at the first handshake:\n[acme]\non_demand = { ask = \"http://127.0.0.1:9000/allowed\" }",
            ),
            Self::OutOfReach => (
                "no-certificate",
                "{ …, tls = \"internal\" }   signed by the local CA, for machines that trust it",
            ),
        };
        Problem::error(code, format!("no certificate can be ordered for `{name}`"))
            .at(at, self.to_string())
            .help(help)
    }
}

impl fmt::Display for NotOrdered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WildcardWithoutDns => "a wildcard is proven by DNS, so it needs `acme.dns`",
            Self::CatchAllWithoutOnDemand => {
                "this stands for every name, so it needs `acme.on_demand`"
            }
            Self::OutOfReach => "no public CA can reach it",
        })
    }
}

fn is_global(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            !(address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_unspecified()
                || address.is_broadcast()
                || address.is_multicast())
        }
        IpAddr::V6(address) => {
            !(address.is_loopback()
                || address.is_unspecified()
                || address.is_unique_local()
                || address.is_unicast_link_local()
                || address.is_multicast())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::read;
    use std::path::Path;

    fn acme(text: &str) -> Acme {
        let text = format!("acme = {{ {text} }}\n[sites]\n\"a.test\" = \"1\"");
        let loaded = read(Path::new("proxy.toml"), &text);
        loaded.expect("it loads").config.acme.expect("it is set")
    }

    fn name(text: &str) -> HostPattern {
        HostPattern::parse(text).unwrap()
    }

    const DNS: &str = "dns = { type = \"cloudflare\", token = \"t\" }";
    const ON_DEMAND: &str = "on_demand = { ask = \"http://localhost/ask\" }";

    #[test]
    fn names_are_ordered_when_something_can_prove_them() {
        #[track_caller]
        fn check(acme: &Acme, text: &str, expected: Result<Ordered, NotOrdered>) {
            assert_eq!(acme.ordered(&name(text)), expected, "{text}");
        }
        let bare = acme("");
        check(&bare, "a.example.com", Ok(Ordered::AtStart));
        check(&bare, "192.0.2.1", Ok(Ordered::AtStart));
        check(&bare, "10.0.0.1", Err(NotOrdered::OutOfReach));
        check(&bare, "shop", Err(NotOrdered::OutOfReach));
        check(&bare, "*.example.com", Err(NotOrdered::WildcardWithoutDns));
        check(&bare, "*", Err(NotOrdered::CatchAllWithoutOnDemand));
        let own = acme("directory = \"https://127.0.0.1:14000/dir\"");
        check(&own, "127.0.0.1", Ok(Ordered::AtStart));
        check(&own, "shop", Ok(Ordered::AtStart));
        let both = acme(&format!("{DNS}, {ON_DEMAND}"));
        check(&both, "*.example.com", Ok(Ordered::AtStart));
        check(&both, "*", Ok(Ordered::OnDemand));
        check(&acme(ON_DEMAND), "*.example.com", Ok(Ordered::OnDemand));
    }

    #[test]
    fn each_name_is_proven_by_what_can_prove_it() {
        use Challenge::{Dns01, Http01, TlsAlpn01};
        let of = |acme: &Acme, text: &str| acme.challenges_for(&name(text));
        let bare = acme("");
        assert_eq!(of(&bare, "a.example.com"), [TlsAlpn01, Http01]);
        assert_eq!(of(&bare, "*.example.com"), []);
        let dns = acme(DNS);
        assert_eq!(of(&dns, "a.example.com"), [Dns01]);
        assert_eq!(of(&dns, "*.example.com"), [Dns01]);
        assert_eq!(of(&dns, "192.0.2.1"), [TlsAlpn01, Http01]);
        let said = acme(&format!("{DNS}, challenges = [\"http-01\", \"dns-01\"]"));
        assert_eq!(of(&said, "a.example.com"), [Http01, Dns01]);
        assert_eq!(of(&said, "192.0.2.1"), [Http01]);
    }
}
