//! Where the targets of a group are: each where it says, and those that are names at each of the addresses that the name has.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::config::backends::{Backends, Member};
use crate::config::target::Address;
use crate::upstream::endpoint::Endpoint;
use crate::upstream::names::{Name, Names};

/// One endpoint, and the entry of `to` that it stands for.
#[derive(Debug)]
pub(in crate::upstream) struct Place<'a> {
    pub(in crate::upstream) endpoint: Endpoint,
    /// What cookies and hashes know it by: while a target is one place, it stays the same wherever that is.
    pub(super) text: String,
    pub(super) listed: &'a Member,
}

/// A name as it was when places were derived from it.
#[derive(Debug)]
pub(in crate::upstream) struct Named {
    name: Arc<Name>,
    generation: u64,
}

impl Named {
    /// As it is now.
    pub(in crate::upstream) fn of(name: Arc<Name>) -> Self {
        let generation = name.generation();
        Self { name, generation }
    }

    /// Whether it still has the addresses that it had.
    pub(in crate::upstream) fn is_current(&self) -> bool {
        self.name.generation() == self.generation
    }
}

/// All places, in the order of the text, and the names among the targets.
pub(super) fn all<'a>(backends: &'a Backends, names: &Names) -> (Vec<Place<'a>>, Box<[Named]>) {
    let mut places = Vec::with_capacity(backends.members.len());
    let mut named = Vec::new();
    for listed in &backends.members {
        named.extend(of(listed, names, &mut places));
    }
    (places, named.into())
}

/// Adds the places of one target, and answers its name, if it is one.
pub(in crate::upstream) fn of<'a>(
    listed: &'a Member,
    names: &Names,
    places: &mut Vec<Place<'a>>,
) -> Option<Named> {
    let Address::Name { host, port } = &listed.target.address else {
        places.push(Place::only(listed, None));
        return None;
    };
    let name = names.of(host);
    let found = name.now();
    let at = |address: &IpAddr| SocketAddr::new(*address, *port);
    match &*found.addresses {
        [only] => places.push(Place::only(listed, Some(at(only)))),
        addresses if is_one_host(addresses) => places.push(Place::only(listed, None)),
        addresses => {
            let each = |address| Place::one_of_many(listed, at(address));
            places.extend(addresses.iter().map(each));
        }
    }
    Some(Named {
        name,
        generation: found.generation,
    })
}

/// At most one address of each family: one host, which is dialed by whichever answers first. So is a name that is not known yet.
fn is_one_host(addresses: &[IpAddr]) -> bool {
    let fourth = addresses.iter().filter(|address| address.is_ipv4()).count();
    fourth <= 1 && addresses.len() - fourth <= 1
}

impl<'a> Place<'a> {
    fn only(listed: &'a Member, address: Option<SocketAddr>) -> Self {
        let target = listed.target.clone();
        Self {
            text: target.to_string(),
            endpoint: Endpoint { target, address },
            listed,
        }
    }

    fn one_of_many(listed: &'a Member, address: SocketAddr) -> Self {
        let target = listed.target.clone();
        let endpoint = Endpoint {
            target,
            address: Some(address),
        };
        Self {
            text: endpoint.to_string(),
            endpoint,
            listed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_of_each_family_is_one_host() {
        let check = |addresses: &[&str]| {
            let addresses: Vec<IpAddr> =
                addresses.iter().map(|text| text.parse().unwrap()).collect();
            is_one_host(&addresses)
        };
        assert!(check(&[]));
        assert!(check(&["192.0.2.1"]));
        assert!(check(&["192.0.2.1", "2001:db8::1"]));
        assert!(!check(&["192.0.2.1", "192.0.2.2"]));
        assert!(!check(&["192.0.2.1", "2001:db8::1", "2001:db8::2"]));
    }
}
