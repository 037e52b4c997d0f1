//! Writing headers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Origin, V1_PREFIX, V2_LOCAL, V2_PROXY, V2_SIGNATURE, V2_TCP4, V2_TCP6};

/// A header of version 1: a line of text.
#[must_use]
pub fn v1(origin: Origin) -> Vec<u8> {
    let mut header = V1_PREFIX.to_vec();
    let line = match origin {
        Origin::Local => "UNKNOWN\r\n".to_owned(),
        Origin::Proxied {
            source,
            destination,
        } => {
            let (ports, from, to) = (
                format_args!("{} {}", source.port(), destination.port()).to_string(),
                source.ip(),
                destination.ip(),
            );
            match Ends::of(from, to) {
                Ends::V4(from, to) => format!("TCP4 {from} {to} {ports}\r\n"),
                Ends::V6(from, to) => format!("TCP6 {from} {to} {ports}\r\n"),
            }
        }
    };
    header.extend_from_slice(line.as_bytes());
    header
}

/// A header of version 2: binary, without additions.
#[must_use]
pub fn v2(origin: Origin) -> Vec<u8> {
    let mut header = V2_SIGNATURE.to_vec();
    let Origin::Proxied {
        source,
        destination,
    } = origin
    else {
        header.extend_from_slice(&[V2_LOCAL, 0, 0, 0]);
        return header;
    };
    match Ends::of(source.ip(), destination.ip()) {
        Ends::V4(from, to) => {
            header.extend_from_slice(&[V2_PROXY, V2_TCP4, 0, 12]);
            header.extend_from_slice(&from.octets());
            header.extend_from_slice(&to.octets());
        }
        Ends::V6(from, to) => {
            header.extend_from_slice(&[V2_PROXY, V2_TCP6, 0, 36]);
            header.extend_from_slice(&from.octets());
            header.extend_from_slice(&to.octets());
        }
    }
    header.extend_from_slice(&source.port().to_be_bytes());
    header.extend_from_slice(&destination.port().to_be_bytes());
    header
}

/// Both addresses in one family: a header has no room for two.
enum Ends {
    V4(Ipv4Addr, Ipv4Addr),
    V6(Ipv6Addr, Ipv6Addr),
}

impl Ends {
    fn of(from: IpAddr, to: IpAddr) -> Self {
        match (from.to_canonical(), to.to_canonical()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => Self::V4(from, to),
            (from, to) => Self::V6(wide(from), wide(to)),
        }
    }
}

/// IPv4 in its IPv6 form (RFC 4291 section 2.5.5.2).
fn wide(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxied(source: &str, destination: &str) -> Origin {
        Origin::Proxied {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
        }
    }

    #[track_caller]
    fn check_v1(origin: Origin, expected: &str) {
        assert_eq!(String::from_utf8(v1(origin)).unwrap(), expected);
    }

    #[test]
    fn version_1_is_a_line() {
        check_v1(
            proxied("192.168.0.1:56324", "192.168.0.11:443"),
            "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n",
        );
        check_v1(
            proxied("[2001:db8::1]:1", "[::1]:65535"),
            "PROXY TCP6 2001:db8::1 ::1 1 65535\r\n",
        );
        check_v1(Origin::Local, "PROXY UNKNOWN\r\n");
    }

    #[test]
    fn mixed_families_become_ipv6_and_mapped_ones_ipv4() {
        check_v1(
            proxied("192.0.2.1:1", "[2001:db8::1]:2"),
            "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::1 1 2\r\n",
        );
        check_v1(
            proxied("[::ffff:192.0.2.1]:1", "192.0.2.2:2"),
            "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
        );
        let mixed = v2(proxied("[2001:db8::1]:2", "192.0.2.1:1"));
        assert_eq!(mixed[13], V2_TCP6);
        assert_eq!(
            mixed[32..48],
            *b"\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\x02\x01"
        );
    }

    #[test]
    fn version_2_is_binary() {
        assert_eq!(
            v2(proxied("192.0.2.1:258", "192.0.2.2:443")),
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x02\x01\x02\x01\xbb"
        );
        assert_eq!(v2(Origin::Local), b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0");
        let wide = v2(proxied("[2001:db8::1]:1", "[2001:db8::2]:2"));
        assert_eq!(wide.len(), 52);
        assert_eq!(wide[12..16], *b"\x21\x21\0\x24");
    }
}
