//! What a local CA may sign for: names under suffixes and addresses of networks, as name constraints say it to clients
//! (RFC 5280 section 4.2.1.10).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rcgen::{CidrSubnet, GeneralSubtree, NameConstraints};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

use crate::hostname::{HostName, HostPattern};

/// Suffixes that no public CA signs for (RFC 6761, RFC 8375, and `internal` as reserved by ICANN).
pub const LOCAL_SUFFIXES: [&str; 4] = ["localhost", "test", "internal", "home.arpa"];

/// Loopback, private and link-local networks: addresses that mean something else on every machine or network.
const LOCAL_NETWORKS: [Network; 8] = [
    Network::v4([127, 0, 0, 0], 8),
    Network::v4([10, 0, 0, 0], 8),
    Network::v4([172, 16, 0, 0], 12),
    Network::v4([192, 168, 0, 0], 16),
    Network::v4([169, 254, 0, 0], 16),
    Network(IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
    Network::v6(0xfc00, 7),
    Network::v6(0xfe80, 10),
];

/// Names and addresses that clients accept from a CA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// In order, none under another; without a list, every name.
    suffixes: Option<Vec<Box<str>>>,
    /// Without a list, every address.
    networks: Option<Vec<Network>>,
}

/// The addresses that begin with the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network(IpAddr, u8);

impl Scope {
    /// The built-in suffixes and networks, and what lies under `suffixes`, of which some may be addresses.
    #[must_use]
    pub fn of(suffixes: &[HostName]) -> Self {
        let addresses = suffixes.iter().filter_map(HostName::ip).map(Network::only);
        let mut networks: Vec<Network> = LOCAL_NETWORKS.into();
        for network in addresses {
            if !networks.iter().any(|known| known.contains(network.0)) {
                networks.push(network);
            }
        }
        let named = suffixes.iter().filter(|suffix| suffix.ip().is_none());
        let mut all: Vec<&str> = named.map(HostName::as_str).chain(LOCAL_SUFFIXES).collect();
        all.sort_unstable();
        all.dedup();
        let is_under = |name: &str, suffix: &str| {
            let head = name.strip_suffix(suffix);
            head.is_some_and(|head| head.ends_with('.'))
        };
        let widest = all
            .iter()
            .filter(|name| !all.iter().any(|suffix| is_under(name, suffix)));
        Self {
            suffixes: Some(widest.map(|name| Box::from(*name)).collect()),
            networks: Some(networks),
        }
    }

    /// What the constraints of a CA's certificate permit; everything without any.
    #[must_use]
    pub fn of_certificate(certificate: &X509Certificate<'_>) -> Self {
        let constraints = certificate.name_constraints().ok().flatten();
        let permitted = constraints.and_then(|found| found.value.permitted_subtrees.as_deref());
        let (mut suffixes, mut networks) = (None, None);
        for subtree in permitted.unwrap_or_default() {
            if let GeneralName::DNSName(name) = subtree.base {
                let name = name.trim_start_matches('.').to_ascii_lowercase();
                suffixes.get_or_insert_with(Vec::new).push(name.into());
            } else if let GeneralName::IPAddress(octets) = subtree.base {
                let networks = networks.get_or_insert_with(Vec::new);
                networks.extend(Network::parse(octets));
            }
        }
        Self { suffixes, networks }
    }

    /// Whether there is nothing that it does not permit.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.suffixes.is_none() && self.networks.is_none()
    }

    /// Whether clients accept a certificate for this name.
    #[must_use]
    pub fn permits(&self, name: &HostName) -> bool {
        match (name.ip(), &self.suffixes, &self.networks) {
            (Some(address), _, Some(networks)) => {
                networks.iter().any(|network| network.contains(address))
            }
            (None, Some(suffixes), _) => suffixes.iter().any(|suffix| name.is_under(suffix)),
            (Some(_), _, None) | (None, None, _) => true,
        }
    }

    /// The same for every name of a pattern. Of the catch-all each is as it is: nobody can say which will be asked for.
    #[must_use]
    pub fn permits_all(&self, pattern: &HostPattern) -> bool {
        pattern.base().is_none_or(|base| self.permits(base))
    }

    /// For a certificate; none if nothing is constrained.
    #[must_use]
    pub fn constraints(&self) -> Option<NameConstraints> {
        let suffixes = self.suffixes.iter().flatten();
        let names = suffixes.map(|suffix| GeneralSubtree::DnsName(suffix.to_string()));
        let networks = self.networks.iter().flatten();
        let subnets = networks.map(|Network(address, bits)| {
            GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(*address, *bits))
        });
        let permitted_subtrees: Vec<GeneralSubtree> = names.chain(subnets).collect();
        (!permitted_subtrees.is_empty()).then(|| NameConstraints {
            permitted_subtrees,
            excluded_subtrees: Vec::new(),
        })
    }
}

