//! Which addresses are tried, and in which order (RFC 8305 section 4).

use std::net::SocketAddr;

/// Addresses that are tried for one connection.
const TRIED_MAX: usize = 16;

/// Where a connection may be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Addresses {
    One(SocketAddr),
    /// In this order, each family in turn. An answer that there is nothing is passed over.
    Any(Vec<SocketAddr>),
    /// The first one is meant: what it answers counts. The others are for when it keeps silent.
    First(Vec<SocketAddr>),
}

impl Addresses {
    /// One is as good as the other.
    pub(super) fn any(addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        let mut addresses = addresses.into_iter();
        match addresses.next() {
            Some(first) => Self::Any(in_turn(first, addresses)),
            None => Self::Any(Vec::new()),
        }
    }

    /// One, and who may stand in for it.
    pub(super) fn with_others(
        first: SocketAddr,
        others: impl Iterator<Item = SocketAddr> + Clone,
    ) -> Self {
        let others = others.filter(|other| *other != first);
        if others.clone().next().is_none() {
            Self::One(first)
        } else {
            Self::First(in_turn(first, others))
        }
    }

    pub(super) fn as_slice(&self) -> &[SocketAddr] {
        match self {
            Self::One(only) => std::slice::from_ref(only),
            Self::Any(all) | Self::First(all) => all,
        }
    }
}

/// The families in turn, beginning with that of the first.
fn in_turn(first: SocketAddr, others: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let (like, unlike): (Vec<_>, Vec<_>) =
        others.partition(|other| other.is_ipv6() == first.is_ipv6());
    let (mut like, mut unlike) = (like.into_iter(), unlike.into_iter());
    let mut ordered = vec![first];
    while ordered.len() < TRIED_MAX {
        let before = ordered.len();
        ordered.extend(unlike.next());
        ordered.extend(like.next());
        if ordered.len() == before {
            break;
        }
    }
    ordered.truncate(TRIED_MAX);
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns() {
        let ordered = Addresses::any(all(&["[::1]:1", "[::2]:1", "[::3]:1", "127.0.0.1:1"]));
        let expected = all(&["[::1]:1", "127.0.0.1:1", "[::2]:1", "[::3]:1"]);
        assert_eq!(ordered, Addresses::Any(expected));
    }

    #[test]
    fn the_one_that_is_meant_comes_first_and_once() {
        let known = all(&["[::1]:1", "127.0.0.1:1", "127.0.0.2:1"]);
        let ordered = Addresses::with_others(known[2], known.iter().copied());
        let expected = all(&["127.0.0.2:1", "[::1]:1", "127.0.0.1:1"]);
        assert_eq!(ordered, Addresses::First(expected));
        let alone = Addresses::with_others(known[0], known[..1].iter().copied());
        assert_eq!(alone, Addresses::One(known[0]));
    }

    #[test]
    fn only_so_many_are_tried() {
        let many = (0..100).map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        assert_eq!(Addresses::any(many).as_slice().len(), TRIED_MAX);
        assert!(Addresses::any([]).as_slice().is_empty());
    }
}
