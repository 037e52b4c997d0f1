//! From the hops that proxies wrote down, nearest last, to the client: the right-most one that is not trusted.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName};

use crate::config::network::Networks;

/// Who a request comes from, as far as trusted proxies know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// The nearest hop that is not trusted, or the farthest one if all are.
    Named(IpAddr),
    /// The last trusted hop: what is written before it cannot be read, or is too much.
    Hidden(IpAddr),
}

/// Trusted hops beyond this many are not followed.
pub(super) const HOPS_MAX: usize = 32;

impl Origin {
    /// Walks from the peer towards the client. An entry that is none was written, but is no address.
    pub(super) fn find(
        peer: IpAddr,
        entries: impl Iterator<Item = Option<IpAddr>>,
        trusted: &Networks,
    ) -> Self {
        let mut nearest = peer;
        for (hops, entry) in entries.enumerate() {
            match entry {
                Some(address) if hops < HOPS_MAX => nearest = address,
                Some(_) | None => return Self::Hidden(nearest),
            }
            if !trusted.contains(nearest) {
                break;
            }
        }
        Self::Named(nearest)
    }

    pub(super) fn address(self) -> IpAddr {
        match self {
            Self::Named(address) | Self::Hidden(address) => address,
        }
    }
}

/// The entries of a list field from right to left, all its lines in order; empty ones are not there (RFC 9110 section 5.6.1).
pub(super) fn entries<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = Option<IpAddr>> + use<'h> {
    let lines = headers.get_all(name).into_iter().rev();
    let entries = lines.flat_map(|line| line.as_bytes().rsplit(|octet| *octet == b','));
    let entries = entries
        .map(<[u8]>::trim_ascii)
        .filter(|entry| !entry.is_empty());
    entries.map(|entry| address(std::str::from_utf8(entry).ok()?))
}

/// An address as proxies write them: bare, in brackets, or with a port.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let address = match bare {
        Some(inner) => IpAddr::V6(inner.parse().ok()?),
        None => match text.parse() {
            Ok(address) => address,
            Err(_not_alone) => text.parse::<SocketAddr>().ok()?.ip(),
        },
    };
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::FORWARDED;

    use super::*;

    const PEER: &str = "10.0.0.1";

    fn trusted() -> Networks {
        let networks = ["10.0.0.0/8", "2001:db8::/32"];
        Networks(networks.map(|text| text.parse().unwrap()).into())
    }

    fn named(text: &str) -> Origin {
        Origin::Named(text.parse().unwrap())
    }

    fn hidden(text: &str) -> Origin {
        Origin::Hidden(text.parse().unwrap())
    }

    #[track_caller]
    fn check(lines: &[&str], expected: Origin) {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        let entries = entries(&headers, &FORWARDED);
        let found = Origin::find(PEER.parse().unwrap(), entries, &trusted());
        assert_eq!(found, expected, "{lines:?}");
    }

    #[test]
    fn the_client_is_the_right_most_who_is_not_trusted() {
        check(&["192.0.2.7"], named("192.0.2.7"));
        check(&["6.6.6.6, 192.0.2.7"], named("192.0.2.7"));
        check(&["6.6.6.6, 192.0.2.7, 10.9.9.9"], named("192.0.2.7"));
        check(
            &["6.6.6.6", "192.0.2.7,10.0.0.2", "10.0.0.3"],
            named("192.0.2.7"),
        );
        check(&["garbage, 192.0.2.7"], named("192.0.2.7"));
        check(&["192.0.2.7, , 10.0.0.2,"], named("192.0.2.7"));
        check(&["192.0.2.7", "2001:db8::7"], named("192.0.2.7"));
    }

    #[test]
    fn where_all_are_trusted_it_is_the_farthest() {
        check(&[], named(PEER));
        check(&["", " , "], named(PEER));
        check(&["10.0.0.3, 10.0.0.2"], named("10.0.0.3"));
    }

    #[test]
    fn what_cannot_be_read_ends_the_walk_at_the_last_trusted_hop() {
        check(&["unknown"], hidden(PEER));
        check(&["192.0.2.7, unknown, 10.0.0.2"], hidden("10.0.0.2"));
        check(&["192.0.2.7, 10.0.0.300"], hidden(PEER));
        check(&["192.0.2.7; 10.0.0.2"], hidden(PEER));
        check(&["\u{ff}"], hidden(PEER));
        check(&["fe80::1%eth0"], hidden(PEER));
    }

    #[test]
    fn a_chain_is_not_followed_for_ever() {
        let longest = vec!["10.0.0.2"; HOPS_MAX].join(",");
        let longer = vec!["10.0.0.2"; HOPS_MAX + 1].join(",");
        let find = |line: &str| {
            let entries = line.split(',').map(address);
            Origin::find(PEER.parse().unwrap(), entries, &trusted())
        };
        assert_eq!(find(&longest), named("10.0.0.2"));
        assert_eq!(find(&longer), hidden("10.0.0.2"));
    }

    #[test]
    fn addresses_come_in_all_the_forms_that_proxies_write() {
        for text in [
            "192.0.2.7",
            "192.0.2.7:4711",
            "::ffff:192.0.2.7",
            "[::ffff:192.0.2.7]:80",
        ] {
            assert_eq!(address(text), "192.0.2.7".parse().ok(), "{text}");
        }
        for text in ["2001:db8::7", "[2001:db8::7]", "[2001:DB8::7]:80"] {
            assert_eq!(address(text), "2001:db8::7".parse().ok(), "{text}");
        }
        for text in [
            "",
            "_x",
            "[192.0.2.7]",
            "[::1",
            "::1]",
            "[::1]:",
            "1.2.3",
            "01.2.3.4",
            "1.2.3.4:99999",
            "1.2.3.4 5",
            "[[::1]]",
        ] {
            assert_eq!(address(text), None, "{text}");
        }
    }
}