impl Network {
    const fn v4(address: [u8; 4], bits: u8) -> Self {
        let [one, two, three, four] = address;
        Self(IpAddr::V4(Ipv4Addr::new(one, two, three, four)), bits)
    }

    const fn v6(first: u16, bits: u8) -> Self {
        Self(IpAddr::V6(Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, 0)), bits)
    }

    fn only(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self(address, 32),
            IpAddr::V6(_) => Self(address, 128),
        }
    }

    /// An address and its mask, as a certificate has them.
    fn parse(octets: &[u8]) -> Option<Self> {
        let (address, mask) = octets.split_at(octets.len() / 2);
        let bits = mask.iter().map(|octet| octet.leading_ones()).sum::<u32>();
        let bits = u8::try_from(bits).ok()?;
        if let Ok(address) = <[u8; 4]>::try_from(address) {
            return Some(Self(IpAddr::from(address), bits));
        }
        let address = <[u8; 16]>::try_from(address).ok()?;
        Some(Self(IpAddr::from(address), bits))
    }

    fn contains(&self, address: IpAddr) -> bool {
        let (own, other, width) = match (self.0, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (u128::from(own.to_bits()), u128::from(other.to_bits()), 32)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => (own.to_bits(), other.to_bits(), 128),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return false,
        };
        let rest = u32::from(width - self.1.min(width));
        let beginning = |address: u128| address.checked_shr(rest).unwrap_or(0);
        beginning(own) == beginning(other)
    }
}

/// As people write it: `.localhost, .test and private addresses` would leave out which, so all are named.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_everything() {
            return f.write_str("every name");
        }
        let suffixes = self.suffixes.iter().flatten();
        let names = suffixes.map(|suffix| format!(".{suffix}"));
        let beyond = |network: &&Network| !LOCAL_NETWORKS.contains(network);
        let networks = self.networks.iter().flatten().filter(beyond);
        let addresses = networks.map(|Network(address, bits)| format!("{address}/{bits}"));
        let all: Vec<String> = names.chain(addresses).collect();
        f.write_str(&all.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn names(list: &[&str]) -> Vec<HostName> {
        list.iter()
            .map(|name| HostName::parse(name).unwrap())
            .collect()
    }

    #[track_caller]
    fn check(scope: &Scope, name: &str, expected: bool) {
        let parsed = HostPattern::parse(name).unwrap();
        assert_eq!(scope.permits_all(&parsed), expected, "{name}");
    }

    #[test]
    fn local_names_and_addresses_are_permitted_and_no_others() {
        let scope = Scope::of(&names(&["lan.example.com", "203.0.113.7"]));
        for name in [
            "localhost",
            "shop.localhost",
            "a.b.test",
            "*.internal",
            "nas.home.arpa",
            "lan.example.com",
            "*.lan.example.com",
            "*",
            "127.9.9.9",
            "10.0.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.0.1",
            "::1",
            "fd12::1",
            "fe80::1",
            "203.0.113.7",
        ] {
            check(&scope, name, true);
        }
        for name in [
            "example.com",
            "notlocalhost",
            "xlan.example.com",
            "arpa",
            "172.32.0.1",
            "192.169.0.1",
            "203.0.113.8",
            "100.64.0.1",
            "::2",
            "2001:db8::1",
        ] {
            check(&scope, name, false);
        }
    }

    #[test]
    fn what_a_certificate_says_is_read_back() {
        let scope = Scope::of(&names(&["lan.example.com", "203.0.113.7", "2001:db8::1"]));
        let mut params = CertificateParams::default();
        params.name_constraints = scope.constraints();
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let (_, parsed) = x509_parser::parse_x509_certificate(certificate.der()).unwrap();
        let constraints = parsed.name_constraints().unwrap().unwrap();
        assert!(constraints.critical);
        assert_eq!(Scope::of_certificate(&parsed), scope);
    }

    #[test]
    fn a_certificate_without_constraints_permits_everything() {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::default().self_signed(&key).unwrap();
        let (_, parsed) = x509_parser::parse_x509_certificate(certificate.der()).unwrap();
        let scope = Scope::of_certificate(&parsed);
        assert!(scope.is_everything() && scope.constraints().is_none());
        check(&scope, "example.com", true);
        check(&scope, "8.8.8.8", true);
    }

    #[test]
    fn what_lies_under_another_suffix_adds_nothing() {
        let order = names(&["b.example", "a.b.example", "x.test", "10.1.1.1"]);
        let scope = Scope::of(&order);
        let text = ".b.example, .home.arpa, .internal, .localhost, .test";
        assert_eq!(scope.to_string(), text);
        assert_eq!(Scope::of(&names(&["b.example", "b.example"])), scope);
    }
}
