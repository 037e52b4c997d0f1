//! Networks in CIDR notation (RFC 4632 section 3.1, RFC 4291 section 2.3): `"10.0.0.0/8"`, `"2001:db8::/32"`, or an address alone.

use std::net::IpAddr;

use ipnet::IpNet;

use super::problem::Problem;
use super::problems::Problems;
use super::reader::Item;

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

const NETWORKS_FORM: &str = r#"networks such as "10.0.0.0/8", "2001:db8::/32" or "192.0.2.1""#;
/// The networks of one list: each address that is looked at is compared with all of them.
const NETWORKS_MAX: usize = 10_000;
/// The bits in front of an IPv4 address that is written as IPv6 (RFC 4291 section 2.5.5.2).
const MAPPED_BITS: u8 = 96;
/// What other programs have a word for.
const PRIVATE: &str =
    r#"["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "::1", "fc00::/7"]"#;

impl Networks {
    /// Reads one network or a list of them.
    pub(super) fn read(item: &Item<'_>, problems: &mut Problems) -> Option<Self> {
        let items = item.one_or_more();
        if items.is_empty() {
            let message = format!("`{}` lists no network", item.key);
            let help = format!("leave `{}` out, or name {NETWORKS_FORM}", item.key);
            problems.error("empty-list", message, item.at(), "empty", help);
            return None;
        }
        if items.len() > NETWORKS_MAX {
            let message = format!("`{}` lists more than {NETWORKS_MAX} networks", item.key);
            problems.push(Problem::error("out-of-range", message).at(item.at(), "too many"));
            return None;
        }
        let networks: Vec<_> = items.iter().map(|item| one(item, problems)).collect();
        networks.into_iter().collect::<Option<_>>().map(Self)
    }
}

/// Why a text is no network.
#[derive(Debug, PartialEq, Eq)]
enum InvalidNetwork {
    NoAddress,
    BadPrefix,
    /// The network that was most likely meant.
    HostBits(IpNet),
}

fn one(item: &Item<'_>, problems: &mut Problems) -> Option<IpNet> {
    let text = item.text(NETWORKS_FORM, problems)?;
    let why = match parse(text) {
        Ok(network) => return Some(network),
        Err(why) => why,
    };
    let (label, help) = match why {
        InvalidNetwork::HostBits(meant) => (
            "bits are set behind the prefix".to_owned(),
            format!(
                "the network is \"{meant}\", the address alone is \"{}\"",
                alone(text)
            ),
        ),
        InvalidNetwork::BadPrefix => (
            "not a prefix length".to_owned(),
            "an IPv4 network has a prefix of 0 to 32 bits, an IPv6 network one of 0 to 128"
                .to_owned(),
        ),
        InvalidNetwork::NoAddress if text.starts_with("private") => {
            ("a word for networks".to_owned(), format!("write {PRIVATE}"))
        }
        InvalidNetwork::NoAddress => (
            "not an address".to_owned(),
            format!("`{}` takes {NETWORKS_FORM}", item.key),
        ),
    };
    let message = format!("`{text}` is no network");
    problems.error("bad-network", message, item.at(), label, help);
    None
}

fn alone(text: &str) -> &str {
    text.split_once('/').map_or(text, |(address, _)| address)
}

fn parse(text: &str) -> Result<IpNet, InvalidNetwork> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().map_err(|_why| InvalidNetwork::NoAddress)?;
    let prefix = match prefix {
        None => return Ok(IpNet::from(address.to_canonical())),
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits
            .parse::<u8>()
            .map_err(|_why| InvalidNetwork::BadPrefix)?,
        Some(_) => return Err(InvalidNetwork::BadPrefix),
    };
    let (address, prefix) = match (address.to_canonical(), prefix.checked_sub(MAPPED_BITS)) {
        (canonical, Some(rest)) if canonical != address => (canonical, rest),
        (_, Some(_) | None) => (address, prefix),
    };
    let network = IpNet::new(address, prefix).map_err(|_why| InvalidNetwork::BadPrefix)?;
    if network.trunc() != network {
        return Err(InvalidNetwork::HostBits(network.trunc()));
    }
    Ok(network)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, InvalidNetwork>) {
        let parsed = parse(text).map(|network| network.to_string());
        assert_eq!(parsed, expected.map(str::to_owned), "{text}");
    }

    #[test]
    fn networks_are_prefixes_or_addresses() {
        check("10.0.0.0/8", Ok("10.0.0.0/8"));
        check("192.0.2.1", Ok("192.0.2.1/32"));
        check("2001:db8::/32", Ok("2001:db8::/32"));
        check("::1", Ok("::1/128"));
        check("0.0.0.0/0", Ok("0.0.0.0/0"));
        check("::ffff:10.0.0.0/104", Ok("10.0.0.0/8"));
        check("::ffff:10.0.0.1", Ok("10.0.0.1/32"));
    }

    #[test]
    fn what_is_no_network_says_why() {
        use InvalidNetwork::{BadPrefix, HostBits, NoAddress};
        let meant = |text: &str| Err(HostBits(text.parse().unwrap()));
        check("10.0.0.1/8", meant("10.0.0.0/8"));
        check("2001:db8::1/32", meant("2001:db8::/32"));
        check("10.0.0.0/33", Err(BadPrefix));
        check("10.0.0.0/", Err(BadPrefix));
        check("10.0.0.0/+8", Err(BadPrefix));
        check("10.0.0.0/255.0.0.0", Err(BadPrefix));
        check("10.0.0", Err(NoAddress));
        check("a.test", Err(NoAddress));
        check("", Err(NoAddress));
    }

    #[test]
    fn a_mapped_address_is_the_address_it_stands_for() {
        let networks = Networks(Box::new(["10.0.0.0/8".parse().unwrap()]));
        assert!(networks.contains("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!networks.contains("11.0.0.0".parse().unwrap()));
    }
}
