//! Which zone a name lies in, and who serves it.

use std::net::IpAddr;

use hickory_proto::op::Message;
use hickory_proto::rr::{Name, RData, RecordType};

use super::error::DnsError;
use super::resolver::Resolver;

/// No zone of the real world has more name servers.
const SERVERS_MAX: usize = 16;
/// How many addresses of one name server are asked.
const ADDRESSES_MAX: usize = 8;

/// A name server of a zone.
#[derive(Debug)]
pub(super) struct Authority {
    pub(super) name: Name,
    pub(super) addresses: Vec<IpAddr>,
}

/// The zone of a name and the servers that the zone names. A server whose address cannot be found is among them without one.
pub(super) async fn authorities(
    resolver: &Resolver,
    name: &Name,
) -> Result<Vec<Authority>, DnsError> {
    let zone = of(resolver, name).await?;
    let answer = resolver.look_up(&zone, RecordType::NS).await?;
    let mut authorities = Vec::new();
    let names = answer.answers.into_iter().filter_map(|record| {
        if let RData::NS(server) = record.data {
            Some(server.0)
        } else {
            None
        }
    });
    for name in names.take(SERVERS_MAX) {
        let mut addresses = resolver.addresses(&name).await.unwrap_or_default();
        addresses.truncate(ADDRESSES_MAX);
        authorities.push(Authority { name, addresses });
    }
    authorities.sort_by(|one, other| one.name.cmp(&other.name));
    if authorities.is_empty() {
        return Err(DnsError::NoServers {
            zone: zone.to_ascii(),
        });
    }
    Ok(authorities)
}

async fn of(resolver: &Resolver, name: &Name) -> Result<Name, DnsError> {
    for candidate in candidates(name) {
        let answer = resolver.look_up(&candidate, RecordType::SOA).await?;
        if is_apex(&answer, &candidate) {
            return Ok(candidate);
        }
    }
    Err(DnsError::NoZone {
        record: name.to_ascii(),
    })
}

/// The name and its parents, without the root.
pub(super) fn candidates(name: &Name) -> impl Iterator<Item = Name> {
    std::iter::successors(Some(name.clone()), |name| Some(name.base_name()))
        .take_while(|name| !name.is_root())
}

/// Whether the answer shows the name to be where a zone begins. The SOA of another zone, behind a CNAME or beside a denial, does not.
pub(super) fn is_apex(answer: &Message, name: &Name) -> bool {
    answer
        .answers
        .iter()
        .any(|record| matches!(record.data, RData::SOA(_)) && record.name == *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_looked_for_from_the_name_upwards() {
        let name = Name::from_ascii("_acme-challenge.www.a.test.").unwrap();
        let found: Vec<String> = candidates(&name).map(|name| name.to_ascii()).collect();
        assert_eq!(
            found,
            [
                "_acme-challenge.www.a.test.",
                "www.a.test.",
                "a.test.",
                "test."
            ]
        );
    }
}
