//! Networks in CIDR notation (RFC 4632 section 3.1, RFC 4291 section 2.3): `"10.0.0.0/8"`, `"2001:db8::/32"`, or an address alone.

use std::net::IpAddr;

use ipnet::IpNet;

/// A list of networks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Networks(pub Box<[IpNet]>);

impl Networks {
    /// Whether an address lies in one of them. An IPv4 address that is written as IPv6 (`::ffff:192.0.2.1`) counts as what it is.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
